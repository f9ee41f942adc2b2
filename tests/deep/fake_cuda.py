"""A CUDA device where there is none: its tensors have a type and a shape, and no content.

torch's ``FakeTensorMode`` computes types, shapes and devices and nothing else, so a program stops where it needs a
number, or a shape that depends on one: where the host of a real device would wait. ``Stream`` sees every operation, and
notes what a real device would wait for or refuse and ``FakeTensorMode`` lets pass.
"""

import contextlib
import ctypes
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparseop.deep.augment import autoaugment, clsa, colour

CUDA = torch.device("cuda:0")
#: what torch.use_deterministic_algorithms turns into an error on CUDA, as its documentation lists it (and cumsum of
#: floats): the operation itself, and the derivative of others
REFUSED = re.compile(r"nll_loss2d_forward|max_unpool2d|put_?|histc|median|kthvalue")
REFUSED_BACKWARD = re.compile(
    r"(Adaptive(Avg|Max)Pool2D|Upsample\w*(Linear|Cubic)\w*|ReflectionPad\dD|GridSampler2D)Backward\d"
)
NO_KERNEL = ("_sample_dirichlet", "_standard_gamma")
COPIES = ("_to_copy", "copy_", "copy")


class Stream(TorchDispatchMode):
    """Sees every operation; while ``watching``, notes in ``faults`` what the host would wait for or fail on."""

    def __init__(self):
        super().__init__()
        self.watching, self.faults, self.seen = False, [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, func._overloadpacket.__name__
        # operations that have no fake kernel (the gamma's since torch 2.13)
        made = (
            None
            if name.startswith("_fused_")
            else torch.empty_like(args[0])
            if name in NO_KERNEL
            else func(*args, **kwargs)
        )
        if self.watching:
            self.seen += 1
            self.faults += self._judge(name, tree_leaves((args, kwargs)), made)
        return made

    def _judge(self, name, given, made):
        tensors, made = ([leaf for leaf in leaves if isinstance(leaf, Tensor)] for leaves in (given, tree_leaves(made)))
        # a tensor of one number on the host goes along with the operation, but not as a copy; from pinned memory a copy
        # goes on behind
        devices = {tensor.device.type for tensor in tensors + made if tensor.ndim or tensor.is_cuda or name in COPIES}
        if len(devices) > 1 and not getattr(tensors[0], "pinned", False):
            yield f"{name}: {' and '.join(sorted(devices))}"
        if "cuda" in devices and (REFUSED.fullmatch(name) or (name == "cumsum" and made[0].dtype.is_floating_point)):
            yield f"{name} is not deterministic"

    def backward(self, loss):
        """Give every parameter behind ``loss`` a gradient. (torch's engine asks for streams, which need CUDA.)"""
        waiting, known = [loss.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in known:
                continue
            known.add(node)
            waiting += [following for following, _ in node.next_functions]
            if hasattr(node, "variable"):
                node.variable.grad = torch.empty_like(node.variable)
            elif REFUSED_BACKWARD.fullmatch(node.name()):
                self.faults.append(f"{node.name()} is not deterministic")


class Draws(torch.Generator):
    """A generator that says it is on the device it is asked to be on; below Python it lies on the host."""

    def __new__(cls, device="cpu"):
        draws = super().__new__(cls)
        draws.place = torch.device(device)
        return draws

    def __init__(self, device="cpu"):
        del device

    device = property(lambda self: self.place)


class Drawing(TorchFunctionMode):
    """Notes draws on one device by the generator of another."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        draws = (kwargs or {}).get("generator")
        if self.stream.watching and draws is not None and made.device != draws.device:
            self.stream.faults.append(f"{func.__name__} on {made.device} by a generator on {draws.device}")
        return made


@contextlib.contextmanager
def fake_cuda(patch):
    """Pretend that CUDA is there, with the help of pytest's ``monkeypatch``; yield the ``Stream``."""
    patch.setattr(torch, "Generator", Draws)
    patch.setattr(torch.cuda, "mem_get_info", lambda _: (2**40, 2**40))
    patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    patch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)  # a run sets it
    patch.setattr(FakeTensorMode, "avoid_device_init", True)  # as without CUDA
    patch.setattr(nn.Module, "_apply", _apply)
    patch.setattr(
        nn.Parameter, "__deepcopy__", lambda self, _: nn.Parameter(self.detach().clone(), self.requires_grad)
    )  # torch's reads memory
    patch.setattr(Tensor, "__deepcopy__", lambda self, _: self.detach().clone())
    patch.setattr(Tensor, "pin_memory", _pin)
    stream = Stream()
    patch.setattr(torch.autograd, "backward", stream.backward)
    tables = (
        autoaugment._policy,
        clsa._tables,
        colour._bounds,
        colour._hue_basis,
    )  # kept for each device: here without content
    try:
        with _guard(), FakeTensorMode(allow_non_fake_inputs=True), stream, Drawing(stream):
            yield stream
    finally:
        for table in tables:
            table.cache_clear()


@contextlib.contextmanager
def _guard():
    """Let a torch without CUDA switch to a device of that type and back, which is all that indexing wants to do.

    By meta's guard.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * 15).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    cuda, meta = 1, 14  # c10/core/DeviceType.h
    before = guards[cuda]
    guards[cuda] = before or guards[meta]
    try:
        yield
    finally:
        guards[cuda] = before


def _apply(self, function, recurse=True):
    """As ``nn.Module._apply``, which cannot swap the parameters of fake tensors."""
    for module in self.children():
        module._apply(function)
    with torch.no_grad():
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = nn.Parameter(function(parameter.detach()), parameter.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = function(buffer)
    return self


def _pin(tensor):
    tensor.pinned = True
    return tensor
