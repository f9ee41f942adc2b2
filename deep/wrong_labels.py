"""Which labels are wrong: ``sparseop.inspect`` beside cleanlab, neighbours, small loss and the area under the margin.

    python -m deep.wrong_labels            digits under six kinds of noise, two tables: ten minutes on two cores
    python -m deep.wrong_labels --quick    one seed of three of them
    python -m deep.wrong_labels --redraw   tables from the committed numbers

Every row of the data is one method on one set of labels, all on the same labels: area under the ROC curve and
average precision of wrong against right ones, and the processor's seconds. The score says more: how many labels it
takes for wrong, how many of as many of its first places it believes to be wrong, and how many are.

sparseop: score    all judges, weighted by what planted errors say; what ``inspect_labels`` ranks by
rows (1, 1)        the row-group program alone, one setting for everything: kernel width c = 1, lam = 1, rank 300
rows (chosen)      the same with c and lam chosen by planted errors
held_out, neighbours, transition    the other judges, see ``sparseop/inspect/judges.py``
cleanlab           its recommended way: five-fold logistic regression on standardised columns, self-confidence
10 neighbours      share of the ten nearest that carry the given label
small loss         of a network of 64 hidden units after ten passes
margin area        mean over 40 passes of the given logit less the largest other one (Pleiss et al. 2020), the same
network
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.errors import FloatArray
from sparseop.inspect import inspect_labels
from sparseop.study import Row, Study

SETS = (
    *(
        ("digits", kind, rate)
        for kind, rate in (("symmetric", 0.05), ("symmetric", 0.2), ("symmetric", 0.4), ("symmetric", 0.6))
    ),
    ("digits", "pairflip", 0.3),
    ("digits", "instance", 0.2),
    ("breast cancer", "symmetric", 0.1),
    ("breast cancer", "symmetric", 0.3),
    ("wine", "symmetric", 0.1),
    ("wine", "symmetric", 0.3),
)
SEEDS = 3
PASSES, EARLY = 40, 10
METHODS = (
    "sparseop: score",
    "rows (1, 1)",
    "rows (chosen)",
    "held_out",
    "neighbours",
    "transition",
    "cleanlab",
    "10 neighbours",
    "small loss",
    "margin area",
)


def cell(data: str, noise: str, rate: float, seed: int) -> list[Row]:
    """Judge one set of labels by every method."""
    X, right, given = drawn(data, noise, rate, seed)
    wrong = given != right
    rows: list[Row] = []

    def add(method: str, doubt: FloatArray, seconds: float, **more: Any) -> None:
        rows.append(
            {
                "method": method,
                "wrong": int(wrong.sum()),
                "n": len(wrong),
                **accuracy(doubt, wrong),
                **more,
                "_seconds": seconds,
            }
        )

    started = time.process_time()
    found = inspect_labels(X, given)
    seconds = time.process_time() - started
    table = found.table.sort_values("row")
    first = wrong[found.table["row"][: found.suspects]]
    at = found.precision.iloc[max(found.suspects, 1) - 1]
    add(
        "sparseop: score", table["suspicion"].to_numpy(), seconds,
        number=found.number, low=found.number_interval[0], high=found.number_interval[1],
        believed=float(at["precision"]), precision=float(first.mean()) if len(first) else float("nan"),
        lam=float(found.certificate["lam"]), c=float(found.certificate["kernel width c"]),
        gap=float(found.certificate["gap"]),
    )  # fmt: skip
    plain = inspect_plain(X, given)
    add("rows (1, 1)", plain[0], plain[1], lam=1.0, c=1.0, gap=plain[2])
    add(
        "rows (chosen)",
        table["rows"].to_numpy(),
        0.0,
        lam=float(found.certificate["lam"]),
        gap=float(found.certificate["gap"]),
    )
    for judge in ("held_out", "neighbours", "transition"):
        add(judge, table[judge].to_numpy(), 0.0)
    others: dict[str, Callable[[FloatArray, Any], dict[str, Any]]] = {
        "cleanlab": cleanlab,
        "10 neighbours": ten_neighbours,
    }
    for name, method in others.items():
        started = time.process_time()
        answer = method(X, given)
        add(name, answer.pop("doubt"), time.process_time() - started, **answer)
    started = time.process_time()
    loss, area = followed(X, given, seed)
    seconds = time.process_time() - started
    add("small loss", loss, seconds)
    add("margin area", area, seconds)
    return rows


def drawn(data: str, noise: str, rate: float, seed: int) -> tuple[FloatArray, Any, Any]:
    """Return features, right and given labels."""
    from sklearn import datasets

    held = {"digits": datasets.load_digits, "breast cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}[
        data
    ]()
    X, right = np.asarray(held.data, dtype=float), np.asarray(held.target, dtype=np.int64)
    if data == "digits":
        import torch

        from sparseop.deep.labels.noise import corrupt

        images = torch.from_numpy(X.astype(np.float32))
        given = corrupt(torch.from_numpy(right), 10, noise, rate, seed=seed, images=images).given.numpy()
        return X, right, given
    generator = study.generator("wrong labels", data, round(1000 * rate), seed)
    given, k = right.copy(), int(right.max()) + 1
    chosen = generator.permutation(len(right))[: round(rate * len(right))]
    given[chosen] = (right[chosen] + generator.integers(1, k, len(chosen))) % k
    return X, right, given


def inspect_plain(X: FloatArray, given: Any) -> tuple[FloatArray, float, float]:
    """Return the margin of the row-group program at (1, 1), the seconds of map and program, and the gap."""
    from sparseop.inspect import judges
    from sparseop.inspect.features import examine
    from sparseop.inspect.space import kernel_map
    from sparseop.inspect.work import RANK, mapped

    started = time.process_time()
    held = examine(X)
    J = mapped(held, kernel_map(held, min(RANK, len(X)), 1.0, seed=0))
    opinion = judges.rows(J, given, int(given.max()) + 1, 1.0)
    return opinion.doubt, time.process_time() - started, float(opinion.facts["gap"])


def cleanlab(X: FloatArray, given: Any) -> dict[str, Any]:
    """Return cleanlab's self-confidence, turned round, and how many labels it flags."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    p = cross_val_predict(model, X, given, cv=StratifiedKFold(5, shuffle=True, random_state=0), method="predict_proba")
    flagged = find_label_issues(given, p, n_jobs=1)
    return {"doubt": -get_label_quality_scores(given, p), "number": float(flagged.sum())}


