"""The samples of a run with labels: the data set of its recipe, the noise on its labels, and its split."""

from pathlib import Path

import torch
from torch import Tensor

from sparseop.deep import datasets
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import noise
from sparseop.deep.labels.recipe import Recipe
from sparseop.deep.training.samples import NoisyLabels, Samples, describe
from sparseop.deep.training.seeds import seed_for
from sparseop.errors import InputError


def prepare(
    recipe: Recipe, root: Path | str | None, *, download: bool = False, dataset: Dataset | None = None
) -> Samples:
    """Load the data of a recipe, or take those that are given; make its label noise and its split."""
    dataset = dataset or datasets.load(recipe.data.name, root, download=download, **recipe.data.options)
    labels = _labels(recipe, dataset)
    train, validation = _split(dataset.train_labels, dataset.n_classes, recipe.training.validation, recipe.seed)
    if len(train) < 2:
        raise InputError(
            f"training.validation leaves {len(train)} samples to train on; there are {len(dataset.train_labels)}."
        )
    return Samples(dataset, labels, train, validation)


def _labels(recipe: Recipe, dataset: Dataset) -> NoisyLabels:
    spec = recipe.noise
    if spec.kind == "given":
        if dataset.given_labels is None:
            raise InputError(
                f"noise.kind = 'given' needs a data set with noisy labels of its own, and {dataset.name} has none."
            )
        return describe(dataset.given_labels, dataset.train_labels, dataset.n_classes)
    if not dataset.truth_known and spec.kind not in ("none", "file") and not spec.on_top:
        clean = ", data.clean=true to say that the labels are true" if "clean" in recipe.data.options else ""
        raise InputError(
            f"noise.kind = {spec.kind!r} would change labels of {dataset.name}, of which nobody knows how many are "
            f"wrong already: set noise.kind=none to train on them as they are{clean}, or noise.on_top=true to add "
            "noise anyway."
        )
    images = dataset.train_images if isinstance(dataset.train_images, Tensor) else None
    noisy = noise.corrupt(
        dataset.train_labels,
        dataset.n_classes,
        spec.kind,
        spec.rate,
        seed=recipe.seed if spec.seed < 0 else spec.seed,
        images=images,
        coarse=dataset.coarse_labels,
        path=spec.path or None,
        classes=dataset.classes,
        paths=dataset.train_names,
        tests=dataset.test_names,
    )
    if spec.kind == "file" and dataset.truth_known:
        noise.require_better_than_chance(noisy, spec.path)
    return noisy


def _split(labels: Tensor, n_classes: int, validation: int, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out ``validation`` samples, as equally many of each class as there are."""
    everything = torch.arange(len(labels))
    if validation == 0:
        return everything, everything[:0]
    generator = torch.Generator().manual_seed(seed_for(seed, "split"))
    shuffled = everything[torch.randperm(len(labels), generator=generator)]
    # the j-th sample of its class stands at place j: taking by place takes from all classes in turn
    place = torch.empty_like(shuffled)
    for c in range(n_classes):
        members = labels[shuffled] == c
        place[members] = torch.arange(int(members.sum()))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[shuffled[place.argsort(stable=True)[:validation]]] = True
    return everything[~held_out], everything[held_out]
