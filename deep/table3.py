"""SOP table 3: Clothing1M, and mini-WebVision with ILSVRC12 as second test set.

    python -m deep.table3    write figures/tables/table3.* from the committed records; trains nothing

Recipes and loaders are here; the data are not free to pass on, so rows fill up where someone has them and commits the
run.
"""

import sys

from deep import tables
from deep.published import beside
from sparseop import cli

if __name__ == "__main__":
    sys.exit(cli.command("deep.table3", lambda: tables.write({"table3": beside("table3")})))
