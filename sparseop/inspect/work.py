"""From features and labels to a judgement of every label: ``inspect_labels``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparseop import memory
from sparseop.errors import InputError, fits, integer, random_generator
from sparseop.files import sha256
from sparseop.inspect import confident, estimate, judges, planting
from sparseop.inspect.features import Array, Features, encode_table, examine
from sparseop.inspect.labels import Codes, Labels, read_labels
from sparseop.inspect.result import Inspection, summarise
from sparseop.inspect.space import KernelMap, Neighbours, directions, kernel_map, nearest
from sparseop.inspect.store import Store

RANK = 300  #: rows of the Nystroem map
WIDTHS, LAMS = (
    (0.5, 1.0, 2.0),
    (0.3, 1.0, 3.0),
)  #: of which planted errors choose; (1, 1) unless another is clearly better
PLAIN = (1.0, 1.0)
CLEARLY = 0.001  #: of the area under the ROC curve, beyond two standard errors
SAMPLE = 5_000  #: samples on which they choose
JUDGES = ("rows", "held_out", "neighbours", "transition")
VERSION = 1  #: of the judges' numbers, for finished work of another version of the program
Say = Callable[[str], object]


@dataclass(frozen=True)
class Extra:
    """A further judge's numbers: of the labels as given (n,), and of each copy (rounds, n); nan where it has none."""

    given: Array
    copies: Array


@dataclass(frozen=True)
class _Space:
    """What does not depend on the labels."""

    J: NDArray[Any]
    near: Neighbours
    k: int


def inspect_labels(
    features: Any,
    labels: Any,
    *,
    names: Sequence[str] | None = None,
    merge_spellings: bool = False,
    settings: tuple[float, float] | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
    work: Path | None = None,
    say: Say = lambda _: None,
) -> Inspection:
    """Say which labels are wrong, how many, and how far to trust that.

    Parameters
    ----------
    features : (N, d) numbers that describe each sample: an array, a memory-mapped one, a dask array; or a pandas
        frame with numeric, categorical and date columns.
    labels : N labels of any type; or the name of a column of the frame.
    names : N names (paths, for example) for the table; default: row numbers.
    merge_spellings : treat two spellings of one class, told in the notes, as one.
    settings : (c, lam), the kernel's narrowness and the program's weight; default: chosen by planted errors, see
        ``choose``.
    notes : what is already known of the input, one sentence each; told with what is found.
    seed : of landmarks, planted errors and resampling; the same seed gives the same answer.
    work : folder for finished pieces: a run that was stopped goes on from them.
    say : is called with a sentence before each piece of work.

    Returns
    -------
    Inspection
        frozen; ``table`` is a data frame of all samples, the most suspicious first.

    Raises
    ------
    InputError
        for labels or features that can't be used (see ``read_labels``, ``examine``, ``encode_table``), lengths that
        differ, or sizes that memory can't hold.
    """
    integer("seed", seed, 0)
    frame = features if isinstance(features, pd.DataFrame) else None
    if isinstance(labels, str):
        if frame is None or labels not in frame:
            known = "" if frame is None else f"; its columns are {', '.join(map(repr, list(frame.columns)[:20]))}"
            raise InputError(f"labels must be a column of the frame of features, got {labels!r}{known}.")
        features, labels = frame.drop(columns=[labels]), frame[labels]
    read = read_labels(labels, merge=merge_spellings)
    notes = (*notes, *read.notes)
    each = None
    if isinstance(features, pd.DataFrame):
        features, told = encode_table(features)
        notes, each = (*notes, *told), False  # every source column weighs as one already
    elif not hasattr(features, "shape"):
        features = np.asarray(features)
    if len(features.shape) == 2 and features.shape[0] != read.total:
        raise InputError(
            f"labels must have {features.shape[0]} entries, one for each row of features, got {read.total}."
        )
    if names is not None and len(names) != read.total:
        raise InputError(f"names must have {read.total} entries, one for each label, got {len(names)}.")
    say("reading the features")
    held = examine(features, read.kept, each=each)
    notes = (*notes, *held.notes)
    return judge(held, read, notes=notes, names=names, settings=settings, seed=seed, work=work, say=say)


