r"""What planted errors tell: one score from all judges, how many labels are wrong, how many of those a list holds.

Beside every sample x (the judges' numbers) a copy of the labels gives samples that are known to be wrong. Let f1 be
their density and f = pi f1 + (1 - pi) f0 that of all the others, of which an unknown share pi is wrong too. With a
linear model of what sets wrong from right, f1(x) / f0(x) = exp(a + w'x), the odds of "planted" against "other" are

    f1(x) / f(x) = 1 / (pi + (1 - pi) exp(-a - w'x)),

which levels off at 1 / pi where all are wrong: from that height pi is estimated, by maximum likelihood together with
a and w, without any truth (case-control studies with contaminated controls: Lancaster and Imbens, Journal of
Econometrics 71, 1996). Bayes' rule turns it into the suspicion, the probability that a label is wrong,

    P(wrong | x) = 1 / (1 + exp(-(a + w'x + log(pi / (1 - pi))))).

The sum of the suspicions is the number of wrong labels, their mean over a list its precision. All of it holds as far
as the wrong labels of the data are like the planted ones: the one assumption, which no look at the data can prove.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from sparseop.inspect.features import Array

BINS, DRAWS, CONFIDENCE = 300, 100, 0.9
FARTHEST = (
    8.0  #: a judge's number counts up to this many halves of the way from the middle sample to the middle planted one
)
_LOWEST, _HIGHEST = -9.0, 4.0  # of the log odds of pi: from 1 in 8,000 to 98 %


@dataclass(frozen=True)
class Model:
    """The fitted model.

    Attributes
    ----------
    share : pi.
    constant : a.
    weight : w >= 0, (judges,).
    centre, spread : (judges,), a judge's number x counts as (x - centre) / spread.
    """

    share: float
    constant: float
    weight: Array
    centre: Array
    spread: Array

    def score(self, columns: Array) -> Array:
        """Return a + w'x of each row of the judges' numbers (n, judges): the log of f1 / f0."""
        found: Array = self.constant + _scaled(columns, self.centre, self.spread) @ self.weight
        return found


@dataclass(frozen=True)
class Estimate:
    """How far the score can be trusted on these data.

    Attributes
    ----------
    share : pi.
    curves : (draws + 1, 3), rows (log odds of pi, a, b): the suspicion of score s is expit(a + b s + log odds); the
        first row is the estimate, the others from resampled planted and other samples.
    planted : (m,), the scores of the planted errors.
    """

    share: float
    curves: Array
    planted: Array

    def suspicion(self, score: Array) -> Array:
        """Return the probability that a label is wrong, for each score."""
        return _suspicion(self.curves[0], score)

    def number(self, score: Array) -> tuple[float, float, float]:
        """Return the number of wrong labels among samples of these scores, and its 90 % interval."""
        middle, *drawn = (float(_suspicion(curve, score).sum()) for curve in self.curves)
        return middle, *_interval(np.array(drawn), middle)

    def precision(self, score: Array) -> tuple[Array, Array, Array]:
        """Return the estimated share of wrong labels among the n highest scores, for n = 1..N, and its interval."""
        falling, n = np.sort(score)[::-1], np.arange(1, len(score) + 1)
        middle = np.cumsum(_suspicion(self.curves[0], falling)) / n
        drawn = np.array([np.interp(n, *_thinned(np.cumsum(_suspicion(c, falling)) / n)) for c in self.curves[1:]])
        low, high = np.quantile(drawn, _ends(), axis=0)
        return middle, np.minimum(low, middle), np.maximum(high, middle)

    def found(self, score: float) -> tuple[int, int, tuple[float, float]]:
        """Return how many planted errors score at least this, of how many, and Wilson's 90 % interval of the share."""
        m, hit = len(self.planted), int((self.planted >= score).sum())
        z = 1.6448536269514722  # of the normal distribution, 5 % above
        middle, wide = (hit + z * z / 2) / (m + z * z), z * np.sqrt(hit * (m - hit) / m + z * z / 4) / (m + z * z)
        return hit, m, (float(max(middle - wide, 0)), float(min(middle + wide, 1)))


