"""Fitting a deep image prior to one corrupted image, by one method, iteration by iteration.

    f(theta) = network(z), z a fixed noise tensor;    y (C, H, W) the corrupted image;
    means are over the entries seen

    squared     mean (f - y)^2
    absolute    mean |f - y|
    double      mean (f + g*g - h*h - y)^2, g and h with ``ratio`` times the learning rate of theta

"double" is doubly over-parameterised robust recovery (You, Zhu, Qu, Ma, "Robust Recovery via Implicit Bias of
Discrepant Learning Rates for Double Over-parameterization", NeurIPS 2020). The first two have no g and h at all: that a
released script can be switched to the absolute loss while g and h go on learning made some baselines other than they
seem.
"""

import math
from typing import Any

import torch
from torch import Tensor

from sparseop.deep.image_prior import networks
from sparseop.deep.image_prior.corruption import VISIBLE, detection, psnr
from sparseop.deep.image_prior.recipe import ImageRecipe
from sparseop.deep.image_prior.sparse import SparsePart
from sparseop.deep.training.seeds import generator, seed_for
from sparseop.errors import InputError, choice

AMPLITUDE = 0.1  # of the network's input, uniform in [0, AMPLITUDE]


class Fit:
    """One method on one image.

    Parameters
    ----------
    y : (C, H, W) the corrupted image.
    method : "squared", "absolute" or "double".
    recipe : network, optimisation and seed; ``sparse.ratio`` must be a number.
    device : where it runs.

    Attributes
    ----------
    iteration : steps taken.
    network, sparse : f, and s (None unless "double").
    seen : (C, H, W) 1 where an entry counts, 0 where it is held out.
    """

    def __init__(self, y: Tensor, method: str, recipe: ImageRecipe, device: torch.device | str = "cpu") -> None:
        choice("method", method, ("squared", "absolute", "double"))
        training, self.seed = recipe.training, recipe.seed
        self.method, self.training, self.device = method, training, torch.device(device)
        self.y = y.to(self.device)[None]
        size = (y.shape[1], y.shape[2])
        # network and input are the same for every method, so that curves differ by the method alone
        torch.manual_seed(seed_for(self.seed, "network"))
        self.network = networks.build(recipe.network.name, len(y), size, **recipe.network.options).to(self.device)
        self.z = AMPLITUDE * torch.rand(self.network.noise_shape, generator=generator("cpu", self.seed, "input")).to(
            self.device
        )
        kept = torch.rand(self.y.shape, generator=generator("cpu", self.seed, "held out")) >= training.holdout
        self.seen = kept.float().to(self.device)
        self.share = self.seen.mean()
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        self.sparse: SparsePart | None = None
        if method == "double":
            spec = recipe.sparse
            if isinstance(spec.ratio, str):
                raise InputError(
                    f"sparse.ratio must be a number here, got {spec.ratio!r}, which choose.choose turns into one."
                )
            self.sparse = SparsePart(self.y.shape, gamma=spec.gamma, start=spec.start, seed=self.seed).to(self.device)
            groups.append({"params": list(self.sparse.parameters()), "lr": training.lr * spec.ratio})
        self.optimiser = torch.optim.SGD(groups, lr=training.lr, momentum=training.momentum)
        self.iteration = 0
        self._loss = torch.tensor(math.nan)

    @property
    def loss(self) -> float:
        """The loss before the last step; asking waits for the device."""
        return float(self._loss)

    def step(self) -> None:
        """Take one step."""
        f = self.network(self._input())
        off = f - self.y if self.sparse is None else f + self.sparse() - self.y
        size = off.abs() if self.method == "absolute" else off.square()
        loss = (size * self.seen).mean() / self.share
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.iteration += 1
        self._loss = loss.detach()

    @torch.no_grad()
    def output(self) -> Tensor:
        """Return f (C, H, W) of the present parameters and the unperturbed input."""
        f: Tensor = self.network(self.z)
        return f[0]

    @torch.no_grad()
    def corruption(self) -> Tensor | None:
        """Return s (C, H, W), or None for a method without."""
        return None if self.sparse is None else self.sparse()[0]

    def held_out_error(self, f: Tensor) -> float:
        """Return the mean |f - y| over the entries no method sees; nan where all are seen.

        For salt-and-pepper noise of rate p, |f - 0| and |f - 1| average to 1/2 whatever f in [0, 1] is, so that the
        expectation is (1 - p) mean |f - x| + p/2: the error against the truth x, but for a constant.
        """
        hidden = 1 - self.seen[0]
        return float(((f - self.y[0]).abs() * hidden).sum() / hidden.sum())

    def measure(self, f: Tensor, s: Tensor | None, clean: Tensor | None) -> dict[str, float]:
        """Return PSNR (nan where no clean image is known) and held-out error of f.

        Of s the share found, and precision and recall.
        """
        found = {"psnr": math.nan if clean is None else psnr(f.cpu(), clean), "held_out": self.held_out_error(f)}
        if s is not None:
            found["found"] = float((s.abs() > VISIBLE).float().mean())
            if clean is not None:
                found["precision"], found["recall"] = detection(s.cpu(), self.y[0].cpu() - clean)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes."""
        return {
            "iteration": self.iteration,
            "loss": self.loss,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "sparse": None if self.sparse is None else self.sparse.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; the fit goes on bit by bit as the one it came from."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.sparse is not None:
            self.sparse.load_state_dict(state["sparse"])
        self.iteration, self._loss = int(state["iteration"]), torch.tensor(state["loss"])

    def _input(self) -> Tensor:
        level = self.training.input_noise
        if level == 0:
            return self.z
        return self.z + level * torch.randn(
            self.z.shape, generator=generator(self.device, self.seed, "input noise", self.iteration), device=self.device
        )
