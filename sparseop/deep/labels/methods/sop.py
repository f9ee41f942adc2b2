r"""SOP: sparse over-parameterisation (S. Liu, Z. Zhu, Q. Qu, C. You, ICML 2022, section 2 and appendix A).

The loss of the network is cross-entropy on its prediction plus the suspected corruption, -log phi(p + s)_y, with
s = u^2 at the given label and -v^2 at the others (``labels.sample_variables`` has the formulae). Where p + s
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

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep.labels.methods.hooks import learning
from sparseop.deep.labels.methods.setting import Setting
from sparseop.deep.labels.sample_variables import SampleVariables, corrected, corruption, gradients, phi
from sparseop.deep.training import distributed
from sparseop.errors import InputError, between, choice, nonnegative, positive

#: "auto": epochs before which u and v do not switch on, whatever the length of the run. Without these digits_sym40_sop
#: ends at 19.8 % after 4 epochs, where cross-entropy has 94.7 %; with them at 94.9 %
FIRST = {"u": 4, "v": 8}


class SOP(nn.Module):
    """Cross-entropy on the network's prediction plus each sample's sparse correction s = u^2 y - v^2 (1 - y).

    Parameters
    ----------
    lr_u, lr_v : learning rates of u and v (the paper's alpha_u, alpha_v): with ``update="batch"`` each sample moves by
        lr / B times its gradient, B the global batch; with ``update="epoch"`` by lr tau, tau the network's rate. "auto"
        is resolved from the schedule by ``resolve``, which ``u_on`` and ``v_on`` steer.
    u_on, v_on : for "auto": the share of the schedule after which u and v of a sample whose label the network
        contradicts all along switch on, but not before ``FIRST``. u must be on before the network has memorised: where
        a schedule is long for its data (many epochs, little augmentation), choose u_on smaller.
    init_std : standard deviation of the Gaussian start of u and v, in [0, 1].
    u_loss : "ce" or "ce+mse", what u descends.
    constraint : "clamp" or "project".
    update : "batch" or "epoch".
    prediction : "hard" or "soft", what the squared loss compares with the label.
    eps : of phi.
    suspect : what ``suspicion`` tells: "variables", u and v as they are, or "margin", how far the network preferred
        another class to the given label when it last saw the sample. u on right labels ranks their random start.
    seed : of the start of u and v.

    Attributes
    ----------
    preferred : (N,), with ``suspect="margin"``: the sigmoid of the margin max_{j != y} f_j - f_y, last seen.
    variables : the ``SampleVariables``; in the module's state, so in every checkpoint.
    """

    preferred: Tensor

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        lr_u: float | str = 10.0,
        lr_v: float | str = 10.0,
        u_on: float = 0.2,
        v_on: float = 0.5,
        init_std: float = 1e-8,
        u_loss: str = "ce+mse",
        constraint: str = "clamp",
        update: str = "batch",
        prediction: str = "hard",
        eps: float = 1e-4,
        suspect: str = "variables",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(lr_u, str) or isinstance(lr_v, str):
            raise InputError(
                f"lr_u and lr_v must be numbers here, got {lr_u!r} and {lr_v!r}; SOP.resolve turns 'auto' into numbers."
            )
        self.lr_u, self.lr_v = nonnegative("lr_u", lr_u), nonnegative("lr_v", lr_v)
        between("u_on", u_on, 0, 1)
        between("v_on", v_on, 0, 1)
        between("init_std", init_std, 0, 1, ends="[]")
        self.u_mse = choice("u_loss", u_loss, ("ce", "ce+mse")) == "ce+mse"
        self.project = choice("constraint", constraint, ("clamp", "project")) == "project"
        self.needs_pass = choice("update", update, ("batch", "epoch")) == "epoch"
        self.hard = choice("prediction", prediction, ("hard", "soft")) == "hard"
        self.eps = between("eps", eps, 0, 1)
        self.visited, self.unmoved = False, 0  # in the pass, and steps' samples since the last
        self.variables = SampleVariables(n_samples, n_classes, std=init_std, seed=seed)
        self.by_margin = choice("suspect", suspect, ("variables", "margin")) == "margin"
        if self.by_margin:
            self.register_buffer("preferred", torch.zeros(n_samples))

    @classmethod
    def resolve(cls, options: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
        """Return all options, defaults filled in and rates "auto" replaced by numbers; see ``switch_on_rate``."""
        given = ("n_samples", "n_classes", "seed")  # by the run
        parameters = inspect.signature(cls).parameters
        options = {name: p.default for name, p in parameters.items() if name not in given} | dict(options)
        slopes = {"u": slope_of_u(setting.n_classes, u_mse=options["u_loss"] == "ce+mse"), "v": slope_of_v}
        for name, slope in slopes.items():
            if isinstance(options[f"lr_{name}"], str):
                choice(f"lr_{name}", options[f"lr_{name}"], ("auto",))
                epochs = len(setting.rates)
                if (stated := options[f"{name}_on"] * epochs) < FIRST[name]:
                    warnings.warn(
                        f"{name}_on = {options[f'{name}_on']:g} of {epochs} epochs would switch {name} on after "
                        f"{stated:.1f}, before the network has learnt anything to judge labels by; it switches on "
                        f"after epoch {FIRST[name]} instead{', not within this run' if FIRST[name] > epochs else ''}.",
                        stacklevel=2,
                    )
                options[f"lr_{name}"] = switch_on_rate(
                    setting,
                    slope,
                    on=options[f"{name}_on"],
                    std=options["init_std"],
                    per_epoch=options["update"] == "epoch",
                    first=FIRST[name],
                )
        return options

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss of the network; a step in training, with ``update="batch"``, moves u and v too.

        The loss is taken at the u and v before their step, as in one backward pass over everything. In evaluation mode,
        or without gradients, nothing moves.

        Raises
        ------
        InputError : with ``update="epoch"``, an epoch after another without the pass that moves u and v.
        """
        p = logits.float().softmax(1)
        u, v = self.variables.rows(index)
        q = phi(corrected(p, *corruption(u, v, labels), labels), self.eps)
        self._step(p, u, v, labels, index)
        return -q.gather(1, labels[:, None]).log().mean()

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """Take the step of Algorithm 1, lines 10 to 13, for these samples."""
        u, v = self.variables.rows(index)
        self.visited = True
        self._move(logits.float().softmax(1), u, v, labels, index, rate)

    def end_pass(self) -> None:
        """Finish the pass.

        Raises
        ------
        InputError : no batch was shown to ``visit``.
        """
        if not self.visited:
            raise InputError(f"{type(self).__name__} moves u and v by what visit is shown, and it was shown nothing.")
        self.visited, self.unmoved = False, 0

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return (U + 2 max_j V_j) / 3, or, with ``suspect="margin"``, ``preferred``: 0 before the first step.

        u switches on wherever the network does not believe the label, which on hard images it does not do either when
        the label is right; v switches on where it also insists on one other class. So u alone ranks, but never flags.
        """
        if self.by_margin:
            return self.preferred.clone()
        U, V = corruption(self.variables.u, self.variables.v, labels.to(self.variables.u.device))
        return (U + 2 * V.amax(1)) / 3

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the class with the largest v_j^2 where that exceeds 1/2, else the given label."""
        labels = labels.to(self.variables.u.device)
        largest, where = corruption(self.variables.u, self.variables.v, labels)[1].max(1)
        return torch.where(largest > 0.5, where, labels)

    def measures(self, labels: Tensor) -> dict[str, Tensor]:
        """Return the shares of samples whose u, and whose v anywhere, have switched on.

        U^2 > 1/2, max_j v_j^2 > 1/2.
        """
        U, V = corruption(self.variables.u, self.variables.v, labels.to(self.variables.u.device))
        return {"u_on": (U > 0.5).float().mean(), "v_on": (V.amax(1) > 0.5).float().mean()}

    def _step(self, p: Tensor, u: Tensor, v: Tensor, labels: Tensor, index: Tensor, pull: Tensor | None = None) -> None:
        """Move u and v with the batch, when that is the way of updating; else see that the pass is not forgotten."""
        if not learning(self):
            return
        if not self.needs_pass:
            self._move(p, u, v, labels, index, 1 / (len(index) * distributed.world()), pull)
            return
        self.unmoved += len(index) * distributed.world()
        if self.unmoved > len(self.variables.u):  # no epoch has more
            raise InputError(
                f"{type(self).__name__} with update = 'epoch' moves u and v in a pass after each epoch: call visit for "
                "every batch of samples and then end_pass, or take update = 'batch'."
            )

    @torch.no_grad()
    def _move(
        self, p: Tensor, u: Tensor, v: Tensor, labels: Tensor, index: Tensor, rate: float, pull: Tensor | None = None
    ) -> None:
        g_u, g_v = gradients(p, u, v, labels, eps=self.eps, u_mse=self.u_mse, hard=self.hard, pull=pull)
        u, v = u - self.lr_u * rate * g_u, v - self.lr_v * rate * g_v
        if self.project:
            u, v = u.clamp(-1, 1), v.clamp(-1, 1)
        self.variables.write(index, u, v)
        if self.by_margin:
            given = p.gather(1, labels[:, None]).squeeze(1)
            other = p.scatter(1, labels[:, None], 0.0).amax(1)
            share = other / (other + given).clamp(min=torch.finfo(p.dtype).tiny)
            self.preferred.index_copy_(0, distributed.gather(index), distributed.gather(share))


def switch_on_rate(
    setting: Setting,
    slope: Callable[[float], float],
    *,
    on: float,
    std: float,
    per_epoch: bool = False,
    first: float = 0.0,
) -> float:
    """Return the learning rate with which a variable that starts at ``std`` switches on in ``on`` of the schedule.

    A variable x, its sample seen once an epoch, moves by ``x <- x (1 + a slope(x^2))``, a = lr / B, or lr tau with
    ``per_epoch``; it is on when x^2 > 1/2. For v the slope is 4 (1 - x^2), so v switches on after about
    ln(1 / std) / ln(1 + 4 a) epochs. The rate is found by bisection on this recursion.

    Parameters
    ----------
    setting : batch size and the network's learning rates tau.
    slope : minus half the gradient by x^2, of a network that contradicts the label all along; see ``slope_of_v``.
    on : in (0, 1).
    std : of the start, in (0, 1/2).
    first : no earlier than after this many epochs, more than the schedule has if need be.
    """
    wanted = max(between("on", on, 0, 1) * len(setting.rates), first)
    between("init_std", std, 0, 0.5)
    steps = [positive("learning rate", rate) if per_epoch else 1 / setting.batch_size for rate in setting.rates]
    steps += steps[-1:] * (math.ceil(wanted) + 1 - len(steps))
    low, high = 1e-12, 1e12
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (
            (low, middle) if switch_on_epoch([middle * step for step in steps], slope, std) < wanted else (middle, high)
        )
    return high


def switch_on_epoch(a: Sequence[float], slope: Callable[[float], float], std: float) -> float:
    """Return after how many epochs x^2 passes 1/2 (interpolated on the logarithm), infinity where it doesn't."""
    x, goal = std, math.sqrt(0.5)
    for epoch, step in enumerate(a):
        grown = x * (1 + step * slope(x * x))
        if grown > goal:
            return epoch + math.log(goal / x) / math.log(grown / x)
        x = grown
    return math.inf


def slope_of_v(V: float) -> float:
    """Return v's slope at the class the network predicts instead of the given one: equation (9) gives 4 (1 - V)."""
    return 4 * (1 - V)


def slope_of_u(n_classes: int, *, u_mse: bool) -> Callable[[float], float]:
    """Return u's slope while the network gives the label no more than chance, p_y = 1 / K, and predicts another class.

    Cross-entropy (8) gives 2 / (p_y + U) - 2 / (1 + U), the squared loss adds 4 (1 - U). The first is 2 (K - 1) for a
    small u: it depends on K, which is why the paper's lr_u is 10 for CIFAR-10 and 1 for CIFAR-100.
    """
    return lambda U: 2 / (1 / n_classes + U) - 2 / (1 + U) + (4 * (1 - U) if u_mse else 0)
