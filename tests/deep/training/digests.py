"""The digest of every recipe that ships, resolved: ``python -m tests.deep.training.digests`` writes them anew.

A digest covers the options that there were when it was written, defaults included: a default or a family that changes
changes recipes, and whoever means it runs this and says which in the commit. An option that is new changes none.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from sparseop.deep import tasks
from sparseop.deep.training import families, schema

FILE = Path(__file__).with_name("digests.json")


def values(recipe):
    """Return every value of a recipe by its place: field, or table, component and key."""
    found = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, schema.Component):
            found[f"{field.name}.name"] = value.name
            found |= {f"{field.name}.{value.name}.{key}": entry for key, entry in value.options.items()}
        elif dataclasses.is_dataclass(value):
            found |= {f"{field.name}.{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
        else:
            found[field.name] = value
    return found


def resolved():
    """Return the values of every recipe that ships, by task and name."""
    return {
        name: {f"{task}: {key}": entry for key, entry in values(tasks.task(task).recipes.read(name)).items()}
        for name in families.names()
        for task in [families.task(name)]
    }


def digest(held, known):
    """Return the digest of those values whose places are ``known``."""
    lines = (f"{key} = {held[key]!r}" for key in sorted(held) if key in known)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


if __name__ == "__main__":
    recipes = resolved()
    known = sorted({key for held in recipes.values() for key in held})
    digests = {name: digest(held, set(known)) for name, held in recipes.items()}
    FILE.write_text(json.dumps({"known": known, "digests": digests}, indent=0) + "\n")