def fit(planted: Array, others: Array, *, ridge: float = 0.5) -> Model:
    """Fit the model to planted errors (m, judges) and the other samples (n, judges) of their copies.

    ``ridge`` / m pulls the weights to their mean: strongly where few errors were planted.
    """
    centre, high = np.median(others, axis=0), np.median(planted, axis=0)
    spread = np.maximum(np.abs(high - centre) / 2, 1e-12)  # the middle planted error lies at 2
    x1, x0 = (_scaled(x, centre, spread) for x in (planted, others))
    best = _maximise(x1, np.full(len(x1), 1 / len(x1)), x0, np.full(len(x0), 1 / len(x0)), ridge / len(x1))
    return Model(float(expit(best[0])), float(best[1]), best[2:], centre, spread)


def estimate(model: Model, planted: Array, others: Array, generator: np.random.Generator) -> Estimate:
    """Return what the scores of planted errors (m,) and of the other samples (n,) tell, and what resampled ones do."""
    edges = np.unique(np.quantile(np.concatenate([others, planted]), np.linspace(0, 1, BINS)))
    middle = (edges[1:] + edges[:-1]) / 2 if len(edges) > 1 else edges
    counts1, counts0 = (np.bincount(np.searchsorted(edges[1:-1], x), minlength=len(middle)) for x in (planted, others))
    start = np.array([logit(np.clip(model.share, 1e-4, 0.98)), 0.0, 1.0])
    curves = []
    for draw in range(DRAWS + 1):
        one, zero = counts1, counts0
        if draw:
            one, zero = (generator.multinomial(c.sum(), c / c.sum()) for c in (counts1, counts0))
        curves.append(_maximise(middle[:, None], one / one.sum(), middle[:, None], zero / zero.sum(), 0.0, start))
        start = curves[0]
    return Estimate(float(expit(curves[0][0])), np.array(curves), np.sort(planted))


def _maximise(x1: Array, p1: Array, x0: Array, p0: Array, ridge: float, start: Array | None = None) -> Array:
    """Return (log odds of pi, a, w) of the largest likelihood, planted and others weighing the same in all."""
    judges = x1.shape[1]
    starts = (
        [np.concatenate([[share, -3.0], np.ones(judges) / judges]) for share in (-3.0, -1.0, 0.0)]
        if start is None
        else [start]
    )
    bounds = [(_LOWEST, _HIGHEST), (-60, 60), *[(0, 40)] * judges]

    def loss(v: Array) -> tuple[float, Array]:
        pi, log_pi, log_rest = expit(v[0]), -np.logaddexp(0, -v[0]), -np.logaddexp(0, v[0])
        pull = v[2:] - v[2:].mean()
        value = 0.5 * ridge * float(pull @ pull) + 5e-4 * float(v[2:] @ v[2:])
        slope = np.concatenate([[0.0, 0.0], ridge * pull + 1e-3 * v[2:]])
        for x, p, sign in ((x1, p1, 1.0), (x0, p0, -1.0)):
            z = v[1] + x @ v[2:]
            r = -np.logaddexp(log_pi, log_rest - z)  # log f1 / f
            value += float(p @ np.logaddexp(0, -sign * r))
            by_r = -sign * p * expit(-sign * r)
            right = np.exp(np.minimum(log_rest - z + r, 0))  # the share of the right ones in f
            by_z = by_r * right
            slope[0] -= float(by_r @ ((1 - right) * (1 - pi) - right * pi))
            slope[1] += by_z.sum()
            slope[2:] += x.T @ by_z
        return value, slope

    tried = [minimize(loss, s, jac=True, method="L-BFGS-B", bounds=bounds) for s in starts]
    best: Array = min(tried, key=lambda result: result.fun).x
    return best


def _scaled(columns: Array, centre: Array, spread: Array) -> Array:
    return np.clip((columns - centre) / spread, -FARTHEST, FARTHEST)


def _suspicion(curve: Array, score: Array) -> Array:
    found: Array = expit(curve[0] + curve[1] + curve[2] * score)
    return found


def _thinned(values: Array) -> tuple[NDArray[np.int64], Array]:
    """Return a curve at about a thousand places, close together at the start: a million points are not kept."""
    places = np.unique(np.round(np.geomspace(1, len(values), 1000)).astype(np.int64))
    return places, values[places - 1]


def _interval(drawn: Array, middle: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, _ends())
    return float(min(low, middle)), float(max(high, middle))


def _ends() -> tuple[float, float]:
    return (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
