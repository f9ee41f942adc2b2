"""How the scripts that make recipes write them: plain TOML, for people to read."""

from typing import Any

Tables = dict[str, dict[str, Any]]


def toml_text(title: str, parts: Tables) -> str:
    """Return a title and tables as TOML, notes one a line."""
    lines = [f'title = "{title}"']
    for part, entries in parts.items():
        lines += ["", f"[{part}]", *(f"{key} = {_value(value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list) and value and isinstance(value[0], str):
        return "[\n" + "".join(f'  "{entry}",\n' for entry in value) + "]"
    return repr(value)