def judge(
    held: Features,
    read: Labels,
    *,
    notes: tuple[str, ...] = (),
    names: Sequence[str] | None = None,
    copies: Sequence[planting.Planted] | None = None,
    extra: Mapping[str, Extra] | None = None,
    settings: tuple[float, float] | None = None,
    seed: int = 0,
    work: Path | None = None,
    say: Say = lambda _: None,
) -> Inspection:
    """Judge examined features and labels; ``copies`` and ``extra`` come from a network trained on planted errors."""
    n, k, labels = len(held), len(read.classes), read.codes
    require_memory(n, k, len(held.columns), say)
    store = Store(work, {"features": held.digest, "labels": sha256(labels.tobytes()), "seed": seed, "version": VERSION})
    near = _neighbours(held, store, seed, say)
    width, lam, chosen = PLAIN[0], PLAIN[1], pd.DataFrame()
    if settings is None:
        say("choosing kernel and lam by planted errors")
        width, lam, chosen = choose(held, labels, k, store, seed)
    else:
        width, lam = settings
    say("mapping the features")
    space = _Space(mapped(held, kernel_map(held, min(RANK, n), width, seed=seed)), near, k)
    depends = {"width": width, "lam": lam}
    say(f"judging {n:,} labels of {k:,} classes")
    given = _opinions(space, labels, lam, store, depends, probabilities=True)
    if copies is None:
        copies = _copies(given, labels, k, seed)
    planted_rows, other_rows, copied = [], [], []
    for number, copy in enumerate(copies):
        say(f"planting {len(copy.where):,} known errors, copy {number + 1} of {len(copies)}")
        found = _opinions(space, copy.labels, lam, store, {**depends, "copy": sha256(copy.labels.tobytes())})
        columns = _columns(found, [e.copies[number] for e in (extra or {}).values()])
        inside = np.zeros(n, bool)
        inside[copy.where] = True
        planted_rows.append(columns[inside])
        other_rows.append(columns[~inside])
        copied.append(found)
    say("weighing the judges")
    planted, others = np.concatenate(planted_rows), np.concatenate(other_rows)
    model = estimate.fit(planted, others)
    known = estimate.estimate(
        model, model.score(planted), model.score(others), random_generator("seed", seed, spawn_key=(9,))
    )
    columns = _columns(given, [e.given for e in (extra or {}).values()])
    score = model.score(columns)
    weights = model.weight / max(float(model.weight.sum()), 1e-12)
    proposed = judges.propose(given.list, weights[: len(JUDGES)], k)
    flagged = confident.flagged(labels, given.probabilities)
    say("putting the results together")
    return summarise(
        held=held,
        read=read,
        score=score,
        known=known,
        proposed=proposed,
        columns=dict(zip([*JUDGES, *(extra or {})], columns.T, strict=True)),
        weights=weights,
        flagged=flagged,
        near=near,
        facts={**given.list[0].facts, "kernel width c": width},
        chosen=chosen,
        notes=notes,
        names=names,
    )


def choose(held: Features, labels: Codes, k: int, store: Store, seed: int) -> tuple[float, float, pd.DataFrame]:
    """Return (c, lam), and the table they were chosen from.

    Errors are planted where the program with (1, 1) sees none, on at most 5,000 samples; the area under the ROC
    curve of planted against all other samples ranks settings as that of wrong against right labels does, if the
    wrong ones are like the planted: it is pi / 2 + (1 - pi) times that. (1, 1) stays unless another setting is
    clearly better.
    """
    generator = random_generator("seed", seed, spawn_key=(4,))
    some = np.sort(generator.permutation(len(held))[:SAMPLE])
    own = labels[some]
    maps = {c: kernel_map(held, min(RANK, len(some)), c, seed=seed) for c in WIDTHS}
    blocks = held.block(some)
    spaces = {c: maps[c].apply(blocks) for c in WIDTHS}

    def compute() -> dict[str, NDArray[Any]]:
        first = judges.rows(spaces[PLAIN[0]], own, k, PLAIN[1], tol=1e-3)
        wrong = (first.doubt > 0).astype(float)
        pattern = planting.confusions(own, first.instead, wrong, k)
        above, gaps = [], []
        for _ in range(1 if len(some) > 1000 else 3):
            copy = planting.plant(own, wrong, pattern, generator)
            inside = np.zeros(len(own), bool)
            inside[copy.where] = True
            opinions = [judges.rows(spaces[c], copy.labels, k, lam, tol=1e-3) for c, lam in grid]
            above.append([places(o.doubt[inside], o.doubt[~inside]) for o in opinions])
            gaps.append([float(o.facts["gap"]) for o in opinions])
        return {"above": np.concatenate(above, axis=1), "gap": np.max(gaps, axis=0)}

    grid = [(c, lam) for c in WIDTHS for lam in LAMS]
    found = store.get("choose", {"grid": [list(pair) for pair in grid]}, compute)
    above = found["above"]
    gain = above - above[grid.index(PLAIN)]
    sure = gain.mean(1) - 2 * gain.std(1) / np.sqrt(above.shape[1])
    best = int(sure.argmax()) if sure.max() > CLEARLY else grid.index(PLAIN)
    table = pd.DataFrame(grid, columns=["c", "lam"]).assign(area=above.mean(1), sure_gain=sure, gap=found["gap"])
    return *grid[best], table


