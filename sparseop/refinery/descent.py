"""Gradient descent (7) on refined labels (5): the self-labeling refinery of the SANE paper, section 3.1.

    ybar_t = (1 - alpha_t) y + alpha_t f(W'_t, x~)             refined label, beta_t = 0, tau' = 1
    W_{t+1} = W_t - eta J(W_t, X)^T (f(W_t, X) - ybar_t)       ybar_t is a constant here (stop-gradient)

Plain gradient descent is alpha = 0. Where x~ comes from is the choice that matters (``POSITIVES``):

=========  ==================================================================================================
"self"     x~ = x, as the paper's proofs have it; then the step is gradient descent's with eta (1 - alpha_t)
"partner"  one other crop of the same centre for each crop, drawn once
"cluster"  another crop of the same centre, redrawn each step; every crop is a positive exactly once a step
"fresh"    a new crop, of the same radius eps, that is in nobody's training set, redrawn each step
=========  ==================================================================================================

W' is W itself, or with ``teacher=m`` its moving average W'_{t+1} = m W'_t + (1 - m) W_{t+1}, m -> 1 the slower.

A step is two products with the (n, d) data, 4 n d k operations, and n k activations. The arrays of n k numbers stay in
the second-level cache; both products have an inner dimension of d, and that and tanh bound the speed.
``precision="single"`` computes them in float32 and keeps the weights and all records in float64: the weights then
differ by 1e-5 relative after thousands of steps (tested), at 2.5 times the speed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import FloatArray, InputError, Seed, array, between, choice, fits, instance, integer, positive
from sparseop.refinery.data import CorruptedDataset, IntArray, crop
from sparseop.refinery.network import OneHiddenLayer
from sparseop.refinery.schedules import schedule
from sparseop.refinery.streams import stream

POSITIVES = ("self", "partner", "cluster", "fresh")
PRECISIONS = {"double": np.float64, "single": np.float32}


@dataclass(frozen=True, eq=False)
class Refinement:
    """What happened in a run; every array has one entry for each recorded step, the state before that step's update.

    Attributes
    ----------
    step, alpha : t and alpha_t.
    time : effective time, the sum of eta (1 - alpha_s) over s < t.
    residual_plus, residual_minus : |P_S+ r_t|_2 and |P_S- r_t|_2 of r_t = f(W_t, X) - ybar_t (Theorem 6).
    fit_plus, fit_minus : the same of f(W_t, X) - y, the residual to the labels as given.
    distance : |W_t - W_0|_F (Theorem 7).
    discrepancy : |ybar_t - y*|_2 / sqrt(n) (Theorem 2, part 1).
    error, error_max : |f(W_t, X) - y*|_2 / sqrt(n) (Theorem 2, part 2) and |f(W_t, X) - y*|_inf (Theorem 7).
    label_recovery : share of crops whose refined label is nearest to the true one.
    train_accuracy : share of crops whose prediction f(W_t, x) is nearest to the true label.
    noise_fitted : share of wrongly labelled crops whose prediction is nearest to the wrong label (NaN without any).
    test_accuracy : share of fresh crops whose prediction is nearest to the true label.
    W : final weights (k, d); path : W at every recorded step (T, k, d), where it was asked for.
    f : final predictions f(W, X) (n,).
    eta : the step size.
    """

    step: IntArray
    alpha: FloatArray
    time: FloatArray
    residual_plus: FloatArray
    residual_minus: FloatArray
    fit_plus: FloatArray
    fit_minus: FloatArray
    distance: FloatArray
    discrepancy: FloatArray
    error: FloatArray
    error_max: FloatArray
    label_recovery: FloatArray
    train_accuracy: FloatArray
    noise_fitted: FloatArray
    test_accuracy: FloatArray
    W: FloatArray
    f: FloatArray
    path: FloatArray | None
    eta: float


def largest_step(data: CorruptedDataset, network: OneHiddenLayer) -> float:
    """Return 1 / lambda_max(J J^T) at the network's weights: half of what makes gradient descent unstable there."""
    return 1 / float(np.linalg.eigvalsh(network.gram(data.X))[-1])


def log_steps(steps: int, count: int = 40) -> IntArray:
    """Return 0, ``steps`` and about ``count`` whole numbers between them, equally spaced in their logarithm."""
    return np.unique(
        np.round(np.append(0, np.geomspace(1, integer("steps", steps, 1), integer("count", count, 1, 10**6)))).astype(
            np.intp
        )
    )


