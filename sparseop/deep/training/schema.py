"""Recipes of any kind as frozen dataclasses: read from TOML, every key and type checked, and written back in full.

A field of a recipe's dataclass is a plain value, a dataclass (a TOML table with fixed keys) or a ``Component``: a table
that names a part, such as a network, and carries the options of that part's own function. Messages name the key, the
value and what is allowed.
"""

import copy
import dataclasses
import difflib
import inspect
import math
import re
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from sparseop.deep.training import families
from sparseop.dotted import is_dotted
from sparseop.errors import InputError, choice

R = TypeVar("R")
LARGEST = 2**63 - 1  #: whole number of a recipe, in size
SINGLE = (
    1e-37,
    1e37,
)  #: numbers of a recipe, in size, where they are not 0: what single precision holds, and ten times or a tenth of it
MOST_EPOCHS = 10**7  #: of whatever is trained: the rate of each is held
MOST_THREADS = 4096


@dataclass(frozen=True)
class Component:
    """A named part and its options, every default filled in."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """The names that a ``Component``'s table may carry, the signature of each one's options, and the default name."""

    names: Collection[str]
    signature: Callable[[str], inspect.Signature]
    default: str


@dataclass(frozen=True)
class Schema(Generic[R]):
    """The recipes of one task: how they are found, read and checked.

    Attributes
    ----------
    cls : the recipe's dataclass.
    task : which of the recipes that come with the project are of it.
    components : which of its fields are components, of which kind.
    check : refuses (InputError) what no key alone can be refused for.
    """

    cls: type[R]
    task: str
    components: Mapping[str, Kind]
    check: Callable[[R], None]

    def names(self) -> list[str]:
        """Return the names of the recipes that come with the project."""
        return families.names(self.task)

    def find(self, name: str) -> Path | str:
        """Return what ``read`` takes of a recipe given by name or by path.

        Raises
        ------
        InputError : there is none such; the names that share its words are told.
        """
        return find(name)

    def read(self, source: Path | str, overrides: Sequence[str] = ()) -> R:
        """Return a recipe by name, or that of a TOML file, with ``overrides`` ("table.key=value") applied."""
        source = self.find(source) if isinstance(source, str) else source
        if isinstance(source, str):
            if (other := families.task(source)) != self.task:
                raise InputError(f"the recipe {source!r} is one of {other!r}, not of {self.task!r}.")
            return self._build(families.tables(source), source, f"the recipe {source!r}", overrides)
        return self.parse(read_text(source), name=source.stem, where=f"'{source}'", overrides=overrides)

    def parse(self, text: str, *, name: str, where: str = "the recipe", overrides: Sequence[str] = ()) -> R:
        """Return the recipe of a TOML text; ``name`` is used where the text gives none."""
        return self._build(tables(text, where), name, where, overrides)

    def _build(self, held: dict[str, Any], name: str, where: str, overrides: Sequence[str]) -> R:
        def read(overrides: Sequence[str]) -> R:
            return from_tables(
                self.cls, copy.deepcopy(held), name=name, where=where, components=self.components, overrides=overrides
            )

        recipe = read(overrides)
        if overrides:
            try:
                recipe = without_claims(recipe, read(()))
            except InputError:  # the text is whole only with what the overrides give
                recipe = without_claims(recipe, None)
        self.check(recipe)
        _require_single("", recipe)
        return recipe


def find(name: str, more: Sequence[str] = ()) -> Path | str:
    """Return the path of a recipe's file, or a name, of one that comes with the project or of ``more``."""
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise InputError(f"the recipe '{path}' is not there.")
        return path
    known = [*families.names(), *more]
    if name not in known:
        raise InputError(unknown_recipe(name, known))
    return name


