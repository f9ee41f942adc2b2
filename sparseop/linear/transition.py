"""Where exact recovery breaks down for a Gaussian J: the phase transition, without a free parameter.

The column space of a Gaussian J is a uniformly random r-dimensional subspace of R^N. As lam grows, (26) recovers s_star
exactly when basis pursuit ``min |s|_1 s.t. A s = A s_star`` does, A annihilating J, that is, when this subspace meets
the cone of directions in which |s|_1 does not rise at s_star only at 0. A random subspace of dimension r does so with
probability about 1 or about 0 as r + delta is below or above N, delta the statistical dimension of the cone (Amelunxen,
Lotz, McCoy and Tropp, Information and Inference 2014, doi:10.1093/imaiai/iau005), in a window of width O(sqrt(N)).
"""

import math

from scipy.optimize import brentq
from scipy.special import erfc, erfcx

from sparseop.errors import between, integer


def transition_sparsity(n_samples: int, rank: float) -> float:
    """Return the sparsity k (a real number) at which half of the Gaussian instances of this rank are recovered.

    With q = k/N, Q and phi the Gaussian tail and density, the statistical dimension of the descent cone is
    ``delta/N = min_t [q (1 + t^2) + (1 - q) 2 ((1 + t^2) Q(t) - t phi(t))]`` (their section 4.3, up to O(1) rows). At
    the minimum ``q/(1 - q) = 2 (phi(t)/t - Q(t))`` and ``delta/N = q + (1 - q) 2 Q(t)``, so the curve delta = N - r is
    explicit in t::

        k/N = 1 - 1/(1 + 2 (phi(t)/t - Q(t))),      r/N = (1 - k/N) erf(t / sqrt 2),      0 < t < infinity

    Limits: k -> N (1 - sqrt(pi r / (2N))) as r/N -> 0; k = N at r = 0, k = 0 at r = N.

    Parameters
    ----------
    n_samples : N.
    rank : r, from 0 to N; need not be a whole number, for a smooth curve.
    """
    n = integer("n_samples", n_samples, 1)
    r = between("rank", rank, 0, n, ends="[]")
    if r in (0, n):
        return float(n - r)
    if r / n < 1e-300:
        return float(n)  # the first limit above
    # in log t, because t runs from sqrt(r/N) to about sqrt(2 log(N / (N - r)))
    root = brentq(lambda x: _rank_share(math.exp(x)) - r / n, -350.0, math.log(38.0), xtol=1e-14)
    return n * _sparsity_share(math.exp(root))


def _sparsity_share(t: float) -> float:
    ratio = 2 * _excess(t)
    return ratio / (1 + ratio)


def _rank_share(t: float) -> float:
    return math.erf(t / math.sqrt(2)) / (1 + 2 * _excess(t))


def _excess(t: float) -> float:
    """Return phi(t)/t - Q(t) > 0; from scaled functions where the two terms cancel and underflow."""
    density = math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    if t < 1:
        return density / t - float(erfc(t / math.sqrt(2))) / 2
    mills = math.sqrt(math.pi / 2) * float(erfcx(t / math.sqrt(2)))
    return density * (1 / t - mills)
