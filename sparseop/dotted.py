"""Functions by name: of an open dictionary, or anybody's own, "module:function", imported from where a command runs."""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparseop.errors import InputError, choice

Registry = Mapping[str, str | Callable[..., Any]]  #: name -> a function, or where to find it


def is_dotted(name: Any) -> bool:
    """Return whether a name says where a function is, as in "my_module:build"."""
    return isinstance(name, str) and ":" in name


def function(what: str, name: str, known: Registry) -> Callable[..., Any]:
    """Return the function called ``name``: one of ``known``, or "module:function".

    Raises
    ------
    InputError : a name that is neither, a module that is not there, something in it that is no function.
    """
    found = name if is_dotted(name) else known[choice(what, name, known)]
    return _imported(what, found) if isinstance(found, str) else found


def _imported(what: str, name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as for ``python -m``; a console command does not have it there
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise InputError(
                f"{what} {name!r}: there is no module {module!r}, neither in '{here}' nor installed."
            ) from None
        raise  # one that the module itself needs: its traceback says where
    except ValueError:
        raise InputError(f"{what} must be MODULE:FUNCTION, got {name!r}.") from None
    built = getattr(found, attribute, None)
    if not callable(built):
        kind = "nothing of that name" if built is None else f"a {type(built).__name__}"
        raise InputError(f"{what} {name!r}: {module!r} has {kind}, where a function is wanted.")
    return built  # type: ignore[no-any-return]