def refine(
    data: CorruptedDataset,
    network: OneHiddenLayer,
    *,
    steps: int,
    eta: float | None = None,
    alpha: Any = 0.0,
    positive_from: str = "self",
    teacher: float = 0.0,
    record: Any = None,
    keep_path: bool = False,
    test_crops: int = 100,
    precision: str = "double",
    seed: Seed = 0,
) -> Refinement:
    """Train the network on the refinery's labels and record what the SANE paper's Theorems 2, 6, 7 and 8 speak of.

    Parameters
    ----------
    data, network : the corrupted dataset and the network at its initial weights W_0.
    steps : number of updates (7).
    eta : step size; default ``largest_step``.
    alpha : alpha_t in [0, 1], a number or one for each step (``sparseop.refinery.schedules``); 0 is gradient descent.
    positive_from : where x~ comes from, one of "self", "partner", "cluster", "fresh" (module docstring).
    teacher : momentum m in [0, 1) of the moving-average network that judges x~; 0: the network itself.
    record : steps to record at, increasing, each 0 to ``steps``; default ``log_steps(steps)``.
    keep_path : keep the weights at the recorded steps.
    test_crops : fresh crops of each centre to test on.
    precision : "double", or "single" for float32 activations and products.
    seed : for x~ and the test crops; a number, a ``numpy.random.SeedSequence`` or a ``numpy.random.Generator``.

    Raises
    ------
    InputError
        for an argument outside its range, or where the weights became infinite because ``eta`` is too large.

    References
    ----------
    SANE, arXiv 2106.14749, eqs. (5)-(7) and (14).
    """
    instance("data", data, CorruptedDataset)
    instance("network", network, OneHiddenLayer)
    d = data.X.shape[1]
    if network.W.shape[1] != d:
        raise InputError(f"network takes inputs of length {network.W.shape[1]}, but data has crops of length {d}.")
    steps = integer("steps", steps, 1)
    eta = largest_step(data, network) if eta is None else positive("eta", eta)
    alphas = schedule(alpha, steps)
    choice("positive_from", positive_from, POSITIVES)
    teacher = between("teacher", teacher, 0, 1, ends="[)")
    dtype = PRECISIONS[choice("precision", precision, PRECISIONS)]
    if positive_from in ("partner", "cluster") and alphas.any() and data.sizes.min() < 2:
        raise InputError(f"positive_from={positive_from!r} needs two crops of every centre, one has a single crop.")
    at = log_steps(steps) if record is None else _recorded(record, steps)
    test_crops = integer("test_crops", test_crops, 1)
    fits(
        f"the {test_crops} test crops of every centre and {data.n} crops, at width {network.width}",
        (2 * test_crops * data.n_centres + 2 * data.n) * (network.width + d)
        + (network.W.size * len(at) if keep_path else 0),
    )
    rng = stream(seed, "descent")
    test_labels = np.repeat(np.arange(data.n_centres), test_crops)
    test = crop(data.centres[test_labels], data.eps, rng)
    descent = _Descent(data, network, positive_from, teacher, dtype, rng)

    rows: list[dict[str, float]] = []
    path: list[FloatArray] = []
    with np.errstate(over="ignore", invalid="ignore"):  # told below, in a sentence
        for t in range(steps + 1):
            # the last state has no step of its own; it is judged with the last step's alpha
            a = float(alphas[min(t, steps - 1)])
            f, ybar = descent.evaluate(a)
            due = len(rows) < len(at) and at[len(rows)] == t
            if (due or t == steps) and not np.isfinite(np.linalg.norm(descent.W)):
                raise InputError(
                    f"eta={eta:g} is too large, the weights were infinite at step {t}; take a smaller one."
                )
            if due:
                predicted = data.nearest(network.at(descent.W)(test))
                place = {"step": t, "alpha": a, "time": eta * float(np.sum(1 - alphas[:t]))}
                judged = {
                    "test_accuracy": float(np.mean(predicted == data.centre_labels[test_labels])),
                    "distance": float(np.linalg.norm(descent.W - network.W)),
                }
                rows.append(place | quantities(data, f.astype(float), ybar.astype(float)) | judged)
                if keep_path:
                    path.append(descent.W.copy())
            if t < steps:
                descent.update(eta, f - ybar)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Refinement(
        **columns,
        W=descent.W,
        f=f.astype(np.float64),
        path=np.array(path) if keep_path else None,
        eta=eta,
    )


