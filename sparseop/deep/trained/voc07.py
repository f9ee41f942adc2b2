"""Classify PASCAL VOC 2007 from the frozen features of a run: trained on trainval, tested on test.

    python -m sparseop.deep.trained.voc07 RUN --data-root DIR                   a linear support vector machine a class
    python -m sparseop.deep.trained.voc07 RUN --data-root DIR --classifier sgd  one linear layer (SANE, appendix B)

"svm" (needs scikit-learn) is the protocol that most published rows stand for (Goyal et al. 2019, arXiv:1905.01235):
features of unit length, present classes weigh twice, the cost of each class chosen by the average precision of a
three-fold cross-validation on trainval. "sgd": 100 epochs of cross-entropy for each class, rate 0.05, momentum 0.9,
batches of 256, no decay of either. Neither trains nor tests a class on an image in which it is only difficult to see.

Printed and written to RUN/voc07-CLASSIFIER.json: the mean over the classes of the 11-point average precision (the
challenge's of 2007), of the average precision without interpolation, and the share of images whose highest score
belongs to a class that is present. SANE's table 3 says "accuracy" and not which; the field's usual number is the first.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparseop import cli
from sparseop.deep.datasets.voc import CLASSES, load_split
from sparseop.deep.trained import judging
from sparseop.deep.training import checkpoint, probe
from sparseop.deep.training.feed import Feed, epoch_order
from sparseop.deep.training.metrics import average_precision, interpolated_precision
from sparseop.deep.training.progress import print_columns, watcher
from sparseop.deep.training.schema import MOST_EPOCHS
from sparseop.deep.training.seeds import seed_for
from sparseop.errors import InputError, choice, integer

CLASSIFIERS = ("svm", "sgd")
COSTS = (0.01, 0.1, 1.0, 10.0)
FOLDS = 3
Scores = tuple[Tensor, list[float]]


def svm_scores(
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    kept: dict[str, Any] | None = None,
    after: Callable[[dict[str, Any]], None] | None = None,
) -> Scores:
    """Return the scores (N, K) of the test features by one linear support vector machine a class, and the costs chosen.

    ``labels`` (N, K) holds 1, -1 and 0. ``after`` each class is told what has been found, which ``kept`` takes to go
    on.

    Raises
    ------
    InputError : scikit-learn is not installed; a class without FOLDS images in which it is present, or absent.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.metrics import average_precision_score
        from sklearn.model_selection import StratifiedKFold
        from sklearn.svm import LinearSVC
    except ImportError:
        raise InputError(
            "the classifier 'svm' needs scikit-learn; pip install 'sparseop[voc]', or take --classifier sgd."
        ) from None
    x, held = (functional.normalize(part.float()).cpu().numpy() for part in (train, test))
    truth = labels.cpu().numpy()
    for number in range(truth.shape[1]):
        fewest = min(int((truth[:, number] == value).sum()) for value in (1, -1))
        if fewest < FOLDS:
            raise InputError(
                f"class {number} must be present in {FOLDS} training images and absent in {FOLDS}, got {fewest}."
            )

    def machine(cost: float) -> Any:
        return LinearSVC(C=cost, class_weight={1: 2, -1: 1}, max_iter=2000, random_state=0)

    found = kept or {"scores": [], "costs": []}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # 2000 rounds are the protocol's; large costs do not need to converge
        for number in range(len(found["costs"]), truth.shape[1]):
            judged = truth[:, number] != 0
            a, b = x[judged], truth[judged, number]
            splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(a, b))
            worth = [
                np.mean(
                    [
                        average_precision_score(
                            b[out] == 1, machine(cost).fit(a[rest], b[rest]).decision_function(a[out])
                        )
                        for rest, out in splits
                    ]
                )
                for cost in COSTS
            ]
            cost = COSTS[int(np.argmax(worth))]
            scores = machine(cost).fit(a, b).decision_function(held)
            found = {"scores": [*found["scores"], torch.from_numpy(scores)], "costs": [*found["costs"], cost]}
            if after is not None:
                after(found)
    return torch.stack(found["scores"], 1), found["costs"]


