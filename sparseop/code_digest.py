"""What a study's cells run, as one digest: the module that defines them, everything of this project it imports, files they read.

Comments, docstrings and functions named ``draw*`` or ``table*`` do not count, nor do ``sparseop.study`` and
``sparseop.plotting``: a better label must not cost an hour of simulation.
"""

import ast
import importlib.util
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparseop.files import sha256


def code_digest(module: str, files: Iterable[Path] = ()) -> str:
    """Return the digest of ``module`` and of the contents of ``files``."""
    sources: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        if name in sources or name in ("sparseop", "sparseop.study", "sparseop.plotting", "sparseop.cli"):
            continue
        found = _source(name)
        if found is not None:
            path, tree = found
            sources[name] = ast.dump(tree)
            queue.extend(_project_imports(tree))
            if path.name == "__init__.py" and _imports_by_name(tree):
                queue.extend(f"{name}.{part.stem}" for part in path.parent.glob("[!_]*.py"))
    sources |= {f"file {index}": sha256(path.read_bytes()) for index, path in enumerate(files)}
    return sha256(json.dumps(sources, sort_keys=True).encode())


def _source(name: str) -> tuple[Path, ast.Module] | None:
    """Return file and syntax tree of a module without what does not change a cell's numbers; None for a non-module name."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            node.body = [item for item in node.body if not _cosmetic(item)] or [ast.Pass()]
    return path, tree


def _cosmetic(item: ast.stmt) -> bool:
    docstring = (
        isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)
    )
    return docstring or (
        isinstance(item, ast.FunctionDef) and item.name.startswith(("draw", "_draw", "table", "_table"))
    )


def _project_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in ("sparseop", "theory", "deep"))


def _imports_by_name(tree: ast.Module) -> bool:
    """Return whether a package calls ``import_module``, as those do that load their own modules when one is asked for."""
    return any(isinstance(node, ast.Attribute) and node.attr == "import_module" for node in ast.walk(tree))
