"""SOP table 2: symmetric and asymmetric noise, against two-network and semi-supervised methods.

    python -m deep.table2    write figures/tables/table2.* from the committed records; trains nothing

A row is trained with ``python -m sparseop.deep.train table2_...`` (see ``--list``) and counts once its run lies in
``deep/results``.
"""

import sys

from deep import tables
from deep.published import beside
from sparseop import cli

if __name__ == "__main__":
    sys.exit(cli.command("deep.table2", lambda: tables.write({"table2": beside("table2")})))
