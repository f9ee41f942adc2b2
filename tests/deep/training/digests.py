"""The digest of every recipe that ships, resolved: ``python -m tests.deep.training.digests`` writes them anew.

A default that changes, or a family, changes recipes; whoever means it runs this and says which in the commit.
"""

import hashlib
import json
from pathlib import Path

from sparseop.deep import tasks
from sparseop.deep.training import families, schema

FILE = Path(__file__).with_name("digests.json")


def resolved():
    """Return the digest of each recipe's text, every default spelt out."""
    found = {}
    for name in families.names():
        text = schema.to_toml(tasks.task(families.task(name)).recipes.read(name))
        found[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(resolved(), indent=0) + "\n")
