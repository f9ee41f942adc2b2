"""Every code block of the README and the docs runs, every link leads somewhere; test_quotes.py holds the numbers."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sparseop.deep.labels.methods import METHODS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page, *languages):
    return [code for language, code in FENCE.findall(page.read_text()) if language in languages]


def with_blocks(*languages):
    return [pytest.param(page, id=page.name) for page in PAGES if blocks(page, *languages)]


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs_from_top_to_bottom(page):
    before = dict(METHODS)
    names = {"__name__": "docs"}
    try:
        for number, code in enumerate(blocks(page, "python"), 1):
            exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    finally:  # a page registers a method
        METHODS.clear()
        METHODS.update(before)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks("sh"))
def test_commands_run(page, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for code in blocks(page, "sh"):
        # what make runs, CI runs step by step: here only that the targets exist
        code = re.sub(r"^make (?!-)", f"make -n -C '{ROOT}' ", code, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_hides_from_these_tests(page):
    for language, code in FENCE.findall(page.read_text()):
        assert language in ("python", "sh", "toml", "text", ""), language
        if language == "toml":
            tomllib.loads(code)
        if language in ("text", ""):  # a tree, an output, commands to fill in: those are checked below
            assert not re.search(r"^(import |from \w+ import)", code, re.MULTILINE), code


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks(""))
def test_commands_to_fill_in_name_real_targets_modules_and_options(page):
    """What has a placeholder, as DIR, can't run as printed; but its target, its module and its options exist."""
    makefile = (ROOT / "Makefile").read_text()
    for line in "\n".join(blocks(page, "")).split("\n"):
        words = line.split("#")[0].split()
        if words[:1] == ["make"]:
            for target in (word for word in words[1:] if "=" not in word and not word.startswith("'")):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
        elif words[:2] == ["python", "-m"]:
            said = subprocess.run(
                [sys.executable, "-m", words[2], "--help"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert said.returncode == 0, line + said.stderr
            for option in (word.split("=")[0] for word in words if word.startswith("--")):
                assert option in said.stdout, line


def test_the_readmes_example_says_what_it_claims(capsys):
    exec(compile(blocks(PAGES[0], "python")[0], "README", "exec"), {"__name__": "docs"})
    status, support, difference = capsys.readouterr().out.strip().splitlines()
    assert status.startswith("optimal")
    assert float(status.split()[1]) <= 1e-9
    assert support == "[0 1 2 3 4 5]"
    assert float(difference) < 1e-6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()) + re.findall(
        r'(?:src|srcset)="([^"]+)"', page.read_text()
    ):
        if not re.match(r"https?:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_the_text_exist(page):
    for name in re.findall(
        r"`((?:sparseop|theory|deep|figures|tests|demos|benchmarks|docs|gallery)/[\w./+-]+\.\w+)`", page.read_text()
    ):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_lesson_is_in_the_teachers_list():
    page = (ROOT / "docs" / "classroom.md").read_text()
    for path in (ROOT / "demos").glob("*.py"):
        if "marimo.App(" in path.read_text():
            assert f"../demos/{path.name}" in page, path.name
