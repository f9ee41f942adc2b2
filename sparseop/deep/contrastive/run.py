"""The contrastive training loop: ``train(recipe, folder)`` and ``resume(folder)``.

A run is a folder, as for the trainers with labels (``sparseop.deep.labels.run``): recipe.toml, run.json, labels.npz
(the true classes, which only judge), metrics.csv (loss, kNN, and what the labels over keys look like), last.pt,
summary.json.
"""

import copy
import math
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparseop.deep import augment, contrastive, datasets, networks
from sparseop.deep.augment.views import Views
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive.encoder import Encoder, follow, momentum_copy, split_batch_norm
from sparseop.deep.contrastive.examiner import Examiner, Features
from sparseop.deep.contrastive.moco import Batch, MoCo
from sparseop.deep.contrastive.recipe import Recipe, Training
from sparseop.deep.networks.size import require_memory
from sparseop.deep.training import distributed
from sparseop.deep.training.loop import Given, Loop, weakly
from sparseop.deep.training.records import Row
from sparseop.deep.training.samples import Samples, describe
from sparseop.deep.training.schedule import rate
from sparseop.deep.training.seeds import generator, seed_for
from sparseop.errors import InputError

__all__ = ["branch", "prepare", "resume", "train"]


def prepare(
    recipe: Recipe, root: Path | str | None, *, download: bool = False, dataset: datasets.Dataset | None = None
) -> Samples:
    """Load the data of a recipe; labels are the true classes, and only judge."""
    dataset = dataset or datasets.load(recipe.data.name, root, download=download, **recipe.data.options)
    labels = describe(dataset.train_labels, dataset.train_labels, dataset.n_classes)
    everything = torch.arange(len(dataset.train_labels))
    if note := _note_on_queue(recipe, len(everything)):
        dataset = replace(dataset, notes=(*dataset.notes, note))
    return Samples(dataset, labels, everything, everything[:0])


def _note_on_queue(recipe: Recipe, n: int) -> str:
    """Return what is to be said of a queue in which a query of ``n`` images meets old keys of its own as another's."""
    method = recipe.method.options
    others = (n - recipe.training.batch_size) * (2 if method["symmetric"] else 1)
    if others <= 0 or method["queue"] <= others:  # a batch of all images is refused, or sees no other
        return ""
    return (
        f"method.queue = {method['queue']} holds more keys than the other {others} of an epoch: old keys of a query's "
        "own image count as those of others"
    )


