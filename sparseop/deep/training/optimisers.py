r"""The optimisers that a recipe can name: torch's SGD, and SGD whose filters take orthogonal steps.

"orthogonal" is for ``fastnet``, after K. Jordan's Muon (github.com/KellerJordan/Muon, arXiv:2404.00498): of a filter
bank W (out, in, 3, 3), read as a matrix (out, 9 in), a step is

1.  ``W <- W sqrt(out) / |W|_F``: filters have unit norm in the mean, so that a rate means the same all along;
2.  ``W <- W - lr O``, O near U V^T, where U S V^T is the (Nesterov) momentum: every direction moves equally far, while
    plain gradients spend themselves on the few largest singular values.

Offsets, scales and the last layer take plain steps with rates of their own.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.errors import InputError, integer

NAMES = ("sgd", "orthogonal")
QUINTIC = (3.4445, -4.7750, 2.0315)  # a, b, c of x -> a x + b x^3 + c x^5, steep at 0; on [0.7, 1.2] it stays near 1


def build(training: Any, networks: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe's ``[training]`` for all trained parameters of ``networks``.

    Each group has a ``share``: its learning rate is so many times that of the schedule (``set_rate``).
    """
    trained = [parameter for parameter in networks.parameters() if parameter.requires_grad]
    common: dict[str, Any] = {
        "lr": training.lr,
        "momentum": training.momentum,
        "nesterov": training.nesterov,
        "weight_decay": training.weight_decay,
        "fused": device.type in ("cuda", "cpu"),
    }
    if training.optimiser == "sgd":
        return torch.optim.SGD([{"params": trained, "share": 1.0}], **common)
    kinds: dict[str, list[Tensor]] = {"filters": [], "weights": [], "offsets": []}
    for parameter in trained:
        kinds[{4: "filters", 2: "weights"}.get(parameter.ndim, "offsets")].append(parameter)
    rates = {"filters": training.lr, "weights": training.lr_head, "offsets": training.lr_bias}
    groups = [
        {
            "params": found,
            "lr": rates[kind],
            "share": rates[kind] / training.lr,
            "orthogonal": kind == "filters",
            "weight_decay": 0.0 if kind == "filters" else training.weight_decay / rates[kind],
        }
        for kind, found in kinds.items()
        if found
    ]
    return OrthogonalSGD(groups, **common)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to its share of ``rate``."""
    for group in optimiser.param_groups:
        group["lr"] = group["share"] * rate


class OrthogonalSGD(torch.optim.SGD):
    """torch's SGD, but that groups with ``orthogonal=True`` take the steps of the module's text.

    Raises
    ------
    InputError : such a group holds a parameter of one dimension, which is no matrix.
    """

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            if group["orthogonal"] and any(parameter.ndim < 2 for parameter in group["params"]):
                raise InputError("a group with orthogonal = True must hold parameters of two and more dimensions.")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns what ``closure``, where there is one, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["orthogonal"]:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._turn(parameter, group)
        super().step()
        return loss

    def _turn(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Move one matrix, and take its gradient away, so that SGD leaves it alone."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if group["momentum"]:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = torch.zeros_like(gradient)
            buffer.mul_(group["momentum"]).add_(gradient)
            gradient = gradient.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
        parameter.mul_(math.sqrt(len(parameter)) / parameter.norm().clamp(min=1e-12))
        parameter.add_(orthogonalise(gradient.flatten(1)).view_as(parameter), alpha=-group["lr"])
        parameter.grad = None


def orthogonalise(matrix: Tensor, steps: int = 3) -> Tensor:
    """Return about U V^T (m, n) for a ``matrix`` U S V^T, by Newton-Schulz steps: products of matrices alone.

    A step maps each singular value by the polynomial of ``QUINTIC``; they start at s / |matrix|_F <= 1. Five and more
    bring all that began above 0.01 to between 0.68 and 1.21; three, which train as well, leave small ones small.
    """
    integer("steps", steps, 1)
    a, b, c = QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / wide.norm().clamp(min=1e-12)
    # a step is x <- Q x, Q = a I + b S + c S^2 with S = x x^T; then S <- Q S Q: one product is long
    square = x @ x.T
    turns: list[Tensor] = []
    for step in range(steps):
        if step:
            square = turns[-1] @ square @ turns[-1]
        turns.append(torch.addmm(square, square, square, beta=b, alpha=c))
        turns[-1].diagonal().add_(a)
    turned: Tensor = (
        functools.reduce(torch.matmul, turns) @ x
    )  # they are polynomials of one matrix, so any order will do
    return turned if wide is matrix else turned.T
