"""What a run thinks of each training label, in files that people open: ``suspects.csv`` and ``labels.csv``.

``suspects.csv`` ranks all training samples, the most suspicious first. ``labels.csv`` holds a label for every sample,
the proposed one where the given is more likely wrong than right, and trains again: as the data set "csv" where images
have paths, and as ``noise.path`` in any case.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparseop.deep.training.samples import Samples
from sparseop.files import write_atomic

SUSPECTS, LABELS = "suspects.csv", "labels.csv"
WRONG = 0.5  #: suspicion above which the given label is more likely wrong than right


def write(folder: Path, samples: Samples, arrays: dict[str, Tensor]) -> None:
    """Write both files; ``arrays`` are the run's of one entry a sample that trained, as in samples.npz."""
    dataset, names = samples.dataset, samples.dataset.classes
    key = "path" if dataset.train_names else "index"

    def called(place: int) -> str | int:
        return dataset.train_names[place] if dataset.train_names else place

    index, suspicion = arrays["index"].tolist(), arrays["suspicion"].tolist()
    given, proposed, predicted = (arrays[name].tolist() for name in ("given", "proposed", "predicted"))
    p_given = arrays["p_given"].tolist()
    # of equally suspicious ones the one whose label the network finds less likely comes first
    order = sorted(range(len(index)), key=lambda i: (-suspicion[i], p_given[i], index[i]))
    rows = (
        (
            called(index[i]),
            names[given[i]],
            names[proposed[i]],
            f"{suspicion[i]:.4f}",
            names[predicted[i]],
            f"{p_given[i]:.4f}",
        )
        for i in order
    )
    _write(folder / SUSPECTS, (key, "given", "proposed", "suspicion", "predicted", "p_given"), rows)

    labels = corrected(samples.labels.given, arrays).tolist()
    table: list[Sequence[Any]] = [(called(place), names[label]) for place, label in enumerate(labels)]
    if dataset.train_names:
        tests = zip(dataset.test_names, dataset.test_labels.tolist(), strict=True)
        table = [(*row, "train") for row in table] + [(name, names[label], "test") for name, label in tests]
    _write(folder / LABELS, (key, "label", "split")[: len(table[0])], table)


def corrected(given: Tensor, arrays: dict[str, Tensor]) -> Tensor:
    """Return the labels (N,) with the proposed one where the given is more likely wrong than right."""
    wrong = arrays["suspicion"] > WRONG
    labels: Tensor = given.clone()
    labels[arrays["index"][wrong]] = arrays["proposed"][wrong].to(torch.int64)
    return labels


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))
