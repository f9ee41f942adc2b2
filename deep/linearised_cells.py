r"""What the study ``deep.linearised`` measures: SOP's linear model y = J theta + s on a real network's tangent kernel.

J J^T is the tangent kernel of 600 digits shared over the classes, at initialisation or after eight epochs, scaled to
trace N; its r leading eigenvectors U_r span what the r directions that the network learns first can say. Y (N, C) holds
the given labels one-hot, q is the share of wrong ones, so each class has k = 2 q N / C wrong entries.

The convex programs, all with the same ridge |theta|^2 / 2 on all classes' parameters::

    entrywise     lam sum_ic |s_ic|            equation (26), class by class
    row-group     lam sum_i |s_i|_2            one image, one corruption
    ridge         |s|^2 / (2 mu)               no sparsity at all
    entrywise with noise                       y = J theta + s + e, with lam |s|_1 + |e|^2 / (2 sigma^2)

When is theta = 0, s = Y cheaper than the truth? The clean labels, fitted by U_r as well as l1 can, leave an error E N
per class; with the wrong entries on top, 2 q N / C + E N has to stay below the N / C that s = y_c costs. So the
entrywise program needs E < (1 - 2q) / C, and the row-group program, by the same count of row norms, needs E_2 < 1 -
sqrt(2) q.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deep.small_runs import CLASSES, EARLY, Digits, Linearised, N, accuracy, begin, digits, margin
from sparseop.deep.labels.evaluation import auroc
from sparseop.deep.tangent import tangent_kernel
from sparseop.linear import LinearProblem, solve_convex, solve_groups, solve_path, transition_sparsity
from sparseop.linear.incoherence import coherence
from sparseop.study import Row, generator

Array = NDArray[np.float64]
RANKS = (10, 20, 40, 80, 160)
TRIALS = 31  #: random supports and signs for each measured transition
CERTAIN = 1e6  #: lam at which the ridge on U_r's coordinates no longer counts: (26) is then basis pursuit
TOL = 1e-6
#: six weights for each program; the one with most of the noisy labels of other images right is taken
WEIGHTS: dict[str, tuple[Any, ...]] = {
    "entrywise": (0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    "row-group": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    "ridge": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "entrywise with noise": tuple((cut, mu) for mu in (1.0, 3.0, 10.0) for cut in (0.2, 0.5)),
}
OTHERS = 300  #: images with noisy labels, not trained on, by which weights are chosen


def cell(part: str, kind: str, rate: float, seed: int) -> list[Row]:
    """Return the rows of one part of the study."""
    torch.set_num_threads(1)
    return _PARTS[part](digits(kind, rate, seed), rate, seed)


# ---- (a) real eigenspaces against the transition curve -----------------------------------------------------


def spaces(data: Digits, rate: float, seed: int) -> list[Row]:
    """Measure the sparsity up to which random corruption is recovered, for eigenspaces at four moments."""
    del rate
    run = begin(initial=seed, order=seed)
    networks = {"start": run.snapshot(), "early": run.train(data, EARLY).snapshot(), "end": run.train(data).snapshot()}
    networks["end, cross-entropy"] = begin("ce", initial=seed, order=seed).train(data).network
    # of the given labels' errors, the part that depends on the true class alone, and the rest
    errors, classes = one_hot(data.given) - one_hot(data.true), one_hot(data.true)
    systematic = classes @ (classes.T @ errors / classes.sum(0)[:, None])
    rest = errors - systematic
    rows: list[Row] = []
    for moment, network in networks.items():
        values, vectors = eigenvectors(kernel(network, data.images)[0])
        for rank in RANKS:
            U = np.ascontiguousarray(vectors[:, :rank])
            found = [
                recovered_sparsity(U, generator("linearised", seed, moment, rank, trial)) for trial in range(TRIALS)
            ]
            mu = coherence(LinearProblem(U, U[:, 0]))
            random = generator("linearised", "gaussian", seed, rank).standard_normal((N, rank))
            rows.append(
                {
                    "moment": moment,
                    "rank": rank,
                    "measured": float(np.median(found)),
                    "predicted": transition_sparsity(N, rank),
                    "certified": int(np.sqrt(max(N / (4 * mu * rank) - 1e-12, 0))),
                    "coherence": mu,
                    "coherence_gaussian": coherence(LinearProblem(random, random[:, 0])),
                    "share_of_trace": float(values[:rank].sum() / values.sum()),
                    "systematic_inside": float(np.sum((U.T @ systematic) ** 2) / np.sum(systematic**2)),
                    "rest_inside": float(np.sum((U.T @ rest) ** 2) / np.sum(rest**2)),
                }
            )
    return rows


def recovered_sparsity(U: Array, draw: np.random.Generator) -> int:
    """Return the largest k at which the first k entries of a random order, with random signs, are recovered exactly.

    Whether (26) recovers for all large lam depends on the support and signs only, and what recovers a support recovers
    its subsets, so bisection finds the last k.
    """
    order, signs = draw.permutation(N), draw.choice([-1.0, 1.0], N)

    def recovered(k: int) -> bool:
        s = np.zeros(N)
        s[order[:k]] = signs[:k]
        solution = solve_convex(LinearProblem(U, s), CERTAIN, tol=TOL)
        return bool(np.abs(solution.s - s).max() < 1e-3)

    low, high = 0, N
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if recovered(middle) else (low, middle)
    return low


# ---- (b) the ratio, (d) accuracy ---------------------------------------------------------------------------


def labels(data: Digits, rate: float, seed: int) -> list[Row]:
    """Solve the programs on labels: in leading eigenspaces for detection, on the whole kernel for accuracy."""
    run = begin(initial=seed, order=seed)
    start, early = run.snapshot(), run.train(data, EARLY).snapshot()
    run.train(data)
    with torch.no_grad():
        final = run.network(data.test)
        predicted = early(data.images).argmax(1)
    rows: list[Row] = []
    if rate < 0.5:
        for moment, network in (("start", start), ("early", early)):
            _, vectors = eigenvectors(kernel(network, data.images)[0])
            rows += [_detection(data, rate, predicted, np.ascontiguousarray(vectors[:, :r]), moment) for r in RANKS]
    rows.append({"what": "accuracy", "method": "deep SOP", "accuracy": accuracy(final, data.test_true)})
    K, scale = kernel(early, data.images)
    test, others = (
        tangent_kernel(early, part, data.images).values.double().numpy() / scale
        for part in (data.test, data.others[:OTHERS])
    )
    return rows + _accuracies(data, K, test, others)


def _detection(data: Digits, rate: float, predicted: Tensor, U: Array, moment: str) -> Row:
    """Return both ratios and how well both programs find the wrong labels, in the space of U."""
    Y, truth, guess = (one_hot(of) for of in (data.given, data.true, predicted))
    found: Row = {"what": "detection", "moment": moment, "rank": U.shape[1]}
    entry, row = entrywise(U, Y, CERTAIN), solve_groups(U, Y, CERTAIN, tol=TOL).S
    doubt = float((predicted != data.given).double().mean())
    for name, clean, q in (("ratio", truth, rate), ("own_ratio", guess, doubt)):
        error = np.abs(entrywise(U, clean, CERTAIN)).sum(0).mean() / N
        found[name] = float(error * CLASSES / (1 - 2 * q)) if q < 0.5 else np.inf
    clean_rows = np.linalg.norm(solve_groups(U, truth, CERTAIN, tol=TOL).S, axis=1).mean()
    found["group_ratio"] = float(clean_rows / (1 - np.sqrt(2) * rate))
    found["auroc"] = auroc(torch.from_numpy(np.abs(entry).sum(1)), data.wrong)
    found["group_auroc"] = auroc(torch.from_numpy(np.linalg.norm(row, axis=1)), data.wrong)
    return found


def _accuracies(data: Digits, K: Array, test: Array, others: Array) -> list[Row]:
    """Return for each program its test accuracy at the weight that fits the other images' noisy labels best."""
    values, vectors = eigenvectors(K)
    kept = values > 1e-10 * values[0]
    root = np.sqrt(values[kept])
    F, Y = np.ascontiguousarray(vectors[:, kept] * root), one_hot(data.given)

    def dual(Theta: Array) -> Array:
        return vectors[:, kept] / root @ Theta

    given = {
        "entrywise": lambda: list(
            np.stack(
                [[dual(s.theta) for s in solve_path(LinearProblem(F, y), WEIGHTS["entrywise"], tol=TOL)] for y in Y.T],
                -1,
            )
        ),
        "row-group": lambda: [dual(solve_groups(F, Y, lam, tol=TOL).Theta) for lam in WEIGHTS["row-group"]],
        "ridge": lambda: [np.linalg.solve(K + mu * np.eye(N), Y) for mu in WEIGHTS["ridge"]],
        "entrywise with noise": lambda: [
            np.stack(
                [dual(solve_groups(F, y, cut / mu, sigma=float(np.sqrt(mu)), tol=TOL).Theta[:, 0]) for y in Y.T], 1
            )
            for cut, mu in WEIGHTS["entrywise with noise"]
        ],
    }
    rows: list[Row] = []
    for method, solve in given.items():
        nus = solve()
        chosen = max(
            range(len(nus)), key=lambda i: accuracy(torch.from_numpy(others @ nus[i]), data.others_given[:OTHERS])
        )
        tested = [accuracy(torch.from_numpy(test @ nu), data.test_true) for nu in nus]
        rows.append(
            {
                "what": "accuracy",
                "method": method,
                "accuracy": tested[chosen],
                "best_weight": max(tested),
                "weight": chosen,
            }
        )
    return rows


