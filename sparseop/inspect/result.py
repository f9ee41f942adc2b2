"""What an inspection found, as a frozen result with a data frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparseop.errors import between, choice
from sparseop.inspect.estimate import Estimate
from sparseop.inspect.features import Array, Features
from sparseop.inspect.labels import Codes, Labels
from sparseop.inspect.space import Neighbours

THEN = ("leave-out", "relabel", "weight")


@dataclass(frozen=True)
class Inspection:
    """Every label judged.

    Attributes
    ----------
    table : one row a labelled sample, the most suspicious first: ``row`` (and ``path`` where names were given),
        ``given``, ``proposed`` (the class it would be instead), ``suspicion`` (the estimated probability that the
        given label is wrong), ``rank``, then each judge's own number, which grows with the doubt; ``cleanlab`` says
        whether cleanlab flags it.
    labels : the labels as read.
    number, number_interval : estimated number of wrong labels, with a 90 % interval from resampling.
    precision : data frame with a row for each length of list: ``n``, ``precision`` and its interval ``low``, ``high``.
    recall, recall_interval : share of the planted errors among the first ``number`` places, with Wilson's 90 %
        interval.
    planted : number of planted errors that all this rests on.
    pairs : data frame ``given``, ``really``, ``samples``: the expected number of labels of each class that are
        really another.
    duplicates : data frame of samples whose features are equal and whose labels differ: ``group``, ``row``, ``given``.
    lookalikes : data frame of pairs of classes, by the share of votes that their samples' neighbours give to the other.
    judges : data frame with each judge's weight in the score.
    certificate : of the row-group program on the labels as given: lam, rank, relative duality gap, status.
    chosen : the table of settings, where they were chosen: area under the ROC curve of planted errors, largest gap.
    notes : what was found in the input, one sentence each.
    estimate : the fitted estimate, for scores of further samples.
    """

    table: pd.DataFrame
    labels: Labels
    number: float
    number_interval: tuple[float, float]
    precision: pd.DataFrame
    recall: float
    recall_interval: tuple[float, float]
    planted: int
    pairs: pd.DataFrame
    duplicates: pd.DataFrame
    lookalikes: pd.DataFrame
    judges: pd.DataFrame
    certificate: dict[str, float | str]
    chosen: pd.DataFrame
    notes: tuple[str, ...]
    estimate: Estimate

    @property
    def suspects(self) -> int:
        """The length of the list: the estimated number of wrong labels, rounded."""
        return min(round(self.number), len(self.table))

    def length_for(self, precision: float) -> int:
        """Return the length of the longest list of which at least this share is estimated to be wrong, or 0."""
        wanted = between("precision", precision, 0, 1, ends="(]")
        enough = np.flatnonzero(self.precision["precision"].to_numpy() >= wanted)
        return 0 if len(enough) == 0 else int(enough[-1]) + 1

    def to_train(self, then: str = "leave-out", *, precision: float | None = None) -> pd.DataFrame:
        """Return the labels to train on, in the order of the input.

        Parameters
        ----------
        then : what becomes of suspects: "leave-out" (use = 0), "relabel" (label = proposed), or "weight" (every
            sample weighs 1 - suspicion).
        precision : the suspects are the longest list of at least this precision; None: the estimated number.

        Returns
        -------
        Columns ``row`` or ``path``, ``given``, ``label``, ``use`` (0 or 1), ``weight``. Rows without a label have
        use = 0.
        """
        choice("then", then, THEN)
        count = self.suspects if precision is None else self.length_for(precision)
        suspect = (self.table["rank"] <= count).to_numpy()
        found = self.table.drop(columns=[c for c in self.table if c not in ("path", "row", "given", "proposed")]).copy()
        found["label"] = np.where(suspect & (then == "relabel"), found["proposed"], found["given"])
        found["use"] = np.where(suspect & (then == "leave-out"), 0, 1)
        found["weight"] = (1 - self.table["suspicion"]).round(6) if then == "weight" else found["use"].astype(float)
        missing = np.setdiff1d(np.arange(self.labels.total), self.labels.kept)
        if len(missing):
            blank = pd.DataFrame({"row": missing, "given": "", "label": "", "use": 0, "weight": 0.0})
            found = pd.concat([found, blank], ignore_index=True)
        return found.sort_values("row", kind="stable").drop(columns=["proposed"]).reset_index(drop=True)


def summarise(
    *,
    held: Features,
    read: Labels,
    score: Array,
    known: Estimate,
    proposed: Codes,
    columns: Mapping[str, Array],
    weights: Array,
    flagged: NDArray[np.bool_] | None,
    near: Neighbours,
    facts: dict[str, float | str],
    chosen: pd.DataFrame,
    notes: tuple[str, ...],
    names: Sequence[str] | None,
) -> Inspection:
    """Put an inspection together."""
    names_of, labels = np.array(read.classes, dtype=object), read.codes
    suspicion = known.suspicion(score)
    order = np.lexsort((read.kept, -score))
    table = pd.DataFrame({"row": read.kept})
    if names is not None:
        table.insert(0, "path", np.asarray(names, dtype=object)[read.kept])
    table["given"], table["proposed"] = names_of[labels], names_of[proposed]
    table["suspicion"] = suspicion
    table = table.assign(**columns)
    if flagged is not None:
        table["cleanlab"] = flagged
    table = table.iloc[order].reset_index(drop=True)
    table.insert(list(table.columns).index("suspicion") + 1, "rank", np.arange(1, len(table) + 1))
    number, low, high = known.number(score)
    middle, under, over = known.precision(score)
    count = min(max(round(number), 1), len(table))
    hit, m, recall_interval = known.found(float(np.sort(score)[::-1][count - 1]))
    precision = pd.DataFrame({"n": np.arange(1, len(table) + 1), "precision": middle, "low": under, "high": over})
    return Inspection(
        table=table,
        labels=read,
        number=number,
        number_interval=(low, high),
        precision=precision,
        recall=hit / m,
        recall_interval=recall_interval,
        planted=m,
        pairs=_pairs(labels, proposed, suspicion, names_of),
        duplicates=_duplicates(held, read, names_of),
        lookalikes=_lookalikes(near, labels, names_of),
        judges=pd.DataFrame({"judge": list(columns), "weight": weights}),
        certificate=facts,
        chosen=chosen,
        notes=notes,
        estimate=known,
    )


def _pairs(labels: Codes, proposed: Codes, suspicion: Array, names: NDArray[Any]) -> pd.DataFrame:
    k = len(names)
    pair, place = np.unique(labels * k + proposed, return_inverse=True)
    amount = np.bincount(place, suspicion)
    found = pd.DataFrame({"given": names[pair // k], "really": names[pair % k], "samples": amount})
    return found[found["samples"] >= 0.05].sort_values("samples", ascending=False, kind="stable").reset_index(drop=True)


def _duplicates(held: Features, read: Labels, names: NDArray[Any]) -> pd.DataFrame:
    """Return the groups of equal rows with different labels; equal hashes are compared entry by entry."""
    order = np.argsort(held.twins, kind="stable")
    same = held.twins[order][1:] == held.twins[order][:-1]
    groups = np.split(order, np.flatnonzero(~same) + 1)
    rows = []
    number = 0
    for group in groups:
        if len(group) < 2 or len(np.unique(read.codes[group])) < 2:
            continue
        group = np.sort(group)
        block = held.block(group)
        group = group[(block == block[0]).all(1)]
        if len(np.unique(read.codes[group])) < 2:
            continue
        number += 1
        rows += [(number, int(read.kept[i]), names[read.codes[i]]) for i in group]
    return pd.DataFrame(rows, columns=["group", "row", "given"])


def _lookalikes(near: Neighbours, labels: Codes, names: NDArray[Any], most: int = 20) -> pd.DataFrame:
    """Return the pairs of classes whose samples' neighbours carry the other's label most often."""
    k = len(names)
    own = np.repeat(labels, near.index.shape[1])
    pair, count = np.unique(own * k + labels[near.index.ravel()], return_counts=True)
    a, b = pair // k, pair % k
    of_a = np.bincount(labels, minlength=k)[a] * near.index.shape[1]
    part = pd.DataFrame({"low": np.minimum(a, b), "high": np.maximum(a, b), "share": count / of_a})[a != b]
    both = part.groupby(["low", "high"], as_index=False)["share"].sum()
    both = both.sort_values("share", ascending=False, kind="stable").head(most)
    return pd.DataFrame(
        {"one": names[both["low"]], "other": names[both["high"]], "share": both["share"].to_numpy() / 2}
    )
