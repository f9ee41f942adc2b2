"""What a study's cells run, as one digest.

The module that defines them, everything of this project it imports, files they read.

A better label must not cost an hour of simulation: comments and docstrings do not count, nor does what only the study's
drawing reaches in the study's own module, nor the engine that runs the cells, ``sparseop.study``. Everything else does.
"""

import ast
import importlib.util
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sparseop.files import sha256

PROJECT = ("sparseop", "theory", "deep", "benchmarks")
#: they run cells and write files; the generators that a cell reaches through ``study`` count
ENGINE = ("sparseop", "sparseop.study", "sparseop.cli")
GENERATORS = "sparseop.randomness"


def code_digest(module: str, files: Iterable[Path] = (), *, drawing: Collection[str] = ()) -> str:
    """Return the digest of ``module`` and of the contents of ``files``.

    Parameters
    ----------
    drawing : functions of ``module`` that only draw, ``Study.draw`` and ``Study.tables``. They are left out, with the
        functions, constants and imports of ``module`` that nothing but them reaches.
    """
    return sha256(json.dumps(_sources(module, files, drawing), sort_keys=True).encode())


def _sources(module: str, files: Iterable[Path], drawing: Collection[str]) -> dict[str, str]:
    """Return what counts, by the name of the module or the number of the file."""
    sources: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        if name == "sparseop.study":
            queue.append(GENERATORS)
        if name in sources or name in ENGINE:
            continue
        found = _source(name)
        if found is not None:
            path, tree = found
            if name == module:
                tree.body = _without(tree.body, drawing)
            sources[name] = ast.dump(tree)
            queue.extend(_project_imports(tree, name if path.name == "__init__.py" else name.rpartition(".")[0]))
            if path.name == "__init__.py" and _imports_by_name(tree):
                queue.extend(f"{name}.{part.stem}" for part in path.parent.glob("[!_]*.py"))
    return sources | {f"file {index}": sha256(path.read_bytes()) for index, path in enumerate(files)}


def _source(name: str) -> tuple[Path, ast.Module] | None:
    """Return file and syntax tree of a module without its docstrings; None for a name that is no module."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [item for item in node.body if not _is_docstring(item)] or [ast.Pass()]
    return path, tree


def _is_docstring(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def _without(body: list[ast.stmt], drawing: Collection[str]) -> list[ast.stmt]:
    """Return the statements of a module but those that only the functions ``drawing`` reach."""
    items = [single for item in body for single in _singly(item)]
    bound = [_binds(item) for item in items]
    mentioned = [_mentions(item) for item in items]
    reached = set(drawing)
    while more := {n for b, m in zip(bound, mentioned, strict=True) if b & reached for n in m} - reached:
        reached |= more
    # what any other statement mentions counts, and what that mentions; the list of studies alone may name the drawing
    dropped = {i for i, names in enumerate(bound) if names and names <= reached}
    while dropped:
        used = {
            n
            for i, names in enumerate(mentioned)
            if i not in dropped
            for n in (names - set(drawing) if bound[i] == {"STUDIES"} else names)
        }
        kept = {i for i in dropped if bound[i] & used}
        if not kept:
            break
        dropped -= kept
    return [item for i, item in enumerate(items) if i not in dropped]


def _singly(item: ast.stmt) -> list[ast.stmt]:
    """Return an import of several names as several imports."""
    if isinstance(item, ast.Import):
        return [ast.Import([alias]) for alias in item.names]
    if isinstance(item, ast.ImportFrom):
        return [ast.ImportFrom(item.module, [alias], item.level) for alias in item.names]
    return [item]


def _binds(item: ast.stmt) -> set[str]:
    """Return the names that a statement of a module does nothing but bind; none for one that may do more."""
    if isinstance(item, ast.FunctionDef) and not item.decorator_list:
        return {item.name}
    if isinstance(item, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in item.names}
    if isinstance(item, ast.Assign) and all(isinstance(target, ast.Name) for target in item.targets):
        return {target.id for target in item.targets if isinstance(target, ast.Name)}
    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        return {item.target.id}
    return set()


def _mentions(item: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(item) if isinstance(node, ast.Name)}


def _project_imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the names of this project's modules, and of what may be one, that a module of ``package`` imports."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] in PROJECT:  # importing a module runs the packages above it
                yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _imports_by_name(tree: ast.Module) -> bool:
    """Return whether a package calls ``import_module``, as those do that load their modules when asked for one."""
    return any(isinstance(node, ast.Attribute) and node.attr == "import_module" for node in ast.walk(tree))
