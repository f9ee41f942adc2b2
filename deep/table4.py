"""SOP table 4: the human labels of CIFAR-10N and CIFAR-100N.

    python -m deep.table4    write figures/tables/table4.* from the committed records; trains nothing

A row is trained with ``python -m sparseop.deep.train table4_...`` (see ``--list``) and counts once its run lies in
``deep/results``.
"""

import sys

from deep import tables
from deep.published import beside
from sparseop import cli

if __name__ == "__main__":
    sys.exit(cli.command("deep.table4", lambda: tables.write({"table4": beside("table4")})))