# ---- (c) agreement with the deep run -----------------------------------------------------------------------


def agreement(data: Digits, rate: float, seed: int) -> list[Row]:
    """Compare margins and mistakes of a deep run with the linear model's, and with those of two other deep runs."""
    del rate
    run = begin(initial=seed, order=seed)
    start, fresh = run.snapshot(), deepcopy(run)
    early, branch = run.train(data, EARLY).snapshot(), deepcopy(run)
    run.train(data)
    other = begin(initial=seed + 100, order=seed).train(data)
    order = begin(initial=seed, order=seed + 100, start=seed).train(data)
    exact, first = (tangent_kernel(net, data.images, classes=range(CLASSES)).values for net in (early, start))
    shared = torch.einsum("aaij->ij", exact) / CLASSES
    blocks = torch.eye(CLASSES)[:, :, None, None] * shared
    with torch.no_grad():
        deep = margin(run.network(data.images), data.given)
        compared = {
            "other order": order.network(data.images),
            "other initialisation": other.network(data.images),
            "deep run, early": early(data.images),
        }
    compared |= {
        "linear from early": Linearised(early, exact, data.images).train(deepcopy(branch), data),
        "linear from early, shared kernel": Linearised(early, blocks, data.images).train(deepcopy(branch), data),
        "linear from start": Linearised(start, first, data.images).train(fresh, data),
    }
    wrong = data.wrong
    mistakes = (deep > 0) != wrong
    rows: list[Row] = []
    for what, logits in compared.items():
        its = margin(logits, data.given)
        its_mistakes = (its > 0) != wrong
        rows.append(
            {
                "compared": what,
                "correlation": correlation(deep, its),
                "correlation_right": correlation(deep[~wrong], its[~wrong]),
                "deep_mistakes": int(mistakes.sum()),
                "mistakes": int(its_mistakes.sum()),
                "shared_mistakes": int((mistakes & its_mistakes).sum()),
                "by_chance": float(mistakes.sum() * its_mistakes.sum() / N),
                "auroc": auroc(its, wrong),
            }
        )
    u, u_order = (r.method.variables.u[~wrong].square() for r in (run, order))  # type: ignore[union-attr,operator]
    before = torch.einsum("aaij->ij", first) / CLASSES
    rows.append(
        {
            "compared": "u of other order, right labels",
            "correlation_right": correlation(u, u_order),
            "trace_ratio": float(shared.trace() / before.trace()),
            "alignment": float((shared * before).sum() / (shared.norm() * before.norm())),
            "missed_early": _missed(exact),
            "missed_start": _missed(first),
        }
    )
    return rows


