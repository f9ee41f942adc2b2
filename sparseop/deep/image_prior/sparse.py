"""The corruption as s = g*g - h*h, one pair of numbers for each entry of the image."""

import torch
from torch import Tensor, nn

from sparseop.deep.training.seeds import generator
from sparseop.errors import between, choice

STARTS = ("constant", "normal")
SMALLEST = 1e-30  # start: below, products with residuals and rates underflow in float32, and s would stay 0 for ever


class SparsePart(nn.Module):
    """Variables g and h, of the shape of the image.

    Gradient descent with ratio alpha to the network's learning rate tau turns the residual r = f + s - y, as it passes,
    into

        g <- g (1 - 2 alpha tau' r),   h <- h (1 + 2 alpha tau' r),      tau' = 2 tau / (number of entries) for a mean
                                                                         loss,

    so that g*h stays near gamma^2, and an entry of s leaves zero once the integral of its residual has reached
    log(1/gamma) / (2 alpha): the weight lam of the l1 norm that this start and this ratio stand for.

    Parameters
    ----------
    shape : of the image.
    gamma : scale of the start, in [1e-30, 1).
    start : "constant": g = h = gamma, as in the theory; "normal": gamma times standard normal numbers, as in the
        released code, on average as if gamma were smaller by the factor exp(E log |N(0, 1)|) = 0.53.
    seed : of "normal".
    """

    def __init__(
        self, shape: torch.Size | tuple[int, ...], *, gamma: float, start: str = "constant", seed: int = 0
    ) -> None:
        super().__init__()
        between("gamma", gamma, SMALLEST, 1, ends="[)")
        if choice("start", start, STARTS) == "constant":
            first = torch.full((2, *shape), gamma)
        else:
            first = gamma * torch.randn(2, *shape, generator=generator("cpu", seed, "sparse part"))
        self.g, self.h = nn.Parameter(first[0].clone()), nn.Parameter(first[1].clone())

    def forward(self) -> Tensor:
        """Return s, of the shape of the image."""
        return self.g.square() - self.h.square()
