"""Change one thing at a time and see whether a test notices.

    make mutants                              20 mutants a module, hours; a killed run goes on where it stopped
    make mutants ARGS='--sample 60'           more of the same: the 20 are among the 60
    make mutants ARGS='--only refinery/data'  one module
    make mutants ARGS='--again'               ask the survivors again, after tests were added
    make mutants ARGS='--report'              write the record from what was run

cosmic-ray makes the mutants (plan.py names its operators); of each module a sample is drawn by the module's name, and
the test files that plan.py names for it are run in a copy of the tree. An answer is kept in .cache/mutants and holds as
long as the module's file stays as it is. The record is figures/data/mutants.csv and docs/mutants.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from sparseop import cli
from sparseop.errors import InputError, integer
from sparseop.files import sha256
from sparseop.provenance import ROOT
from tests.mutation import report, warm
from tests.mutation.mutants import Mutant, mutants, sample
from tests.mutation.plan import PLAN

CACHE = ROOT / ".cache" / "mutants"


def copy_of_the_tree() -> Path:
    """Return a copy of everything git knows or would add, as it is now."""
    tree = CACHE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file() and not name.startswith(("figures/dark/", "demos/", "docs/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def answers(module: str) -> Path:
    """Return where the answers for a module are kept, by the content of its file."""
    source = (ROOT / module).read_bytes()
    return CACHE / f"{module.replace('/', '.')}.{sha256(source)[:12]}.jsonl"


def read(path: Path) -> dict[str, dict[str, object]]:
    """Return the last answer for each mutant."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def current(module: str) -> list[dict[str, object]]:
    """Return the answers for the mutants that the plan has now."""
    known = {mutant.key for mutant in mutants((ROOT / module).read_text())}
    return [row for key, row in read(answers(module)).items() if key in known]


def ask(tree: Path, module: str, most: int, *, again: bool) -> None:
    """Run the tests on those mutants of the sample that have no answer yet."""
    path, source = answers(module), (ROOT / module).read_text()
    known = read(path)
    todo = [
        mutant
        for mutant in sample(source, module, most)
        if mutant.key not in known or (again and known[mutant.key]["outcome"] == "survived")
    ]
    if not todo:
        return
    compiled = None if "njit" in source else CACHE / "numba"
    status, base = warm.run(tree, PLAN[module], 900, compiled=compiled)
    if status != 0:
        raise InputError(f"the tests of {module} fail without a change (pytest's status {status}).")
    killed = 0
    for number, mutant in enumerate(todo, 1):
        outcome, seconds = _outcome(tree, module, source, mutant, 30 + 4 * base, compiled)
        before, after = mutant.shown(source)
        row = {"key": mutant.key, "line": mutant.line, "before": before, "after": after, "outcome": outcome}
        with path.open("a") as file:
            file.write(json.dumps({**row, "seconds": round(seconds, 2)}) + "\n")
        killed += outcome != "survived"
        print(
            f"{module}: {number} of {len(todo)}, {killed} killed"
            + (f"; survived: {after}" if outcome == "survived" else ""),
            flush=True,
        )


def _outcome(
    tree: Path, module: str, source: str, mutant: Mutant, timeout: float, compiled: Path | None
) -> tuple[str, float]:
    code = mutant.code(source)
    try:
        compile(code, module, "exec")
    except SyntaxError:
        return "no program", 0.0
    (tree / module).write_text(code)
    try:
        status, seconds = warm.run(tree, PLAN[module], timeout, compiled=compiled)
    finally:
        (tree / module).write_text(source)
    return {0: "survived", -1: "out of time"}.get(status, "killed"), seconds


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        "python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=20, metavar="N", help="mutants a module (default: 20)")
    parser.add_argument("--only", action="append", metavar="TEXT", help="modules whose path contains it")
    parser.add_argument("--again", action="store_true", help="ask the survivors again")
    parser.add_argument("--report", action="store_true", help="run nothing; write the record")
    options = parser.parse_args()

    def body() -> None:
        most = integer("--sample", options.sample, 1)
        wanted = [module for module in PLAN if not options.only or any(text in module for text in options.only)]
        if not wanted:
            raise InputError(f"--only must be part of a module's path, got {options.only}.")
        if not options.report:
            CACHE.mkdir(parents=True, exist_ok=True)
            warm.load()
            tree = copy_of_the_tree()
            for module in wanted:
                ask(tree, module, most, again=options.again)
        report.write({module: current(module) for module in PLAN})

    return cli.run("tests.mutation", body, kept="answers are kept; run the same command again to go on")


if __name__ == "__main__":
    sys.exit(main())
