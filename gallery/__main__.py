"""Write ``figures/README.md`` and ``figures/items``: see the package's docstring."""

import sys

from gallery.page import pages
from sparseop import cli
from sparseop.files import write_atomic
from sparseop.provenance import ROOT


def write() -> None:
    """Write every page, remove those of entries that are no more, and say how large they are."""
    folder, found = ROOT / "figures", pages()
    for name, text in found.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_atomic(folder / name, text.encode())
    for path in (folder / "items").glob("*.md"):
        if f"items/{path.name}" not in found:
            path.unlink()
    print(f"figures/README.md and {len(found) - 1} pages in figures/items: {sum(map(len, found.values())) // 1024} KiB")


if __name__ == "__main__":
    sys.exit(cli.command("gallery", write))
