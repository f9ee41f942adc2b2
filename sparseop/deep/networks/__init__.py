"""Networks by name: ``build("resnet34", n_classes)`` maps images (B, C, H, W) to logits (B, K).

===================  =====================================================  ==================
=============================
name                 what                                                   parameters (K=10)   needs
===================  =====================================================  ==================
=============================
convnet              three convolutions; digits and CPU runs on CIFAR       0.10 M
fastnet              whitened patches, six convolutions; CIFAR-10 on a core  0.50 M
resnet8              ResNet of three blocks; CPU runs on 16 x 16            0.08 M
resnet18, resnet34   ResNet for 32 x 32 (3 x 3 stem, no max pooling)        11.17 M, 21.28 M
bottleneck_resnet50  ResNet-50 for 32 x 32, or for 224 x 224 by its stem    23.52 M
preact_resnet18      pre-activation ResNet for 32 x 32                      11.17 M
resnet50             for 224 x 224 (Clothing1M)                             23.53 M             torchvision
inception_resnet_v2  for 227 x 227 and 299 x 299 (WebVision)                54.32 M             timm
timm, torchvision    any of theirs by ``model``, ``pretrained`` or not                          that package
===================  =====================================================  ==================
=============================
"""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from sparseop import dotted
from sparseop.deep.networks.size import require_memory
from sparseop.errors import InputError, choice, integer

_HERE = "sparseop.deep.networks"
#: name -> the function that builds it, or where that is; open: ``NETWORKS["mine"] = build``
NETWORKS: dict[str, str | Callable[..., nn.Module]] = {
    "convnet": f"{_HERE}.convnet:convnet",
    "fastnet": f"{_HERE}.fastnet:fastnet",
    "resnet8": f"{_HERE}.resnet:resnet8",
    "resnet18": f"{_HERE}.resnet:resnet18",
    "resnet34": f"{_HERE}.resnet:resnet34",
    "bottleneck_resnet50": f"{_HERE}.resnet:bottleneck_resnet50",
    "preact_resnet18": f"{_HERE}.preact_resnet:preact_resnet18",
    "resnet50": f"{_HERE}.large:resnet50",
    "inception_resnet_v2": f"{_HERE}.large:inception_resnet_v2",
    "timm": f"{_HERE}.large:timm_model",
    "torchvision": f"{_HERE}.large:torchvision_model",
    "object": f"{_HERE}.large:given_object",
}
LAST = ("head", "fc", "classif", "classifier", "linear", "output")  #: what the last linear layer is called


def build(name: str, n_classes: int, in_channels: int = 3, **options: Any) -> nn.Module:
    """Return a freshly initialised network; ``options`` are those of its own function.

    ``name`` is one of ``NETWORKS``, or "module:function": anybody's own, called with the number of classes and, where
    it takes them, ``in_channels``, those of the images.

    Raises
    ------
    InputError : an unknown name or option, a size that memory cannot hold, or a package that the network needs is not
        installed.
    """
    integer("n_classes", n_classes, 2)
    integer("in_channels", in_channels, 1)
    known = signature(name).parameters
    for key in options:
        if not known:
            raise InputError(f"network {name!r} takes no option, got {key!r}.")
        choice(f"option of network {name!r}", key, known)
    function = dotted.function("network", name, NETWORKS)
    given = (n_classes, in_channels)[: max(1, len(_positional(function)))]

    def built() -> nn.Module:
        found = function(*given, **options)
        if not isinstance(found, nn.Module):
            raise InputError(f"network {name!r} must be a torch.nn.Module, got {type(found).__name__}.")
        return found

    if name in NETWORKS and "pretrained" not in known:  # those have one size, and weights that may have to be fetched
        require_memory(name, options, built)
    return built()


def backbone(name: str, in_channels: int = 3, **options: Any) -> tuple[nn.Module, int]:
    """Return a network without its last linear layer, so that it maps images to features (B, D), and D."""
    return without_last(build(name, 2, in_channels, **options), name)


def without_last(network: nn.Module, name: str = "given") -> tuple[nn.Module, int]:
    """Return a network with its last linear layer taken off, in place, and the number of its features."""
    last = next((key for key in LAST if isinstance(getattr(network, key, None), nn.Linear)), None)
    if last is None:
        raise InputError(f"network {name!r} has no last linear layer named {', '.join(LAST[:-1])} or {LAST[-1]}.")
    width: int = getattr(network, last).in_features
    setattr(network, last, nn.Identity())
    return network, width


def signature(name: str) -> inspect.Signature:
    """Return the options of a network: names, types and defaults."""
    function = dotted.function("network", name, NETWORKS)
    whole = inspect.signature(function)
    given = _positional(function)[:2]
    return whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in given])


def _positional(function: Callable[..., nn.Module]) -> list[str]:
    """Return the names of what a function takes by position: the number of classes, and that of the channels."""
    found = inspect.signature(function).parameters.values()
    names = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:2] if len(names) > 1 and names[1] in ("in_channels", "channels", "in_chans") else names[:1]
