"""Write ``figures/README.md``: see the package's docstring."""

import argparse
import sys

from gallery.page import page
from sparseop import cli
from sparseop.files import write_atomic
from sparseop.provenance import ROOT


def main() -> int:
    """Run the command line; return the exit status."""
    argparse.ArgumentParser("python -m gallery", description=__doc__).parse_args()
    path = ROOT / "figures" / "README.md"

    def body() -> None:
        content = page().encode()
        write_atomic(path, content)
        print(f"{path.relative_to(ROOT)}: {len(content) // 1024} KiB")

    return cli.run("gallery", body)


if __name__ == "__main__":
    sys.exit(main())
