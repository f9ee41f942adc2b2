"""The whole network of a finished run with labels: from pictures to class names."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep import augment, networks, tasks
from sparseop.deep.datasets.files import ImageFiles
from sparseop.deep.trained.load import checkpoint_of, normalisation
from sparseop.deep.training import checkpoint
from sparseop.deep.training.feed import Feed, whole_pass
from sparseop.errors import InputError

_GREY = (0.299, 0.587, 0.114)  # brightness of red, green and blue, as pictures are made grey everywhere


@dataclass(frozen=True)
class Classifier:
    """A network out of a run folder, frozen, and all it takes to use it.

    Attributes
    ----------
    recipe, epoch : the run's, and how many epochs the weights have trained.
    network : maps normalised images (B, C, H, W) to logits (B, K).
    classes : K names.
    mean, std : what images in [0, 1] are normalised with.
    shape, stretch : of the images it was trained on, (C, H, W), and how pictures became that size (``ImageFiles``).
    crop : side of the central window that images are cut to; 0: the whole image.
    mirror : whether logits are averaged over image and mirror image.
    """

    recipe: Any
    epoch: int
    network: nn.Module
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shape: tuple[int, int, int]
    stretch: bool
    crop: int
    mirror: bool

    def probabilities(self, paths: Sequence[Path | str], device: torch.device, batch: int = 500) -> Tensor:
        """Return p (N, K) of the pictures in files, float32 on the CPU.

        Raises
        ------
        InputError : a picture that cannot be read.
        """
        channels, height, width = self.shape
        if height != width:
            raise InputError(f"the network was trained on images of {height} x {width}, and pictures become squares.")
        plain = augment.build("none", mean=self.mean, std=self.std, crop=self.crop)
        network, found = self.network.to(device), []
        files = ImageFiles(paths, height, stretch=self.stretch)
        with torch.inference_mode():
            for _, images in Feed(files, device).batches(whole_pass(torch.arange(len(files)), batch)):
                seen = plain(_grey(images) if channels == 1 else images, torch.Generator())
                logits = network(seen).float()
                if self.mirror:
                    logits = (logits + network(seen.flip(3)).float()) / 2
                found.append(logits.softmax(1).cpu())
        return torch.cat(found)


def load_classifier(folder: Path | str, weights: str = "auto") -> Classifier:
    """Return the network of the run in ``folder`` with its last layer.

    Parameters
    ----------
    weights : "last" epoch's, those of the epoch "chosen" by held-out samples, or "auto": chosen where there are such.

    Raises
    ------
    InputError : no run or checkpoint there, a run without labels, weights that do not fit its recipe.
    """
    folder = Path(folder)
    path = folder / "recipe.toml"
    if not path.is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    task = tasks.of_file(path)
    recipe = task.recipes.read(path)
    if getattr(recipe, "method", None) is None or task.weights is None or hasattr(recipe, "head"):
        raise InputError(f"the run in '{folder}' was trained without labels, so it knows no classes.")
    held = checkpoint_of(folder, weights)
    state = checkpoint.load(held)
    whole = task.weights(recipe, state, "online", "backbone").backbone
    about = _about(folder)
    classes, shape = about["classes"], about["input"]["shape"]
    network = networks.build(recipe.network.name, len(classes), shape[0], **_plain(recipe.network.options))
    try:
        network.load_state_dict(whole)
    except RuntimeError:
        raise InputError(f"'{held}' does not fit the network of its recipe.") from None
    mean, std = normalisation(folder, shape[0])
    frozen, crop = network.eval().requires_grad_(False), recipe.training.crop
    crop = crop if 0 < crop < min(shape[1:]) else 0
    return Classifier(
        recipe,
        int(state["epoch"]),
        frozen,
        tuple(classes),
        mean,
        std,
        (shape[0], shape[1], shape[2]),
        bool(about["input"]["stretch"]),
        crop,
        recipe.evaluation.mirror,
    )


def _plain(options: Any) -> dict[str, Any]:
    """Return the options of a network without weights to fetch: the run's own take their place."""
    return {key: value for key, value in options.items() if key != "pretrained"}


def _about(folder: Path) -> dict[str, Any]:
    """Return run.json, which must say what the network's classes and images were."""
    path = folder / "run.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        classes, shape = about["classes"], about["input"]["shape"]
        sound = all(isinstance(name, str) for name in classes) and len(shape) == 3 and all(int(n) > 0 for n in shape)
    except (OSError, ValueError, KeyError, TypeError):
        sound, about = False, {}
    if not sound:
        raise InputError(f"'{path}' does not say which classes and images the network was trained on.")
    return dict(about)


def _grey(images: Tensor) -> Tensor:
    """Return the brightness (B, 1, H, W) of colour images, uint8."""
    weights = torch.tensor(_GREY, device=images.device)[:, None, None]
    return (images.float() * weights).sum(1, keepdim=True).round().to(torch.uint8)
