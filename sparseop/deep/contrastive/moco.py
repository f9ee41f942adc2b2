r"""MoCo v2 (K. He et al., CVPR 2020; X. Chen et al., arXiv:2003.04297): a query finds its positive among many keys.

    L = -(1/s) sum_i log exp(<f(x_i), g(x~_i)> / tau) / sum_k exp(<f(x_i), k> / tau)

over the keys k: the own positive and the queue (``keys="own"``, equation 1 of SANE's paper and MoCo's code), or the
positives of the whole batch and the queue (``keys="batch"``, its equation 4). g follows f: xi = m xi + (1 - m) w before
every step, which is the same as after it. The keys are added to the queue after the loss.

A method is a plain module: given the two networks as functions, the views and whose they are, it returns the loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from sparseop.deep.contrastive import quality
from sparseop.deep.contrastive.labels import Refined, refine, similarities
from sparseop.deep.contrastive.queue import Queue
from sparseop.deep.training import distributed
from sparseop.errors import InputError, between, choice, positive

Encode = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]
SHARPENING = 0.8  # of the estimates that are only logged


@dataclass
class Batch:
    """What a method sees of one step, on one process.

    Attributes
    ----------
    views : the query view x and the key view x~, each (s, C, H, W).
    index : (s,) the training samples they show.
    place : of the run, in [0, 1).
    generator : for the method's own draws; the same on every process.
    pairs : for mixup, views to mix, one pair a size; empty: the two views themselves.
    classes : (N,) true classes of all training samples, where known; for the measures alone.
    measure : whether to fill ``measures``.
    measures : scalars on the device.
    """

    views: Sequence[Tensor]
    index: Tensor
    place: float = 0.0
    generator: Generator = field(default_factory=Generator)
    pairs: Sequence[Pair] = ()
    classes: Tensor | None = None
    measure: bool = False
    measures: dict[str, Tensor] = field(default_factory=dict)


class MoCo(nn.Module):
    """InfoNCE over a queue of momentum keys.

    Parameters
    ----------
    dim : of the features.
    queue : keys remembered.
    temperature : tau.
    momentum : m of the momentum network; the paper's iota is 1 - m.
    keys : "own" or "batch": which positives of the batch are among the keys.
    symmetric : "no"; or each view is query once and key once, and the two losses are added ("sum", MoCo's demo) or
        averaged ("mean").
    seed : of the queue's first content.
    """

    queue: Queue

    def __init__(
        self,
        dim: int,
        *,
        queue: int = 4096,
        temperature: float = 0.1,
        momentum: float = 0.99,
        keys: str = "own",
        symmetric: str = "no",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.temperature = positive("method.temperature", temperature)
        self.momentum = between("method.momentum", momentum, 0, 1, ends="[)")
        self.own_only = choice("method.keys", keys, ("own", "batch")) == "own"
        self.symmetric = choice("method.symmetric", symmetric, ("no", "sum", "mean"))
        self.queue = Queue(queue, dim, seed=seed)

    @property
    def mix_sizes(self) -> tuple[int, ...]:
        """Sides of the extra views that it mixes; 0: those of the views."""
        return ()

    @property
    def mix_strength(self) -> str:
        """Strength of the extra views that it mixes."""
        return ""

    def forward(self, online: Encode, encode_keys: Encode, batch: Batch) -> Tensor:
        """Return the loss, a scalar: the mean over this process's share of the batch.

        Parameters
        ----------
        online : maps images to unit features (s, D), with gradient.
        encode_keys : maps this process's images to the unit features of the *global* batch (s W, D), without.
        batch : the step.
        """
        first, second = batch.views[:2]
        keys = encode_keys(second)
        loss = self.loss(online, first, second, keys, batch)
        everyone = distributed.gather_batch(batch.index)
        if self.symmetric != "no":
            others = encode_keys(first)
            batch.measure = False  # once a step
            batch.pairs = [(b, a) for a, b in batch.pairs]
            loss = loss + self.loss(online, second, first, others, batch)
            loss = loss / 2 if self.symmetric == "mean" else loss
            keys, everyone = torch.cat([keys, others]), torch.cat([everyone, everyone])
        self.queue.push(keys, everyone)
        return loss

    def loss(self, online: Encode, query: Tensor, key: Tensor, keys: Tensor, batch: Batch) -> Tensor:
        """Return the loss of queries against keys of the global batch (s W, D) and the queue."""
        del key
        features = online(query)
        own = own_columns(len(query), query.device)
        if batch.measure:
            self.measure(
                batch,
                refine(
                    similarities(keys[own], self.all_keys(keys), self.temperature), own, mu=0, sharpening=SHARPENING
                ),
            )
        return self.one_hot_loss(features, keys, own)

    def one_hot_loss(self, features: Tensor, keys: Tensor, own: Tensor) -> Tensor:
        """Return the vanilla contrastive loss."""
        if self.own_only:
            positives = (features * keys[own]).sum(1, keepdim=True) / self.temperature
            others = self.queue.keys.clone()  # the queue moves on before the gradient is taken
            logits = torch.cat([positives, similarities(features, others, self.temperature)], 1)
            return cross_entropy(logits, torch.zeros_like(own))
        return cross_entropy(similarities(features, self.all_keys(keys), self.temperature), own)

    def all_keys(self, keys: Tensor) -> Tensor:
        """Return the keys of all columns: the global batch, then the queue."""
        return torch.cat([keys, self.queue.keys])

    def measure(self, batch: Batch, refined: Refined, used: Tensor | None = None) -> None:
        """Log what the labels of this step are worth."""
        batch.measures |= quality.weights(refined)
        if batch.classes is not None:
            everyone = torch.cat([distributed.gather_batch(batch.index), self.queue.index])
            classes = torch.where(everyone >= 0, batch.classes[everyone.clamp(min=0)], -1)
            batch.measures |= quality.against_truth(
                refined, refined.label if used is None else used, classes[refined.own], classes
            )


def own_columns(share: int, device: torch.device) -> Tensor:
    """Return the columns of this process's positives: sample i of rank r is column i W + r of the gathered keys."""
    return torch.arange(share, device=device) * distributed.world() + distributed.rank()


def require_queue(queue: int, batch_size: int, symmetric: str) -> None:
    """Refuse a queue that cannot hold the keys of a step."""
    step = batch_size * (1 if symmetric == "no" else 2)
    if queue < step:
        raise InputError(f"method.queue must be >= {step}, the keys of one step, got {queue}.")