def places(high: Array, low: Array) -> Array:
    """Return, for each number of ``high``, the share of ``low`` that it exceeds, ties counting half."""
    ordered = np.sort(low)
    below: Array = (np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")) / (2 * len(low))
    return below


def area(high: Array, low: Array) -> float:
    """Return the area under the ROC curve: how often one of ``high`` exceeds one of ``low``, ties counting half."""
    return float(places(high, low).mean())


def mapped(held: Features, map_: KernelMap) -> NDArray[Any]:
    """Return the mapped rows, (n, rank); in single precision where they take more than half a GiB."""
    single = len(held) * map_.rank * 8 > 2**29
    return held.mapped(map_.apply, map_.rank, np.float32 if single else np.float64)


def require_memory(n: int, k: int, d: int, say: Say) -> None:
    """Say what memory the work takes, and refuse what can't be held."""
    numbers = n * (RANK + 64) + 6 * n * k + 4 * RANK * max(RANK, k) + 4 * 2**24 + 3 * min(n, SAMPLE) * (d + RANK)
    fits(f"judging {n:,} samples of {k:,} classes", numbers, instead="inspect a part of them, or fewer classes")
    free = memory.free()
    known = "" if free is None else f" of {free / 2**30:.1f} GiB that are free"
    say(f"this takes up to {numbers * 8 / 2**30:.2g} GiB of memory{known}")


@dataclass(frozen=True)
class _Opinions:
    list: tuple[judges.Opinion, ...]
    probabilities: NDArray[Any]


def _opinions(
    space: _Space, labels: Codes, lam: float, store: Store, depends: Mapping[str, Any], *, probabilities: bool = False
) -> _Opinions:
    """Return what the four judges say of these labels."""
    kept: dict[str, Any] = {}

    def compute() -> dict[str, NDArray[Any]]:
        held_out, p = judges.held_out(space.J, labels, space.k)
        found = (judges.rows(space.J, labels, space.k, lam), held_out, *judges.neighbours(space.near, labels, space.k))
        kept["facts"] = found[0].facts
        arrays: dict[str, NDArray[Any]] = {
            "facts": np.array([f"{key}={value}" for key, value in found[0].facts.items()])
        }
        arrays |= {
            "doubt": np.array([o.doubt for o in found]),
            "instead": np.array([o.instead for o in found], np.int32),
        }
        return arrays | ({"probabilities": p} if probabilities else {})

    held = store.get("judged", depends, compute)
    facts = {key: _number(value) for key, value in (str(line).split("=", 1) for line in held["facts"])}
    opinions = tuple(
        judges.Opinion(doubt, instead.astype(np.int64), facts if place == 0 else {})
        for place, (doubt, instead) in enumerate(zip(held["doubt"], held["instead"], strict=True))
    )
    return _Opinions(opinions, held.get("probabilities", np.empty((0, 0))))


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _columns(found: _Opinions, further: Sequence[Array]) -> Array:
    columns = np.column_stack([o.doubt for o in found.list] + list(further))
    for j in range(
        len(found.list), columns.shape[1]
    ):  # a judge without a number for a sample follows the others: its middle one
        missing = np.isnan(columns[:, j])
        columns[missing, j] = np.median(columns[~missing, j]) if not missing.all() else 0.0
    return columns


def _copies(given: _Opinions, labels: Codes, k: int, seed: int) -> list[planting.Planted]:
    """Plant errors where neither the program nor the held-out predictions doubt the label."""
    generator = random_generator("seed", seed, spawn_key=(5,))
    wrong = (given.list[0].doubt > 0).astype(float)
    pattern = planting.confusions(labels, given.list[0].instead, wrong, k)
    return [planting.plant(labels, wrong, pattern, generator) for _ in range(planting.rounds_for(len(labels)))]


def _neighbours(held: Features, store: Store, seed: int, say: Say) -> Neighbours:
    def compute() -> dict[str, NDArray[Any]]:
        say("finding neighbours")
        near = nearest(directions(held, seed=seed), seed=seed)
        return {"index": near.index, "weight": near.weight, "references": near.references}

    return Neighbours(**store.get("neighbours", {}, compute))
