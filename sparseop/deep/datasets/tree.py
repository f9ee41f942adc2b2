"""What lies in a folder of pictures: which files are data, which are not, and what is to be said about the rest.

Names that begin with a dot, and the folders that systems leave behind (``__MACOSX``, ``@eaDir``, ...), are no data.
Pictures in folders within a class folder belong to the class. A class folder or a picture may be a link; a link to a
folder deeper down is not followed, as it could lead round in a circle.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparseop.errors import InputError, brief

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff", ".tga"}
    | {".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)
#: what systems and programs leave in folders, beside names that begin with a dot
LEFT_BEHIND = frozenset(
    {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)


@dataclass
class Skipped:
    """What a walk has left out, and may have to be told of.

    Attributes
    ----------
    suffixes : how many files of each suffix that is not read; "" for names without one.
    links, broken : links to folders, which are not followed, and links that lead nowhere.
    loose : pictures that lie in no class folder.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    links: int = 0
    broken: int = 0
    loose: int = 0

    def notes(self, where: Path) -> list[str]:
        """Return a sentence for each kind of thing that was left out."""
        found = []
        if self.suffixes:
            kinds = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in self.suffixes.most_common(6))
            found.append(f"{_many(self.suffixes.total(), 'file')} in '{where}' not read, by suffix ({kinds})")
        if self.links:
            found.append(f"{_many(self.links, 'link')} to a folder in '{where}' not followed")
        if self.broken:
            found.append(f"{_many(self.broken, 'link')} in '{where}' leading nowhere")
        if self.loose:
            found.append(f"{_many(self.loose, 'picture')} in '{where}' in no class folder, so without a label")
        return found


def is_data(name: str) -> bool:
    """Return whether a file or folder of this name can be data."""
    return not name.startswith(".") and name.lower() not in LEFT_BEHIND


def is_picture(name: str) -> bool:
    """Return whether a file's name is that of a picture that is read."""
    return is_data(name) and Path(name).suffix.lower() in SUFFIXES


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that can be data, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if is_data(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be read ({error.strerror or brief(error)}).") from None


def class_names(folder: Path) -> list[str]:
    """Return the names of the class folders in a folder, sorted by letters."""
    return [entry.name for entry in listing(folder) if entry.is_dir()]


def class_folders(root: Path, classes: Sequence[str]) -> tuple[list[Path], list[int], Skipped]:
    """Return the pictures under ``root/CLASS/`` (any depth), sorted, their labels, and what was left out."""
    paths: list[Path] = []
    labels: list[int] = []
    skipped = Skipped()
    for label, name in enumerate(classes):
        if (root / name).is_dir():
            found = sorted(_pictures(root / name, skipped))
            paths += found
            labels += [label] * len(found)
    skipped.loose = sum(is_picture(entry.name) and entry.is_file() for entry in listing(root))
    return paths, labels, skipped


def pictures(path: Path) -> list[Path]:
    """Return the picture at ``path``, or all those in the folder there and below it, sorted."""
    return sorted(_pictures(path, Skipped())) if path.is_dir() else [path]


def _pictures(folder: Path, skipped: Skipped) -> Iterable[Path]:
    for entry in listing(folder):
        if entry.is_symlink() and not Path(entry.path).exists():
            skipped.broken += 1
        elif entry.is_dir():
            if entry.is_symlink():
                skipped.links += 1
            else:
                yield from _pictures(Path(entry.path), skipped)
        elif is_picture(entry.name) and entry.is_file():
            yield Path(entry.path)
        else:
            skipped.suffixes[Path(entry.name).suffix.lower()] += 1


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
