r"""The derivatives of logits in each layer's parameters, image by image, in the cheaper of two forms.

A dense or convolutional layer computes z_t = W a_t + b at each of its T positions (one, for a dense layer on vectors).
For image i and direction g in the space of the logits, with delta_t = d(g . f)/dz_t and a_t extended by a 1 where there
is a bias,

    d(g . f)/d(W, b) = sum_t delta_t a_t^T,

so the inner product of two images' derivatives has two forms::

    <G_i, G_j>                   "gradient": A q o numbers an image           (A directions, q inputs, o outputs)
    sum_tt' (delta_t . delta'_t') (a_t . a'_t')
                                 "factors": T (q + A o) numbers an image; the products of inputs serve all directions

The second wins where T is small: the last layers, which hold most parameters (Novak, Sohl-Dickstein and Schoenholz,
ICML 2022, arXiv:2206.08720, compare such forms). Every other layer (batch norm in evaluation mode, grouped
convolutions, whatever else is a module with parameters of its own) gives its gradients by automatic differentiation of
that layer alone, which is exact too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn import functional

from sparseop.errors import InputError

#: what an entry of a product of factors costs beside its multiplications, in multiplications: it is written and read
#: once more
_TRAFFIC = 16


@dataclass(frozen=True)
class Layer:
    """A module with parameters of its own, and the calls that a forward pass made of it."""

    name: str
    module: nn.Module
    calls: list[tuple[Tensor, Tensor]]  #: input (B, ...) and output (B, ...), the output in the graph


@dataclass(frozen=True)
class Gradients:
    """One layer's derivatives for some images, in full: ``tensors`` is ((B, A, P),)."""

    tensors: tuple[Tensor, ...]

    def product(self, other: "Part", *, shared: bool) -> Tensor:
        """Return the inner products: the sum over equal directions (B, B'), or all of them (A, A, B, B')."""
        g, h = self.tensors[0], other.tensors[0]
        if shared:
            return g.flatten(1) @ h.flatten(1).T
        (B, A, _), C = g.shape, len(h)
        whole = g.transpose(0, 1).flatten(0, 1) @ h.transpose(0, 1).flatten(0, 1).T
        return whole.view(A, B, A, C).transpose(1, 2)


@dataclass(frozen=True)
class Factors:
    """The same as sums over T positions of outer products: ``tensors`` is inputs (B, T, q), outputs (B, A, T, o)."""

    tensors: tuple[Tensor, ...]

    @property
    def of_pair(self) -> int:
        """How many numbers a product holds for each pair of images while it is made."""
        return 3 * self.tensors[0].shape[1] ** 2

    def product(self, other: "Part", *, shared: bool) -> Tensor:
        """Return what ``Gradients.product`` does."""
        (a, d), (b, e) = self.tensors, other.tensors
        (B, T, _), C, A = a.shape, len(b), d.shape[1]
        of_inputs = (a.flatten(0, 1) @ b.flatten(0, 1).T).view(B, T, C, T)
        if shared:
            d, e = (p.transpose(1, 2).flatten(2).flatten(0, 1) for p in (d, e))  # (B T, A o)
            return (of_inputs * (d @ e.T).view(B, T, C, T)).sum((1, 3))
        found = of_inputs.new_empty(A, A, B, C)
        for m in range(A):
            for n in range(A):
                of_outputs = d[:, m].flatten(0, 1) @ e[:, n].flatten(0, 1).T
                found[m, n] = (of_inputs * of_outputs.view(B, T, C, T)).sum((1, 3))
        return found


Part = Gradients | Factors


def rows(part: Part, images: slice) -> Part:
    """Return the part of these images."""
    return type(part)(tuple(t[images] for t in part.tensors))


