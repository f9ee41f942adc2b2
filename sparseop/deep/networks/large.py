"""The networks of Clothing1M and WebVision, from torchvision and timm (``pip install 'sparseop[large]'``)."""

import difflib
import importlib
from collections.abc import Sequence
from typing import Any

from torch import nn

from sparseop.errors import InputError, brief


def resnet50(n_classes: int, in_channels: int = 3, *, pretrained: bool = False) -> nn.Module:
    """Return torchvision's ResNet-50.

    ``pretrained`` loads the ImageNet weights "IMAGENET1K_V1" (the ones of 2016's recipe).
    """
    _require_colour("resnet50", in_channels)
    models = _library("torchvision.models", "resnet50", "torchvision")
    network: nn.Module = models.resnet50(weights="IMAGENET1K_V1" if pretrained else None)
    network.fc = nn.Linear(2048, n_classes)
    return network


def inception_resnet_v2(n_classes: int, in_channels: int = 3, *, pretrained: bool = False) -> nn.Module:
    """Return timm's InceptionResNetV2 (images of 75 x 75 and more); the paper trains it from scratch."""
    _require_colour("inception_resnet_v2", in_channels)
    timm = _library("timm", "inception_resnet_v2", "timm")
    network: nn.Module = timm.create_model("inception_resnet_v2", pretrained=pretrained, num_classes=n_classes)
    return network


def timm_model(n_classes: int, in_channels: int = 3, *, model: str, pretrained: bool = False) -> nn.Module:
    """Return timm's network called ``model``, such as "resnet18" or "convnext_tiny", with a new last layer."""
    timm = _library("timm", "timm", "timm")
    if model not in timm.list_models(model.split(".")[0]) and not timm.is_model(model):
        raise InputError(
            f"network 'timm' must have a model that timm knows, got {model!r}{_near(model, timm.list_models())}"
        )
    network: nn.Module = timm.create_model(model, pretrained=pretrained, num_classes=n_classes, in_chans=in_channels)
    return network


def torchvision_model(n_classes: int, in_channels: int = 3, *, model: str, pretrained: bool = False) -> nn.Module:
    """Return torchvision's network called ``model``, such as "resnet18" or "vit_b_16", with a new last layer."""
    _require_colour("torchvision", in_channels)
    models = _library("torchvision.models", "torchvision", "torchvision")
    known = models.list_models(module=models)
    if model not in known:
        raise InputError(f"network 'torchvision' must have a model that it knows, got {model!r}{_near(model, known)}")
    network: nn.Module = models.get_model(model, weights="DEFAULT" if pretrained else None)
    name, last = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
    parent = network.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], nn.Linear(last.in_features, n_classes))
    return network


def given_object(n_classes: int) -> nn.Module:
    """Refuse: the network of this run was an object, and no file says how to build it."""
    del n_classes
    raise InputError("this run was given its network as an object, which no file holds: give it again, network=...")


def _near(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else "."


def _library(module: str, network: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # torchvision built for another torch raises RuntimeError
        raise InputError(
            f"network {network!r} needs {package}, which cannot be imported here "
            f"({brief(error)}); pip install 'sparseop[large]'."
        ) from None


def _require_colour(network: str, in_channels: int) -> None:
    if in_channels != 3:
        raise InputError(f"network {network!r} takes images of 3 channels, this data set has {in_channels}.")
