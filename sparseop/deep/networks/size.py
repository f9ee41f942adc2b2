"""Networks that memory cannot hold are refused before one weight of them is drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sparseop.errors import InputError


def require_memory(name: str, options: Mapping[str, Any], make: Callable[[], nn.Module]) -> None:
    """Refuse a network whose parameters this machine cannot hold; it is measured on torch's "meta" device, where tensors have shapes only.

    Building it at once would fill gigabytes with random numbers, layer after layer, until one of them fails.

    Raises
    ------
    InputError : they do not fit.
    """
    try:
        with torch.device("meta"):
            size = sum(parameter.numel() * parameter.element_size() for parameter in make().parameters())
        torch.empty(size, dtype=torch.uint8)  # asked for, never touched
    except (RuntimeError, TypeError) as error:
        if not any(reason in str(error).lower() for reason in ("allocate memory", "overflow")):
            raise
        given = ", ".join(f"{key} = {value}" for key, value in options.items())
        raise InputError(f"network {name!r} with {given} does not fit into memory.") from None
