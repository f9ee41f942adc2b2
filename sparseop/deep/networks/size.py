"""Networks that memory cannot hold are refused before one weight of them is drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sparseop.errors import InputError, fits


def require_memory(name: str, options: Mapping[str, Any], make: Callable[[], nn.Module]) -> None:
    """Refuse a network whose parameters this machine cannot hold.

    It is measured on torch's "meta" device, where tensors have shapes only.

    Building it at once would fill gigabytes with random numbers, layer after layer, until one of them fails.

    Raises
    ------
    InputError : they do not fit.
    """
    given = ", ".join(f"{key} = {value}" for key, value in options.items())
    try:
        with torch.device("meta"):
            size = sum(parameter.numel() * parameter.element_size() for parameter in make().parameters())
    except (RuntimeError, TypeError) as error:  # sizes that 64 bits do not hold
        if "overflow" not in str(error).lower():
            raise
        raise InputError(f"network {name!r} with {given} has more weights than 64 bits can count.") from None
    fits(f"network {name!r} with {given}", size, itemsize=1)
