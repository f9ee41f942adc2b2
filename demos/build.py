"""The static classroom: one file, ``demos/index.html``, made of the sources in ``demos/site``.

    python -m demos.build            write demos/index.html
    python -m demos.build --check    say whether it is what the sources say (the tests do)

Offline, from disk, on a phone: style, scripts and recorded runs (``demos/site/records``, see ``demos.record``) are put
into one page that asks nobody for anything. What the lessons draw from the library, the phase diagram and its predicted
curve, is taken from the committed data of Figure 4.
"""

import argparse
import base64
import json
import sys

import numpy as np
import pandas as pd

from sparseop import cli
from sparseop.errors import InputError
from sparseop.files import write_atomic
from sparseop.linear import transition_sparsity
from sparseop.provenance import ROOT

SITE = ROOT / "demos" / "site"
PAGE = ROOT / "demos" / "index.html"
SCRIPTS = ("algebra.js", "flow.js", "program.js", "refinery.js", "chart.js", "app.js")


def transition() -> dict[str, object]:
    """Return the shares of Figure 4 in twentieths, row by row of k, the predicted curve, and what (28) covers."""
    table = pd.read_csv(ROOT / "figures" / "data" / "fig4.csv")
    even = table[(table.r % 2 == 0) & (table.k % 2 == 0)]  # the grid proper, without the first row and column
    grid = even.pivot(index="k", columns="r", values="success_theta")
    recovered = table[table.success_theta >= 0.5]
    covered = (recovered.covered >= 0.5) & (recovered.k > 0)
    return {
        "ranks": [int(r) for r in grid.columns],
        "sparsities": [int(k) for k in grid.index],
        "shares": base64.b64encode(np.rint(20 * grid.to_numpy()).astype(np.uint8).tobytes()).decode(),
        "predicted": [round(float(transition_sparsity(100, r)), 2) for r in range(1, 100)],
        "covered": f"{100 * covered.mean():.2g} %",
    }


def build() -> str:
    """Return the page."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SITE.glob("records/*.json"))}
    data = json.dumps({"transition": transition(), **records}, separators=(",", ":"))
    lessons = sorted(SITE.glob("lessons/*.js"))
    script = "\n".join(
        [
            f"const DATA = {data};",
            *((SITE / name).read_text(encoding="utf-8") for name in SCRIPTS),
            *(path.read_text(encoding="utf-8") for path in lessons),
            "begin();",
        ]
    )
    if "</script" in script.lower():
        raise InputError(
            "a script or a record of demos/site holds '</script', which would end the page's script early."
        )
    page = (SITE / "shell.html").read_text(encoding="utf-8")
    return page.replace("/*STYLE*/", (SITE / "style.css").read_text(encoding="utf-8")).replace("/*SCRIPT*/", script)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        "python -m demos.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is behind its sources")
    options = parser.parse_args()

    def body() -> None:
        page = build()
        if options.check and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page):
            raise InputError("demos/index.html is behind demos/site: run python -m demos.build.")
        if not options.check:
            write_atomic(PAGE, page.encode())
            print(f"demos/index.html: {len(page.encode()) // 1024} KiB")

    return cli.run("demos.build", body)


if __name__ == "__main__":
    sys.exit(main())