def ten_neighbours(X: FloatArray, given: Any) -> dict[str, Any]:
    """Return the share of the ten nearest others that carry another label."""
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    scaled = X if X.std(0).max() < 30 * np.median(X.std(0)) else StandardScaler().fit_transform(X)
    near = NearestNeighbors(n_neighbors=11).fit(scaled).kneighbors(scaled, return_distance=False)[:, 1:]
    return {"doubt": (given[near] != given[:, None]).mean(1)}


def followed(X: FloatArray, given: Any, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return the loss after ``EARLY`` passes and minus the mean margin over ``PASSES`` of a small network."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(X)
    network = MLPClassifier((64,), batch_size=32, learning_rate_init=1e-3, random_state=seed)
    classes, every = np.unique(given), np.arange(len(given))
    margins, early = np.zeros(len(given)), np.zeros(len(given))
    for passing in range(PASSES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one pass has not converged
            network.partial_fit(scaled, given, classes=classes)
        logs = np.log(np.maximum(network.predict_proba(scaled), 1e-12))
        own = logs[every, given].copy()
        if passing + 1 == EARLY:
            early = -own
        logs[every, given] = -np.inf
        margins += own - logs.max(1)
    return early, -margins / PASSES


def accuracy(doubt: FloatArray, wrong: Any) -> Row:
    """Return area under the ROC curve and average precision."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {"auroc": float(roc_auc_score(wrong, doubt)), "ap": float(average_precision_score(wrong, doubt))}


SHOWN = ("sparseop: score", "rows (1, 1)", "cleanlab", "10 neighbours", "margin area")


def draw(table: pd.DataFrame) -> Figure:
    """Draw what each method misses, and what the score believes of its list against what is so."""
    figure = Figure(figsize=(12.5, 5.2))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    groups = list(table.groupby(["data", "noise", "rate"], sort=False))
    names = [f"{data}, {noise} {100 * rate:g} %" for (data, noise, rate), _ in groups]
    for index, method in enumerate(SHOWN):
        missed = [1 - part.loc[part["method"] == method, "auroc"].mean() for _, part in groups]
        left.plot(
            np.maximum(missed, 1e-5), range(len(names)), linestyle="none", marker=plotting.MARKERS[index],
            color=plotting.COLORS[index], label=method,
        )  # fmt: skip
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlabel("1 - area under the ROC curve, mean of three seeds (left is better)")
    left.legend(fontsize="small")
    score = table[table["method"] == "sparseop: score"]
    for index, (data, part) in enumerate(score.groupby("data", sort=False)):
        right.plot(
            part["believed"], part["precision"], linestyle="none", marker=plotting.MARKERS[index],
            color=plotting.COLORS[index], label=data,
        )  # fmt: skip
    low = min(score["believed"].min(), score["precision"].min()) - 0.02
    right.plot([low, 1], [low, 1], color=plotting.GREY, linewidth=1)
    right.set_xlabel("share of the list believed to be wrong")
    right.set_ylabel("share of the list that is wrong")
    right.legend(fontsize="small")
    plotting.caption(
        figure,
        "Left: what each method misses. Right: one mark for each set of labels; on the line, belief is truth.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the areas, with average precision in brackets, and what the score believes beside what is so."""
    keys = ["data", "noise", "rate"]
    rows, checks = [], []
    for (data, noise, rate), part in table.groupby(keys, sort=False):
        name = f"{data}, {noise} {100 * rate:g} %"
        mean = part.groupby("method", sort=False)[["auroc", "ap"]].mean()
        rows.append({"labels": name, **{m: f"{mean.loc[m, 'auroc']:.4f} ({mean.loc[m, 'ap']:.3f})" for m in METHODS}})
        score = part[part["method"] == "sparseop: score"]
        rival = part[part["method"] == "cleanlab"]
        checks.append(
            {
                "labels": name,
                "wrong": score["wrong"].mean(),
                "estimated": score["number"].mean(),
                "off by": f"{100 * ((score['number'] - score['wrong']) / score['n']).abs().mean():.1f} % of the labels",
                "cleanlab flags": rival["number"].mean(),
                "believed precision": score["believed"].mean(),
                "precision": score["precision"].mean(),
                "off by (points)": 100 * (score["believed"] - score["precision"]).abs().mean(),
                "best other": mean["auroc"].drop("sparseop: score").idxmax(),
                "behind it": max(0.0, mean["auroc"].max() - mean.loc["sparseop: score", "auroc"]),
            }
        )
    return {"found": pd.DataFrame(rows), "trust": pd.DataFrame(checks)}


STUDIES = (
    Study(
        name="wrong_labels",
        cell=cell,
        grids={
            "paper": [{"data": d, "noise": n, "rate": r, "seed": s} for d, n, r in SETS for s in range(SEEDS)],
            "quick": [{"data": d, "noise": n, "rate": r, "seed": 0} for d, n, r in (SETS[1], SETS[6], SETS[8])],
        },
        draw=draw,
        tables=tables,
        packages=("scikit-learn", "cleanlab", "torch"),
    ),
)


if __name__ == "__main__":
    sys.exit(study.main("deep.wrong_labels"))
