"""CORES^2: confidence-regularised sample sieve (H. Cheng et al., ICLR 2021, equations 3 and 7), phase 1."""

import torch
from torch import Tensor

from sparseop.deep.labels.methods.hooks import ByEpoch, learning
from sparseop.deep.training import distributed
from sparseop.errors import integer, nonnegative


class CORES2(ByEpoch):
    """Cross-entropy minus a confidence regulariser, over the samples that pass the sieve.

    With l_k = -log p_k and l_bar = (1/K) sum_k l_k (uniform prior of the given labels)::

        loss = mean over kept i of   l_{y_i} - beta_t l_bar,       kept: l_{y_i} <= l_bar      (all during ``warmup``)

    In epoch t = 0, 1, ... beta_t is 0 for t <= ``start`` and rises linearly to ``beta``, which it reaches at t =
    ``start`` + ``ramp`` - 1; the sieve is in use for t > ``warmup``. As released: beta_t is 2 from t = 39, the sieve
    begins at t = 31.

    Parameters
    ----------
    beta : the released code's value is 2.
    start, ramp, warmup : epochs; released code: 10, 30 and 30.
    """

    beta_t: Tensor
    sieve: Tensor
    kept: Tensor

    def __init__(
        self, n_samples: int, n_classes: int, *, beta: float = 2.0, start: int = 10, ramp: int = 30, warmup: int = 30
    ) -> None:
        super().__init__()
        del n_classes
        self.beta = nonnegative("beta", beta)
        self.start, self.ramp = integer("start", start, 0), integer("ramp", ramp, 1)
        self.warmup = integer("warmup", warmup, 0)
        self.register_buffer("beta_t", torch.zeros(()), persistent=False)
        self.register_buffer("sieve", torch.zeros((), dtype=torch.bool), persistent=False)
        self.register_buffer("kept", torch.ones(n_samples, dtype=torch.bool))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set beta_t, and whether the sieve is in use."""
        super().start_epoch(epoch, epochs)
        self.beta_t.fill_(self.beta * min(max(epoch - self.start, 0) / max(self.ramp - 1, 1), 1.0))
        self.sieve.fill_(epoch > self.warmup)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss; remembers in training mode which samples passed."""
        self.require_epoch()
        losses = -logits.float().log_softmax(1)
        given, average = losses.gather(1, labels[:, None]).squeeze(1), losses.mean(1)
        passes = (given <= average).detach()
        if learning(self):
            self.kept.index_copy_(0, distributed.gather(index), distributed.gather(passes))
        weight = (passes | ~self.sieve).float()
        return ((given - self.beta_t * average) * weight).sum() / weight.sum().clamp(min=1)

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return 1 for samples that the sieve held back when last seen, else 0."""
        del labels
        return (~self.kept).float()
