r"""SOP with one corruption a sample instead of one an entry: s_i = A_i b_i, A_i = a_i^2, over-parameterised as a group.

A wrong label is one event, e_given - e_true, and takes SOP's s = u^2 y - v^2 (1 - y) two variables that switch on at
different times. Here a sample has one size A_i in [0, 1] and one direction b_i in R^K, |b_i| = sqrt 2, so that A = 1
with b = e_given - e_other moves the whole label. (Grouped over-parameterisation with normalised directions: J. Li, T.
Nguyen, C. Hegde and R. Wong, ICLR 2023, "Implicit regularization for group sparsity", arXiv:2301.12540.)

The flow. Both descend |h + s - y|^2 (SOP's equation 9), h the network's one-hot prediction, y the given label. With the
residual rho = y - h - s and r = integral of rho, let b = sqrt 2 r / |r|, the normalised direction; then::

    da/dt = 4 a <rho, b>,   so   dA/dt = 8 A (<y - h, b> - 2 A)                                     a logistic equation
    d ln A / dt = 8 <rho, b> = 8 sqrt 2 d|r|/dt,   so   A = A_0 exp(8 sqrt 2 |r|)

The second line is the bias: s_i stays 0 until |r_i| = lam = ln(1 / A_0) / (8 sqrt 2), and then s_i points along r_i.
Those are, in the linear model y = J theta + s with theta = J^T r, the optimality conditions of the row-group program
min |theta|^2 / 2 + lam sum_i |s_i|_2: as A_0 -> 0 the flow finds its solution.

The growth law. A label that the network contradicts all along by the same class has <y - h, b> = 2, and

    logit A(t) = logit A_0 + 16 t,

so A passes 1/2 after logit(1/A_0) / 16; ``lr`` / B of this time passes in a visit, which gives "auto" in closed form.
Within a visit, h and b held fixed, A takes the exact solution of the logistic equation: no overshoot at any rate.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep.labels.methods.hooks import learning
from sparseop.deep.labels.methods.setting import Setting, memory_note
from sparseop.deep.labels.sample_variables import phi
from sparseop.deep.training import distributed
from sparseop.errors import InputError, between, choice, fits, integer, nonnegative

FIRST = 4  #: "auto": A switches on no earlier than after this many epochs, as SOP's u


class SOPRows(nn.Module):
    """Cross-entropy -log phi(p + s)_y with s_i = A_i b_i, one size and one direction a sample.

    Parameters
    ----------
    lr : how much time lr / B of the flow passes each time a sample is seen, B the batch; "auto" is resolved from the
        schedule by ``resolve``.
    on : for "auto": the share of the schedule after which A of a sample whose label the network contradicts all along,
        by the same class, switches on (A > 1/2), but not before ``FIRST`` epochs.
    init : A_0, the same for all samples, in (0, 1/2): what tells samples apart is what was seen of them.
    prediction : "hard" or "soft": h is the one-hot vector of p's largest entry, or p.
    eps : of phi; the released code of SOP has 1e-4, which can lose whole classes of a small set for good.

    Attributes
    ----------
    A, r : (N,) and (N, K), in the module's state, so in every checkpoint.
    """

    A: Tensor
    r: Tensor

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        lr: float | str = "auto",
        on: float = 0.2,
        init: float = 1e-16,
        prediction: str = "hard",
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        if isinstance(lr, str):
            raise InputError(f"lr must be a number here, got {lr!r}; SOPRows.resolve turns 'auto' into one.")
        self.lr = nonnegative("lr", lr)
        between("on", on, 0, 1)
        self.init = between("init", init, 0, 0.5)
        self.hard = choice("prediction", prediction, ("hard", "soft")) == "hard"
        self.eps = between("eps", eps, 0, 1)
        integer("n_samples", n_samples, 1)
        integer("n_classes", n_classes, 2)
        fits(memory_note("SOPRows", n_samples, n_classes), n_samples * (n_classes + 1), itemsize=4)
        self.register_buffer("A", torch.full((n_samples,), self.init))
        self.register_buffer("r", torch.zeros(n_samples, n_classes))

    @classmethod
    def resolve(cls, options: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
        """Return the options with lr = "auto" replaced by a number; see ``switch_on_rate``."""
        options = {"lr": "auto", "on": 0.2, "init": 1e-16, **options}
        if isinstance(options["lr"], str):
            choice("lr", options["lr"], ("auto",))
            options["lr"] = switch_on_rate(setting, on=options["on"], init=options["init"])
        return options

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss of the network; a step in training moves A and r after the loss is taken."""
        p = logits.float().softmax(1)
        A, r = self.A.index_select(0, index), self.r.index_select(0, index)
        q = phi(p + corruption(A, r), self.eps)
        if learning(self):
            with torch.no_grad():
                h = torch.zeros_like(p).scatter_(1, p.argmax(1, keepdim=True), 1.0) if self.hard else p
                gap = torch.zeros_like(p).scatter_(1, labels[:, None], 1.0) - h
                A, r = flow(A, r, gap, self.lr / (len(index) * distributed.world()), floor=self.init)
                everywhere = distributed.gather(index)
                self.A.index_copy_(0, everywhere, distributed.gather(A))
                self.r.index_copy_(0, everywhere, distributed.gather(r))
        return -q.gather(1, labels[:, None]).log().mean()

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return A: the label is thought wrong where more than half of it has moved."""
        del labels
        return self.A.clone()

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the class that s takes most from, where A > 1/2, else the given label."""
        labels = labels.to(self.A.device)
        return torch.where(self.A > 0.5, self.r.argmin(1), labels)

    def measures(self, labels: Tensor) -> dict[str, Tensor]:
        """Return the share of samples whose corruption has switched on, A > 1/2."""
        del labels
        return {"rows_on": (self.A > 0.5).float().mean()}


