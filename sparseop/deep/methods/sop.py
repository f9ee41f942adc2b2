r"""SOP: sparse over-parameterisation (S. Liu, Z. Zhu, Q. Qu, C. You, ICML 2022, section 2 and appendix A).

The loss of the network is cross-entropy on its prediction plus the suspected corruption, -log phi(p + s)_y, with
s = u^2 at the given label and -v^2 at the others (``sparseop.deep.sample_variables`` has the formulae). Where p + s
already explains the label, the network gets no gradient: it has nothing to gain from memorising.

Paper and released code differ; each difference is an option here. The defaults are the released code's last version.

===============  ==============================  =========================================================
option           paper, Algorithm 1              released code (2022-09)
===============  ==============================  =========================================================
``u_loss``       "ce"                            "ce+mse"
``constraint``   "project" to [-1, 1]            "clamp" squares in the loss; then frozen above 1
``update``       "epoch": a pass after each      "batch": with every batch, on the augmented images, from a
                 epoch, steps alpha tau, one     loss that is a mean over the batch, so steps are lr / B;
                 sample's own gradient           lr constant
``prediction``   "hard" (footnote 1); equation   "hard"
                 (9) itself is "soft"
===============  ==============================  =========================================================
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sparseop.deep import distributed
from sparseop.deep.methods.base import Method, Setting
from sparseop.deep.sample_variables import SampleVariables, corrected, corruption, gradients, phi
from sparseop.errors import InputError, between, choice, nonnegative, positive


class SOP(Method):
    """Cross-entropy on the network's prediction plus each sample's sparse correction s = u^2 y - v^2 (1 - y).

    Parameters
    ----------
    lr_u, lr_v : learning rates of u and v (the paper's alpha_u, alpha_v): with ``update="batch"`` each sample moves by
        lr / B times its gradient, B the global batch; with ``update="epoch"`` by lr tau, tau the network's rate. "auto"
        is resolved from the schedule by ``resolve``, which ``u_on`` and ``v_on`` steer.
    u_on, v_on : for "auto": the share of the schedule after which u and v of a sample whose label the network
        contradicts all along switch on.
    init_std : standard deviation of the Gaussian start of u and v.
    u_loss : "ce" or "ce+mse", what u descends.
    constraint : "clamp" or "project".
    update : "batch" or "epoch".
    prediction : "hard" or "soft", what the squared loss compares with the label.
    eps : of phi.
    seed : of the start of u and v.

    Attributes
    ----------
    variables : the ``SampleVariables``; in the module's state, so in every checkpoint.
    """

    def __init__(self, n_samples: int, n_classes: int, *, lr_u: float | str = 10.0, lr_v: float | str = 10.0,
                 u_on: float = 0.3, v_on: float = 0.5, init_std: float = 1e-8, u_loss: str = "ce+mse",
                 constraint: str = "clamp", update: str = "batch", prediction: str = "hard", eps: float = 1e-4,
                 seed: int = 0) -> None:
        super().__init__()
        if isinstance(lr_u, str) or isinstance(lr_v, str):
            raise InputError(f"lr_u and lr_v must be numbers here, got {lr_u!r} and {lr_v!r}; SOP.resolve turns 'auto' into numbers.")
        self.lr_u, self.lr_v = nonnegative("lr_u", lr_u), nonnegative("lr_v", lr_v)
        between("u_on", u_on, 0, 1)
        between("v_on", v_on, 0, 1)
        self.u_mse = choice("u_loss", u_loss, ("ce", "ce+mse")) == "ce+mse"
        self.project = choice("constraint", constraint, ("clamp", "project")) == "project"
        self.needs_pass = choice("update", update, ("batch", "epoch")) == "epoch"
        self.hard = choice("prediction", prediction, ("hard", "soft")) == "hard"
        self.eps = between("eps", eps, 0, 1)
        self.variables = SampleVariables(n_samples, n_classes, std=init_std, seed=seed)

    @classmethod
    def resolve(cls, options: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
        """Return the options with learning rates "auto" replaced by numbers; see ``switch_on_rate``."""
        options = dict(options)
        for key, start in (("lr_u", "u_on"), ("lr_v", "v_on")):
            if isinstance(options[key], str):
                choice(key, options[key], ("auto",))
                options[key] = switch_on_rate(setting, on=options[start], std=options["init_std"],
                                              per_epoch=options["update"] == "epoch")
        return options

    @classmethod
    def build(cls, options: Mapping[str, Any], setting: Setting, *, seed: int) -> "SOP":
        """Return the method for a run."""
        return cls(setting.n_samples, setting.n_classes, seed=seed, **options)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss of the network; in training mode, with ``update="batch"``, u and v move too.

        The loss is taken at the u and v before their step, as in one backward pass over everything.
        """
        p = logits.float().softmax(1)
        u, v = self.variables.rows(index)
        q = phi(corrected(p, *corruption(u, v, labels), labels), self.eps)
        self._step(p, u, v, labels, index)
        return -q.gather(1, labels[:, None]).log().mean()

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """Take the step of Algorithm 1, lines 10 to 13, for these samples."""
        u, v = self.variables.rows(index)
        self._move(logits.float().softmax(1), u, v, labels, index, rate)

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return the larger of u^2 and max_j v_j^2, clamped to [0, 1]."""
        U, V = corruption(self.variables.u, self.variables.v, labels.to(self.variables.u.device))
        return torch.maximum(U, V.amax(1))

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the class with the largest v_j^2 where that exceeds 1/2, else the given label."""
        labels = labels.to(self.variables.u.device)
        largest, where = corruption(self.variables.u, self.variables.v, labels)[1].max(1)
        return torch.where(largest > 0.5, where, labels)

    def measures(self, labels: Tensor) -> dict[str, Tensor]:
        """Return the shares of samples whose u, and whose v anywhere, have switched on: u^2 > 1/2, max_j v_j^2 > 1/2."""
        U, V = corruption(self.variables.u, self.variables.v, labels.to(self.variables.u.device))
        return {"u_on": (U > 0.5).float().mean(), "v_on": (V.amax(1) > 0.5).float().mean()}

    def _step(self, p: Tensor, u: Tensor, v: Tensor, labels: Tensor, index: Tensor, pull: Tensor | None = None) -> None:
        """Move u and v with the batch, when that is the way of updating."""
        if self.training and not self.needs_pass:
            self._move(p, u, v, labels, index, 1 / (len(index) * distributed.world()), pull)

    @torch.no_grad()
    def _move(self, p: Tensor, u: Tensor, v: Tensor, labels: Tensor, index: Tensor, rate: float, pull: Tensor | None = None) -> None:
        g_u, g_v = gradients(p, u, v, labels, eps=self.eps, u_mse=self.u_mse, hard=self.hard, pull=pull)
        u, v = u - self.lr_u * rate * g_u, v - self.lr_v * rate * g_v
        if self.project:
            u, v = u.clamp(-1, 1), v.clamp(-1, 1)
        self.variables.write(index, u, v)


def switch_on_rate(setting: Setting, *, on: float, std: float, per_epoch: bool = False) -> float:
    """Return the learning rate with which a variable grows from ``std`` to 1 in ``on`` of the schedule.

    While the network contradicts the given label, the squared loss multiplies v of the predicted class (and u, whose
    cross-entropy part adds to it) by 1 + 4 a each time the sample is seen, once an epoch: a = lr / B, or lr tau with
    ``per_epoch``. So it switches on after about ln(1 / std) / ln(1 + 4 a) epochs. The rate that makes this ``on``
    times the number of epochs T is, for a constant a::

        lr = B / 4 (std^(-1 / (on T)) - 1)

    Parameters
    ----------
    setting : batch size and the network's learning rates tau.
    on : in (0, 1).
    std : of the start, in (0, 1).
    """
    between("on", on, 0, 1)
    between("init_std", std, 0, 1)
    epochs = on * len(setting.rates)
    if not per_epoch:
        return setting.batch_size / 4 * math.expm1(-math.log(std) / epochs)

    # tau changes with the epoch: solve sum of log(1 + 4 lr tau_t) = log(1 / std) by bisection, the sum grows with lr
    whole = math.ceil(epochs)
    rates = [positive("learning rate", rate) for rate in setting.rates[:whole]]
    low, high = 0.0, 1.0
    while sum(math.log1p(4 * high * rate) for rate in rates) < -math.log(std):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if sum(math.log1p(4 * middle * rate) for rate in rates) < -math.log(std):
            low = middle
        else:
            high = middle
    return high
