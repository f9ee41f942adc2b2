"""What counts as the code of a cell.

A changed number must not leave a stale cache, a changed label must not cost an hour.
"""

import ast
import importlib
import sys

import pytest

import deep
from sparseop import code_digest as code_digest_module
from sparseop import study
from sparseop.code_digest import code_digest
from sparseop.provenance import ROOT

MODULE = '''
"""A study."""
import sys
from deep import pick
from benchmarks.plots import line, width
from sparseop.study import Study

FACTOR, OTHER = 1, 2
SHOWN = "red"
SHARED: float = 3.0

def cell(x):
    return {"y": FACTOR * draw_windows(x) + len(NAMES)}

def draw_windows(x):
    return width(x) + 1

def draw(table):
    figure = Figure()
    line(figure, SHOWN, SHARED, _axis(table), draw_windows(1))
    return figure

def tables(table):
    return {"all": _rounded(table)}

def _axis(table):
    return table.x.max()

def _rounded(table):
    return table.round(2)

def _grid(n):
    return [{"x": x * SHARED} for x in range(n)]

@register
def _registered(table):
    return _later(table)

def _later(table):
    return 5

NAMES = ["a"]
STUDIES = (Study("top", cell, {"paper": _grid(3)}, draw, tables),)
if __name__ == "__main__":
    sys.exit(_rounded)
'''


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A module that imports a package which loads its parts by name, under a name that counts as the project's."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text(
        "import importlib\ndef pick(name):\n    return importlib.import_module(f'{__name__}.{name}')\n"
    )
    (tmp_path / "deep" / "part.py").write_text("from . import table_reader\nVALUE = 1\n")
    (tmp_path / "deep" / "table_reader.py").write_text("def table_rows():\n    return 3\n")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").touch()
    (tmp_path / "benchmarks" / "plots.py").write_text("def line(*_): ...\ndef width(x):\n    return x\n")
    (tmp_path / "top.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in (deep.__name__, "deep.part", "deep.table_reader", "benchmarks", "benchmarks.plots"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is put back, or removed, afterwards
        del sys.modules[name]
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("top.py", "OTHER = 1", "OTHER = 2", True),
        ("top.py", "+ 1", "+ 2", True),  # called draw_windows, and the cell reaches it
        ("top.py", "SHARED: float = 3", "SHARED: float = 4", True),  # the figure's, and the grid's
        ("top.py", "x * SHARED", "x", True),
        ("top.py", "return 5", "return 6", True),  # reached by what a decorator may keep
        ("top.py", '["a"]', '["b"]', True),
        ("top.py", "round(2)", "round(3)", True),  # the module itself names it
        ("top.py", "Figure()", "Figure(figsize=(3, 3))  # smaller", False),
        ("top.py", "max()", "min()", False),
        ("top.py", '{"all"', '{"each"', False),
        ("top.py", '"red"', '"blue"', False),
        ("top.py", "A study", "One", False),
        ("deep/__init__.py", "(name):", "(name, *more):", True),
        ("deep/part.py", "1", "2", True),  # loaded by name alone
        ("deep/table_reader.py", "3", "4", True),  # imported relatively; no drawing, whatever it is called
        ("benchmarks/plots.py", "return x", "return 2 * x", True),
    ],
)
def test_what_counts(modules, file, old, new, counts):
    first = code_digest("top", drawing=("draw", "tables"))
    path = modules / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (code_digest("top", drawing=("draw", "tables")) != first) == counts


def test_what_only_the_drawing_imports_does_not_count(modules):
    path = modules / "top.py"
    path.write_text(path.read_text().replace("width(x)", "x").replace("line, width", "line"))
    first = code_digest("top", drawing=("draw", "tables"))  # draw_windows, which draw calls too, is the cell's
    plots = modules / "benchmarks" / "plots.py"
    plots.write_text("def line(*_):\n    return 1\n")
    assert code_digest("top", drawing=("draw", "tables")) == first
    assert code_digest("top") != first


def test_numeric_code_counts_whatever_it_is_called_and_the_generators_do():
    from theory import generalization

    found = code_digest_module._sources("theory.generalization", (), study._drawing(generalization.STUDIES[0]))
    assert "sparseop.refinery.data" in found
    assert "name='generator'" in found["sparseop.randomness"]
    assert "sparseop.plotting" not in found
    for module, function in (("crops", "draw_windows"), ("colour", "draw_jitter"), ("clsa", "_tables")):
        _, tree = code_digest_module._source(f"sparseop.deep.augment.{module}")
        assert any(getattr(item, "name", None) == function for item in tree.body)


def test_no_study_leaves_out_what_its_own_cell_mentions():
    modules = set()
    for path in sorted((*ROOT.glob("theory/*.py"), *ROOT.glob("deep/*.py"))):
        if "STUDIES = " not in path.read_text():
            continue
        for one in importlib.import_module(f"{path.parent.name}.{path.stem}").STUDIES:
            module = one.cell.__module__
            modules.add(module)
            _, tree = code_digest_module._source(module)
            kept = code_digest_module._without(tree.body, study._drawing(one))
            names = {getattr(item, "name", None) for item in kept} | set().union(*map(code_digest_module._binds, kept))
            names |= {
                x.id
                for item in kept
                for x in ast.walk(item)
                if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)
            }
            mentioned = {name for name in one.cell.__code__.co_names if name in vars(sys.modules[module])}
            assert {one.cell.__name__} | mentioned <= names, one.name
            assert not names & {show.__name__ for show in (one.draw, one.tables) if show}, one.name
    assert len(modules) > 12


def test_files_count():
    recipe = ROOT / "pyproject.toml"
    assert code_digest("sparseop.errors", [recipe]) != code_digest("sparseop.errors")
