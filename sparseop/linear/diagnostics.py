"""What can be said of a table before, and without, any truth: how many wrong rows are found, and which could hide.

With x the rows of [J, 1], the program for large lam minimises sum_i |y_i - x_i a|. It finds every corruption on a set
S of rows, however large, exactly when (Donoho and Huo, IEEE Trans. Inf. Theory 47 (2001), doi:10.1109/18.959265; for
regression Giloni and Padberg, SIAM J. Optim. 14 (2004), doi:10.1137/S1052623403424156)

    sum_{i in S} |x_i a| < 1/2 sum_i |x_i a|   for all a != 0,

and with several outputs the condition is the same. Two consequences, each with its proof:

- *safe*: with the share h_i = max_a |x_i a| / sum_j |x_j a| of a row, any k rows are found where the k largest shares
sum up to less
  than 1/2. A share is one linear program, and at most the square root of the row's leverage.
- *hiding*: a direction a in which some rows hold half of the sum shows that these rows, wrong together along a, are
taken for the
  truth, and the others for the corruption, at every lam: J and the y of the right rows can't tell. In Hawkins, Bradu
  and Kass's table the ten wrong rows are such a set.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import FloatArray, InputError, integer
from sparseop.linear._rows import design
from sparseop.linear.transition import transition_sparsity
from sparseop.linear.zonotope import reach


@dataclass(frozen=True, eq=False)
class RowDiagnostics:
    """How far the rows of a J can be trusted to show their corruption.

    Attributes
    ----------
    leverage : (N,) |U^T e_i|^2 in [0, 1], U an orthonormal basis of the columns of [J, 1].
    share : (N,) h_i, or an upper bound of it where ``exact`` is False.
    exact : (N,) whether the linear program of the row was solved.
    safe : any so many wrong rows are found, whatever is in them, for lam large enough.
    hiding : rows, in order, that could hide together; the smallest such set found (the smallest there is may be
        smaller).
    direction : (p,) or (p + 1,) with an intercept: the a in which they hold half of sum |x_i a|.
    typical : the number of wrong rows up to which a Gaussian J of this shape is recovered from half of all random
        supports.
    rank : of [J, 1].
    """

    leverage: FloatArray
    share: FloatArray
    exact: NDArray[np.bool_]
    safe: int
    hiding: NDArray[np.intp]
    direction: FloatArray
    typical: float
    rank: int

    @property
    def message(self) -> str:
        """What to know, in two sentences."""
        rows = ", ".join(map(str, self.hiding[:12])) + (", ..." if len(self.hiding) > 12 else "")
        wrong = f"Any {self.safe} wrong rows are" if self.safe > 1 else f"{('No', 'Any')[self.safe]} wrong row is"
        return (
            f"{wrong} sure to be found for lam large enough. The {len(self.hiding)} rows {rows} could be wrong "
            "together and hide, at every lam: compare them with a method for leverage points."
        )

    def room(self, corrupted: int) -> float:
        """Return the share of ``typical`` that a number of wrong rows takes up; beyond 1, expect the fit to fail."""
        return integer("corrupted", corrupted, 0, len(self.share), why="N") / max(self.typical, 1e-300)


def diagnose_rows(J: Any, *, intercept: bool = True, programs: int = 200) -> RowDiagnostics:
    """Return the diagnostics of J; y plays no part.

    Parameters
    ----------
    J : (N, p).
    intercept : whether an unpenalised constant belongs to the model.
    programs : linear programs at most, for the rows of the largest leverage.

    Raises
    ------
    InputError
        for a J that is not a finite array, or is zero.
    """
    J = design("J", J).astype(np.float64)
    programs = integer("programs", programs, 1)
    X = np.hstack([J, np.ones((len(J), 1))]) if intercept else J
    norms = np.linalg.norm(X, axis=0)
    norms[norms == 0] = 1.0
    U, sigma, Wt = np.linalg.svd(X / norms, full_matrices=False)
    rank = int((sigma > max(X.shape) * np.finfo(float).eps * sigma[0]).sum())
    if rank == 0:
        raise InputError("J must not be zero where there is no intercept: no row says anything.")
    U = np.ascontiguousarray(U[:, :rank])
    leverage = np.minimum(np.einsum("ij,ij->i", U, U), 1.0)
    share, exact = np.sqrt(leverage), np.zeros(len(J), bool)
    best: tuple[NDArray[np.intp], FloatArray] | None = None
    for row in np.argsort(-leverage, kind="stable")[:programs]:
        if leverage[row] < 1e-14:
            share[row], exact[row] = 0.0, True
            continue
        found = reach(U, np.zeros(rank), U[row])
        share[row], exact[row] = min(1 / max(found.tau * (1 - found.error), 1.0), share[row]), True
        best = _smaller(best, *_hidden(U, found.a))
    assert best is not None  # some leverage is > 0
    hiding, a = best
    direction = Wt[:rank].T @ (a / sigma[:rank]) / norms
    total = np.cumsum(np.sort(share)[::-1])
    safe = int((total < 0.5 * (1 - 1e-9)).sum())
    return RowDiagnostics(
        leverage, share, exact, safe, hiding, direction, transition_sparsity(len(J), min(rank, len(J))), rank
    )


def _hidden(U: FloatArray, a: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the fewest rows that hold half of sum |U a|, and a, turned to the rows' own best direction."""
    chosen = _half(U, a)
    for _ in range(5):
        d = np.sign(U[chosen] @ a) @ U[chosen]
        if not d.any():
            break
        turned = reach(U, np.zeros(len(a)), d).a
        again = _half(U, turned)
        if len(again) >= len(chosen):
            break
        chosen, a = again, turned
    return np.sort(chosen), a


def _half(U: FloatArray, a: FloatArray) -> NDArray[np.intp]:
    size = np.abs(U @ a)
    order = np.argsort(-size, kind="stable")
    return order[: int(np.searchsorted(np.cumsum(size[order]), 0.5 * size.sum() * (1 - 1e-12))) + 1]


def _smaller(
    best: tuple[NDArray[np.intp], FloatArray] | None, rows: NDArray[np.intp], a: FloatArray
) -> tuple[NDArray[np.intp], FloatArray]:
    return (rows, a) if best is None or len(rows) < len(best[0]) else best
