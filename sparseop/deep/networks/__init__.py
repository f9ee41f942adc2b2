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
===================  =====================================================  ==================
=============================
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from sparseop.deep.networks.size import require_memory
from sparseop.errors import InputError, choice, integer

_MODULES = {
    "convnet": "convnet",
    "fastnet": "fastnet",
    "resnet8": "resnet",
    "resnet18": "resnet",
    "resnet34": "resnet",
    "bottleneck_resnet50": "resnet",
    "preact_resnet18": "preact_resnet",
    "resnet50": "large",
    "inception_resnet_v2": "large",
}
NAMES = tuple(_MODULES)


def build(name: str, n_classes: int, in_channels: int = 3, **options: Any) -> nn.Module:
    """Return a freshly initialised network; ``options`` are those of its own function.

    ``in_channels`` is that of the images.

    Raises
    ------
    InputError : an unknown name or option, a size that memory cannot hold, or a package that the network needs is not
        installed.
    """
    choice("network", name, NAMES)
    integer("n_classes", n_classes, 2)
    integer("in_channels", in_channels, 1)
    known = signature(name).parameters
    for key in options:
        if not known:
            raise InputError(f"network {name!r} takes no option, got {key!r}.")
        choice(f"option of network {name!r}", key, known)
    function = _function(name)
    if "pretrained" not in known:  # those have one size, and weights that may have to be fetched
        require_memory(name, options, lambda: function(n_classes, in_channels, **options))
    return function(n_classes, in_channels, **options)


def backbone(name: str, in_channels: int = 3, **options: Any) -> tuple[nn.Module, int]:
    """Return a network without its last linear layer, so that it maps images to features (B, D), and D."""
    network = build(name, 2, in_channels, **options)
    last = next(key for key in ("head", "fc", "classif") if isinstance(getattr(network, key, None), nn.Linear))
    width: int = getattr(network, last).in_features
    setattr(network, last, nn.Identity())
    return network, width


def signature(name: str) -> inspect.Signature:
    """Return the options of a network: names, types and defaults."""
    whole = inspect.signature(_function(choice("network", name, NAMES)))
    return whole.replace(parameters=[p for p in whole.parameters.values() if p.kind is p.KEYWORD_ONLY])


def _function(name: str) -> Callable[..., nn.Module]:
    function: Callable[..., nn.Module] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return function
