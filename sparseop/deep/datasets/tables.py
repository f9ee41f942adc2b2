"""Tables of text as people and spreadsheets write them: commas, semicolons or tabs, quotes, a mark of byte order."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sparseop.errors import InputError


def read_table(path: Path, what: str) -> tuple[list[str], list[list[str]]]:
    """Return the header, in small letters, and the rows of a table; entries without the blanks around them.

    Raises
    ------
    InputError : no such file, no text, no header or no row, a row of another length.
    """
    rows = read_rows(path, what)
    if len(rows) < 2:
        raise InputError(f"{what}: '{path}' must hold a header and at least one row, got {len(rows)} lines.")
    header = [name.lower() for name in rows[0]]
    if len(set(header)) != len(header):
        raise InputError(f"{what}: the header of '{path}' names a column twice: {','.join(rows[0])}.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise InputError(
                f"{what}: line {number} of '{path}' must have {len(header)} entries, as its header "
                f"{','.join(rows[0])}, got {len(row)}."
            )
    return header, rows[1:]


def read_rows(path: Path, what: str) -> list[list[str]]:
    """Return the rows of a table that are not empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{what}: the table '{path}' is not there.") from None
    except IsADirectoryError:
        raise InputError(f"{what}: the table '{path}' is a folder.") from None
    except UnicodeDecodeError:
        raise InputError(f"{what}: the table '{path}' is no text in UTF-8.") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        raise InputError(f"{what}: the table '{path}' is not separated by commas, semicolons or tabs.") from None
    return [[entry.strip() for entry in row] for row in rows if any(entry.strip() for entry in row)]


def column_of(header: Sequence[str], names: Sequence[str], path: Path, what: str) -> int:
    """Return the place of the first of ``names`` in a header."""
    for name in names:
        if name in header:
            return list(header).index(name)
    raise InputError(
        f"{what}: '{path}' must have a column named {' or '.join(map(repr, names))}, got "
        f"{', '.join(map(repr, header))}."
    )
