"""The tangent kernel of a network, in blocks: memory for some images' derivatives at a time, never for all of them."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparseop.deep.tangent.derivatives import Factors, Part, derivatives, rows
from sparseop.errors import InputError, fits, instance, integer, positive
from sparseop.files import sha256, write_atomic

GIB = 2**30
TOLERANCE = 1e-3  #: the relative deviation from plain gradients that rounding may explain, in single precision
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TangentKernel:
    """The kernel and how far it can be trusted.

    Attributes
    ----------
    values : (N, M), shared over the classes; or (A, A, N, M) for A given classes: values[a, b, i, j] is the inner
        product of the derivatives of logit a at image i and of logit b at image j. In the network's precision, on the
        processor.
    classes : the given classes, or None where the kernel is shared.
    error : largest deviation from the gradients of ``torch.autograd`` on three of the images, each by itself, relative
        to the largest entry there. An independent route: it holds the formulas, and that images do not act on each
        other.
    missed : |Theta - shared x I|_F / |Theta|_F, Theta the kernel of all pairs of classes on ``missed_on`` of the
        images: what a kernel shared over the classes leaves out. 0 for given classes, which leave nothing out.
    missed_on : how many images that was measured on.
    """

    values: Tensor
    classes: tuple[int, ...] | None
    error: float
    missed: float
    missed_on: int


def tangent_kernel(
    network: nn.Module,
    images: Tensor,
    other: Tensor | None = None,
    *,
    classes: Sequence[int] | None = None,
    directions: int | None = None,
    memory: float = 1.0,
    file: Path | str | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> TangentKernel:
    """Return the tangent kernel J J^T of a network in evaluation mode.

    J is the derivative of the logits in the trainable parameters. Time grows as N M times the number of parameters
    times the number of directions; the derivatives of one block of images are kept and those of the others made again
    for each block, so that ``memory`` GiB suffice, and N M numbers for the result.

    Parameters
    ----------
    network : maps images (B, ...) to logits (B, K). Dense, convolutional and all other layers that are modules of one
        tensor; its mode is put back afterwards.
    images : (N, ...), as the network takes them: normalised, in its precision.
    other : (M, ...), for the kernel between ``images`` and these; default: the images themselves.
    classes : for the exact kernel of all pairs of these classes, (A, A, N, M). Default: one kernel shared by all
        classes, (1/K) sum_c <df_c(x_i), df_c(x_j)>, as for logits that learn independently of each other.
    directions : for the shared kernel, take the mean over this many random orthonormal directions in the space of the
        logits instead of over all K classes: its mean over draws is the same, and it costs ``directions`` / K of the
        time.
    memory : GiB for derivatives, beside the result.
    file : where the result is kept while it grows (.npy, beside it .json); the same call goes on where it was
        interrupted.
    watch : called with (rows finished, N) after each block.

    Raises
    ------
    InputError
        for a network without trainable parameters, or whose derivatives cannot be had layer by layer (tied or bare
        parameters; images that act on each other, as in batch norm without running statistics); for images that are not
        finite; for a result that memory cannot hold; for a file that holds another kernel.
    """
    instance("network", network, nn.Module)
    _check_images("images", images)
    second = images if other is None else other
    if other is not None:
        _check_images("other", other)
    positive("memory", memory)
    if not any(p.requires_grad for p in network.parameters()):
        raise InputError("network must have trainable parameters, and none of its parameters requires a gradient.")
    with evaluation(network):
        K = _classes_of(network, images)
        shared = classes is None
        if classes is not None:
            if directions is not None:
                raise InputError("directions must be None where classes are given: those are computed exactly.")
            chosen = tuple(integer("classes", c, 0, K - 1, why="the last class") for c in classes)
            if not chosen:
                raise InputError("classes must not be empty; leave it out for the kernel shared over the classes.")
        vectors = _directions(network, K, None if classes is None else chosen, directions)
        error = _deviation(network, images, vectors)
        if not error <= TOLERANCE:
            raise InputError(
                "the network's derivatives cannot be had layer by layer and image by image: they deviate from plain "
                f"gradients by {error:.1e} of the largest; parameters used outside of their own module or tied, or "
                "images that act on each other, would do that."
            )
        block = _Blocks(network, vectors, shared, memory * GIB)
        store = _Store(block, images, second, file)
        values = store.values
        N, M = len(images), len(second)
        step = block.fitting(images, N)
        log.info(
            "the kernel takes %.3g GiB, the derivatives of %d images at a time %.3g GiB",
            values.nbytes / GIB,
            step,
            step * block.per_image / GIB,
        )
        for start in range(store.done, N, step):
            stop = min(start + step, N)
            here = block.held(images[start:stop])
            first = start if other is None else 0  # symmetric: what lies below is known
            for low in range(first, M, block.chunk):
                high = min(low + block.chunk, M)
                if other is None and high <= stop:
                    there = [rows(part, slice(low - start, high - start)) for part in here]
                else:
                    there = block.of(second[low:high])
                values[..., start:stop, low:high] = block.product(here, there)
            if other is None:
                lower = values[..., start:stop, stop:].transpose(-1, -2)
                values[..., stop:, start:stop] = lower if shared else lower.transpose(0, 1)
            store.keep(stop)
            if watch is not None:
                watch(stop, N)
        missed, on = (0.0, 0) if not shared else _missed(block, images, K)
    return TangentKernel(values, None if classes is None else chosen, error, missed, on)


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its modules back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Blocks:
    """Derivatives of chunks of images and their products, within a limit of memory."""

    def __init__(self, network: nn.Module, directions: Tensor, shared: bool, limit: float) -> None:
        self.network, self.directions, self.shared, self.limit = network, directions, shared, limit
        self.per_image, self.chunk = 0, 1

    def fitting(self, images: Tensor, most: int) -> int:
        """Measure one image's derivatives; return how many images' fit; set ``chunk``, how many are made at once."""
        parts = self.of(images[:1])
        self.per_image = sum(t.nbytes for part in parts for t in part.tensors)
        self.chunk = max(1, min(64, most, int(0.1 * self.limit / self.per_image)))
        fitting = int(0.6 * self.limit / self.per_image)
        if fitting < 1:
            raise InputError(
                f"memory must be at least {self.per_image / 0.6 / GIB:.3g} GiB, for the derivatives of one image, got "
                f"{self.limit / GIB:.3g}."
            )
        return min(fitting, most)

    def of(self, images: Tensor) -> list[Part]:
        """Return the derivatives of a chunk."""
        place = next(self.network.parameters()).device
        return derivatives(self.network, images.to(place), self.directions, shared=self.shared)

    def held(self, images: Tensor) -> list[Part]:
        """Return the derivatives of a block, made chunk by chunk."""
        whole: list[Part] = []
        for low in range(0, len(images), self.chunk):
            parts = self.of(images[low : low + self.chunk])
            if not whole:
                whole = [type(p)(tuple(t.new_empty(len(images), *t.shape[1:]) for t in p.tensors)) for p in parts]
            for into, part in zip(whole, parts, strict=True):
                for target, t in zip(into.tensors, part.tensors, strict=True):
                    target[low : low + len(t)] = t
        return whole

    def product(self, here: list[Part], there: list[Part]) -> Tensor:
        """Return the kernel of two blocks, on the processor; for the shared one the mean over the directions."""
        A = len(self.directions)
        total: Tensor | None = None
        for first, second in zip(here, there, strict=True):
            found = self._product(first, second)
            total = found if total is None else total.add_(found)
        assert total is not None
        return (total / A if self.shared else total).cpu()

    def _product(self, first: Part, second: Part) -> Tensor:
        if not isinstance(first, Factors):
            return first.product(second, shared=self.shared)
        each = first.of_pair * len(second.tensors[0]) * first.tensors[0].element_size()
        step = max(1, int(min(0.1 * self.limit, 2**26) / each))
        starts = range(0, len(first.tensors[0]), step)
        return torch.cat([rows(first, slice(n, n + step)).product(second, shared=self.shared) for n in starts], -2)


class _Store:
    """The result while it grows: in memory, or in a file that a later call goes on with."""

    def __init__(self, block: _Blocks, images: Tensor, other: Tensor, file: Path | str | None) -> None:
        A = len(block.directions)
        shape = (len(images), len(other)) if block.shared else (A, A, len(images), len(other))
        self.done = 0
        self.file = None if file is None else Path(file)
        if self.file is None:
            fits(f"a tangent kernel of {' x '.join(map(str, shape))}", math.prod(shape), itemsize=images.element_size())
            self.values = torch.zeros(shape, dtype=images.dtype)
            return
        if self.file.suffix != ".npy":
            raise InputError(f"file must end in .npy, got '{self.file}'.")
        self.digest = _digest(block, images, other)
        record = self.file.with_suffix(".json")
        if self.file.exists() or record.exists():
            self.done = self._found(record)
            self.values = torch.from_numpy(np.lib.format.open_memmap(self.file, "r+"))
        else:
            kind = torch.empty(0, dtype=images.dtype).numpy().dtype
            self.values = torch.from_numpy(np.lib.format.open_memmap(self.file, "w+", dtype=kind, shape=shape))
            self.keep(0)

    def keep(self, done: int) -> None:
        """Record that the rows before ``done`` are finished."""
        if self.file is not None:
            content = json.dumps({"kernel_of_sha256": self.digest, "rows_finished": done}, indent=1) + "\n"
            write_atomic(self.file.with_suffix(".json"), content.encode())

    def _found(self, record: Path) -> int:
        try:
            about = json.loads(record.read_text())
            done = int(about["rows_finished"]) if about["kernel_of_sha256"] == self.digest else None
        except (OSError, ValueError, KeyError, TypeError):
            done = None
        if done is None or not Path(str(self.file)).exists():
            raise InputError(
                f"'{self.file}' is not this kernel's: '{record.name}' beside it does not name the same network, images "
                "and options."
            )
        return done


def _digest(block: _Blocks, images: Tensor, other: Tensor) -> str:
    tensors = [*block.network.state_dict().values(), images, other, block.directions]
    trainable = [name for name, p in block.network.named_parameters() if p.requires_grad]
    parts = [sha256(t.detach().cpu().contiguous().view(-1).numpy().tobytes()) for t in tensors]
    return sha256(json.dumps([parts, trainable, block.shared, str(images.dtype), repr(block.network)]).encode())


def _check_images(name: str, images: Any) -> None:
    instance(name, images, Tensor)
    if images.ndim < 2 or not len(images) or not images.is_floating_point():
        raise InputError(
            f"{name} must be a tensor (N, ...) of real numbers, N >= 1, got {images.dtype} of shape "
            f"{tuple(images.shape)}."
        )
    if not images.isfinite().all():
        raise InputError(f"{name} must be finite, and an entry is not.")


def _classes_of(network: nn.Module, images: Tensor) -> int:
    with torch.no_grad():
        try:
            logits = network(images[:1].to(next(network.parameters()).device))
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(
                f"network must take one image of shape {tuple(images.shape[1:])} by itself, and it does not: {reason}"
            ) from None
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"network must return logits (B, K), got {shape}.")
    return logits.shape[1]


def _directions(network: nn.Module, K: int, classes: tuple[int, ...] | None, count: int | None) -> Tensor:
    """Return the directions (A, K) in the space of the logits whose derivatives are taken."""
    parameter = next(network.parameters())
    if classes is not None:
        found = torch.eye(K)[list(classes)]
    elif count is None:
        found = torch.eye(K)
    else:
        integer("directions", count, 1, K, why="the number of classes")
        draw = torch.randn(K, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found = torch.linalg.qr(draw).Q[:, :count].T
    return found.to(parameter)


def _deviation(network: nn.Module, images: Tensor, directions: Tensor) -> float:
    """Return how far kernel and plain gradients differ on three single images, relative to the largest entry."""
    some = images[sorted({0, len(images) // 2, len(images) - 1})].to(directions.device)
    parameters = [p for p in network.parameters() if p.requires_grad]
    plain = torch.zeros(len(some), len(some), dtype=torch.float64)
    for direction in directions:
        rows = []
        for image in some:
            value = (network(image[None]) @ direction).sum()
            grads = torch.autograd.grad(value, parameters, materialize_grads=True)
            rows.append(torch.cat([g.flatten() for g in grads]))
        G = torch.stack(rows)
        plain += (G @ G.T).double().cpu()
    parts = derivatives(network, some, directions, shared=True)
    found = sum(part.product(part, shared=True).double().cpu() for part in parts)
    return float((found - plain).abs().max() / plain.abs().max().clamp(min=torch.finfo(torch.float64).tiny))


def _missed(block: _Blocks, images: Tensor, K: int) -> tuple[float, int]:
    count = min(len(images), max(8, 640 // K))
    some = images[torch.linspace(0, len(images) - 1, count).long()]  # spread over the set: sets may be sorted
    exact = _Blocks(block.network, torch.eye(K).to(block.directions), False, block.limit)
    exact.chunk = block.chunk
    whole = exact.product(parts := exact.held(some), parts)
    shared = block.product(parts := block.held(some), parts)
    eye = torch.eye(K, dtype=whole.dtype)
    left = whole - eye[:, :, None, None] * shared
    return float(left.norm() / whole.norm()), count
