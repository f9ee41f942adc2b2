r"""SANE (P. Zhou et al., NeurIPS 2021): MoCo with refined labels and momentum mixup.

    L = (1 - lambda) L_c(x, y) + lambda L_c(x', y')                                              (9)

The first term has one-hot labels; x' and y' are mixed queries and their refined labels (``labels``, ``mixing``). Where
the paper leaves a choice open it is an option here, and the default is what docs/contrastive.md argues for.
"""

import torch
from torch import Tensor

from sparseop.deep.contrastive import mixing
from sparseop.deep.contrastive.labels import (
    Refined,
    confidence,
    cross_entropy,
    one_hot_labels,
    refine,
    similarities,
    smooth,
)
from sparseop.deep.contrastive.moco import Batch, Encode, MoCo, own_columns
from sparseop.deep.training import distributed
from sparseop.errors import InputError, between, choice, integer, nonnegative, positive


class SANE(MoCo):
    """Self-labeling refinement and momentum mixup on MoCo.

    Parameters
    ----------
    dim, queue, temperature, momentum, symmetric, seed : of ``MoCo``; the keys are always batch and queue (equation 4).
    lam : lambda of equation (9), in [0, 1]. 0 is MoCo with ``keys="batch"``; the paper's headline value is not given,
        0.5 is the best of its table 5.
    p, q : whether each estimate takes part in the labels.
    refinement : "self": equation (5); "uniform": the control, the same mass on the own positive, the rest spread evenly
        over all other keys.
    sharpening : tau' in (0, 1].
    mu_start, mu_end : m_1 and m_2: mu rises along a cosine over the whole run (CIFAR-10: 0, 1; ImageNet: 0.5, 10).
    weights : "sample" or "batch": whose alpha and beta.
    teacher : whose features t_i of the positive x~_i are compared with the keys: "key", the momentum network's, which
        are there anyway, or "online", the literal first slot of sigma, one more forward pass.
    mixup : "momentum": the partner is a key view x~_k; "vanilla": a query x_k; "none": theta = 1.
    kappa : of Beta(kappa, kappa) (CIFAR-10: 2; ImageNet: 0.1).
    theta : "sample" or "batch": whose theta.
    partner : "permutation" or "uniform": how k is drawn.
    mix_strength : "": the two views themselves are mixed; "weak" or "strong": fresh views replace x~ (Algorithm 1, step
        6), and with ``mixup="vanilla"`` x too, so that both parts of a vanilla mix are queries of one kind.
    mix_sizes : sides of small views, both parts of each mix made anew at that size, losses averaged (ImageNet: 96 for
        "Single"; 224, 192, 160, 128, 96 for "Multi"); empty: mixes have the size of the views.
    terms : of (9). "both": every query enters both, by a forward pass for each, as in the paper; "either": every query
        enters one, the mixed one with probability lambda. That loss has the same mean over the draw, but for batch
        normalisation, and costs one pass, as MoCo's.
    """

    def __init__(
        self,
        dim: int,
        *,
        queue: int = 4096,
        temperature: float = 0.2,
        momentum: float = 0.99,
        symmetric: str = "no",
        lam: float = 0.5,
        p: bool = True,
        q: bool = True,
        refinement: str = "self",
        sharpening: float = 0.8,
        mu_start: float = 0.0,
        mu_end: float = 1.0,
        weights: str = "sample",
        teacher: str = "key",
        mixup: str = "momentum",
        kappa: float = 2.0,
        theta: str = "sample",
        partner: str = "permutation",
        mix_strength: str = "",
        mix_sizes: tuple[int, ...] = (),
        terms: str = "both",
        seed: int = 0,
    ) -> None:
        super().__init__(
            dim, queue=queue, temperature=temperature, momentum=momentum, keys="batch", symmetric=symmetric, seed=seed
        )
        self.lam = between("method.lam", lam, 0, 1, ends="[]")
        self.use_p, self.use_q = p, q
        self.uniform = choice("method.refinement", refinement, ("self", "uniform")) == "uniform"
        self.sharpening = between("method.sharpening", sharpening, 0, 1, ends="(]")
        self.mu_start, self.mu_end = nonnegative("method.mu_start", mu_start), nonnegative("method.mu_end", mu_end)
        self.weights = choice("method.weights", weights, ("sample", "batch"))
        self.online_teacher = choice("method.teacher", teacher, ("key", "online")) == "online"
        self.mixup = choice("method.mixup", mixup, ("momentum", "vanilla", "none"))
        self.kappa = positive("method.kappa", kappa)
        self.theta = choice("method.theta", theta, ("sample", "batch"))
        self.partner = choice("method.partner", partner, ("permutation", "uniform"))
        self.strength = choice("method.mix_strength", mix_strength, ("", "weak", "strong"))
        self.sizes = tuple(integer("method.mix_sizes", size, 4) for size in mix_sizes)
        if self.mixup == "none" and (self.sizes or self.strength):
            raise InputError(
                "method.mix_sizes and method.mix_strength need method.mixup 'momentum' or 'vanilla', got 'none'."
            )
        self.either = choice("method.terms", terms, ("both", "either")) == "either"
        if self.either and (self.mixup == "none" or self.sizes):
            raise InputError(
                "method.terms = 'either' needs queries and mixes of one size, by method.mixup 'momentum' or 'vanilla'"
                f" and an empty method.mix_sizes, got {self.mixup!r} and {list(self.sizes)}."
            )

    @property
    def mix_sizes(self) -> tuple[int, ...]:
        """Sides of the extra views that it mixes; 0: those of the views."""
        if self.lam == 0:
            return ()
        return self.sizes or ((0,) if self.strength else ())

    @property
    def mix_strength(self) -> str:
        """Strength of the extra views that it mixes."""
        return self.strength or "weak"

    def loss(self, online: Encode, query: Tensor, key: Tensor, keys: Tensor, batch: Batch) -> Tensor:
        """Return the loss (9) of queries against keys of the global batch (s W, D) and the queue."""
        own = own_columns(len(query), query.device)
        everything = self.all_keys(keys)
        refined = self.labels(online, key, keys, everything, batch)
        used = smooth(refined) if self.uniform else refined.label

        if self.either:
            loss = self.either_loss(online, query, key, everything, used, batch)
        else:
            loss = self.both_losses(online, query, key, keys, everything, used, batch)
        if batch.measure:
            mine = Refined(
                refined.label[own], refined.p[own], refined.q[own], refined.alpha[own], refined.beta[own], own
            )
            self.measure(batch, mine, used[own])
        return loss

    def both_losses(
        self, online: Encode, query: Tensor, key: Tensor, keys: Tensor, everything: Tensor, labels: Tensor, batch: Batch
    ) -> Tensor:
        """Return (9) as it stands, both terms for every query; ``labels`` (s W, C) are those of the global batch."""
        own = own_columns(len(query), query.device)
        features = online(query) if self.lam < 1 or self.mixup == "none" else None
        loss = query.new_zeros(()) if features is None else (1 - self.lam) * self.one_hot_loss(features, keys, own)
        if self.lam == 0:
            return loss
        if self.mixup == "none":
            assert features is not None
            second = cross_entropy(similarities(features, everything, self.temperature), labels[own])
        else:
            parts = []
            for first, other in self.pairs(query, key, batch):
                mixed, targets = self.mixed(first, other, labels, batch)
                parts.append(cross_entropy(similarities(online(mixed), everything, self.temperature), targets))
            second = torch.stack(parts).mean()
        return loss + self.lam * second

    def either_loss(
        self, online: Encode, query: Tensor, key: Tensor, everything: Tensor, labels: Tensor, batch: Batch
    ) -> Tensor:
        """Return one term of (9) for every query, drawn; ``labels`` (s W, C) are those of the global batch."""
        own = own_columns(len(query), query.device)
        ((first, other),) = self.pairs(query, key, batch)
        images, targets = self.mixed(first, other, labels, batch)
        plain = ~mixing.share(len(labels), self.lam, batch.generator)[own]
        images = torch.where(plain.view(-1, *(1 for _ in images.shape[1:])), query, images)
        logits = similarities(online(images), everything, self.temperature)
        return cross_entropy(logits, torch.where(plain[:, None], one_hot_labels(own, len(everything)), targets))

    def labels(self, online: Encode, key: Tensor, keys: Tensor, everything: Tensor, batch: Batch) -> Refined:
        """Return the refined labels of the whole global batch: a partner may belong to another process."""
        teachers = keys
        if self.online_teacher:
            with torch.no_grad():
                teachers = distributed.gather_batch(online(key))
        return refine(
            similarities(teachers, everything, self.temperature),
            torch.arange(len(keys), device=keys.device),
            mu=confidence(self.mu_start, self.mu_end, batch.place),
            sharpening=self.sharpening,
            use_p=self.use_p,
            use_q=self.use_q,
            scope=self.weights,
        )

    def pairs(self, query: Tensor, key: Tensor, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Return (images that a query is mixed of, images its partner is taken from), one pair a size."""
        if not batch.pairs:
            return [(query, query if self.mixup == "vanilla" else key)]
        if self.mixup == "vanilla":
            return [(first, first) for first, _ in batch.pairs]
        if not self.sizes:  # strong views of full size replace the key view alone; x stays as it was
            return [(query, second) for _, second in batch.pairs]
        return list(batch.pairs)

    def mixed(self, first: Tensor, second: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mixed queries (s, C, H, W) and their labels; ``labels`` (s W, C) are those of the global batch."""
        own = own_columns(len(first), first.device)
        theta, partner = mixing.draw(len(labels), self.kappa, batch.generator, scope=self.theta, partner=self.partner)
        theta, partner = theta[own], partner[own]
        return mixing.mix(theta, first, distributed.gather_batch(second)[partner]), mixing.mix(
            theta, labels[own], labels[partner]
        )
