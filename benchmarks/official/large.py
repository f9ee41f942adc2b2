"""Import torchvision or timm, also where torchvision is the wheel for CUDA and torch is not."""

import importlib
from types import ModuleType

import torch

_LIBRARY = torch.library.Library(
    "torchvision", "FRAGMENT"
)  # its definitions go with it, so it lives as long as the process
_declared: list[str] = []


def load(package: str) -> ModuleType:
    """Return a package.

    Compiled operators of a torchvision made for another torch do not load, and its import stops at the fake versions of
    two of them, for object detection, which nothing here calls. Declared, it goes on.

    Raises
    ------
    ModuleNotFoundError : it is not installed.
    RuntimeError : it does not fit the torch that is there.
    """
    try:
        return importlib.import_module(package)
    except RuntimeError as error:
        if _declared or "operator torchvision::" not in str(error):
            raise
        for name in ("nms", "qnms"):
            _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _declared.append(name)
        return importlib.import_module(package)
