"""Your own images, as a table lists them: a CSV file with a column of paths and one of labels."""

from pathlib import Path

from sparseop.deep.datasets.base import Dataset, natural, require_root
from sparseop.deep.datasets.check import Damaged
from sparseop.deep.datasets.own import Listed, dataset
from sparseop.deep.datasets.tables import column_of, read_table
from sparseop.errors import InputError

HOW = "It holds labels.csv (or what data.file names) with the columns path, label and perhaps split."
PATHS, LABELS, SPLITS = ("path", "file", "filename", "image", "name"), ("label", "class", "target", "given"), ("split",)
TESTS = frozenset({"test", "val", "valid", "validation"})


def load_csv(
    root: Path | str | None,
    *,
    download: bool = False,
    file: str = "labels.csv",
    size: int = 0,
    held_out: float = 0.2,
    clean: bool = False,
    damaged: Damaged = "refuse",
) -> Dataset:
    """Return the images that the table ``file`` lists, a line each: path, label, perhaps split.

    Parameters
    ----------
    file : of the table, within the data folder or with its own path. Paths in it are relative to the data folder. A
        split of "test" or "val" makes a test image, any other a training image.
    size, held_out, clean, damaged : see ``load_folder``.

    Raises
    ------
    InputError : no such table or columns, images listed twice or not there, fewer than two classes, damaged images.
    """
    del download
    base = require_root("csv", root, HOW)
    table = Path(file).expanduser()
    if not table.is_file():
        table = base / table
    header, rows = read_table(table, "csv")
    path, label = (column_of(header, names, table, "csv") for names in (PATHS, LABELS))
    split = next((header.index(name) for name in SPLITS if name in header), None)
    found: dict[str, Listed] = {"training": Listed([], []), "test": Listed([], [])}
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        if row[path] in seen:
            raise InputError(f"csv: line {number} of '{table}' lists {row[path]!r} a second time.")
        if not row[path] or not row[label]:
            raise InputError(f"csv: line {number} of '{table}' must have a path and a label, got {','.join(row)!r}.")
        seen.add(row[path])
        part = found["test" if split is not None and row[split].lower() in TESTS else "training"]
        part.paths.append(base / Path(row[path]).expanduser())
        part.labels.append(row[label])
    classes = sorted(set(found["training"].labels), key=natural)
    strangers = sorted(set(found["test"].labels) - set(classes))
    if len(classes) < 2:
        raise InputError(f"csv: '{table}' must give its training images at least two classes, got {len(classes)}.")
    if strangers:
        raise InputError(f"csv: '{table}' has test images of the class {strangers[0]!r}, but no training image.")
    if not found["test"].paths:
        del found["test"]
    return dataset("csv", base, found, classes, size=size, held_out=held_out, clean=clean, damaged=damaged)
