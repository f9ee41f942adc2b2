"""Write ``figures/README.md``: see the package's docstring."""

import sys

from gallery.page import page
from sparseop import cli
from sparseop.files import write_atomic
from sparseop.provenance import ROOT


def write() -> None:
    """Write the page and say how large it is."""
    path = ROOT / "figures" / "README.md"
    content = page().encode()
    write_atomic(path, content)
    print(f"{path.relative_to(ROOT)}: {len(content) // 1024} KiB")


if __name__ == "__main__":
    sys.exit(cli.command("gallery", write))
