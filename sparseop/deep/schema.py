"""Checking plain values against type annotations, with messages that name the key, the value and what is allowed."""

import difflib
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sparseop.errors import InputError, choice


def known_keys(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a key of ``given`` that is not ``known``."""
    for key in given:
        if key not in known:
            if not known:
                raise InputError(f"unknown key {key!r} in {where}: it takes none.")
            nearest(f"key in {where}", key, known)


def nearest(what: str, value: str, known: Sequence[str]) -> None:
    """Refuse a value that is not known with the nearest names, where listing all would fill the screen."""
    if value in known:
        return
    near = difflib.get_close_matches(value, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}."
    raise InputError(f"unknown {what}: {value!r}; {hint}")


def typed(what: str, value: Any, wanted: Any) -> Any:
    """Return ``value`` as the annotated type, refusing another; a whole number counts as a float."""
    origin = typing.get_origin(wanted)
    if origin is Literal:
        return choice(what, value, typing.get_args(wanted))
    if origin in (typing.Union, types.UnionType):
        for option in typing.get_args(wanted):
            if option is not type(None):
                try:
                    return typed(what, value, option)
                except InputError:
                    continue
        readable = " or ".join(_name_of(option) for option in typing.get_args(wanted) if option is not type(None))
        raise InputError(f"{what} must be {readable}, got {value!r}.")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{what} must be a list, got {value!r}.")
        return tuple(typed(f"{what}[{i}]", entry, typing.get_args(wanted)[0]) for i, entry in enumerate(value))
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted in (int, float, str, bool) and type(value) is not wanted:
        raise InputError(f"{what} must be {_name_of(wanted)}, got {value!r}.")
    return value


def _name_of(wanted: Any) -> str:
    return {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}.get(wanted, str(wanted))


def override(tables: dict[str, Any], item: str) -> None:
    """Set ``table.key=value`` in parsed TOML; a value that is not TOML is taken as a string, so that --set method.name=sop works."""
    path, separator, raw = item.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys) or len(keys) > 2:
        raise InputError(f"--set takes table.key=value, as in --set training.epochs=10, got {item!r}.")
    try:
        value = tomllib.loads(f"x = {raw.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    target = tables
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {item}: {key} is not a table.")
    if keys[-1] == "name" and len(keys) == 2 and target.get("name") != value:
        target.clear()  # another component has other options
    target[keys[-1]] = value


def toml_value(value: Any) -> str:
    """Return a number, string, boolean or flat list as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(entry) for entry in value)}]"
    return repr(value)