def read_text(path: Path) -> str:
    """Return the text of a recipe's file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not a text file.") from None


def without_claims(recipe: R, base: R | None) -> R:
    """Return a changed recipe without what its ``base`` said of itself and no longer holds.

    Any change of what is computed takes the published value away; other data, noise or method also the title and the
    cell of a table. Another seed, or the same mathematics computed otherwise (``[engine]``), leaves all standing.
    """
    fields = [f.name for f in dataclasses.fields(recipe)]  # type: ignore[arg-type]
    held, before = ({name: getattr(of, name, None) for name in fields} for of in (recipe, base))
    changed = {name for name in fields if held[name] != before[name]} - _NO_COMPUTATION
    names, old = (
        {key: part.name for key in ("method", "data") if isinstance(part := of.get(key), Component)}
        for of in (held, before)
    )
    other, new = names != old or "noise" in changed, dict[str, Any]()
    source: Any = held["source"]
    if changed and source == before["source"]:
        kept = {} if other else {key: value for key, value in vars(source).items() if key not in ("value", "std")}
        new["source"] = type(source)(**kept)
    if changed - {"evaluation"} and held["title"] and held["title"] == before["title"]:
        new["title"] = f"{held['title'].removesuffix(_CHANGED)}{_CHANGED}"
        if other:
            new["title"] = " on ".join(names.values()) or held["name"]
    return dataclasses.replace(recipe, **new)  # type: ignore[type-var]


_CHANGED = " (changed)"
#: fields that say who, how and whence
_NO_COMPUTATION = frozenset({"name", "task", "title", "seed", "engine", "source"})


def task(path: Path) -> str:
    """Return of which task the recipe in a file says that it is; "labels" where it says nothing.

    Raises
    ------
    InputError : not TOML.
    """
    found: str = tables(read_text(path), f"'{path}'").get("task", "labels")
    return found


def tables(text: str, where: str) -> dict[str, Any]:
    """Return parsed TOML; what it ``extends``, a recipe that comes with the project, is there too.

    Raises
    ------
    InputError : not TOML, or no such recipe.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} is not TOML: {error}.") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists in lists
        raise InputError(f"{where} cannot be read: {str(error).split(';')[0]}.") from None
    if (base := found.pop("extends", None)) is None:
        return found
    if base not in families.names():
        raise InputError(f"extends in {where}: {unknown_recipe(str(base), families.names())}")
    whole = families.tables(base)
    whole |= {"title": f"from {base}", "source": {"needs": whole["source"].get("needs", "")}}  # its claims are its own
    families.merge(whole, found)
    return whole


def from_tables(
    cls: type[R],
    found: dict[str, Any],
    *,
    name: str,
    where: str,
    overrides: Sequence[str],
    components: Mapping[str, Kind],
) -> R:
    """Return the recipe, a ``cls``, of parsed TOML; ``name`` is used where that gives none."""
    for item in overrides:
        override(found, item)
    found.setdefault("name", name)
    _require_file_name(f"name in {where}", found["name"].raw if isinstance(found["name"], Given) else found["name"])
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    known_keys(found, [f.name for f in fields], where, _elsewhere(fields, found, components))
    parts: dict[str, Any] = {}
    for f in fields:
        if f.name in components:
            parts[f.name] = _component(f.name, found.get(f.name, {}), where, components[f.name])
        elif f.name in found and dataclasses.is_dataclass(f.type):
            parts[f.name] = _section(f.type, f.name, found[f.name], where)
        elif f.name in found:
            parts[f.name] = typed(f"{f.name} in {where}", found[f.name], f.type)
    return cls(**parts)


def _elsewhere(
    fields: Sequence[dataclasses.Field[Any]], found: Mapping[str, Any], components: Mapping[str, Kind]
) -> dict[str, str]:
    """Return the full name of each key of a table, by its last part: what somebody means who leaves the table out."""
    names: dict[str, str] = {}
    for f in fields:
        keys: list[str] = []
        if f.name in components:
            held = found.get(f.name, {})
            name = held.get("name", components[f.name].default) if isinstance(held, dict) else ""
            if name in components[f.name].names:
                keys = list(components[f.name].signature(name).parameters)
        elif dataclasses.is_dataclass(f.type):
            keys = list(typing.get_type_hints(f.type))
        for key in keys:
            names.setdefault(key, f"{f.name}.{key}")
    return names


def to_toml(recipe: Any) -> str:
    """Return a recipe as TOML with every value spelt out; it reads back as the same recipe."""
    lines: list[str] = []
    sections: list[str] = []
    for f in dataclasses.fields(recipe):
        value = getattr(recipe, f.name)
        if isinstance(value, Component):
            entries = {"name": value.name, **value.options}
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            entries = {g.name: getattr(value, g.name) for g in dataclasses.fields(value)}
        else:
            lines.append(f"{f.name} = {toml_value(value)}")
            continue
        sections += [
            "",
            f"[{f.name}]",
            *(f"{key} = {toml_value(entry)}" for key, entry in entries.items() if entry is not None),
        ]
    return "\n".join([*lines, *sections]) + "\n"


