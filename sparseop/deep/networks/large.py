"""The networks of Clothing1M and WebVision, from torchvision and timm (``pip install 'sparseop[large]'``)."""

import importlib
from typing import Any

from torch import nn

from sparseop.errors import InputError


def resnet50(n_classes: int, in_channels: int = 3, *, pretrained: bool = False) -> nn.Module:
    """Return torchvision's ResNet-50; ``pretrained`` loads the ImageNet weights "IMAGENET1K_V1" (the ones of 2016's recipe)."""
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


def _library(module: str, network: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # torchvision built for another torch raises RuntimeError
        raise InputError(
            f"network {network!r} needs {package}, which cannot be imported here "
            f"({str(error).splitlines()[0]}); pip install 'sparseop[large]'."
        ) from None


def _require_colour(network: str, in_channels: int) -> None:
    if in_channels != 3:
        raise InputError(f"network {network!r} takes images of 3 channels, this data set has {in_channels}.")
