"""Write ``figures/README.md``: see the package's docstring."""

import argparse
import sys

from gallery.page import page
from sparseop import cli
from sparseop.errors import InputError
from sparseop.files import write_atomic
from sparseop.provenance import ROOT


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser("python -m gallery", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the committed page is not what the data say")
    options = parser.parse_args()
    path = ROOT / "figures" / "README.md"

    def body() -> None:
        content = page().encode()
        if options.check:
            if not path.exists() or path.read_bytes() != content:
                raise InputError(f"'{path.relative_to(ROOT)}' is not what the data say; run python -m gallery.")
        else:
            write_atomic(path, content)
            print(f"{path.relative_to(ROOT)}: {len(content) // 1024} KiB")

    return cli.run("gallery", body)


if __name__ == "__main__":
    sys.exit(main())
