"""What an entry of the gallery is, and the evidence it is judged by."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sparseop.files import read_csv
from sparseop.provenance import ROOT

REPRODUCED, OTHER_NETWORK, DIFFERS, NEEDS_GPU, NEEDS_DATA, OURS = (
    "reproduced",
    "reproduced with another network",
    "differs",
    "needs GPU",
    "needs data",
    "beyond the paper",
)


class MissingEvidenceError(Exception):
    """A file that an entry rests on has not been made yet; the text is its path."""


@dataclass(frozen=True)
class Evidence:
    """The committed files of a checkout: ``figures/data``, ``figures/tables`` and the records in ``deep/results``."""

    root: Path = ROOT

    def data(self, stem: str) -> pd.DataFrame:
        """Return ``figures/data/<stem>.csv``."""
        return self._csv(self.root / "figures" / "data" / f"{stem}.csv")

    def table(self, stem: str) -> pd.DataFrame:
        """Return ``figures/tables/<stem>.csv``; empty cells are empty strings."""
        return self._csv(self.root / "figures" / "tables" / f"{stem}.csv", keep_default_na=False)

    def provenance(self, stem: str) -> dict[str, Any]:
        """Return ``figures/data/<stem>.json``."""
        path = self.root / "figures" / "data" / f"{stem}.json"
        if not path.exists():
            raise MissingEvidenceError(path.relative_to(self.root).as_posix())
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Return the run.json of every finished committed run, with its folder, its recipe's text and its summary."""
        found = []
        for path in sorted((self.root / "deep" / "results").rglob("summary.json")):
            run = json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
            found.append(
                {
                    **run,
                    "folder": path.parent,
                    "recipe": (path.parent / "recipe.toml").read_text(encoding="utf-8"),
                    "summary": json.loads(path.read_text(encoding="utf-8")),
                }
            )
        return found

    def runs_in(self, folder: str) -> list[dict[str, Any]]:
        """Return the runs under ``deep/results/<folder>``."""
        return [run for run in self.runs if run["folder"].is_relative_to(self.root / "deep" / "results" / folder)]

    def _csv(self, path: Path, **options: Any) -> pd.DataFrame:
        if not path.exists():
            raise MissingEvidenceError(path.relative_to(self.root).as_posix())
        return read_csv(path, **options)


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes
    ----------
    kind : one of the words above.
    why : one or two sentences, with numbers from the evidence.
    beside : rows (quantity, published, here).
    """

    kind: str
    why: str
    beside: list[tuple[str, str, str]] = field(default_factory=list)


def claim(text: str, holds: Any) -> str:
    """Return a sentence that does not follow the numbers by itself, marked where they no longer bear it out."""
    return text if holds else f"**No longer so, by the data:** {text}"


def compared(why: str, beside: list[tuple[str, str, str]], *, holds: Any) -> Verdict:
    """Return the verdict on something that the paper shows: reproduced where it ``holds`` here."""
    return Verdict(REPRODUCED if holds else DIFFERS, claim(why, holds), beside)


@dataclass(frozen=True)
class Entry:
    """One figure or table of a paper, or one study beyond them.

    Attributes
    ----------
    name, title : as in "Figure 2", "gradient descent and the convex program agree".
    says : what the paper shows there, or what the study asks.
    command : what makes it again.
    judge : reads the evidence and returns the verdict.
    figures, tables : stems under ``figures`` and ``figures/tables``, shown in this order.
    data : stems under ``figures/data``, whose provenance is quoted.
    runs : folders under ``deep/results``, whose provenance is quoted.
    """

    name: str
    title: str
    says: str
    command: str
    judge: Callable[[Evidence], Verdict]
    figures: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
