"""Tables of accuracies: how many published cells a committed run stands beside, and what the verdict is then."""

import contextlib
from collections.abc import Callable

import pandas as pd

from gallery.entry import DIFFERS, NEEDS_DATA, NEEDS_GPU, REPRODUCED, Evidence, MissingEvidenceError, Verdict
from gallery.rules import judge

#: a run counts as reproducing a cell when it ends within so many points of it
TOLERANCE = 1.0
#: data sets that are not ours to pass on, or too large to fetch unasked
CLOSED = ("Clothing1M", "WebVision", "ILSVRC12", "ImageNet", "VOC07", "VOC07+12", "COCO")


def cells(
    stem: str, *, on_small: Callable[[Evidence], str] | None = None, fast: str | None = None
) -> Callable[[Evidence], Verdict]:
    """Return the judge of ``figures/tables/<stem>``: cells with a run, within tolerance, and what the others need.

    ``on_small`` tells what is known from data or networks that a processor can train; ``fast``: where no cell has a run
    of its own, the fast network's table ``<stem>_fast`` is judged by the rules of ``gallery.rules``.
    """

    def verdict(evidence: Evidence) -> Verdict:
        table = evidence.table(stem)
        known = table[table["published"] != ""]
        ours = known[known["difference"] != ""]
        n = len(known.drop_duplicates(["data set", "setting", "method"]))
        off = pd.to_numeric(ours["difference"]).abs()
        small = f" {on_small(evidence)}" if on_small is not None else ""
        if len(ours) == 0 and fast is not None:
            with contextlib.suppress(MissingEvidenceError):
                other = judge(evidence.table(fast))
                return Verdict(
                    other.kind,
                    "By the fast network on a processor, CIFAR-10 alone (epochs, operations and core-hours below):"
                    f" {other.text()} The published networks need a GPU.{small}",
                )
        if len(ours) == 0:
            closed = set(known["data set"]) <= set(CLOSED)
            what = "the data, which are not free to pass on, and GPUs" if closed else "a GPU"
            return Verdict(
                NEEDS_DATA if closed else NEEDS_GPU,
                f"None of the {n} published cells has a run at the paper's scale: they need {what}.{small}",
            )
        done = len(ours.drop_duplicates(["data set", "setting", "method"]))
        close = int((off <= TOLERANCE).sum())
        changed = int((ours["remarks"] != "").sum())
        remark = f" {changed} of the runs differ from the cell's recipe, as the table says." if changed else ""
        why = (
            f"{done} of {n} published cells have a run; {close} of {len(ours)} results lie within {TOLERANCE:g} point,"
            f" the largest difference is {off.max():.1f}.{remark}{small}"
        )
        return Verdict(REPRODUCED if close == len(ours) and done == n else DIFFERS, why)

    return verdict