def _missed(exact: Tensor) -> float:
    """Return what a kernel shared over the classes leaves out, on all images."""
    shared = torch.einsum("aaij->ij", exact) / CLASSES
    return float((exact - torch.eye(CLASSES)[:, :, None, None] * shared).norm() / exact.norm())


# ---- small parts -------------------------------------------------------------------------------------------


def kernel(network: nn.Module, images: Tensor) -> tuple[Array, float]:
    """Return the shared kernel (N, N) scaled to trace N, and the scale that was divided out."""
    K = tangent_kernel(network, images).values.double().numpy()
    scale = float(np.trace(K) / len(K))
    return K / scale, scale


def eigenvectors(K: Array) -> tuple[Array, Array]:
    """Return eigenvalues from the largest down, and the vectors beside them in columns."""
    values, vectors = np.linalg.eigh(K)
    return values[::-1], vectors[:, ::-1]


def one_hot(of: Tensor) -> Array:
    """Return labels (N,) as rows of the unit matrix, (N, C)."""
    return np.eye(CLASSES)[of.numpy()]


def entrywise(F: Array, Y: Array, lam: float) -> Array:
    """Return S (N, C), the corruption that (26) finds for each class by itself."""
    return np.stack([solve_convex(LinearProblem(F, y), lam, tol=TOL).s for y in Y.T], 1)


def correlation(a: Tensor, b: Tensor) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


_PARTS: dict[str, Callable[[Digits, float, int], list[Row]]] = {
    "spaces": spaces,
    "labels": labels,
    "agreement": agreement,
}
