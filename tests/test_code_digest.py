"""What counts as the code of a cell: a changed number must not leave a stale cache, a changed label must not cost an hour."""

import sys

import pytest

import deep
from sparseop.code_digest import code_digest
from sparseop.provenance import ROOT

MODULE = '''
"""A study."""
from cells_package import pick

FACTOR = 1

def cell(x):
    return {"y": FACTOR * x}

def draw(table):
    figure = Figure()
    return figure
'''


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A module that imports a package which loads its parts by name, under a name that counts as the project's."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text(
        "import importlib\ndef pick(name):\n    return importlib.import_module(f'{__name__}.{name}')\n"
    )
    (tmp_path / "deep" / "part.py").write_text("VALUE = 1\n")
    (tmp_path / "top.py").write_text(MODULE.replace("cells_package", "deep"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, deep.__name__)  # and put back afterwards
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("top.py", "FACTOR = 1", "FACTOR = 2", True),
        ("top.py", "Figure()", "Figure(figsize=(3, 3))  # smaller", False),
        ("top.py", "A study", "One", False),
        ("deep/__init__.py", "(name):", "(name, *more):", True),
        ("deep/part.py", "1", "2", True),  # loaded by name alone
    ],
)
def test_what_counts(modules, file, old, new, counts):
    first = code_digest("top")
    path = modules / file
    path.write_text(path.read_text().replace(old, new))
    assert (code_digest("top") != first) == counts


def test_files_count():
    recipe = ROOT / "pyproject.toml"
    assert code_digest("sparseop.errors", [recipe]) != code_digest("sparseop.errors")
