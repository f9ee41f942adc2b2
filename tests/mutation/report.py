"""The record of the mutants: a row a module, the interval of the share killed, and what is known of each survivor."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sparseop import provenance
from sparseop.files import write_atomic
from sparseop.provenance import ROOT
from tests.mutation.mutants import mutants

REASONS = Path(__file__).with_name("equivalent.csv")
HEAD = """# Mutants: does a test notice?

`make mutants` changes one thing at a time (a sign, a comparison, a number, a loop that does not run) in the modules
whose lines decide a number, and asks the tests. The mutants are [cosmic-ray](https://cosmic-ray.readthedocs.io)'s;
which of its operators count, and which test files are asked for a module, stands in
[tests/mutation/plan.py](../tests/mutation/plan.py). Not every mutant was run: of each module a sample, drawn by the
module's name. "Equivalent" are survivors that change no result, each with its reason below; the share killed is of the
others, and its interval (95 %, Wilson) is what the sample says of all of the module's mutants.

"""


def reasons() -> dict[tuple[str, str, str], str]:
    """Return why a change cannot be noticed, by module, line before and line after."""
    with REASONS.open(newline="") as file:
        return {(row["module"], row["before"], row["after"]): row["reason"] for row in csv.DictReader(file)}


def wilson(killed: int, run: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of which ``killed`` of ``run`` were seen, in percent."""
    z = 1.959963984540054
    middle, spread = (killed + z * z / 2), z * math.sqrt(killed * (run - killed) / run + z * z / 4)
    return 100 * max(0.0, (middle - spread) / (run + z * z)), 100 * min(1.0, (middle + spread) / (run + z * z))


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row for each module, and a row for each survivor."""
    known, rows, left = reasons(), [], []
    for module, answers in found.items():
        programs = [answer for answer in answers if answer["outcome"] != "no program"]
        alive = [answer for answer in programs if answer["outcome"] == "survived"]
        for answer in sorted(alive, key=lambda answer: answer["line"]):
            reason = known.get((module, answer["before"], answer["after"]), "")
            left.append(
                {"module": module, "before": answer["before"], "after": answer["after"], "equivalent because": reason}
            )
        equivalent = sum(bool(row["equivalent because"]) for row in left if row["module"] == module)
        asked, killed = len(programs) - equivalent, len(programs) - len(alive)
        low, high = wilson(killed, asked) if asked else (math.nan, math.nan)
        rows.append(
            {
                "module": module.removeprefix("sparseop/"),
                "mutants": len(mutants((ROOT / module).read_text())),
                "run": len(programs),
                "killed": killed,
                "equivalent": equivalent,
                "survived": len(alive) - equivalent,
                "killed %": 100 * killed / asked if asked else math.nan,
                "from": low,
                "to": high,
            }
        )
    return pd.DataFrame(rows), pd.DataFrame(left, columns=["module", "before", "after", "equivalent because"])


def write(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write figures/data/mutants.csv with its provenance, and docs/mutants.md."""
    rows, left = table(found)
    killed, asked = int(rows.killed.sum()), int((rows.run - rows.equivalent).sum())
    low, high = wilson(killed, max(asked, 1))
    summary = {
        "killed": killed,
        "asked": asked,
        "mutants": int(rows.mutants.sum()),
        "percent": 100 * killed / max(asked, 1),
    }
    record = {**summary, "from": low, "to": high, **provenance.stamp("numpy", "scipy", "numba", "torch", "cosmic-ray")}
    path = ROOT / "figures" / "data" / "mutants"
    write_atomic(path.with_suffix(".csv"), rows.to_csv(index=False, float_format="%.6g").encode())
    write_atomic(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    said = (
        f"**{killed} of {asked} killed, {summary['percent']:.1f} %** (interval {low:.1f} to {high:.1f}); "
        f"{int(rows.run.sum())} of {summary['mutants']:,} mutants were run, {int(rows.equivalent.sum())} of them "
        "equivalent.\n\n"
    )
    write_atomic(
        ROOT / "docs" / "mutants.md", (HEAD + said + _markdown(rows) + "\n## Survivors\n" + _survivors(left)).encode()
    )
    print(said.strip())


def _markdown(rows: pd.DataFrame) -> str:
    return rows.to_markdown(index=False, floatfmt=".1f") + "\n"


def _survivors(left: pd.DataFrame) -> str:
    if left.empty:
        return "None.\n"
    told = left.assign(
        module=left.module.str.removeprefix("sparseop/"),
        before=[_code(text) for text in left.before],
        after=[_code(text) for text in left.after],
        **{"equivalent because": left["equivalent because"].replace("", "not equivalent: a test is missing")},
    )
    return told.to_markdown(index=False) + "\n"


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"
