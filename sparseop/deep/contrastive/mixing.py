r"""Mixup of queries: momentum mixup (SANE, section 3.2) and the vanilla one it is compared with.

Equation (8): x'_i = theta x_i + (1 - theta) x~_k and y'_i = theta ybar_i + (1 - theta) ybar_k, theta ~ Beta(kappa,
kappa). Momentum mixup takes the partner x~_k among the views that the momentum network encodes, vanilla mixup among the
queries x_k. All labels live on the same columns, so labels are mixed row by row. The paper leaves open whether theta
belongs to a sample or a batch and how k is drawn; see ``draw``. Mixing commutes with normalising, so images are mixed
as the network gets them.
"""

import torch
from torch import Generator, Tensor


def draw(
    batch: int, kappa: float, generator: Generator, *, scope: str = "sample", partner: str = "permutation"
) -> tuple[Tensor, Tensor]:
    """Return theta (B,) and partners k (B,) int64, on the generator's device.

    Parameters
    ----------
    kappa : of Beta(kappa, kappa) on [0, 1]; theta is not folded to [1/2, 1], as i-Mix does.
    scope : "sample": a theta for each sample; "batch": one for all.
    partner : "permutation": every sample is a partner once, possibly its own; "uniform": drawn independently.
    """
    device = generator.device
    gammas = torch.full((2, batch if scope == "sample" else 1), kappa, dtype=torch.float64, device=device)
    # Beta as a ratio of gammas, in double: with kappa = 0.1 a gamma is often below the smallest float
    gammas = torch._standard_gamma(gammas, generator=generator)
    theta = (gammas[0] / gammas.sum(0)).float().expand(batch)
    draws = torch.rand(batch, generator=generator, device=device)
    others = draws.argsort() if partner == "permutation" else (draws * batch).long().clamp(max=batch - 1)
    return theta, others


def mix(theta: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return theta first + (1 - theta) second for (B, ...) tensors, theta (B,)."""
    weight = theta.view(-1, *(1 for _ in first.shape[1:])).to(first.dtype)
    return torch.lerp(second, first, weight)


def share(batch: int, chance: float, generator: Generator) -> Tensor:
    """Return a mask (B,), each entry true with probability ``chance``, and of all entries floor(chance B) or one more.

    Entry i is true where (its place in a random order + U) / B < ``chance``, U uniform on [0, 1).
    """
    places = torch.rand(batch, generator=generator, device=generator.device).argsort()
    offset = torch.rand((), generator=generator, device=generator.device)
    return (places + offset) / batch < chance
