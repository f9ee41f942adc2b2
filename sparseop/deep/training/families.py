"""Recipes that ship: each file of ``sparseop/deep/recipes`` is a family, a base and the cells of a table.

::

    about = "SOP paper, table 1: ..."                       # one line, for --list
    extends = ["_methods"]                                  # whose fragments and notes are there too
    name = "table1_{dataset}_{setting}_{method}"            # of a recipe; the axes, in the order in which they apply
    cells = [{ dataset = ["cifar10", "cifar100"], setting = ["sym20", "sym40"], method = ["ce", "sop"] }]

    [base]                                                  # what all cells have: the tables of a recipe
    title = "{source.method}, {source.dataset}"             # text may name what [source] says, and the axes
    training = { epochs = 120 }
    source = { table = "table1", notes = ["inclusive"] }    # notes by their keys; they gather, nothing takes one away
    [dataset.cifar100]                                      # what a value of an axis adds or changes
    training = { epochs = 150 }
    [[method.sop.also]]                                     # ... where the other axes have these values
    when = { dataset = ["cifar100"] }
    method = { lr_u = 1.0 }

    [notes]                                                 # where paper, code and author disagree, and what was taken
    inclusive = "symmetric noise as released: ..."

``cells`` lists products of values. A name that begins with an underscore is a file of fragments alone. A table that
names another component than before, as in ``network = { name = "resnet34" }``, begins anew. The published value of a
cell is that of ``published.csv`` for its source's table, data set, setting and method; ``source.published`` names
another table than the cell's own. A recipe of one's own may say ``extends = "NAME"`` to begin from any of these.
"""

import copy
import csv
import itertools
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sparseop.errors import InputError

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
Tables = dict[str, Any]
_ABOUT = ("about", "extends", "name", "cells", "base", "notes")


@dataclass(frozen=True)
class Family:
    """One file: what it says of itself, its fragments in the order in which they apply, its cells and notes."""

    about: str
    files: tuple[Path, ...]
    axes: tuple[str, ...]
    cells: dict[str, dict[str, str]]
    fragments: tuple[Tables, ...]
    notes: dict[str, str]

    def tables(self, name: str) -> Tables:
        """Return the tables of the recipe ``name``, as a file of its own would hold them."""
        cell, found = self.cells[name], dict[str, Any]()
        for fragment in self.fragments:
            _apply(found, fragment.get("base", {}), cell)
        for axis in self.axes:
            pieces = [fragment[axis][cell[axis]] for fragment in self.fragments if cell[axis] in fragment.get(axis, {})]
            for piece in pieces:
                _apply(found, piece, cell)
        source = found.setdefault("source", {})
        if "setting" in source:
            source["setting"] = source["setting"].format(**cell)
        source.update(_published(source.pop("published", source.get("table", "")), source) | source)
        told = {**cell, "source": SimpleNamespace(**source)}
        if "title" in found:
            found["title"] = found["title"].format(**told)
        if "needs" in source:
            source["needs"] = source["needs"].format(**told)
        if "notes" in source:
            source["notes"] = [self.notes[key] for key in source["notes"]]
        return found


def names(task: str | None = None) -> list[str]:
    """Return the names of the recipes that ship, of one task or of all."""
    return sorted(name for name, (_, of) in _index().items() if task in (None, of))


def tables(name: str) -> Tables:
    """Return the tables of a recipe that ships."""
    return family(name).tables(name)


def task(name: str) -> str:
    """Return the task of a recipe that ships."""
    return _index()[name][1]


def family(name: str) -> Family:
    """Return the family of a recipe that ships."""
    return _index()[name][0]


@cache
def families() -> dict[str, Family]:
    """Return all families by their files' names."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("[!_]*.toml"))}


@cache
def _index() -> dict[str, tuple[Family, str]]:
    """Return the family and the task of each recipe."""
    return {
        name: (found, found.tables(name).get("task", "labels")) for found in families().values() for name in found.cells
    }


def _read(path: Path) -> Family:
    own = tomllib.loads(path.read_text(encoding="utf-8"))
    parents = [FOLDER / f"{name}.toml" for name in own.get("extends", [])]
    fragments = [*(tomllib.loads(parent.read_text(encoding="utf-8")) for parent in parents), own]
    axes = tuple(part for _, part, _, _ in string.Formatter().parse(own["name"]) if part)
    cells = {own["name"].format(**cell): cell for product in own["cells"] for cell in _product(product)}
    for key in own:
        if key not in (*_ABOUT, *axes):
            raise InputError(f"{path.name} has a table [{key}], which is no axis of its name {own['name']!r}.")
    notes = {key: text for fragment in fragments for key, text in fragment.get("notes", {}).items()}
    return Family(own["about"], (path, *parents), axes, cells, tuple(fragments), notes)


def _product(axes: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _apply(found: Tables, piece: Tables, cell: Mapping[str, str]) -> None:
    """Merge a fragment into ``found``, then what it adds for some values of other axes."""
    merge(found, {key: value for key, value in piece.items() if key != "also"})
    for more in piece.get("also", []):
        if all(cell.get(axis) in wanted for axis, wanted in more["when"].items()):
            merge(found, {key: value for key, value in more.items() if key != "when"})


def merge(found: Tables, more: Tables) -> None:
    """Change the tables of ``found``: notes are added, a table that names another component begins anew."""
    for key, value in copy.deepcopy(more).items():
        if not isinstance(value, dict):
            found[key] = value
            continue
        table = found.setdefault(key, {})
        if "name" in value and table.get("name", value["name"]) != value["name"]:
            table.clear()
        notes = [*table.get("notes", []), *value.get("notes", [])]
        table.update(value)
        if notes:
            table["notes"] = notes


@cache
def published() -> dict[tuple[str, ...], dict[str, float]]:
    """Return value and std of every published cell by (table, data set, setting, method)."""
    with (FOLDER / "published.csv").open(encoding="utf-8", newline="") as file:
        return {
            tuple(row[key] for key in ("table", "dataset", "setting", "method")): {
                key: float(row[key]) for key in ("value", "std") if row[key]
            }
            for row in csv.DictReader(file)
        }


def _published(table: str, source: Tables) -> dict[str, float]:
    where = (table, *(source.get(key, "") for key in ("dataset", "setting", "method")))
    return published().get(where, {})
