"""Recipes of image recovery: what decides a run, in one TOML file.

The dataclasses below are its schema and its defaults.

A recipe says ``task = "image-recovery"``. Keys that a user changes most are plain: ``--set image=PATH noise=0.3``.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from sparseop.deep.image_prior import networks
from sparseop.deep.image_prior.corruption import KINDS
from sparseop.deep.image_prior.sparse import SMALLEST, STARTS
from sparseop.deep.training import schema
from sparseop.deep.training.schema import MOST_THREADS, Component, Kind, Schema
from sparseop.errors import InputError, between, choice, integer, nonnegative, positive

TASK = "image-recovery"
#: what is fitted to the corrupted image y by the network f
METHODS = {
    "squared": "mean (f - y)^2",
    "absolute": "mean |f - y|",
    "double": "mean (f + g*g - h*h - y)^2",
}


@dataclass(frozen=True)
class Training:
    """The optimisation: plain gradient descent with momentum, a fixed number of iterations.

    Attributes
    ----------
    iterations : steps of each method.
    every : iterations between two measurements; the first and the last are always measured.
    lr : learning rate tau of the network, for the mean over all entries.
    momentum : of network, g and h alike.
    input_noise : standard deviation of fresh Gaussian noise on the network's input in each step.
    holdout : share of the entries, drawn at random, that no method sees; its error on them is recorded.
    threads : processor threads, 0 for torch's choice; the last bits of a run on a CPU depend on it.
    """

    iterations: int = 600
    every: int = 10
    lr: float = 1.0
    momentum: float = 0.9
    input_noise: float = 0.0
    holdout: float = 0.0
    threads: int = 0


@dataclass(frozen=True)
class Sparse:
    """The variables g and h of the method "double".

    Attributes
    ----------
    ratio : alpha, their learning rate over the network's. "auto": from the corruption level that is estimated from the
        image (see ``ratio``), and gamma too where the image is small. "held-out": the best of five around that, judged
        by entries that no fit sees (see ``choose``), for the price of five shorter fits.
    gamma : scale of their start.
    start : "constant" or "normal", see ``sparse``.
    """

    ratio: float | Literal["auto", "held-out"] = "auto"
    gamma: float = 1e-5
    start: str = "constant"


@dataclass(frozen=True)
class Source:
    """Where the recipe comes from; nothing here changes a run.

    Attributes
    ----------
    table : figure or table it belongs to.
    needs : what it takes.
    notes : where paper and released code are silent or differ, and what was taken.
    """

    table: str = ""
    needs: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageRecipe:
    """One image, one corruption, and the methods to recover it.

    Attributes
    ----------
    image : name of a bundled photograph, or the path of a file (looked for in ``--data-root`` first).
    size : side of the central square to take, reduced to that many pixels; 0: the image as it is.
    noise : share of the entries to corrupt; 0: the image is taken as corrupted already, and there is no truth to
        compare with.
    noise_kind : "salt-and-pepper" or "uniform".
    methods : which of ``METHODS``, in this order.
    seed : of corruption, network and input.
    """

    name: str
    title: str = ""
    task: Literal["image-recovery"] = "image-recovery"
    seed: int = 0
    image: str = "flower"
    size: int = 64
    noise: float = 0.3
    noise_kind: str = "salt-and-pepper"
    methods: tuple[str, ...] = tuple(METHODS)
    network: Component = field(default_factory=partial(Component, "skip"))
    training: Training = Training()
    sparse: Sparse = Sparse()
    source: Source = Source()


def _consistent(recipe: ImageRecipe) -> None:
    training, sparse = recipe.training, recipe.sparse
    integer("seed", recipe.seed, 0)
    integer("size", recipe.size, 0)
    between("noise", recipe.noise, 0, 1, ends="[]")
    choice("noise_kind", recipe.noise_kind, KINDS)
    if not recipe.methods:
        raise InputError(f"methods must name at least one of {', '.join(map(repr, METHODS))}, got none.")
    for method in recipe.methods:
        choice("methods", method, METHODS)
    if len(set(recipe.methods)) < len(recipe.methods):
        raise InputError(f"methods must name each method once, got {list(recipe.methods)}.")
    integer("training.iterations", training.iterations, 1)
    integer("training.every", training.every, 1)
    positive("training.lr", training.lr)
    between("training.momentum", training.momentum, 0, 1, ends="[)")
    nonnegative("training.input_noise", training.input_noise)
    between("training.holdout", training.holdout, 0, 1, ends="[)")
    integer("training.threads", training.threads, 0, MOST_THREADS)
    if not isinstance(sparse.ratio, str):
        positive("sparse.ratio", sparse.ratio)
    between("sparse.gamma", sparse.gamma, SMALLEST, 1, ends="[)")
    choice("sparse.start", sparse.start, STARTS)


SCHEMA = Schema(ImageRecipe, TASK, {"network": Kind(networks.NAMES, networks.signature, "skip")}, _consistent)
names, find, read, parse, text = SCHEMA.names, SCHEMA.find, SCHEMA.read, SCHEMA.parse, schema.to_toml