def _component(table: str, value: Any, where: str, kind: Kind) -> Component:
    if not isinstance(value, dict):
        raise InputError(f"{table} in {where} must be a table, got {plain(value)!r}.")
    name = plain(value.get("name", kind.default))
    if not is_dotted(name):
        choice(f"{table}.name", name, kind.names)
    parameters = kind.signature(name).parameters
    given = {key: entry for key, entry in value.items() if key != "name"}
    known_keys(given, list(parameters), f"[{table}] for {table}.name = {name!r} in {where}")
    options = {key: p.default for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    for key, entry in given.items():
        options[key] = typed(f"{table}.{key}", entry, parameters[key].annotation)
    missing = [
        key for key, p in parameters.items() if key not in options and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if missing:
        raise InputError(f"[{table}] for {table}.name = {name!r} in {where} needs {', '.join(missing)}.")
    return Component(name, {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()})


def _section(cls: Any, table: str, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{table} in {where} must be a table, got {plain(value)!r}.")
    hints = typing.get_type_hints(cls)
    known_keys(value, list(hints), f"[{table}] in {where}")
    return cls(**{key: typed(f"{table}.{key}", entry, hints[key]) for key, entry in value.items()})


def known_keys(
    given: Mapping[str, Any], known: Sequence[str], where: str, elsewhere: Mapping[str, str] | None = None
) -> None:
    """Refuse a key of ``given`` that is not ``known``; ``elsewhere`` maps keys to the full names that are."""
    for key in given:
        if key not in known:
            if elsewhere and key in elsewhere:
                raise InputError(f"unknown key {key!r} in {where}; did you mean {elsewhere[key]!r}?")
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


def unknown_recipe(name: str, known: Sequence[str]) -> str:
    """Return the sentence about a recipe that is not there, with the few that share most of its words."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]

    def shared(candidate: str) -> int:
        parts = candidate.lower().split("_")
        return sum(bool(difflib.get_close_matches(word, parts, n=1, cutoff=0.8)) for word in words)

    likeness = {other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() for other in known}
    best = max((shared(other) for other in known), default=0)
    few = [other for other in known if best and shared(other) == best] or [o for o in known if likeness[o] >= 0.6]
    near = sorted(few, key=lambda other: -likeness[other])[:4]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "--list shows those there are."
    return f"unknown recipe: {name!r}; {hint}"


@dataclass(frozen=True)
class Given:
    """A value of ``--set`` that TOML takes for no string, and how it was written: in ``image=456`` it is a name."""

    value: Any
    raw: str


def plain(value: Any) -> Any:
    """Return the value of a ``Given``, and any other value as it is."""
    return value.value if isinstance(value, Given) else value


def typed(what: str, value: Any, wanted: Any) -> Any:
    """Return ``value`` as the annotated type, refusing another; a whole number counts as a float."""
    if isinstance(value, Given):
        value = value.raw if wanted is str else value.value
    if isinstance(value, int) and abs(value) > LARGEST:  # beyond what arrays, generators and processors count with
        raise InputError(f"{what} must be at most {LARGEST} in size, got {str(value)[:40]}.")
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
    if wanted is str and not value.isprintable():
        _require_text(what, value)
    return value


def _require_single(what: str, value: Any) -> None:
    """Refuse numbers that single precision would take for 0 or infinity, wherever they stand in a recipe.

    Nan and infinity are for ``check``.
    """
    if isinstance(value, float):
        if value != 0 and math.isfinite(value) and not SINGLE[0] <= abs(value) <= SINGLE[1]:
            raise InputError(
                f"{what} must be 0, or from {SINGLE[0]:g} to {SINGLE[1]:g} in size, as single precision holds it, got"
                f" {value!r}."
            )
        return
    parts: dict[str, Any] = {}
    if isinstance(value, Component):
        parts = {f".{key}": entry for key, entry in value.options.items()}
    elif dataclasses.is_dataclass(value):
        parts = {f".{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, tuple):
        parts = {f"[{number}]": entry for number, entry in enumerate(value)}
    for key, entry in parts.items():
        _require_single(what + key if what else key.lstrip("."), entry)


def _require_text(what: str, value: str) -> None:
    """Refuse what no file of a recipe could hold: bytes of a command line that were no text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} must be text, got {value!r}.") from None


def _require_file_name(what: str, value: Any) -> None:
    """Refuse a recipe's name that is not that of one folder: its runs go there."""
    if isinstance(value, str) and (
        value in ("", ".", "..") or not value.isprintable() or any(mark in value for mark in "/\\") or len(value) > 100
    ):
        raise InputError(
            f"{what} must do as the name of a folder, printable, of at most 100 characters and without slashes, got"
            f" {value[:120]!r}."
        )


def _name_of(wanted: Any) -> str:
    if typing.get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(wanted)))
    return {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}.get(wanted, str(wanted))


def override(tables: dict[str, Any], item: str) -> None:
    """Set ``table.key=value`` in parsed TOML.

    A value that is not TOML is taken as a string, so that --set method.name=sop works.
    """
    path, separator, raw = item.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys) or len(keys) > 2:
        raise InputError(f"--set takes table.key=value, as in --set training.epochs=10, got {item!r}.")
    try:
        parsed = tomllib.loads(f"x = {raw.strip()}")
        value = parsed["x"] if len(parsed) == 1 else raw.strip()
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists in lists
        raise InputError(f"--set {path.strip()} cannot be read: {str(error).split(';')[0]}.") from None
    target = tables
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {item}: {key} is not a table.")
    if keys[-1] == "name" and len(keys) == 2 and target.get("name") != value:
        target.clear()  # another component has other options
    target[keys[-1]] = value if isinstance(value, str) else Given(value, raw.strip())


def toml_value(value: Any) -> str:
    """Return a number, string, boolean or flat list as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return (
            '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c == "\x7f" else c for c in escaped) + '"'
        )  # TOML takes no control characters
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(entry) for entry in value)}]"
    return repr(value)
