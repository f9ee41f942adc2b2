"""Recipes: everything that decides a run, in one TOML file; the dataclasses below are its schema and its defaults.

A recipe has the tables ``[data]``, ``[noise]``, ``[network]``, ``[method]``, ``[training]``, ``[evaluation]``,
``[engine]`` and ``[source]``. The first four name a component and carry that component's own options beside the name::

    title = "SOP on CIFAR-10, 40 % symmetric noise"

    [data]
    name = "cifar10"
    [noise]
    kind = "symmetric"
    rate = 0.4
    [method]
    name = "sop"
    lr_u = 10.0

``read`` checks every key and type against the schema and against the component's signature before anything runs; an
unknown key is refused with the nearest known one. ``override`` applies ``--set method.lr_u=1`` in the same way.
``text`` writes the resolved recipe, every default spelt out, which reads back as the same recipe.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from sparseop.deep import augment, datasets, networks
from sparseop.deep.labels import methods, noise
from sparseop.deep.training import schema
from sparseop.deep.training.schema import Component, Kind, Schema
from sparseop.deep.training.settings import Engine, Source, require_sound
from sparseop.errors import InputError, between, choice, integer, nonnegative, positive


@dataclass(frozen=True)
class Noise:
    """What is done to the training labels.

    Attributes
    ----------
    kind, rate : see ``labels.noise``; "given" takes the noisy labels that the data set comes with (CIFAR-N).
    path : the file of kind "file".
    seed : of the noise; -1: the run's seed, so that every seed has its own noise, as in the papers' repetitions.
    on_top : make noise even on labels of which nobody knows how many are wrong already; refused otherwise.
    """

    kind: str = "none"
    rate: float = 0.0
    path: str = ""
    seed: int = -1
    on_top: bool = False


@dataclass(frozen=True)
class Training:
    """The optimisation, on the mean loss of a batch.

    Attributes
    ----------
    epochs : passes over the training samples.
    batch_size : the global batch, over all processes.
    optimiser : "sgd", or "orthogonal": steps of filters are orthogonal matrices, their norms fixed; see
        ``sparseop.deep.training.optimisers``.
    lr : the first learning rate tau of the network; ``lr_u`` and ``lr_v`` of SOP belong to its method.
    lr_bias, lr_head : for "orthogonal", the first rates of offsets (and scales), and of the last layer's weights;
        ``lr`` is that of the filters. All follow the same schedule.
    momentum, nesterov, weight_decay : of SGD; decay on all parameters of the network. With "orthogonal": of all but
        filters, and ``weight_decay`` is the share of themselves that they lose in a step at the first rate.
    schedule : "constant", "step": times ``gamma`` at each of ``milestones``, or "cosine": down to ``eta_min``; these
        change once an epoch. "linear": down to 0, with every step.
    milestones : epochs, counted from 1: the rate is lower from the epoch after each.
    gamma : factor of "step".
    eta_min : last rate of "cosine", reached one epoch after the last.
    augment : the first view: "none", "flip", "weak" (crop and flip), "strong" (AutoAugment, crop, flip, Cutout).
    pad, crop, hole : pixels of border for the crop; side of its window, 0 for that of the image; side of Cutout's
        square.
    mirror : when views mirror, "random": each image with probability 1/2 whenever it is seen, or "alternate": every
        other epoch, one half of the images in the even ones, so that two epochs show both sides of each.
    drop_last : leave out the last, smaller batch of each epoch.
    validation : training samples held out, with their given labels, to choose an epoch by.
    clip : largest norm of the gradient; 0: any.
    """

    epochs: int = 120
    batch_size: int = 128
    optimiser: Literal["sgd", "orthogonal"] = "sgd"
    lr: float = 0.02
    lr_bias: float = 13.0
    lr_head: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Literal["constant", "step", "cosine", "linear"] = "step"
    milestones: tuple[int, ...] = (40, 80)
    gamma: float = 0.1
    eta_min: float = 2e-4
    augment: str = "weak"
    pad: int = 4
    crop: int = 0
    hole: int = 16
    mirror: Literal["random", "alternate"] = "random"
    drop_last: bool = False
    validation: int = 0
    clip: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """What networks are asked.

    Attributes
    ----------
    mirror : logits are the mean of those of an image and of its mirror image, for test and held-out sets and for the
        last look at the training samples; summaries say so.
    """

    mirror: bool = False


@dataclass(frozen=True)
class Recipe:
    """One run, but for its seed's luck and its hardware; see the module."""

    name: str
    title: str = ""
    seed: int = 0
    data: Component = field(default_factory=partial(Component, "digits"))
    noise: Noise = Noise()
    network: Component = field(default_factory=partial(Component, "convnet"))
    method: Component = field(default_factory=partial(Component, "ce"))
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    engine: Engine = field(default_factory=Engine)
    source: Source = field(default_factory=Source)


def _consistent(recipe: Recipe) -> None:
    """Refuse what no key alone can be refused for."""
    training = recipe.training
    require_sound(recipe)
    choice("training.augment", training.augment, augment.NAMES)
    integer("training.pad", training.pad, 0)
    integer("training.crop", training.crop, 0)
    integer("training.hole", training.hole, 0)
    choice("noise.kind", recipe.noise.kind, [*noise.KINDS, "given"])
    between("noise.rate", recipe.noise.rate, 0, 1, ends="[]")
    integer("noise.seed", recipe.noise.seed, -1)
    integer("training.validation", training.validation, 0)
    positive("training.lr_bias", training.lr_bias)
    positive("training.lr_head", training.lr_head)
    nonnegative("training.eta_min", training.eta_min)
    positive("training.gamma", training.gamma)
    for milestone in training.milestones:
        integer("training.milestones", milestone, 1)
    if list(training.milestones) != sorted(set(training.milestones)):
        raise InputError(f"training.milestones must increase, got {list(training.milestones)}.")
    if training.nesterov and training.momentum == 0:
        raise InputError("training.nesterov needs training.momentum > 0.")
    if training.mirror == "alternate" and training.augment == "none":
        raise InputError("training.mirror = 'alternate' needs a training.augment that mirrors, got 'none'.")


SCHEMA = Schema(
    Recipe,
    "labels",
    {
        "data": Kind(datasets.DATASETS, datasets.signature, "digits"),
        "network": Kind(networks.NETWORKS, networks.signature, "convnet"),
        "method": Kind(methods.METHODS, methods.signature, "ce"),
    },
    _consistent,
)
names, find, read, parse, text = SCHEMA.names, SCHEMA.find, SCHEMA.read, SCHEMA.parse, schema.to_toml
