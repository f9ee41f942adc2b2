"""Recipes of contrastive runs: their schema and defaults; the same TOML, checks and overrides as for labels.

A recipe has the tables ``[data]``, ``[network]`` (a backbone), ``[head]``, ``[views]``, ``[method]``, ``[training]``,
``[evaluation]``, ``[engine]`` and ``[source]``, and says ``task = "contrastive"``.
"""

import inspect
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from sparseop.deep import contrastive, datasets, networks
from sparseop.deep.augment.views import Views
from sparseop.deep.contrastive.moco import require_queue
from sparseop.deep.training import schema
from sparseop.deep.training.schema import MOST_EPOCHS, Component, Kind, Schema
from sparseop.deep.training.settings import Engine, Source, require_sound
from sparseop.errors import InputError, choice, integer, nonnegative, positive


@dataclass(frozen=True)
class Head:
    """The projection head; see ``encoder.Encoder``."""

    dim: int = 128
    layers: int = 2
    hidden: int = 0
    batch_norm: bool = False


@dataclass(frozen=True)
class Training:
    """The optimisation.

    Attributes
    ----------
    epochs : passes over the training images.
    batch_size : the global batch, over all processes.
    optimiser : "sgd" or "adamw".
    lr, momentum, weight_decay : of it; decay on all parameters.
    schedule : "cosine": down to 0, with every step; "cosine-epoch": with every epoch, counted from 1, so that the last
        epoch has rate 0, as in MoCo's demo; "constant".
    warmup : epochs of linear rise from 0; with every step.
    splits : groups of the global batch for batch normalisation in training, each normalised apart; 1: the global batch.
        With several processes it is their number times the groups of each.
    shuffle : key batches pass the momentum network in another order, so that a query's group and its positive's differ;
        has an effect with splits > 1 only.
    drop_last : leave out the last, smaller batch of each epoch.
    clip : largest norm of the gradient; 0: any.
    """

    epochs: int = 16
    batch_size: int = 64
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "cosine-epoch", "constant"] = "cosine"
    warmup: int = 0
    splits: int = 1
    shuffle: bool = True
    drop_last: bool = True
    clip: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """How frozen features are judged.

    Attributes
    ----------
    neighbours, temperatures : settings of kNN, as many of one as of the other; the first is the one that is shown.
        MoCo's demo: 200 and 0.1; SANE's paper: 50 and 0.05.
    bank : training images, drawn at random, whose features kNN votes among; 0: all.
    probe : linear classifier on frozen features after the last epoch: "ridge", "adam" (SANE's for CIFAR-10), "sgd"
        (MoCo's), "none".
    probe_lr, probe_epochs : of "adam" and "sgd"; rate 0: the solver's own.
    baselines : also judge raw pixels and the untrained network.
    labels_every : steps between two looks at the labels' quality.
    """

    neighbours: tuple[int, ...] = (200, 50)
    temperatures: tuple[float, ...] = (0.1, 0.05)
    bank: int = 0
    probe: Literal["ridge", "adam", "sgd", "none"] = "ridge"
    probe_lr: float = 0.0
    probe_epochs: int = 100
    baselines: bool = False
    labels_every: int = 10


@dataclass(frozen=True)
class Recipe:
    """One contrastive run, but for its seed's luck and its hardware."""

    name: str
    task: str = "contrastive"
    title: str = ""
    seed: int = 0
    data: Component = field(default_factory=partial(Component, "shapes"))
    network: Component = field(default_factory=partial(Component, "resnet8"))
    head: Head = Head()
    views: Component = field(default_factory=partial(Component, "weak"))
    method: Component = field(default_factory=partial(Component, "moco"))
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    engine: Engine = field(default_factory=Engine)
    source: Source = field(default_factory=Source)


def _views(strength: str) -> inspect.Signature:
    del strength
    return _without(
        inspect.signature(Views), ("strength", "mean", "std", "count", "crops", "crop_strength")
    )  # by the run and the method


def _method(name: str) -> inspect.Signature:
    return _without(inspect.signature(contrastive.METHODS[name]), ("dim", "seed"))  # by the run


def _without(whole: inspect.Signature, given: tuple[str, ...]) -> inspect.Signature:
    return whole.replace(parameters=[p for key, p in whole.parameters.items() if key not in given])


def _consistent(recipe: Recipe) -> None:
    """Refuse what no key alone can be refused for."""
    training, evaluation = recipe.training, recipe.evaluation
    choice("task", recipe.task, ("contrastive",))
    require_sound(recipe)
    integer("training.splits", training.splits, 1)
    integer("training.warmup", training.warmup, 0)
    if training.warmup > training.epochs:
        raise InputError(f"training.warmup must be <= training.epochs = {training.epochs}, got {training.warmup}.")
    if training.splits > 1 and (training.batch_size % training.splits or not training.drop_last):
        raise InputError(
            f"training.splits = {training.splits} needs training.drop_last = true and must divide training.batch_size, "
            f"got {training.batch_size}."
        )
    if len(evaluation.neighbours) != len(evaluation.temperatures) or not evaluation.neighbours:
        raise InputError(
            "evaluation.neighbours and evaluation.temperatures must have the same length, at least 1, got "
            f"{list(evaluation.neighbours)} and {list(evaluation.temperatures)}."
        )
    for k, temperature in zip(evaluation.neighbours, evaluation.temperatures, strict=True):
        integer("evaluation.neighbours", k, 1)
        positive("evaluation.temperatures", temperature)
    integer("evaluation.bank", evaluation.bank, 0)
    nonnegative("evaluation.probe_lr", evaluation.probe_lr)
    integer("evaluation.probe_epochs", evaluation.probe_epochs, 1, MOST_EPOCHS)
    integer("evaluation.labels_every", evaluation.labels_every, 1)
    options: dict[str, Any] = dict(recipe.method.options)
    contrastive.METHODS[recipe.method.name](2, **{**options, "queue": 1})  # refuses bad options before any work
    require_queue(integer("method.queue", options["queue"], 1), training.batch_size, options["symmetric"])


SCHEMA = Schema(
    Recipe,
    "contrastive",
    {
        "data": Kind(datasets.DATASETS, datasets.signature, "shapes"),
        "network": Kind(networks.NETWORKS, networks.signature, "resnet8"),
        "views": Kind(("weak", "strong"), _views, "weak"),
        "method": Kind(contrastive.METHODS, _method, "moco"),
    },
    _consistent,
)
names, find, read, parse, text = SCHEMA.names, SCHEMA.find, SCHEMA.read, SCHEMA.parse, schema.to_toml
