"""Runs on 600 digits that a study looks into: the network after any epoch, and the same run linearised.

The network is ``convnet`` of width 20 without batch norm (37,930 parameters), so that each image's logits depend on
that image alone in training too; the settings are those of the recipe ``digits_sym40_sop``.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from sparseop.deep import networks
from sparseop.deep.datasets import load
from sparseop.deep.labels import methods, noise
from sparseop.deep.labels.methods import Setting
from sparseop.deep.labels.methods.hooks import CountsEpochs
from sparseop.deep.labels.recipe import Training
from sparseop.deep.training.schedule import rates
from sparseop.study import generator

N, CLASSES, EPOCHS, WIDTH = 600, 10, 60, 20
EARLY = 8  #: the epoch after which the network is linearised
TRAINING = Training(epochs=EPOCHS, batch_size=64, lr=0.05, weight_decay=5e-4, schedule="cosine", eta_min=0.0)
RATES = rates(TRAINING)
SOP = {"lr_u": "auto", "lr_v": "auto", "eps": 1e-8}  #: its options, where they are not the defaults


@dataclass(frozen=True)
class Digits:
    """600 digits to train on, the other 747 training images to choose a weight with, and the 450 test images.

    Attributes
    ----------
    images, given, true : what is trained on: normalised images (N, 1, 8, 8), noisy and true labels (N,).
    others, others_given : images that are not trained on, with noise of the same kind and rate: what a user has for
        choosing.
    test, test_true : test images and their labels.
    """

    images: Tensor
    given: Tensor
    true: Tensor
    others: Tensor
    others_given: Tensor
    test: Tensor
    test_true: Tensor

    @property
    def wrong(self) -> Tensor:
        """Which given labels are wrong, bool (N,)."""
        return self.given != self.true


def digits(kind: str, rate: float, seed: int) -> Digits:
    """Draw the 600 images and the noise; the draw of images does not depend on the noise."""
    data = load("digits")
    assert isinstance(data.train_images, Tensor)
    assert isinstance(data.test_images, Tensor)
    order = torch.from_numpy(generator("small digits", seed).permutation(len(data.train_images)))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    images, test = ((part.float() / 255 - mean) / std for part in (data.train_images[order], data.test_images))
    labels = data.train_labels[order]
    first = noise.corrupt(labels[:N], CLASSES, kind, rate, seed=seed)
    rest = noise.corrupt(labels[N:], CLASSES, kind, rate, seed=seed + 1000)
    return Digits(images[:N], first.given, first.true, images[N:], rest.given, test, data.test_labels)


@dataclass
class Run:
    """A run: what it has learned so far, and what the next epochs need."""

    network: nn.Module
    method: nn.Module
    order: torch.Generator  #: draws each epoch's order of the samples
    epoch: int = 0

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.SGD(
            self.network.parameters(),
            lr=TRAINING.lr,
            momentum=TRAINING.momentum,
            weight_decay=TRAINING.weight_decay,
            nesterov=TRAINING.nesterov,
        )

    def train(self, data: Digits, until: int = EPOCHS) -> "Run":
        """Train up to an epoch and return itself."""
        for batch in self.batches(until):
            loss = self.method(self.network(data.images[batch]), data.given[batch], batch)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        return self

    def batches(self, until: int) -> Iterator[Tensor]:
        """Yield the batches of the epochs up to ``until``, with the optimiser's rate and the method told."""
        for epoch in range(self.epoch, until):
            self.optimiser.param_groups[0]["lr"] = RATES[epoch]
            if isinstance(self.method, CountsEpochs):
                self.method.start_epoch(epoch, EPOCHS)
            yield from torch.randperm(N, generator=self.order).split(TRAINING.batch_size)
        self.epoch = until

    def snapshot(self) -> nn.Module:
        """Return a copy of the network as it is now."""
        return deepcopy(self.network)


def begin(method: str = "sop", *, initial: int, order: int, start: int | None = None, **options: object) -> Run:
    """Return a run that has not begun.

    Parameters
    ----------
    method, options : a method by its name in recipes and what of it differs from its defaults; of "sop" from ``SOP``.
    initial, order, start : seeds of the weights, of the order of the samples, of the method's variables (default:
        ``order``).
    """
    setting = Setting(N, CLASSES, TRAINING.batch_size, RATES)
    default = {key: of.default for key, of in methods.signature(method).parameters.items()}
    chosen = default | (SOP if method == "sop" else {}) | options
    loss = methods.build(
        method, methods.resolve(method, chosen, setting), setting, seed=order if start is None else start
    )
    torch.manual_seed(initial)
    network = networks.build("convnet", CLASSES, 1, width=WIDTH, batch_norm=False)
    return Run(network, loss.train(), torch.Generator().manual_seed(order))


class Linearised:
    """A network that is linear in theta - theta_0 from theta_0 on, trained as ``Run`` trains, without its Jacobian.

    SGD from theta_0 keeps theta in {c theta_0 + J^T a}: c shrinks by weight decay, and a (N, K) takes the gradients in
    the logits. So momentum and decay act on c and a alone, and f = f_0 + (c - 1) J theta_0 + K a, K = J J^T the exact
    tangent kernel.

    Parameters
    ----------
    network : as it is at theta_0.
    kernel : (K, K, N, N), K[a, b, i, j], of the images that are trained on.
    images : (N, ...).
    """

    def __init__(self, network: nn.Module, kernel: Tensor, images: Tensor) -> None:
        parameters = {name: p.detach() for name, p in network.named_parameters()}
        self.at_zero, self.along = jvp(lambda p: functional_call(network, p, (images,)), (parameters,), (parameters,))
        K, _, n, _ = kernel.shape
        self.kernel = kernel.permute(2, 0, 3, 1).reshape(n * K, n * K)
        self.c, self.a = 1.0, torch.zeros(n, K)

    def logits(self) -> Tensor:
        """Return the logits (N, K) of all images."""
        moved = (self.kernel @ self.a.flatten()).view_as(self.a)
        return self.at_zero + (self.c - 1) * self.along + moved

    def train(self, run: Run, data: Digits, until: int = EPOCHS) -> Tensor:
        """Go on with ``run`` in the linear model, its network untouched; return the logits at the end."""
        buffer_c, buffer_a = 0.0, torch.zeros_like(self.a)
        for batch in run.batches(until):
            logits = self.logits()[batch].requires_grad_()
            run.method(logits, data.given[batch], batch).backward()
            assert logits.grad is not None
            step = TRAINING.weight_decay * self.a
            step[batch] += logits.grad
            buffer_a = TRAINING.momentum * buffer_a + step
            buffer_c = TRAINING.momentum * buffer_c + TRAINING.weight_decay * self.c
            rate = run.optimiser.param_groups[0]["lr"]
            self.a -= rate * buffer_a
            self.c -= rate * buffer_c
        return self.logits()


def margin(logits: Tensor, given: Tensor) -> Tensor:
    """Return max_{j != given} f_j - f_given (N,): above 0 where the network prefers another class."""
    at = logits.gather(1, given[:, None])
    return (logits.scatter(1, given[:, None], -torch.inf).amax(1, keepdim=True) - at).squeeze(1)


@torch.no_grad()
def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right predictions in percent."""
    return 100 * float((logits.argmax(1) == labels).double().mean())
