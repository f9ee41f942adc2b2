"""Does SANE's S+ exist in a real network's Jacobian? The spectrum, and where clean and wrong labels lie.

    python -m deep.refinery_network            train, take kernels, draw (five minutes on one idle core)
    python -m deep.refinery_network --redraw   draw the committed numbers

SANE's theory (section 3.1, appendix D) has clusters of crops and a Jacobian that is large on S+, the vectors that are
constant on each cluster, and small on its complement S-. So clean labels, which lie in S+, are learnt fast, and the
part of wrong labels in S- slowly. Here the clusters are 60 images of digits or painted shapes, ten shifted crops of
each, the network is ``convnet`` without batch norm, and J J^T its tangent kernel shared over the classes, at
initialisation and after eight epochs of cross-entropy on the noisy labels. In the theory ``minus_max`` is far below
``plus_min``.
"""

import sys

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparseop import plotting, study
from sparseop.deep import networks
from sparseop.deep.datasets import load
from sparseop.deep.tangent import tangent_kernel
from sparseop.study import Row, Study, generator

CLUSTERS, CROPS, RHO, EPOCHS, WIDTH = 60, 10, 0.3, 8, 20
DATA = ("digits", "shapes")
SHIFTS = (0, 1, 2)  #: pixels that a crop moves at most: 0 gives equal crops, the theory's eps = 0
SHOWN = 130  #: leading eigenvalues in the table


def crops(data: str, shift: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the crops (n, C, H, W), normalised, cluster after cluster, and the clusters' classes (CLUSTERS,)."""
    whole = load(data)
    assert isinstance(whole.train_images, Tensor)
    random = generator("refinery network", data, shift, seed)
    chosen = random.choice(len(whole.train_images), CLUSTERS, replace=False)
    mean, std = (torch.tensor(values)[:, None, None] for values in (whole.mean, whole.std))
    images = (whole.train_images[torch.from_numpy(chosen)].float() / 255 - mean) / std
    moved = [
        torch.roll(image, tuple(int(step) for step in random.integers(-shift, shift + 1, 2)), (1, 2))
        for image in images
        for _ in range(CROPS)
    ]
    return torch.stack(moved), whole.train_labels[torch.from_numpy(chosen)]


def cell(data: str, shift: int, seed: int) -> list[Row]:
    """Return spectrum and alignments at both moments."""
    torch.set_num_threads(1)
    images, classes = crops(data, shift, seed)
    labels = classes.repeat_interleave(CROPS)
    random = generator("refinery network", "noise", data, shift, seed)
    wrong = torch.from_numpy(random.permutation(len(labels)) < RHO * len(labels))
    given = torch.where(wrong, (labels + torch.from_numpy(random.integers(1, 10, len(labels)))) % 10, labels)
    torch.manual_seed(seed)
    network = networks.build("convnet", 10, images.shape[1], width=WIDTH, batch_norm=False)
    rows = [_measured("start", network, images, labels, given)]
    _train(network, images, given, seed)
    return [row for moment in (*rows, _measured("early", network, images, labels, given)) for row in moment]


def _measured(moment: str, network: nn.Module, images: Tensor, labels: Tensor, given: Tensor) -> list[Row]:
    K = tangent_kernel(network, images).values.double().numpy()
    n = len(K)
    K *= n / np.trace(K)
    plus = np.kron(np.eye(CLUSTERS), np.ones((CROPS, 1)) / np.sqrt(CROPS))  # a basis of S+
    values, vectors = np.linalg.eigh(K)
    values, leading = values[::-1], vectors[:, ::-1][:, :CLUSTERS]
    minus = np.linalg.qr(np.hstack([plus, np.eye(n)]))[0][:, CLUSTERS:n]
    clean, noisy = np.eye(10)[labels.numpy()], np.eye(10)[given.numpy()]
    noise = noisy - clean
    summary: Row = {
        "moment": moment,
        "plus_min": float(np.linalg.eigvalsh(plus.T @ K @ plus)[0]),
        "plus_median": float(np.median(np.linalg.eigvalsh(plus.T @ K @ plus))),
        "minus_max": float(np.linalg.eigvalsh(minus.T @ K @ minus)[-1]),
        "plus_in_leading": float(np.sum((leading.T @ plus) ** 2) / CLUSTERS),
        "clean_in_plus": float(np.sum((plus.T @ clean) ** 2) / np.sum(clean**2)),
        "noise_in_plus": float(np.sum((plus.T @ noise) ** 2) / np.sum(noise**2)),
        "clean_in_leading": float(np.sum((leading.T @ clean) ** 2) / np.sum(clean**2)),
        "noise_in_leading": float(np.sum((leading.T @ noise) ** 2) / np.sum(noise**2)),
    }
    return [{**summary, "number": i + 1, "eigenvalue": float(values[i])} for i in range(SHOWN)]


def _train(network: nn.Module, images: Tensor, given: Tensor, seed: int) -> None:
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    shuffle = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=shuffle).split(64):
            optimiser.zero_grad()
            cross_entropy(network(images[batch]), given[batch]).backward()
            optimiser.step()


def draw(table: pd.DataFrame) -> Figure:
    """Draw the leading spectrum for each shift, data after data."""
    figure = Figure(figsize=(10.5, 4.4))
    for axis, data in zip(figure.subplots(1, 2, sharey=True), DATA, strict=True):
        rows = table[(table["data"] == data) & (table["moment"] == "early")]
        for (shift, part), color, dash in zip(rows.groupby("shift"), plotting.COLORS, plotting.DASHES, strict=False):
            spectrum = part.groupby("number")["eigenvalue"].median()
            label = "equal crops" if shift == 0 else f"moved by up to {shift} pixel{'s' * (shift > 1)}"
            axis.plot(spectrum.index, spectrum.clip(lower=1e-6), color=color, linestyle=dash, label=label)
        axis.axvline(CLUSTERS, color=plotting.GREY, linewidth=1)
        axis.text(CLUSTERS + 1.5, 2e2, "number of clusters", fontsize=9)
        axis.set(yscale="log", ylim=(1e-4, 1e3), title=data, xlabel="number of the eigenvalue")
    figure.axes[0].set_ylabel("eigenvalue of $J J^T$ (mean 1)")
    figure.axes[0].legend(loc="lower left")
    plotting.caption(
        figure,
        f"Tangent kernel after {EPOCHS} epochs, {CLUSTERS} images, {CROPS} crops each, median of "
        f"{table['seed'].nunique()} seeds. SANE's theory has a gap behind the number of clusters.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the alignments, means over seeds."""
    once = table[table["number"] == 1].drop(columns=["number", "eigenvalue", "seed"])
    return {"": once.groupby(["data", "shift", "moment"], sort=False).mean().reset_index()}


def _grid(seeds: tuple[int, ...]) -> list[Row]:
    return [{"data": data, "shift": shift, "seed": seed} for seed in seeds for data in DATA for shift in SHIFTS]


STUDIES = (
    Study(
        name="refinery_network",
        cell=cell,
        grids={"paper": _grid((0, 1, 2)), "quick": _grid((0,))},
        draw=draw,
        tables=tables,
        packages=("torch",),
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.refinery_network"))
