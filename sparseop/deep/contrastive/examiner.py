"""What frozen features are worth: nearest neighbours after each epoch, a linear classifier at the end."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from sparseop.deep.contrastive.recipe import Evaluation
from sparseop.deep.training import distributed, probe
from sparseop.deep.training.feed import Feed, whole_pass
from sparseop.deep.training.records import Row
from sparseop.deep.training.samples import Samples

Features = dict[str, Tensor]  # by name: (N, D)


class Examiner:
    """Judges features of the test images by those of the training images; every process holds all features.

    Parameters
    ----------
    samples : data and true classes.
    train_feed : the training images.
    encode : maps uint8 images on the device to features by name: "backbone" and "head".
    pixels : maps them to flat normalised pixels.
    settings, batch, seed : of the recipe.
    """

    def __init__(
        self,
        samples: Samples,
        train_feed: Feed,
        encode: Callable[[Tensor], Features],
        pixels: Callable[[Tensor], Tensor],
        settings: Evaluation,
        batch: int,
        seed: int,
    ) -> None:
        self.samples, self.train_feed, self.encode, self.pixels = samples, train_feed, encode, pixels
        self.settings, self.batch, self.seed, self.device = settings, batch, seed, train_feed.device
        dataset = samples.dataset
        self.test_feed = Feed(dataset.test_images, self.device)
        self.labels, self.test_labels = dataset.train_labels.to(self.device), dataset.test_labels.to(self.device)
        self.n_classes = dataset.n_classes
        self.bank = samples.train
        if settings.bank and settings.bank < len(self.bank):
            drawn = torch.randperm(len(self.bank), generator=torch.Generator().manual_seed(seed))[: settings.bank]
            self.bank = self.bank[drawn.sort().values]
        #: how many neighbours vote: as many as were asked for, or all there are
        self.votes = [min(k, len(self.bank)) for k in settings.neighbours]

    def neighbours(self) -> Row:
        """Return kNN accuracies in percent.

        "knn" of the backbone, "knn_head", and "knn_50", ... for further settings.
        """
        train, test = self._features(self.train_feed, self.bank), self._features(self.test_feed, self._all_tests())
        return self._knn(train, test)

    def probes(self, rows: list[Row]) -> dict[str, Any]:
        """Return everything that a run is judged by at its end, in percent."""
        tested = [row for row in rows if row.get("knn") is not None]
        result: dict[str, Any] = {"final": {}}
        if self.settings.probe != "none":
            train, test = (
                self._features(self.train_feed, self.samples.train),
                self._features(self.test_feed, self._all_tests()),
            )
            result["final"] = self._linear(train, test)
        if tested:
            best = max(tested, key=lambda row: row["knn"])
            result["best"] = {"epoch": best["epoch"], "knn": best["knn"]}
            result["final"] = {key: value for key, value in rows[-1].items() if key.startswith("knn")} | result["final"]
        return result

    def baseline(self) -> Row:
        """Return all accuracies of the network as it stands, without any run's rows."""
        linear: Row = self.probes([])["final"]
        return self.neighbours() | linear

    def raw(self) -> Row:
        """Return the accuracies of the pixels themselves, normalised.

        Nan where images are too many to lie in memory.
        """
        if self.train_feed.resident is None or self.test_feed.resident is None:
            return {"knn": math.nan}
        train, test = (
            {"pixels": self.pixels(self.train_feed.resident)},
            {"pixels": self.pixels(self.test_feed.resident)},
        )
        bank = {name: features[self.bank.to(self.device)] for name, features in train.items()}
        row = self._knn(bank, test) | self._linear(train, test)
        return {key.removesuffix("_pixels"): value for key, value in row.items()}

    def _knn(self, train: Features, test: Features) -> Row:
        row: Row = {}
        known = self.labels[self.bank.to(self.device)]
        for number, (k, temperature) in enumerate(
            zip(self.settings.neighbours, self.settings.temperatures, strict=True)
        ):
            for name in train:
                key = ("knn" if number == 0 else f"knn_{k}") + ("" if name == "backbone" else f"_{name}")
                share = probe.knn(
                    train[name],
                    known,
                    test[name],
                    self.test_labels,
                    self.n_classes,
                    k=self.votes[number],
                    temperature=temperature,
                )
                row[key] = 100 * share
        return row

    def _linear(self, train: Features, test: Features) -> Row:
        kind = self.settings.probe
        if kind == "none":
            return {}
        return {
            "linear" + ("" if name == "backbone" else f"_{name}"): 100 * self._probe(kind, train[name], test[name])
            for name in train
        }

    def _probe(self, kind: Literal["ridge", "sgd", "adam"], train: Tensor, test: Tensor) -> float:
        labels, settings = self.labels[self.samples.train.to(self.device)], self.settings
        return probe.linear_probe(
            train,
            labels,
            test,
            self.test_labels,
            self.n_classes,
            solver=kind,
            lr=settings.probe_lr,
            epochs=settings.probe_epochs,
            seed=self.seed,
        )

    def _all_tests(self) -> Tensor:
        return torch.arange(len(self.test_labels))

    @torch.no_grad()  # not inference mode: a classifier is trained on what comes out
    def _features(self, feed: Feed, index: Tensor) -> Features:
        """Return the features of these images, computed by all processes together."""
        found: dict[str, list[Tensor]] = {}
        parts = whole_pass(index, self.batch, rank=distributed.rank(), world=distributed.world())
        for _, images in feed.batches(parts):
            for name, value in self.encode(images).items():
                found.setdefault(name, []).append(value.float())
        return {name: distributed.gather_batch(torch.cat(values))[: len(index)] for name, values in found.items()}
