"""Co-teaching (B. Han et al., NeurIPS 2018, algorithm 1) and Co-teaching+ (X. Yu et al., ICML 2019, algorithm 1)."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sparseop.deep.labels.methods.hooks import ByEpoch, require_stack
from sparseop.errors import between, integer


class CoTeaching(ByEpoch):
    """Two networks; each learns from the samples of smallest loss in the eyes of the other.

    In epoch t = 1, 2, ... each network picks the ``R(t) B`` samples of smallest cross-entropy of its batch, with
    R(t) = 1 - tau min(t / T_k, 1), and the *other* network descends the mean loss over the picked.

    Parameters
    ----------
    forget_rate : tau, the assumed share of wrong labels.
    ramp : T_k, epochs until R has come down to 1 - tau (the paper: 10).
    """

    networks = 2
    keep: Tensor

    def __init__(self, n_samples: int, n_classes: int, *, forget_rate: float = 0.2, ramp: int = 10) -> None:
        super().__init__()
        del n_samples, n_classes
        self.forget_rate = between("forget_rate", forget_rate, 0, 1, ends="[)")
        self.ramp = integer("ramp", ramp, 1)
        self.register_buffer("keep", torch.ones(()), persistent=False)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set R(t)."""
        super().start_epoch(epoch, epochs)
        self.keep.fill_(1 - self.forget_rate * min((epoch + 1) / self.ramp, 1.0))

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the sum of the two networks' losses, logits (2, B, K)."""
        del index
        losses = self._losses(logits, labels)
        return self._exchange(losses, torch.ones_like(labels, dtype=torch.bool))

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        require_stack(self, logits, labels, 2, "network")
        self.require_epoch()
        both = torch.cat([labels, labels])
        return cross_entropy(logits.float().flatten(0, 1), both, reduction="none").view(2, -1)

    def _exchange(self, losses: Tensor, candidates: Tensor) -> Tensor:
        """Return the mean loss of each network over what the other picks among ``candidates`` (B,), summed.

        Masks instead of index lists: the number picked depends on the data, shapes must not.
        """
        wanted = candidates.sum()
        count = (self.keep * wanted).floor()
        count = torch.where(count > 0, count, wanted)  # too few to keep a share of: all of them, as released
        with torch.no_grad():
            order = losses.masked_fill(~candidates, torch.inf).argsort(1)
            position = torch.empty_like(order).scatter_(
                1, order, torch.arange(losses.shape[1], device=losses.device).expand(2, -1)
            )
            picked = (position < count).flip(0)
        # nothing picked (a batch without candidates): loss 0
        return (losses * picked).sum() / count.clamp(min=1)


class CoTeachingPlus(CoTeaching):
    """Co-teaching among the samples on which the two networks differ, after a warm-up of plain Co-teaching.

    As released, where so few differ that no share of them is left, all that differ are learnt; and a batch in which
    none differs is learnt whole by both networks. (The released code stops the latter where the number of the epoch
    times that of its batch reaches 5000; here it goes on.)

    Parameters
    ----------
    forget_rate, ramp : as in ``CoTeaching``.
    warmup : epochs of plain Co-teaching (released code: 20).
    """

    plus: Tensor

    def __init__(
        self, n_samples: int, n_classes: int, *, forget_rate: float = 0.2, ramp: int = 10, warmup: int = 20
    ) -> None:
        super().__init__(n_samples, n_classes, forget_rate=forget_rate, ramp=ramp)
        self.warmup = integer("warmup", warmup, 0)
        self.register_buffer("plus", torch.zeros((), dtype=torch.bool), persistent=False)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set R(t), and whether disagreement counts."""
        super().start_epoch(epoch, epochs)
        self.plus.fill_(epoch >= self.warmup)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the sum of the two networks' losses, logits (2, B, K)."""
        del index
        losses = self._losses(logits, labels)
        predicted = logits.argmax(2)
        differ = predicted[0] != predicted[1]
        chosen = self._exchange(losses, differ | ~self.plus)
        return torch.where(self.plus & ~differ.any(), losses.mean(1).sum(), chosen)
