"""The linear program behind every exact statement on recovery: how far along a ray a zonotope reaches.

For C (m, r), c (r,) and d (r,) != 0::

    maximise tau   subject to   C^T w + c = tau d,   |w_i| <= 1                                    (primal)
    minimise |C a|_1 + <c, a>   subject to   <a, d> = 1                                            (dual)

Both the recovery threshold and the null-space constant are of this form, with C the rows of U outside a support, so
both are answered here, and certified: any a with <a, d> = 1 bounds tau from above, and the w found shows that tau is
reached. Library code calls it on rows of a matrix with orthonormal columns, where the program is well scaled whatever J
is.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.optimize import linprog

from sparseop.errors import FloatArray

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Reach:
    """Solution of the program, with its certificate.

    Attributes
    ----------
    tau : the largest tau found, reached by ``w`` up to ``defect``; -inf where no tau is feasible.
    bound : no tau above it is feasible (the dual value at ``a``); -inf where ``a`` proves that none is.
    w, a : (m,) and (r,).
    defect : largest violation of the primal constraints by (w, tau).
    """

    tau: float
    bound: float
    w: FloatArray
    a: FloatArray
    defect: float

    @property
    def error(self) -> float:
        """Certified error: duality gap relative to max(|tau|, 1), or the constraint violation if that is larger."""
        gap = 0.0 if self.tau == self.bound else abs(self.bound - self.tau) / max(abs(self.bound), 1.0)
        return max(gap, self.defect)


def reach(C: FloatArray, c: FloatArray, d: FloatArray) -> Reach:
    """Solve the program; ``tau = -inf`` where it is infeasible."""
    size = float(np.linalg.norm(d))
    d = d / size
    basis, beyond = _range(C, c, d)
    if np.linalg.norm(beyond) > TOLERANCE * max(1.0, float(np.linalg.norm(c))):
        # a = -beyond is orthogonal to d and to every row of C, so the dual decreases along it without end
        return Reach(-np.inf, -np.inf, np.zeros(len(C)), -beyond, 0.0)
    found = _best(C @ basis, c @ basis, d @ basis)
    if found is None:
        found = _infeasible(C @ basis, c @ basis, d @ basis)
    return Reach(found.tau / size, found.bound / size, found.w, basis @ found.a / size, found.defect)


def _range(C: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a basis of span(rows of C, d), so that no equality is redundant, and the part of c outside of it."""
    Wt = scipy.linalg.svd(np.vstack([C, d]), full_matrices=False, check_finite=False)
    basis = np.ascontiguousarray(Wt[2][Wt[1] > 1e-12 * max(1.0, Wt[1][0])].T)
    return basis, c - basis @ (basis.T @ c)


def _best(C: FloatArray, c: FloatArray, d: FloatArray) -> Reach | None:
    """Return the best of the two HiGHS methods; None where they say infeasible."""
    best = None
    for method in ("highs-ds", "highs-ipm"):
        m, cost = len(C), np.zeros(len(C) + 1)
        cost[-1] = -1.0
        bounds = [(-1.0, 1.0)] * m + [(None, None)]
        tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        result = linprog(cost, A_eq=np.column_stack([C.T, -d]), b_eq=-c, bounds=bounds, method=method, options=tight)
        if result.status == 2:
            return best
        if result.x is None:
            continue
        found = _certify(C, c, d, result.x, np.asarray(result.eqlin.marginals))
        if best is None or found.error < best.error:
            best = found
        if best.error <= TOLERANCE:
            break
    return best


def _certify(C: FloatArray, c: FloatArray, d: FloatArray, x: FloatArray, a: FloatArray) -> Reach:
    """Move a solver's answer onto the vertex it points to, and measure what remains with exact bounds.

    A solver stops at its own tolerances; the set of w at their bounds is right long before the last digits are, so the
    free ones and tau are solved for again, and a likewise from C_free a = 0, <a, d> = 1.
    """
    w = np.clip(x[:-1], -1.0, 1.0)
    free = np.abs(w) < 1 - 1e-7
    w[~free] = np.sign(w[~free])
    step = scipy.linalg.lstsq(np.column_stack([C[free].T, -d]), x[-1] * d - c - C.T @ w, check_finite=False)[0]
    w[free] += step[:-1]
    tau = float(x[-1] + step[-1])
    defect = max(float(np.abs(C.T @ w + c - tau * d).max(initial=0.0)), float(np.abs(w).max(initial=0.0)) - 1.0)

    rows = np.vstack([C[free], d])
    target = np.append(np.zeros(len(rows) - 1), 1.0)
    polished = a + scipy.linalg.lstsq(rows, target - rows @ a, check_finite=False)[0]
    scaled = [v / (v @ d) for v in (a, polished) if abs(v @ d) > 0.5]
    duals = [(float(np.abs(C @ v).sum() + c @ v), v) for v in scaled] or [(np.inf, a)]
    bound, a = min(duals, key=lambda pair: pair[0])
    return Reach(tau, bound, w, a, defect)


def _infeasible(C: FloatArray, c: FloatArray, d: FloatArray) -> Reach:
    """Prove that no tau is feasible: the same program along -c, with d projected out, reaches less than 1.

    Its dual a has <a, d> = 0 and |C a|_1 + <c, a> < 0, so the dual of the first program is unbounded below.
    """
    complement = scipy.linalg.null_space(d[None, :])
    along = -(complement.T @ c)
    size = float(np.linalg.norm(along))
    proof = _best(C @ complement, np.zeros(len(along)), along / size) if size > 0 else None
    if proof is None or proof.bound >= size:
        return Reach(-np.inf, np.inf, np.zeros(len(C)), np.zeros(len(d)), 0.0)
    return Reach(-np.inf, -np.inf, proof.w, complement @ proof.a, 0.0)
