r"""What frozen features are worth: nearest neighbours, and a linear classifier on top of them.

Features are (N, D) of any floating type and on any device, labels int64 (N,) beside them; results are shares of the
test samples in [0, 1]. Nothing here trains a backbone or draws an augmentation: ``trained.linear`` does both for a run.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparseop.deep.training.metrics import accuracy
from sparseop.deep.training.schedule import Schedule
from sparseop.deep.training.schedule import rates as rates_of
from sparseop.deep.training.schema import MOST_EPOCHS, SINGLE
from sparseop.errors import InputError, between, choice, integer, nonnegative, positive

MOCO_KNN = (200, 0.1)  #: k and temperature of the monitor in MoCo's CIFAR demo, and of lightly's tables
SANE_KNN = (50, 0.05)  #: those of SANE's paper
MEMORY = (
    2**26
)  #: bytes of similarities held at once on a processor; 32 times as many on a device, where the bank is read for each
PREDICTED = 8192  #: rows classified at once

Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
State = dict[str, Any]


def knn(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    classes: int,
    k: int = 200,
    temperature: float = 0.1,
) -> float:
    r"""Return the accuracy of a vote of the k nearest training samples in angle, with weights exp(cos / temperature).

    Wu et al. 2018, arXiv:1805.01978, section 3.4. Similarities are held ``MEMORY`` bytes at a time (32 times as many on
    a device), however many there are. Of classes with equal votes the first counts.

    Raises
    ------
    InputError : lengths that differ, features that are not finite, labels not in 0..classes-1, k above the number of
        training samples.
    """
    _check(train_features, train_labels, "train", classes)
    _check(test_features, test_labels, "test", classes)
    if train_features.shape[1] != test_features.shape[1]:
        raise InputError(
            f"train and test features must have the same width, got {train_features.shape[1]} and"
            f" {test_features.shape[1]}."
        )
    integer("k", k, 1, len(train_features), why="number of training samples")
    positive("temperature", temperature)
    bank = functional.normalize(train_features.float()).T
    right = torch.zeros((), dtype=torch.int64, device=test_features.device)
    budget = MEMORY if train_features.device.type == "cpu" else 32 * MEMORY
    rows = max(1, budget // (4 * len(train_features)))
    for features, labels in zip(torch.split(test_features, rows), torch.split(test_labels, rows), strict=True):
        nearest, index = (functional.normalize(features.float()) @ bank).topk(k, 1)
        weights = (
            (nearest - nearest[:, :1]) / temperature
        ).exp()  # relative to the nearest: small temperatures overflow nothing
        votes = torch.zeros(len(features), classes, device=features.device).scatter_add_(
            1, train_labels[index], weights
        )
        right += (votes.argmax(1) == labels).sum()
    return float(right) / len(test_labels)


def linear_probe(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    classes: int,
    *,
    solver: Literal["ridge", "sgd", "adam"] = "ridge",
    penalty: float = 0.01,
    lr: float = 0.0,
    epochs: int = 100,
    batch: int = 256,
    schedule: Literal["", "step", "cosine", "constant"] = "",
    seed: int = 0,
) -> float:
    r"""Return the test accuracy of a linear classifier trained on the features.

    ``solver`` is "ridge": min |X W + 1 b^T - Y|^2 / n + penalty |W|^2 in closed form, Y one-hot, X standardised by the
    training features (no draw, no rate to choose); or a gradient method on the cross-entropy of features as they are:

    ========  ========  ==================================================================  ==========================
    solver    lr 0 is   what                                                                schedule "" is
    ========  ========  ==================================================================  ==========================
    sgd       30        momentum 0.9, no decay; MoCo's protocol for ImageNet. SANE's: 10    "step": a tenth after 60 %
                        and "cosine"                                                        and 80 % of the epochs
    adam      0.01      no decay; SANE's for CIFAR-10, 200 epochs                           "constant"
    ========  ========  ==================================================================  ==========================

    Raises
    ------
    InputError : as ``knn``, or an option out of range.
    """
    _check(train_features, train_labels, "train", classes)
    _check(test_features, test_labels, "test", classes)
    choice("solver", solver, ("ridge", "sgd", "adam"))
    if solver == "ridge":
        weights, offset = ridge(train_features, functional.one_hot(train_labels, classes).double(), penalty)
        logits = torch.cat([part.double() @ weights + offset for part in torch.split(test_features, PREDICTED)])
        return accuracy(logits, test_labels)
    generator = torch.Generator().manual_seed(integer("seed", seed, 0))
    integer("batch", batch, 1)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        del epoch
        order = torch.randperm(len(train_labels), generator=generator).to(train_labels.device)
        for index in torch.split(order, batch):
            yield train_features[index].float(), train_labels[index]

    head = train_head(
        batches,
        train_features.shape[1],
        classes,
        solver=solver,
        lr=lr,
        epochs=epochs,
        schedule=schedule,
        device=train_features.device,
    )
    with torch.no_grad():
        return accuracy(torch.cat([head(part.float()) for part in torch.split(test_features, PREDICTED)]), test_labels)


def ridge(features: Tensor, targets: Tensor, penalty: float = 0.01) -> tuple[Tensor, Tensor]:
    r"""Return W (D, K) and b (K,), float64, of ridge regression on standardised features, for features as they are.

    With Z the features (n, D), each column centred and divided by its standard deviation s (constant columns are left
    out), and Y the centred targets: V = (Z^T Z + n penalty I)^-1 Z^T Y = Z^T (Z Z^T + n penalty I)^-1 Y, whichever
    system is smaller; W = V / s and b = mean(Y) - mean(X) W.
    """
    nonnegative("penalty", penalty)
    n, width = features.shape
    x, y = features.double(), targets.double()
    centre, level = x.mean(0), y.mean(0)
    spread = x.std(0, correction=0)
    moving = spread > 1e-8 * centre.abs().clamp(min=1e-30)
    z = (x - centre) * torch.where(moving, 1 / spread.clamp(min=1e-300), 0.0)
    weight = n * max(penalty, 1e-12)  # 0 would leave a system without solution where columns depend on each other
    if width <= n:
        system, right = z.T @ z, z.T @ (y - level)
        v = torch.linalg.solve(system + weight * torch.eye(width, dtype=x.dtype, device=x.device), right)
    else:
        v = z.T @ torch.linalg.solve(z @ z.T + weight * torch.eye(n, dtype=x.dtype, device=x.device), y - level)
    w = v * torch.where(moving, 1 / spread.clamp(min=1e-300), 0.0)[:, None]
    return w, level - centre @ w


def train_head(
    batches: Batches,
    width: int,
    classes: int,
    *,
    solver: str = "sgd",
    lr: float = 0.0,
    epochs: int = 100,
    schedule: str = "",
    device: torch.device | str = "cpu",
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    after: Callable[[int, float, State], None] | None = None,
    begun: State | None = None,
) -> nn.Linear:
    """Return a linear layer trained on ``batches(epoch)``, epochs counted from 0.

    Features (B, width) and what ``loss`` compares with.

    Weights begin as N(0, 0.01^2), offsets as 0, as in MoCo, from a generator of fixed seed. Rates change once an epoch.
    ``after`` each epoch is told its number, its mean loss and the state to go on from, which ``begun`` takes. Other
    options are those of ``linear_probe``.

    Raises
    ------
    InputError : an option out of range; weights that are not finite any more.
    """
    choice("solver", solver, ("sgd", "adam"))
    between("lr", lr, 0, SINGLE[1], ends="[]")
    integer("epochs", epochs, 1, MOST_EPOCHS)
    kind = choice("schedule", schedule or ("step" if solver == "sgd" else "constant"), ("step", "cosine", "constant"))
    head = nn.Linear(width, classes, device="meta").to_empty(device="cpu")  # draws nothing from the global generator
    with torch.no_grad():
        head.weight.copy_(0.01 * torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(0)))
        head.bias.zero_()
    head = head.to(device)
    sgd = solver == "sgd"
    optimiser = (
        torch.optim.SGD(head.parameters(), lr or 30.0, momentum=0.9)
        if sgd
        else torch.optim.Adam(head.parameters(), lr or 0.01)
    )
    first = optimiser.param_groups[0]["lr"]
    falls = (round(0.6 * epochs), round(0.8 * epochs))
    rates = rates_of(Schedule(epochs, first, kind, milestones=falls))
    if begun is not None:
        head.load_state_dict(begun["head"])
        optimiser.load_state_dict(begun["optimiser"])
    for epoch in range(0 if begun is None else begun["epoch"], epochs):
        optimiser.param_groups[0]["lr"] = rates[epoch]
        total, count = torch.zeros((), device=device), 0
        for features, targets in batches(epoch):
            value = loss(head(features), targets)
            optimiser.zero_grad()
            torch.autograd.backward(value)
            optimiser.step()
            total, count = total + value.detach(), count + 1
        if not all(bool(torch.isfinite(p).all()) for p in head.parameters()):
            raise InputError(
                f"the linear classifier's weights are not finite after epoch {epoch + 1}; a smaller lr than {first:g}"
                " is needed."
            )
        if after is not None:
            after(
                epoch,
                float(total) / max(count, 1),
                {"epoch": epoch + 1, "head": head.state_dict(), "optimiser": optimiser.state_dict()},
            )
    return head


def _check(features: Tensor, labels: Tensor, part: str, classes: int) -> None:
    integer("classes", classes, 2)
    if features.ndim != 2 or not features.dtype.is_floating_point or not len(features):
        raise InputError(
            f"{part} features must be floating point of shape (N, D) with N > 0, got {features.dtype}"
            f" {tuple(features.shape)}."
        )
    if labels.shape != features.shape[:1] or labels.dtype != torch.int64:
        raise InputError(
            f"{part} labels must be int64 of shape ({len(features)},), got {labels.dtype} {tuple(labels.shape)}."
        )
    if not bool(torch.isfinite(features).all()):
        raise InputError(
            f"{part} features must be finite; row {int((~torch.isfinite(features)).any(1).nonzero()[0])} is not."
        )
    if bool(((labels < 0) | (labels >= classes)).any()):
        raise InputError(f"{part} labels must lie in 0..{classes - 1}, got {int(labels.min())} to {int(labels.max())}.")
