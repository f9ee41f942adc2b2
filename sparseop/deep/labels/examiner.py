"""What a run is worth: test accuracy after each epoch, what it memorised, which labels it suspects."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep.datasets import Images
from sparseop.deep.labels import evaluation
from sparseop.deep.labels.methods.hooks import Measures, Proposes, Suspects
from sparseop.deep.training import distributed, metrics
from sparseop.deep.training.feed import Feed
from sparseop.deep.training.records import Row
from sparseop.deep.training.samples import Samples
from sparseop.errors import InputError


class Examiner:
    """Judges networks on the test sets and on the training labels.

    Parameters
    ----------
    samples : the data of the run.
    train_feed : its training images.
    method : whose state tells which labels are suspicious.
    logits : maps uint8 images on the device to logits (B, K) of the network in evaluation mode.
    batch : images a step.
    """

    def __init__(
        self, samples: Samples, train_feed: Feed, method: nn.Module, logits: Callable[[Tensor], Tensor], batch: int
    ) -> None:
        self.samples, self.train_feed, self.method, self.logits, self.batch = samples, train_feed, method, logits, batch
        self.device = train_feed.device
        dataset = samples.dataset
        tests: dict[str, tuple[Images, Tensor]] = {"test": (dataset.test_images, dataset.test_labels)}
        tests |= {f"test_{name}": part for name, part in dataset.extra_tests.items()}
        self.tests = {
            name: (Feed(images, self.device), labels.to(self.device)) for name, (images, labels) in tests.items()
        }
        self.given, self.true = samples.labels.given.to(self.device), samples.labels.true.to(self.device)

    def test(self, *, wanted: bool) -> Row:
        """Return accuracies in percent, the work shared among the ranks; None for test sets that are not ``wanted``."""
        row: Row = {
            name: self._accuracy(feed, labels, torch.arange(len(labels))) if wanted else None
            for name, (feed, labels) in self.tests.items()
        }
        if len(self.samples.validation):
            row["validation"] = self._accuracy(self.train_feed, self.given, self.samples.validation)
        return row

    def measure(self, predicted: Tensor) -> Row:
        """Return what an epoch says about the training labels, in percent.

        ``predicted`` (N,) is the class that the network in training gave each sample when it was last seen, -1 for
        none.
        """
        seen = predicted >= 0
        given, true, predicted = self.given[seen], self.true[seen], predicted[seen]
        row: Row = {"train_given": percent(predicted == given)}
        known = self.samples.dataset.truth_known
        corrupted = given != true
        if known:
            row |= {"train_true": percent(predicted == true), "memorised": percent((predicted == given)[corrupted])}
        score = self._suspicion()
        if score is not None:
            flagged = score[seen] > 0.5
            row["flagged"] = percent(flagged)
            if known:
                row |= {"flagged_precision": percent(corrupted[flagged]), "flagged_recall": percent(flagged[corrupted])}
        measures = self.method.measures(self.given) if isinstance(self.method, Measures) else {}
        return row | {name: 100 * float(value) for name, value in measures.items()}

    def summary(self, rows: list[Row]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Look at all samples once more; return the summary of the run and what is known of each training sample."""
        train = self.samples.train
        feed, test_labels = self.tests["test"]
        p_test = torch.cat(
            [logits.softmax(1).cpu() for _, logits in self._predict(feed, torch.arange(len(test_labels)))]
        )
        p = torch.cat([logits.softmax(1).cpu() for _, logits in self._predict(self.train_feed, train)])
        given, true, predicted = self.given.cpu()[train], self.true.cpu()[train], p.argmax(1)
        p_given = p.gather(1, given[:, None]).squeeze(1)
        score = self._suspicion()
        proposed = self.method.proposed(self.given) if isinstance(self.method, Proposes) else None
        suspicion = 1 - p_given if score is None else score.cpu()[train]
        if not bool(p.isfinite().all() & p_test.isfinite().all() & suspicion.isfinite().all()):
            raise InputError(
                "after the last epoch what the network or the method says of a sample is not finite; a lower"
                " training.lr or lower rates of the method may help."
            )
        proposal = predicted if proposed is None else proposed.cpu()[train]

        tested = [row for row in rows if row["test"] is not None]
        best = max(tested, key=lambda row: row["test"])
        result: dict[str, Any] = {
            "epochs": rows[-1]["epoch"],
            "final": {name: rows[-1][name] for name in self.tests},
            "best": {"epoch": best["epoch"], **{name: best[name] for name in self.tests}},
            "calibration_error": metrics.calibration_error(p_test, test_labels.cpu()),
            "train_given": percent(predicted == given),
            "samples": len(train),
            "flagged": int((suspicion > 0.5).sum()),
        }
        if len(self.samples.validation):
            chosen = max(tested, key=lambda row: row["validation"])
            result["chosen_by_validation"] = {"epoch": chosen["epoch"], **{name: chosen[name] for name in self.tests}}
        if self.samples.dataset.truth_known:
            corrupted = given != true
            result |= {
                "corrupted": int(corrupted.sum()),
                "train_true": percent(predicted == true),
                "memorised": 100 * evaluation.memorisation(predicted, given, true),
                "detection_by": "1 - p of the given label" if score is None else "the method's own score",
                "detection": vars(evaluation.detection(suspicion, corrupted)),
                "detection_by_network": vars(evaluation.detection(1 - p_given, corrupted)),
                "proposed_right": 100 * evaluation.proposal_accuracy(proposal, given, true),
            }
        result |= {
            "seconds_per_epoch": round(sum(row["seconds"] for row in rows) / len(rows), 3),
            "seconds": round(sum(row["epoch_seconds"] for row in rows), 1),
        }
        return result, {
            "index": train,
            "given": given,
            "predicted": predicted,
            "p_given": p_given,
            "suspicion": suspicion,
            "proposed": proposal,
        }

    def _suspicion(self) -> Tensor | None:
        return self.method.suspicion(self.given) if isinstance(self.method, Suspects) else None

    @torch.inference_mode()
    def _predict(self, feed: Feed, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for part, images in feed.batches(list(torch.split(index, self.batch))):
            yield part, self.logits(images).float()

    def _accuracy(self, feed: Feed, labels: Tensor, index: Tensor) -> float:
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        for part, logits in self._predict(feed, index[distributed.rank() :: distributed.world()]):
            right += (logits.argmax(1) == labels[part]).sum()
        return 100 * float(distributed.total(right)) / len(index)


def percent(mask: Tensor) -> float:
    """Return the share of True in percent; nan for nothing."""
    return 100 * float(mask.double().mean()) if len(mask) else math.nan