def corruption(A: Tensor, r: Tensor) -> Tensor:
    """Return s (B, K) = A sqrt 2 r / |r|, 0 where r is 0."""
    size = r.norm(dim=1, keepdim=True)
    s: Tensor = A[:, None] * math.sqrt(2) * r / size.clamp(min=torch.finfo(r.dtype).tiny)
    return s


def flow(A: Tensor, r: Tensor, gap: Tensor, time: float, *, floor: float) -> tuple[Tensor, Tensor]:
    """Return A and r after ``time``, the network's prediction held fixed.

    r moves by the residual at the start; then A follows its logistic equation exactly, in the new direction.

    Parameters
    ----------
    A, r : (B,) and (B, K).
    gap : (B, K), y - h.
    floor : A does not fall below: rounding would hold it at 0 for good.
    """
    r = r + time * (gap - corruption(A, r))
    one = torch.ones_like(A)
    capacity = (gap * corruption(one, r)).sum(1) / 2  # M in dA/dt = 16 A (M - A)
    grown = capacity / (1 + (capacity / A - 1) * torch.exp(-16 * time * capacity))
    slow = A / (1 + 16 * time * A)  # M = 0
    return torch.where(capacity.abs() > 1e-6, grown, slow).clamp(min=floor), r


def switch_on_rate(setting: Setting, *, on: float, init: float) -> float:
    """Return the lr with which A of a label contradicted all along passes 1/2 after a share ``on`` of the schedule.

    From the growth law: lr = B logit(1 - A_0) / (16 on T), T the number of epochs.
    """
    epochs = len(setting.rates)
    stated = between("on", on, 0, 1) * epochs
    init = between("init", init, 0, 0.5)
    if stated < FIRST:
        warnings.warn(
            f"on = {on:g} of {epochs} epochs would switch a sample's corruption on after {stated:.1f}, before the "
            f"network has learnt anything to judge labels by; it switches on after epoch {FIRST} instead.",
            stacklevel=2,
        )
    return setting.batch_size * (math.log1p(-init) - math.log(init)) / (16 * max(stated, FIRST))