class _Run(Loop):
    """Both networks, method and optimiser of one run on one device."""

    training: Training
    read = staticmethod(recipes.read)
    prepare = staticmethod(prepare)

    def __init__(self, recipe: Recipe, samples: Samples, device: torch.device, *, network: Given = None) -> None:
        super().__init__(recipe, samples, device, network=network)
        self.recipe = recipe
        dataset = samples.dataset
        if recipe.training.batch_size > len(samples.train):
            raise InputError(
                f"training.batch_size must be at most the number of training images, {len(samples.train)}, "
                f"got {recipe.training.batch_size}."
            )

        # 1. The networks; every rank starts from the same weights.
        torch.manual_seed(seed_for(self.seed, "network"))
        channels = dataset.train_images.shape[1]
        if network is None:
            backbone, width = networks.backbone(recipe.network.name, channels, **recipe.network.options)
        else:
            backbone, width = networks.without_last(
                copy.deepcopy(network) if isinstance(network, nn.Module) else network(2, channels)
            )
        views: dict[str, Any] = dict(recipe.views.options)
        normalise: dict[str, Any] = {"mean": dataset.mean, "std": dataset.std}
        size = views["size"]
        whole = min(dataset.train_images.shape[2:])
        self.plain = augment.build("none", **normalise, crop=size if size < whole else 0)
        self.show([backbone.to(device)], lambda images: self.plain(images, _NO_DRAWS))
        head = recipe.head
        shape: dict[str, Any] = asdict(head)
        require_memory("head", shape, lambda: Encoder(nn.Identity(), width, **shape))
        plain = Encoder(backbone, width, **shape)
        self.layout = torch.channels_last if self.engine.channels_last else torch.contiguous_format
        self.online = self._normalised(plain).to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.slow = momentum_copy(self.online)
        self.untrained = copy.deepcopy(self.online.state_dict()) if recipe.evaluation.baselines else None
        self.forward = self.wrapped(self.online)

        # 2. The method and the optimiser.
        options: dict[str, Any] = dict(recipe.method.options)
        self.method: MoCo = contrastive.METHODS[recipe.method.name](
            head.dim, seed=seed_for(self.seed, "method"), **options
        ).to(device)
        self.optimiser = self._optimiser()

        # 3. The views, and who judges the result.
        self.views = Views(strength=recipe.views.name, **views, **normalise)
        self.mix_views = self._mix_views(views, normalise)
        self.examiner = Examiner(
            samples,
            self.train_feed,
            weakly(self._features),
            weakly(self._pixels),
            recipe.evaluation,
            self.engine.test_batch,
            self.seed,
        )
        self.classes = self.examiner.labels if dataset.truth_known else None
        self.steps = 0
        if note := _note_on_queue(recipe, len(samples.train)):
            warnings.warn(f"{note}; a shorter queue, or more images, avoids it.", stacklevel=4)

    # ---- epochs ----------------------------------------------------------------------------------------------------

    def rate(self, epoch: int) -> float:
        """Return the learning rate at the beginning of an epoch."""
        return rate(self.training, epoch / self.training.epochs)

    def rehearse(self, images: Tensor) -> None:
        """Send images through all views and the network, in evaluation mode."""
        draw = generator(self.device, self.seed, "rehearsal")
        self._features(images)
        for view in [*self.views(images, draw), *(part for pair in self._pairs(images, draw) for part in pair)]:
            with self.autocast():
                self.online(view.contiguous(memory_format=self.layout))

    def start_epoch(self, epoch: int) -> list[torch.Generator]:
        """Set the modes; return the generators of the views, one a process, and of the method, the same on all."""
        self.online.train()
        self.slow.train()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}
        self.steps = 0
        return [
            generator(self.device, self.seed, "views", epoch, distributed.rank()),
            generator(self.device, self.seed, "mix", epoch),
        ]

    def step(self, place: float, index: Tensor, images: Tensor, draws: list[torch.Generator]) -> Tensor:
        """Take one optimisation step; return the loss, on the device."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.training, place)
        follow(self.slow, self.online, self.method.momentum)
        views = self.views(images, draws[0])
        batch = Batch(
            views=views,
            index=index,
            place=place,
            generator=draws[1],
            pairs=self._pairs(images, draws[0]),
            classes=self.classes,
            measure=self.steps % self.recipe.evaluation.labels_every == 0,
        )
        self.steps += 1
        loss: Tensor = self.method(self._queries, lambda views: self._keys(views, draws[1]), batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.training.clip > 0:
            nn.utils.clip_grad_norm_(self.online.parameters(), self.training.clip)
        self.optimiser.step()
        for name, value in batch.measures.items():
            valid = value.isfinite()
            self.sums[name] = self.sums.get(name, 0) + torch.where(valid, value, 0)
            self.counts[name] = self.counts.get(name, 0) + valid
        return loss.detach()

    def end_epoch(self, epoch: int) -> Row:
        """Let every process hold the same running statistics; return what the labels over keys looked like."""
        del epoch
        for network in (self.online, self.slow):
            for module in network.modules():
                if (
                    isinstance(module, _BatchNorm)
                    and module.running_mean is not None
                    and module.running_var is not None
                ):
                    module.running_mean.copy_(distributed.mean(module.running_mean))
                    module.running_var.copy_(distributed.mean(module.running_var))
        row: Row = {}
        for name, value in self.sums.items():
            total, count = float(distributed.total(value)), float(distributed.total(self.counts[name]))
            row[name] = total / count if count else math.nan
        return row

    def judge(self, *, wanted: bool) -> Row:
        """Return kNN accuracies where they are ``wanted``."""
        if not wanted:
            return {"knn": None}
        return self.examiner.neighbours()

    def summary(self, rows: list[Row]) -> tuple[dict[str, Any], None]:
        """Return the summary of the run.

        KNN and linear classifiers on frozen features, and what the labels ended as.
        """
        seconds = sum(row["seconds"] for row in rows)
        result: dict[str, Any] = {"epochs": len(rows), **self.examiner.probes(rows)}
        result["neighbours"] = self.examiner.votes
        if self.untrained is not None:
            trained = copy.deepcopy(self.online.state_dict())
            self.online.load_state_dict(self.untrained)
            result |= {"untrained": self.examiner.baseline(), "pixels": self.examiner.raw()}
            self.online.load_state_dict(trained)
        kept = ("epoch", "lr", "loss", "seconds", "images_per_second", "epoch_seconds", "core_seconds")
        result["labels"] = {
            key: value
            for key, value in (rows[-1] if rows else {}).items()
            if key not in kept and not key.startswith("knn")
        }
        result |= {
            "seconds_per_epoch": round(seconds / max(len(rows), 1), 3),
            "train_seconds": round(seconds, 1),
            "seconds": round(sum(row["epoch_seconds"] for row in rows), 1),
            "peak_bytes": self._peak(),
        }
        return result, None

    def _takes_part_in_summary(self) -> bool:
        return True  # features are computed by all processes together

    # ---- networks --------------------------------------------------------------------------------------------------

    def _queries(self, images: Tensor) -> Tensor:
        """Return the online network's unit features (s, D) of this process's images."""
        with self.autocast():
            return self.forward(images.contiguous(memory_format=self.layout))

    @torch.no_grad()
    def _keys(self, images: Tensor, draw: torch.Generator) -> Tensor:
        """Return the momentum network's unit features (s W, D) of the global batch, in its order.

        With batch normalisation in groups the samples change places first, so that the statistics of a query's group
        tell nothing of its positive's.
        """
        world, rank = distributed.world(), distributed.rank()
        order = None
        if self.training.splits > 1 and self.training.shuffle:
            order = torch.randperm(len(images) * world, generator=draw, device=self.device)
            images = distributed.gather_batch(images)[order[rank::world]]
        with self.autocast():
            keys: Tensor = self.slow(images.contiguous(memory_format=self.layout))
        keys = distributed.gather_batch(keys)
        return keys if order is None else torch.empty_like(keys).index_copy_(0, order, keys)

    @torch.no_grad()
    def _features(self, images: Tensor) -> Features:
        self.online.eval()
        with self.autocast():
            features = self.online.backbone(self.plain(images, _NO_DRAWS).contiguous(memory_format=self.layout))
            return {"backbone": features, "head": self.online.project(features)}

    def _pixels(self, images: Tensor) -> Tensor:
        return self.plain(images, _NO_DRAWS).flatten(1)

    def _mix_views(self, options: dict[str, Any], normalise: dict[str, Any]) -> Views | None:
        """Return what makes the views to mix: one full view, or two small ones of each size; None: those there are."""
        sizes, strength = self.method.mix_sizes, self.method.mix_strength
        if not sizes:
            return None
        if sizes == (0,):
            return Views(strength=strength, count=1, **options, **normalise)
        return Views(
            strength=strength, count=0, crops=[side for side in sizes for _ in range(2)], **options, **normalise
        )

    def _pairs(self, images: Tensor, draw: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        if self.mix_views is None:
            return []
        found = self.mix_views(images, draw)
        return [(found[0], found[0])] if len(found) == 1 else list(zip(found[::2], found[1::2], strict=True))

    # ---- small parts -----------------------------------------------------------------------------------------------

    def _normalised(self, network: nn.Module) -> nn.Module:
        """Return the network with batch normalisation as ``training.splits`` says."""
        splits, world = self.training.splits, distributed.world()
        if splits == 1:
            return distributed.synchronise_batch_norm(network)
        if splits % world:
            raise InputError(
                f"training.splits must be 1 or a multiple of the number of processes, {world}, got {splits}."
            )
        return split_batch_norm(network, splits // world)

    def _optimiser(self) -> torch.optim.Optimizer:
        training, fused = self.training, self.device.type in ("cuda", "cpu")
        if training.optimiser == "adamw":
            return torch.optim.AdamW(
                self.online.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=fused
            )
        return torch.optim.SGD(
            self.online.parameters(),
            lr=training.lr,
            momentum=training.momentum,
            weight_decay=training.weight_decay,
            fused=fused,
        )

    def _peak(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def recipe_text(self) -> str:
        """Return the resolved recipe."""
        return recipes.text(self.recipe)

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint holds, by name."""
        return {"online": self.online, "momentum": self.slow, "method": self.method, "optimiser": self.optimiser}


_NO_DRAWS = torch.Generator()  # for augmentations that draw nothing

train, resume, branch = _Run.train, _Run.resume, _Run.branch