def sgd_scores(train: Tensor, labels: Tensor, test: Tensor, *, epochs: int = 100, seed: int = 0) -> Tensor:
    """Return the scores (N, K) of the test features by one linear layer; ``labels`` (N, K) holds 1, -1 and 0."""
    feed, targets = Feed(train, train.device), labels.to(train.device)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        draws = torch.Generator().manual_seed(seed_for(seed, "voc07", epoch))
        for index, features in feed.batches(epoch_order(torch.arange(len(train)), 256, draws, drop_last=False)):
            yield features, targets[index]

    def loss(logits: Tensor, wanted: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(logits, (wanted > 0).float(), reduction="none")
        return (each * (wanted != 0)).sum() / (wanted != 0).sum()

    told, started = watcher("VOC07", epochs), time.perf_counter()
    head = probe.train_head(
        batches,
        train.shape[1],
        labels.shape[1],
        solver="sgd",
        lr=0.05,
        epochs=epochs,
        schedule="constant",
        device=train.device,
        loss=loss,
        after=lambda epoch, value, _: told(
            epoch, 0, {"loss": value, "images_per_second": len(train) * (epoch + 1) / (time.perf_counter() - started)}
        ),
    )
    with torch.no_grad():
        scores: Tensor = head(test)
    return scores


def judge(scores: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return in percent: mean average precisions, each class's, and the share of images whose best class is present.

    A class that no image shows has no precision; the mean is over the others.
    """
    each: dict[str, list[float]] = {"map_11": [], "map": []}
    for number in range(labels.shape[1]):
        judged = labels[:, number] != 0
        score, present = scores[judged, number], labels[judged, number] == 1
        each["map_11"].append(100 * interpolated_precision(score, present))
        each["map"].append(100 * average_precision(score, present))
    top = labels.gather(1, scores.argmax(1, keepdim=True).to(labels.device))[:, 0]
    result: dict[str, Any] = {name: float(np.nanmean(values)) for name, values in each.items()}
    return result | {"top1": 100 * float((top == 1).double().mean()), "classes": each["map_11"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = judging.parser("voc07", __doc__, data="VOCdevkit")
    parser.add_argument("--classifier", default="svm", metavar="svm|sgd", help="(default: svm)")
    parser.add_argument("--epochs", type=int, default=100, help="of sgd (default: 100)")
    options = parser.parse_args(arguments)
    with cli.plain_warnings():
        return cli.run("sparseop.deep.trained.voc07", lambda: _run(options), kept=judging.KEPT)


def _run(options: argparse.Namespace) -> None:
    name = choice("--classifier", options.classifier, CLASSIFIERS)
    integer("--epochs", options.epochs, 1, MOST_EPOCHS)
    found, device = judging.open_run(options.run, options.network, options.device, weights=options.weights)
    # the shorter side is 8/7 of the window: 256 of 224
    side = round((found.size or 224) * 8 / 7)
    train, test = (load_split(options.data_root, split, side) for split in ("trainval", "test"))
    started = time.perf_counter()
    stem = f"voc07-{name}" + ("-momentum" if options.network == "momentum" else "")
    features = [found.features(part.images, device, batch=64) for part in (train, test)]
    costs: list[float] = []
    if name == "svm":
        scores, costs = _machines(features, train.labels, options.run / f"{stem}.pt")
    else:
        scores = sgd_scores(features[0], train.labels, features[1], epochs=options.epochs)
    result = judge(scores.cpu(), test.labels)
    entries = {
        "network": options.network,
        "classifier": name,
        "epochs": options.epochs if name == "sgd" else None,
        "costs": costs,
        "images": [len(train.labels), len(test.labels)],
        **result,
        "classes": {
            key: None if np.isnan(value) else value for key, value in zip(CLASSES, result["classes"], strict=True)
        },
    }
    path = judging.write(options.run / f"{stem}.json", found, entries, started, "scikit-learn")
    print_columns(
        (f"VOC07, {len(test.labels)} test images, {name}", ""),
        [
            ("mean average precision, 11 points", f"{result['map_11']:.1f} %"),
            ("mean average precision", f"{result['map']:.1f} %"),
            ("best class is present", f"{result['top1']:.1f} %"),
        ],
    )
    print(path)


def _machines(features: list[Tensor], labels: Tensor, state: Path) -> Scores:
    """Return ``svm_scores``, keeping what is found after each class: all of them take minutes to hours."""
    mark = judging.mark(*features)
    kept = None
    if state.is_file():
        before = checkpoint.load(state)
        kept = before["found"] if before.get("mark") == mark else None

    def after(found: dict[str, Any]) -> None:
        checkpoint.save(state, {"mark": mark, "found": found})
        done = len(found["costs"])
        sys.stderr.write(f"VOC07: class {done}/{len(CLASSES)}, {CLASSES[done - 1]}, cost {found['costs'][-1]:g}\n")
        sys.stderr.flush()

    scores = svm_scores(features[0], labels, features[1], kept=kept, after=after)
    state.unlink(missing_ok=True)
    return scores


if __name__ == "__main__":
    sys.exit(main())
