"""Arrays that a problem owns: copied when it is built, and read-only from then on, also after pickling and copying."""

from typing import Any

import numpy as np

from sparseop.errors import FloatArray


def frozen(values: FloatArray) -> FloatArray:
    """Return a read-only view of ``values``, an array that nobody else holds; its flag can't be set back."""
    values.flags.writeable = False
    return values.view()


def owned(values: FloatArray, given: Any) -> FloatArray:
    """Return ``values``, converted from what a user gave, as a read-only array that shares no memory with it."""
    if isinstance(given, np.ndarray | list | tuple):
        shared = isinstance(given, np.ndarray) and np.may_share_memory(values, given)
    else:
        shared = True  # a data frame, a tensor: it may hand out its own memory
    return frozen(values.copy() if shared or not values.flags.owndata else values)


class OwnsArrays:
    """For frozen dataclasses whose arrays are read-only: pickle and deepcopy, which lose the flag, get it back."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, frozen(value) if isinstance(value, np.ndarray) else value)
