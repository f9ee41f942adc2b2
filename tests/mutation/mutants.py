"""The mutants of a module: cosmic-ray's, without those of annotations, decorators and the texts of refusals."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from sparseop.files import sha256
from tests.mutation.plan import OPERATORS

Place = tuple[int, int]
SUMS = (
    "arith_expr",
    "term",
    "power",
)  # elsewhere a star is no product but unpacks, or begins what goes by keyword alone


@dataclass(frozen=True)
class Mutant:
    """One change at one place: the ``occurrence``-th that ``operator`` finds, on ``line``."""

    operator: str
    occurrence: int
    line: int

    @property
    def key(self) -> str:
        """Return what tells it from the others of its module."""
        return f"{self.operator}:{self.occurrence}"

    def code(self, source: str) -> str:
        """Return the module with the change."""
        return str(mutate_code(source, get_operator(self.operator)(), self.occurrence))

    def shown(self, source: str) -> tuple[str, str]:
        """Return the first line that differs, before and after."""
        for old, new in zip(source.splitlines(), self.code(source).splitlines(), strict=False):
            if old != new:
                return old.strip(), new.strip()
        return "", ""


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of a module's source."""
    silent, tree = set(_silent(ast.parse(source))), get_ast(source)
    found = []
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [(node, start) for node in ast_nodes(tree) for start, *_ in operator.mutation_positions(node)]
        for occurrence, (node, start) in enumerate(places):
            star = "Binary" in name and node.parent.type not in SUMS
            if not star and tuple(start) not in silent:
                found.append(Mutant(name, occurrence, start[0]))
    return found


def sample(source: str, module: str, most: int) -> list[Mutant]:
    """Return at most ``most``, ordered by hashes of module and mutant: a larger sample holds a smaller."""
    return sorted(mutants(source), key=lambda mutant: sha256(f"{module} {mutant.key}".encode()))[:most]


def _silent(tree: ast.Module) -> Iterator[Place]:
    """Yield the places that run for no result: annotations, aliases of types, decorators, what an exception says."""
    quiet: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            quiet.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            quiet += [*node.decorator_list, node.returns]
        elif isinstance(node, ast.ClassDef):
            quiet += node.decorator_list
        elif isinstance(node, ast.Raise):
            quiet.append(node.exc)
        elif isinstance(node, ast.JoinedStr):
            quiet.append(node)
        elif (
            isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
        ):
            quiet.append(node.value)
    for part in filter(None, quiet):
        for line in range(part.lineno, part.end_lineno + 1):  # type: ignore[attr-defined]
            first = part.col_offset if line == part.lineno else 0  # type: ignore[attr-defined]
            last = part.end_col_offset if line == part.end_lineno else 200  # type: ignore[attr-defined]
            yield from ((line, column) for column in range(first, last))
