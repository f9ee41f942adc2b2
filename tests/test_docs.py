"""Every Python block of the README and the docs runs, and every link between files leads somewhere."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    return [pytest.param(code, id=f"{page.name}-{number}") for page in PAGES
            for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))]


@pytest.mark.parametrize("code", blocks())
def test_code_runs(code):
    exec(compile(code, "docs", "exec"), {"__name__": "docs"})


def test_the_readmes_example_says_what_it_claims(capsys):
    code = re.search(r"```python\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
    exec(compile(code.group(1), "README", "exec"), {"__name__": "docs"})
    status, support, difference = capsys.readouterr().out.strip().splitlines()
    assert status.startswith("optimal")
    assert float(status.split()[1]) <= 1e-9
    assert support == "[0 1 2 3 4 5]"
    assert float(difference) < 1e-6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not re.match(r"https?:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readmes_speed_claims_are_the_committed_measurements():
    data = ROOT / "figures" / "data"
    convex = json.loads((data / "bench_convex.json").read_text())
    assert convex["x ECOS"]["least"] > 60
    assert 190 < convex["x ECOS"]["geometric mean"] < 230
    assert convex["x Clarabel"]["least"] > 20
    for row in json.loads((data / "bench_scaling.json").read_text())["slopes"]:
        assert row["an iteration"] <= 1.1
        assert row["a solve"] <= (1.1 if row["sparsity"] == "k = 20" else 1.15)
