"""Coherence of J and the conditions for recovery that rest on it (SOP paper, Definition 3.4 and Proposition 3.5)."""

from dataclasses import dataclass

import numpy as np

from sparseop.errors import instance, integer
from sparseop.linear.problem import LinearProblem


@dataclass(frozen=True)
class IncoherenceCondition:
    """Both sides of condition (28), and of a weaker one that is sufficient too.

    Attributes
    ----------
    coherence : mu(J), eq. (27).
    left, right : k^2 r and N / (4 mu); (28) holds where left < right.
    weaker_left, weaker_right : k r and N / (2 mu).
    """

    coherence: float
    left: float
    right: float
    weaker_left: float
    weaker_right: float

    @property
    def holds(self) -> bool:
        """Whether (28) holds, so that (26) recovers every k-sparse s_star for all lam large enough."""
        return self.left < self.right

    @property
    def weaker_holds(self) -> bool:
        """Whether the weaker condition k r < N / (2 mu) holds, which has the same consequence."""
        return self.weaker_left < self.weaker_right


def coherence(problem: LinearProblem) -> float:
    """Return mu(J) = (N/r) max_i |U^T e_i|^2, eq. (27): 1 <= mu <= N/r.

    U is an orthonormal basis of the column space of J, so mu depends on that space only. For J = 0, where (27) is 0/0,
    the answer is 1 by convention: every bound that mu enters carries the factor r = 0.
    """
    instance("problem", problem, LinearProblem)
    if problem.rank == 0:
        return 1.0
    leverage = np.einsum("ij,ij->i", problem.U, problem.U)
    return float(leverage.max() * problem.n_samples / problem.rank)


def incoherence_condition(problem: LinearProblem, sparsity: int) -> IncoherenceCondition:
    """Return both sides of condition (28), k^2 r < N / (4 mu(J)), for k = ``sparsity``.

    Beside it stands k r < N / (2 mu(J)), which is implied by (28), as r mu/N <= 1, and is sufficient as well: the proof
    of Lemma B.5 bounds |x|_1 >= |x|_2 for x = U a; but |x|_2^2 <= |x|_1 |x|_inf and |x|_inf <= sqrt(r mu/N) |a|_2 give
    |x|_1 >= sqrt(N/(r mu)) |a|_2, hence |x_S|_1 <= k (r mu/N) |x|_1 and rho <= eta/(1 - eta) with eta = k r mu/N. Both
    conditions say eta < 1/2, (28) with eta = k sqrt(r mu/N).

    Raises
    ------
    InputError
        where ``sparsity`` is not a whole number from 0 to N.
    """
    instance("problem", problem, LinearProblem)
    k = integer("sparsity", sparsity, 0, problem.n_samples, why="the number of observations")
    mu, r, n = coherence(problem), problem.rank, problem.n_samples
    return IncoherenceCondition(mu, float(k * k * r), n / (4 * mu), float(k * r), n / (2 * mu))
