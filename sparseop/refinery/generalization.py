"""Theorem 1 of the SANE paper: what inaccurate labels y cost, against true soft labels y*, under cross entropy.

    Q~ = (1/n) sum_i l(h_i, y_i)   training risk,    Q = E l(h, y*)   population risk,    l(h, y) = -<y, log h>

Part 2, appendix C: queries x_1 and x_2, half of the samples each, keys {x_i, x_1, x_2}. The query is a key itself, so a
label is (y0, y0, 1 - 2 y0) up to order, one number. A model that fits the training labels has risks in closed form.

Part 1: |Q - Q~| <= L_y (mean |y_i - y_i*|) + deviation. The deviation here is Maurer and Pontil's empirical Bernstein
bound (arXiv 0907.3740, Theorem 4) with a union bound over a finite class; the paper's has the range of the loss to a
wrong power and one side only (docs/errata.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, array, between, integer, nonnegative, positive


@dataclass(frozen=True)
class TwoClassRisks:
    """Exact risks of a model h on appendix C's two-class problem.

    Attributes
    ----------
    population : Q, equal to the empirical risk with true labels Q_e, since the queries repeat.
    training : Q~.
    discrepancy : E |y - y*|_2.
    """

    population: float
    training: float
    discrepancy: float

    @property
    def gap(self) -> float:
        """Q - Q~; negative where the true labels are sharper than the training labels."""
        return self.population - self.training

    @property
    def constant(self) -> float:
        """|Q - Q~| / E |y - y*|, the c_0 of Theorem 1, part 2 (NaN where y = y*)."""
        return abs(self.gap) / self.discrepancy if self.discrepancy else float("nan")


def two_class_labels(y0: float) -> FloatArray:
    """Return the labels of x_1 and x_2 over the keys {x_i, x_1, x_2}: (y0, y0, 1 - 2 y0) and (y0, 1 - 2 y0, y0)."""
    y0 = between("y0", y0, 0, 0.5)
    return np.array([[y0, y0, 1 - 2 * y0], [y0, 1 - 2 * y0, y0]])


def two_class_risks(y0: float, y0_star: float, *, predicted: float | None = None) -> TwoClassRisks:
    """Return the risks of a model that predicts ``predicted`` (default y0: it fits the training labels perfectly).

    Parameters
    ----------
    y0, y0_star, predicted : mass on the query itself, in (0, 1/2).
    """
    y, y_star = two_class_labels(y0), two_class_labels(y0_star)
    log_h = np.log(two_class_labels(y0 if predicted is None else predicted))
    return TwoClassRisks(
        population=float(-(y_star * log_h).sum(axis=1).mean()),
        training=float(-(y * log_h).sum(axis=1).mean()),
        discrepancy=float(np.linalg.norm(y - y_star, axis=1).mean()),
    )


def lower_constant(y0: float) -> float:
    """Return c_0 = 2 |ln(y0 / (1 - 2 y0))| / sqrt(6), |Q - Q~| / E |y - y*| of a model that fits y0; 0 at y0 = 1/3."""
    y0 = between("y0", y0, 0, 0.5)
    return float(2 * abs(np.log(y0 / (1 - 2 * y0))) / np.sqrt(6))


def realising_cosine(y0: float, temperature: float, *, sign: float = 1.0) -> float:
    """Return the cosine c of f(x_1) and f(x_2) for which similarity softmax(sign cos / temperature) gives y0.

    y0 / (1 - 2 y0) = exp(sign (1 - c) / temperature), so c = 1 - sign temperature ln(y0 / (1 - 2 y0)); with the paper's
    printed sign -1 no cosine <= 1 gives y0 > 1/3, which its construction needs.

    Raises
    ------
    InputError
        where the cosine would be outside [-1, 1].
    """
    y0 = between("y0", y0, 0, 0.5)
    temperature = positive("temperature", temperature)
    sign = between("sign", sign, -1, 1, ends="[]")
    c = 1 - float(np.sign(sign)) * temperature * float(np.log(y0 / (1 - 2 * y0)))
    if not -1 <= c <= 1:
        raise InputError(
            f"y0={y0:g} cannot be predicted at temperature {temperature:g}: the cosine would have to be {c:.3g}."
        )
    return c


@dataclass(frozen=True)
class BoundTerms:
    """The terms of Theorem 1, part 1; their sum bounds |Q - Q~| with probability 1 - nu, whichever h of the class."""

    label: float
    variance: float
    range: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.label + self.variance + self.range


def label_lipschitz(log_h: Any) -> tuple[float, float]:
    """Return L_y of cross entropy over the given predictions (n, m): as the paper has it, and sharp.

    The gradient of -<y, log h> in y is -log h, so L_y = max_i |log h_i|_2. But y and y* both sum to 1, and only the
    part of log h orthogonal to 1 meets y - y*: max_i |log h_i - mean(log h_i)|_2 is the Lipschitz constant on the
    simplex. For similarities softmax(cos / tau) that is at most sqrt(m) / tau, however many keys share the probability.
    """
    log_h = array("log_h", log_h, (None, None), moderate=True)
    centred = log_h - log_h.mean(axis=1, keepdims=True)
    return float(np.linalg.norm(log_h, axis=1).max()), float(np.linalg.norm(centred, axis=1).max())


def upper_bound(
    losses: Any,
    discrepancy: float,
    *,
    lipschitz: float,
    loss_range: float,
    log_class_size: float = 0.0,
    nu: float = 0.05,
) -> BoundTerms:
    """Return L_y mean|y_i - y_i*| + sqrt(2 V ln(4 |F| / nu) / n) + 7 (a_2 - a_1) ln(4 |F| / nu) / (3 (n - 1)).

    Parameters
    ----------
    losses : (n,) l(h_i, y_i*) on the training samples; V is their sample variance.
    discrepancy : mean |y_i - y_i*|_2 of the training samples.
    lipschitz : L_y, see ``label_lipschitz``.
    loss_range : a_2 - a_1.
    log_class_size : ln |F| of a finite class; p parameters in float32 make ln |F| <= 32 p ln 2.
    nu : probability of failure, both sides together.
    """
    losses = array("losses", losses, (None,), moderate=True)
    n = integer("len(losses)", len(losses), 2)
    log_term = np.log(4 / between("nu", nu, 0, 1)) + nonnegative("log_class_size", log_class_size)
    return BoundTerms(
        label=nonnegative("lipschitz", lipschitz) * nonnegative("discrepancy", discrepancy),
        variance=float(np.sqrt(2 * losses.var(ddof=1) * log_term / n)),
        range=float(7 * nonnegative("loss_range", loss_range) * log_term / (3 * (n - 1))),
    )
