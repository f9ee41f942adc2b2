"""PASCAL VOC's image classification: several classes an image, as the challenge of 2007 distributes them.

::

    VOCdevkit/VOC2007/ImageSets/Main/trainval.txt        lines '000005', the images of a split
    VOCdevkit/VOC2007/ImageSets/Main/dog_trainval.txt    lines '000005 -1': 1 present, -1 absent, 0 only difficult to
                                                         see
    VOCdevkit/VOC2007/Annotations/000005.xml             objects: name, difficult
    VOCdevkit/VOC2007/JPEGImages/000005.jpg

Labels come from the class lists where they are, else from the annotations, which say the same.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import torch
from torch import Tensor

from sparseop.deep.datasets.base import require_root
from sparseop.deep.datasets.files import ImageFiles, read_list, whole_number
from sparseop.errors import InputError, brief

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
HOW = (
    "It holds VOCdevkit/VOC2007 with Annotations, ImageSets and JPEGImages; get VOCtrainval_06-Nov-2007.tar and "
    "VOCtest_06-Nov-2007.tar from http://host.robots.ox.ac.uk/pascal/VOC/voc2007/."
)
LARGEST = 2**20  # bytes of an annotation: the official ones have a few thousand


@dataclass(frozen=True)
class Labelled:
    """Images of a split, and int8 (N, 20): 1 where a class is present, -1 absent, 0 not to be judged."""

    images: ImageFiles
    labels: Tensor


def load_split(root: Path | str | None, split: str, size: int) -> Labelled:
    """Return the images of ``split``, "trainval" or "test", as central squares of ``size``, with their labels.

    ``root`` is VOC2007, VOCdevkit or the folder that holds it.

    Raises
    ------
    InputError : files that are not there, or do not say what they should.
    """
    base = require_root("VOC07", root, HOW)
    folder = next(
        (
            place
            for place in (base, base / "VOC2007", base / "VOCdevkit" / "VOC2007")
            if (place / "ImageSets" / "Main").is_dir()
        ),
        None,
    )
    if folder is None:
        raise InputError(f"VOC07 was not found in '{base}'. {HOW}")
    lists = folder / "ImageSets" / "Main"
    names = [row[0] for row in read_list(lists / f"{split}.txt", 1, "VOC07")]
    if not names:
        raise InputError(f"VOC07: '{lists / f'{split}.txt'}' lists no image.")
    if len(set(names)) != len(names):
        raise InputError(f"VOC07: '{lists / f'{split}.txt'}' lists an image twice.")
    given = [lists / f"{name}_{split}.txt" for name in CLASSES]
    if all(path.is_file() for path in given):
        labels = torch.stack([_class_list(path, names) for path in given], 1)
    else:
        labels = torch.stack([_annotation(folder / "Annotations" / f"{name}.xml") for name in names])
    return Labelled(ImageFiles([folder / "JPEGImages" / f"{name}.jpg" for name in names], size), labels)


def _class_list(path: Path, names: list[str]) -> Tensor:
    rows = {
        name: whole_number(value, f"VOC07: the label of {name!r} in '{path}'")
        for name, value in read_list(path, 2, "VOC07")
    }
    missing = [name for name in names if name not in rows]
    if missing:
        raise InputError(f"VOC07: '{path}' has no line for the image {missing[0]!r} ({len(missing)} are missing).")
    labels = torch.tensor([rows[name] for name in names])
    if bool((labels.abs() > 1).any()):
        raise InputError(f"VOC07: '{path}' must hold 1, 0 and -1, got {int(labels[labels.abs() > 1][0])}.")
    return labels.to(torch.int8)


def _annotation(path: Path) -> Tensor:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"VOC07: the annotation '{path}' has {path.stat().st_size} bytes, which none has.")
        tree = ElementTree.parse(path)  # expat limits how far entities may grow
    except FileNotFoundError:
        raise InputError(f"VOC07: the annotation '{path}' is not there.") from None
    except ElementTree.ParseError as error:
        raise InputError(f"VOC07: the annotation '{path}' is not XML ({brief(error)}).") from None
    labels = torch.full((len(CLASSES),), -1, dtype=torch.int8)
    for found in tree.getroot().iter("object"):
        name = (found.findtext("name") or "").strip()
        if name not in CLASSES:
            raise InputError(f"VOC07: the annotation '{path}' names the class {name!r}, which is none of the 20.")
        difficult = (found.findtext("difficult") or "0").strip() == "1"
        place = CLASSES.index(name)
        labels[place] = max(int(labels[place]), 0 if difficult else 1)
    return labels
