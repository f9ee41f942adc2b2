r"""Label noise: ``corrupt(labels, n_classes, kind, rate, seed=...)`` gives noisy labels and says what it did.

With K classes, N labels y and noise rate r (numbers of flips are exact, not only their mean, except for "instance"):

======================
===================================================================================================
kind                    what happens
======================
===================================================================================================
none                    nothing
symmetric               round(rN) labels move to one of the K - 1 other classes, uniformly
symmetric_inclusive     ceil(rN) labels are drawn anew from all K classes, the true one included, so that r (K-1)/K of
                        them
                        are wrong: what the released code of SOP, ELR and DivideMix does (the paper's tables)
asymmetric              CIFAR-10 (Patrini et al. 2017): round(r n_c) labels of each of truck -> automobile, bird ->
                        airplane,
                        deer -> horse, cat -> dog, dog -> cat, all drawn from the clean labels
asymmetric_official     the same map as SOP's and ELR's released loop applies it: class after class, on labels already
                        changed,
                        so that of r = 40 % cats 24 % end as dogs, and 18.4 % of all labels are wrong instead of 20 %
ring                    blocks of five consecutive classes; each class moves to the next of its block, cyclically (ELR's
                        code)
pair                    blocks of five consecutive classes; two random classes of each block are swapped (SOP's code):
                        2/5 of
                        the classes are touched
superclass              each class moves to the next of its superclass, cyclically; needs ``coarse`` (Patrini et al.
                        2017)
pairflip                class i moves to i + 1 mod K (Han et al. 2018)
instance                the flip depends on the image (Xia et al. 2020, algorithm 2): q_i ~ N(r, 0.1^2) cut to [0, 1],
                        the target
                        drawn from softmax(x_i' W_{y_i}) with a standard normal W; needs ``images``
file                    the labels of a file, such as another project's: see ``label_files``
======================
===================================================================================================
"""

import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparseop.deep.datasets.base import check_labels
from sparseop.deep.labels import label_files
from sparseop.deep.labels.label_files import read_labels
from sparseop.deep.training.samples import NoisyLabels, describe
from sparseop.errors import InputError, between, choice, integer

Labels = NDArray[np.int64]
#: Patrini et al. (2017): truck -> automobile, bird -> airplane, cat <-> dog, deer -> horse, in the released loop's
#: order
CIFAR10_MAP = {2: 0, 3: 5, 4: 7, 5: 3, 9: 1}
BLOCK = 5
_ENOUGH = 100  # labels: fewer agree or disagree by accident
_SURE = 0.9  # agreement that is no accident, however one class outweighs the others


def corrupt(
    labels: Tensor,
    n_classes: int,
    kind: str,
    rate: float = 0.0,
    *,
    seed: int = 0,
    images: Tensor | None = None,
    coarse: Tensor | None = None,
    path: Path | str | None = None,
    classes: Sequence[str] = (),
    paths: Sequence[str] = (),
    tests: Sequence[str] = (),
) -> NoisyLabels:
    """Return noisy labels for the true ``labels``.

    Parameters
    ----------
    labels : int64 (N,) in 0..n_classes-1.
    kind : one of the table of this module.
    rate : r in [0, 1].
    seed : the same arguments give the same noise, on every machine.
    images : (N, ...) for "instance": uint8, or floats of any scale.
    coarse : int64 (N,) superclasses, for "superclass".
    path : the file of labels, for "file".
    classes, paths, tests : for "file": the class names, and the paths of training and test images where they have any.

    Raises
    ------
    InputError : an unknown kind, a rate outside [0, 1], labels out of range, a kind that does not fit these classes,
        or something the kind needs that is missing.
    """
    choice("noise kind", kind, [*_KINDS, "none", "file"])
    integer("n_classes", n_classes, 2)
    integer("seed", seed, 0)
    rate = between("noise rate", rate, 0, 1, ends="[]")
    true = check_labels(labels, len(labels), n_classes, "labels")
    generator = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(kind.encode())]))
    if kind == "none":
        given = true.clone()
    elif kind == "file":
        names = classes or tuple(map(str, range(n_classes)))
        given = read_labels(path, label_files.Samples(len(true), names, paths, tests))
    else:
        context = {"images": images, "coarse": coarse}
        given = torch.from_numpy(_KINDS[kind](true.numpy().copy(), n_classes, rate, generator, context))
    return describe(given, true, n_classes, kind=kind, rate=rate, seed=seed)


def require_better_than_chance(noisy: NoisyLabels, path: str) -> None:
    """Refuse labels of a file that agree with the truth as often as labels drawn without looking.

    Under independence the share that agrees has mean sum_c P(true = c) P(given = c) =: a and variance a (1 - a) / N.
    """
    n, k = len(noisy.true), len(noisy.transition)
    if n < _ENOUGH:
        return
    shares = [torch.bincount(labels, minlength=k).double() / n for labels in (noisy.true, noisy.given)]
    chance, found = float(shares[0] @ shares[1]), 1 - noisy.realised_rate
    if found <= chance + 3 * math.sqrt(chance * (1 - chance) / n) and found < _SURE:
        raise InputError(
            f"the labels of '{path}' agree with the true ones for {found:.1%} of {n:,} samples, and labels without any "
            f"relation to these images would for {chance:.1%}: they belong to other images, or to "
            "these in another order."
        )