def derivatives(network: nn.Module, images: Tensor, directions: Tensor, *, shared: bool) -> list[Part]:
    """Return the derivatives of ``directions`` (A, K) times the logits, a ``Part`` a layer.

    The network must be in evaluation mode; ``shared`` says which products will be taken: the sum over equal directions,
    or all pairs of directions.
    """
    with _Recorded(network) as layers:
        logits = network(images)
    calls = [(layer, number) for layer in layers for number in range(len(layer.calls))]
    outputs = [layer.calls[number][1] for layer, number in calls]
    found: list[tuple[Tensor, ...]] = []
    for number, direction in enumerate(directions):
        grads = torch.autograd.grad(
            logits @ direction,
            outputs,
            torch.ones_like(logits[:, 0]),
            retain_graph=number + 1 < len(directions),
            materialize_grads=True,
        )
        found.append(grads)
    deltas = [torch.stack(of_call, 1) for of_call in zip(*found, strict=True)]  # (B, A, ...) for each call
    parts: dict[str, Part] = {}
    for (layer, number), delta in zip(calls, deltas, strict=True):
        part = _part(layer.module, layer.calls[number][0], delta, shared=shared, alone=len(layer.calls) == 1)
        if layer.name in parts:  # a layer that is used again: its derivatives add up
            part = Gradients((parts[layer.name].tensors[0] + part.tensors[0],))
        parts[layer.name] = part
    return list(parts.values())


class _Recorded:
    """Keep input and output of every call of a module with trainable parameters of its own, while the block runs."""

    def __init__(self, network: nn.Module) -> None:
        self.layers = [Layer(name, module, []) for name, module in network.named_modules() if _own(module)]
        self.handles: list[Any] = []

    def __enter__(self) -> list[Layer]:
        self.handles = [layer.module.register_forward_hook(_keep(layer)) for layer in self.layers]
        return self.layers

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def _keep(layer: Layer) -> Callable[[nn.Module, Any, Any], Tensor]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        del module
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or not isinstance(output, Tensor):
            raise InputError(
                f"the layer {layer.name or 'network'!r} ({type(layer.module).__name__}) must take one tensor and "
                "return one."
            )
        output = output if output.requires_grad else output.detach().requires_grad_()
        layer.calls.append((inputs[0].detach().clone(), output))  # a clone: what follows may work in place
        passed: Tensor = output.clone()
        return passed

    return hook


def _own(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters that belong to the module itself."""
    return {name: p for name, p in module.named_parameters(recurse=False) if p.requires_grad}


def _part(module: nn.Module, x: Tensor, delta: Tensor, *, shared: bool, alone: bool) -> Part:
    factors = _factors(module, x, delta)
    if factors is None:
        return Gradients((_gradient(module, x, delta),))
    a, d = factors
    (_, T, q), A, o = a.shape, d.shape[1], d.shape[3]
    products = 1 if shared else A  # of the outputs of one direction, how many products are taken
    if alone and T * T * (q + products * A * (o + (0 if shared else _TRAFFIC)) + _TRAFFIC) < products * A * q * o:
        return Factors((a, d))
    return Gradients((torch.einsum("bato,btq->baoq", d, a).flatten(2),))


def _factors(module: nn.Module, x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return inputs (B, T, q) and outputs (B, A, T, o) of a dense or plain convolutional layer; None for others."""
    own = set(_own(module))
    if "weight" not in own or own != set(dict(module.named_parameters(recurse=False))):
        return None
    if type(module) is nn.Linear:
        a, d = x.reshape(len(x), -1, x.shape[-1]), delta.reshape(*delta.shape[:2], -1, delta.shape[-1])
    elif (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    ):
        patches = functional.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)
        a, d = patches.transpose(1, 2), delta.flatten(3).transpose(2, 3)
    else:
        return None
    if "bias" in own:
        a = torch.cat([a, a.new_ones(*a.shape[:2], 1)], 2)
    return a.contiguous(), d.contiguous()


def _gradient(module: nn.Module, x: Tensor, delta: Tensor) -> Tensor:
    """Return the gradients (B, A, P) of any layer, by automatic differentiation of that layer alone."""
    own = {name: p.detach() for name, p in _own(module).items()}

    def of_image(image: Tensor, cotangents: Tensor) -> Tensor:
        pull = vjp(lambda p: functional_call(module, p, (image[None],))[0], own)[1]
        return vmap(lambda c: torch.cat([g.flatten() for g in pull(c)[0].values()]))(cotangents)

    return vmap(of_image, randomness="different")(x, delta).detach()
