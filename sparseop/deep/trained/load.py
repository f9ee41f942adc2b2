"""The network of a finished run, of whichever trainer, frozen: what it makes of images, without its last layer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep import augment, networks, tasks
from sparseop.deep.datasets import Images
from sparseop.deep.training import checkpoint
from sparseop.deep.training.feed import Feed, whole_pass
from sparseop.deep.training.loop import CHECKPOINT, CHOSEN
from sparseop.errors import InputError, choice

NETWORKS, PARTS = ("online", "momentum"), ("backbone", "head")  #: what ``load`` can take of a run
WEIGHTS = ("auto", "last", "chosen")  #: which epoch's: "auto" is the one chosen by validation where there is one


@dataclass(frozen=True)
class Trained:
    """A backbone out of a run folder.

    Attributes
    ----------
    recipe : the run's.
    epoch : how many epochs it has trained.
    network : maps normalised images to features (B, width), those of the head with unit length; in evaluation mode,
        without gradients.
    width : number of features.
    last : weight (K, width) and bias (K,) of the classifier it was trained with; empty for a contrastive run.
    mean, std : what images are normalised with.
    size : side of the central window that images are cut to; 0: the whole image.
    """

    recipe: Any
    epoch: int
    network: nn.Module
    width: int
    last: dict[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int

    def features(self, images: Images, device: torch.device, batch: int = 500) -> Tensor:
        """Return the features (N, width) of all images, float32 on ``device``, where the network is moved."""
        if len(self.mean) != images.shape[1]:
            raise InputError(f"the network takes images of {len(self.mean)} channels, these have {images.shape[1]}.")
        crop = self.size if 0 < self.size < min(images.shape[2:]) else 0
        plain = augment.build("none", mean=self.mean, std=self.std, crop=crop)
        network, found = self.network.to(device), []
        with torch.inference_mode():
            for _, part in Feed(images, device).batches(whole_pass(torch.arange(len(images)), batch)):
                found.append(network(plain(part, torch.Generator())).float())
        return torch.cat(found).clone()  # a tensor made in inference mode could not be used in training


def load(folder: Path | str, which: str = "online", part: str = "backbone", *, weights: str = "last") -> Trained:
    """Return the network of the run in ``folder``, as its last checkpoint holds it.

    Parameters
    ----------
    which : "online" or "momentum", for a contrastive run. A run with labels has its (first) network alone.
    part : "backbone", or "head": with the projection head of a contrastive run.
    weights : "last" epoch's, those of the epoch "chosen" by held-out samples, or "auto": chosen where there are such.

    Raises
    ------
    InputError : no run or no checkpoint there, or they do not belong together.
    """
    folder = Path(folder)
    path, held = folder / "recipe.toml", checkpoint_of(folder, weights)
    if not path.is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    choice("which", which, NETWORKS)
    choice("part", part, PARTS)
    task = tasks.of_file(path)
    recipe = task.recipes.read(path)
    if task.weights is None:
        raise InputError(f"the run in '{folder}' is one of {recipe.task!r}; it has no features to take.")
    state = checkpoint.load(held)
    parts = task.weights(recipe, state, which, part)
    first = next((value for value in parts.backbone.values() if value.ndim == 4), None)
    if first is None:
        raise InputError(f"'{held}' holds no convolutional network.")
    network, width = networks.backbone(recipe.network.name, first.shape[1], **recipe.network.options)
    wanted = network.state_dict()
    found = {name: value for name, value in parts.backbone.items() if name in wanted}
    last = {
        name.rsplit(".", 1)[1]: value
        for name, value in parts.backbone.items()
        if name not in wanted and name.startswith(("head.", "fc.", "classif."))
    }
    if parts.top is not None:
        network, found, width = parts.top(network, width)
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        raise InputError(
            f"'{held}' does not fit the network of its recipe: {' '.join(str(error).split())[:200]}"
        ) from None
    mean, std = normalisation(folder, first.shape[1])
    frozen = network.eval().requires_grad_(False)
    return Trained(recipe, int(state["epoch"]), frozen, width, last, mean, std, parts.size)


def checkpoint_of(folder: Path, weights: str) -> Path:
    """Return the checkpoint that holds the weights: "last", "chosen" by held-out samples, or "auto"."""
    choice("weights", weights, WEIGHTS)
    chosen = folder / CHOSEN
    if weights == "chosen" and not chosen.is_file():
        raise InputError(f"the run in '{folder}' chose no epoch: it held out no sample (training.validation).")
    return chosen if weights != "last" and chosen.is_file() else folder / CHECKPOINT


def normalisation(folder: Path, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel that the images of a run were normalised with."""
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))["normalisation"]
        mean, std = (tuple(float(x) for x in about[key]) for key in ("mean", "std"))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"'{folder / 'run.json'}' does not say how images were normalised.") from None
    if not len(mean) == len(std) == channels:
        raise InputError(f"'{folder / 'run.json'}' normalises {len(mean)} channels, and the network takes {channels}.")
    return mean, std