def _symmetric(true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]) -> Labels:
    chosen = generator.permutation(len(true))[: round(rate * len(true))]
    # a uniform shift of 1..K-1 reaches each other class equally often and never the class itself
    true[chosen] = (true[chosen] + generator.integers(1, k, len(chosen))) % k
    return true


def _symmetric_inclusive(
    true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]
) -> Labels:
    chosen = generator.permutation(len(true))[: _ceil(rate * len(true))]
    true[chosen] = generator.integers(0, k, len(chosen))
    return true


def _asymmetric(true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]) -> Labels:
    _require_cifar10(k)
    return _flip(true, CIFAR10_MAP, rate, generator)


def _asymmetric_official(
    true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]
) -> Labels:
    _require_cifar10(k)
    for source, target in CIFAR10_MAP.items():
        # the released loop looks its class up among labels that it has changed already: dogs that were cats flip back
        members = generator.permutation(np.flatnonzero(true == source))
        true[members[: _ceil(rate * len(members))]] = target
    return true


def _ring(true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]) -> Labels:
    _require_blocks(k, "ring")
    return _flip(true, {c: c - c % BLOCK + (c + 1) % BLOCK for c in range(k)}, rate, generator)


def _pair(true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]) -> Labels:
    _require_blocks(k, "pair")
    swaps: dict[int, int] = {}
    for start in range(0, k, BLOCK):
        first, second = (start + int(c) for c in generator.choice(BLOCK, 2, replace=False))
        swaps |= {first: second, second: first}
    return _flip(true, swaps, rate, generator)


def _superclass(true: Labels, _: int, rate: float, generator: np.random.Generator, context: dict[str, Any]) -> Labels:
    if context["coarse"] is None:
        raise InputError("noise kind 'superclass' needs superclasses, which only cifar100 has.")
    coarse = context["coarse"].numpy()
    if coarse.shape != true.shape:
        raise InputError(f"coarse must have shape {true.shape}, one superclass for each label, got {coarse.shape}.")
    following: dict[int, int] = {}
    for group in np.unique(coarse):
        members = np.unique(true[coarse == group]).tolist()
        following |= {c: members[(i + 1) % len(members)] for i, c in enumerate(members)}
    return _flip(true, following, rate, generator)


def _pairflip(true: Labels, k: int, rate: float, generator: np.random.Generator, _: dict[str, Any]) -> Labels:
    return _flip(true, {c: (c + 1) % k for c in range(k)}, rate, generator)


def _instance(true: Labels, k: int, rate: float, generator: np.random.Generator, context: dict[str, Any]) -> Labels:
    if not isinstance(context["images"], Tensor):
        raise InputError("noise kind 'instance' needs the images in memory, which this data set does not have.")
    if len(context["images"]) != len(true):
        raise InputError(f"images must have {len(true)} entries, one for each label, got {len(context['images'])}.")
    x = context["images"].reshape(len(true), -1).numpy()
    mean, std = float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64)) or 1.0
    # 1. each sample's own flip rate, by rejection from the normal distribution cut to [0, 1]
    q = generator.normal(rate, 0.1, len(true))
    while (outside := (q < 0) | (q > 1)).any():
        q[outside] = generator.normal(rate, 0.1, int(outside.sum()))
    flips = generator.random(len(true)) < q
    given = true.copy()
    for c in range(k):
        # 2. one projection for each true class; 3. where to: softmax over the other classes, drawn by the Gumbel trick
        w = generator.standard_normal((x.shape[1], k), dtype=np.float32)
        members = np.flatnonzero((true == c) & flips)
        logits = ((x[members].astype(np.float32) - mean) / std) @ w
        logits[:, c] = -np.inf
        given[members] = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    return given


def _flip(true: Labels, targets: dict[int, int], rate: float, generator: np.random.Generator) -> Labels:
    """Move exactly round(rate n_c) labels of each class c of ``targets`` to its target, of the clean labels."""
    given = true.copy()
    for source, target in sorted(targets.items()):
        members = generator.permutation(np.flatnonzero(true == source))
        given[members[: round(rate * len(members))]] = target
    return given


def _ceil(x: float) -> int:
    return math.ceil(x - 1e-9)  # 0.2 * 50000 must not become 10001


def _require_cifar10(k: int) -> None:
    if k != 10:
        raise InputError(
            f"asymmetric noise is defined for the 10 classes of CIFAR-10, got {k} classes; "
            "'pairflip', 'ring', 'pair' and 'superclass' are its kin for others."
        )


def _require_blocks(k: int, kind: str) -> None:
    if k % BLOCK:
        raise InputError(f"noise kind {kind!r} works in blocks of {BLOCK} classes; {k} classes cannot be divided so.")


_KINDS: dict[str, Callable[[Labels, int, float, np.random.Generator, dict[str, Any]], Labels]] = {
    "symmetric": _symmetric,
    "symmetric_inclusive": _symmetric_inclusive,
    "asymmetric": _asymmetric,
    "asymmetric_official": _asymmetric_official,
    "ring": _ring,
    "pair": _pair,
    "superclass": _superclass,
    "pairflip": _pairflip,
    "instance": _instance,
}
KINDS = ("none", *_KINDS, "file")