class _Descent:
    """The state of a run: weights, teacher, and the buffers of one step (fresh memory each step would cost as much)."""

    def __init__(
        self,
        data: CorruptedDataset,
        network: OneHiddenLayer,
        positive_from: str,
        teacher: float,
        dtype: Any,
        rng: np.random.Generator,
    ) -> None:
        self.data, self.phi, self.positive_from, self.momentum, self.rng = (
            data,
            network.phi,
            positive_from,
            teacher,
            rng,
        )
        self.W = network.W.copy()
        self.average = self.W.copy()
        self.X, self.y, self.v = data.X.astype(dtype), data.y.astype(dtype), network.v.astype(dtype)
        self.own_centres = data.centres[data.cluster].astype(dtype)
        self.values, self.slopes = (np.empty((data.n, network.width), dtype) for _ in range(2))
        self.partner = self._partners() if positive_from == "partner" else None

    def evaluate(self, alpha: float) -> tuple[Any, Any]:
        """Return f(W_t, X) and the refined labels; keep phi'(X W_t^T) for the update."""
        judged = self._judged() if alpha > 0 and (self.momentum or self.positive_from == "fresh") else None
        f = self._forward(self.W, self.X)
        if alpha == 0:
            return f, self.y
        if judged is None:
            judged = f
        if self.positive_from in ("partner", "cluster"):
            judged = judged[self._partners() if self.partner is None else self.partner]
        one = self.y.dtype.type(1)
        weight = self.y.dtype.type(alpha)
        return f, (one - weight) * self.y + weight * judged

    def update(self, eta: float, residual: Any) -> None:
        """W <- W - eta J^T residual, with J^T r = v . (phi'(W X^T) (r . X))."""
        self.W -= eta * (self.v[:, None] * (self.slopes.T @ (residual[:, None] * self.X)))
        if self.momentum:
            self.average *= self.momentum
            self.average += (1 - self.momentum) * self.W

    def _judged(self) -> Any:
        """f(W'_t, x~) of a fresh crop, or f(W'_t, X) of the moving average."""
        X = crop(self.own_centres, self.data.eps, self.rng) if self.positive_from == "fresh" else self.X
        return self._forward(self.average if self.momentum else self.W, X)

    def _forward(self, W: FloatArray, X: Any) -> Any:
        np.dot(X, W.astype(X.dtype).T, out=self.values)
        self.phi.fill(self.values, self.slopes)
        return self.values @ self.v

    def _partners(self) -> NDArray[np.intp]:
        """Return for every crop another one of its cluster, each used once: a random cycle through every cluster."""
        keys = self.data.cluster + self.rng.random(self.data.n)
        ring = np.argsort(keys)
        starts = np.concatenate([[0], np.cumsum(self.data.sizes)[:-1]])
        following = np.roll(ring, -1)
        following[np.append(starts[1:], self.data.n) - 1] = ring[starts]
        partner = np.empty(self.data.n, dtype=np.intp)
        partner[ring] = following
        return partner


def quantities(data: CorruptedDataset, f: FloatArray, ybar: FloatArray) -> dict[str, float]:
    """Return what the theorems speak of, from predictions f (n,) and refined labels ybar (n,).

    By its name in ``Refinement``.
    """
    root = np.sqrt(data.n)
    norm = np.linalg.norm
    predicted = data.nearest(f)
    wrong = data.wrong
    return {
        "residual_plus": float(norm(data.plus(f - ybar))),
        "residual_minus": float(norm(data.minus(f - ybar))),
        "fit_plus": float(norm(data.plus(f - data.y))),
        "fit_minus": float(norm(data.minus(f - data.y))),
        "discrepancy": float(norm(ybar - data.y_star) / root),
        "error": float(norm(f - data.y_star) / root),
        "error_max": float(np.abs(f - data.y_star).max()),
        "label_recovery": float(np.mean(data.nearest(ybar) == data.y_star)),
        "train_accuracy": float(np.mean(predicted == data.y_star)),
        "noise_fitted": float(np.mean(predicted[wrong] == data.y[wrong])) if wrong.any() else float("nan"),
    }


def _recorded(record: Any, steps: int) -> IntArray:
    at = array("record", record, (None,))
    if np.any(np.diff(at) <= 0) or np.any(at != np.floor(at)) or at[0] < 0 or at[-1] > steps:
        raise InputError(f"record must be increasing whole numbers from 0 to steps={steps}.")
    return at.astype(np.intp)
