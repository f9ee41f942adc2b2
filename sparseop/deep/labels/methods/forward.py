"""Forward loss correction (Patrini, Rozza, Menon, Nock, Qu, CVPR 2017, theorem 2 and equations 12, 13)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep.labels.methods.hooks import learning
from sparseop.deep.labels.methods.setting import Setting, memory_note
from sparseop.deep.training import distributed
from sparseop.errors import InputError, between, choice, fits, integer


class Forward(nn.Module):
    """The mean of -log (T^T p)_y, T_{kj} the probability that a sample of class k is given label j.

    Parameters
    ----------
    transition : "true" takes the realised matrix of the run's noise; "estimate" trains with cross-entropy for
        ``warmup`` epochs and then takes T_k = p(x^k), where x^k is the training sample with the largest p_k, or, with
        ``quantile`` below 1, the sample at that quantile (the authors use 0.97 for CIFAR-10). The authors train a first
        network for the estimate and start anew; here one network goes on.
    warmup : epochs before the estimate.
    quantile : in (0, 1].
    matrix : (K, K), rows sum to 1; None until known.
    """

    T: Tensor
    p: Tensor
    epoch: int | None = None
    needs_pass: bool = False

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        transition: str = "estimate",
        warmup: int = 10,
        quantile: float = 1.0,
        matrix: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.transition = choice("transition", transition, ("true", "estimate"))
        self.warmup = integer("warmup", warmup, 1)
        self.quantile = between("quantile", quantile, 0, 1, ends="(]")
        if matrix is None and transition == "true":
            raise InputError(
                "transition = 'true' needs the noise's transition matrix, and it is not known for these labels; "
                "use transition = 'estimate'."
            )
        self.register_buffer("T", _stochastic(matrix, n_classes) if matrix is not None else torch.eye(n_classes))
        self.estimating = matrix is None
        if self.estimating:
            fits(memory_note("Forward", n_samples, n_classes), n_samples * n_classes, itemsize=4)
            self.register_buffer("p", torch.zeros(n_samples, n_classes), persistent=False)
        self.visited, self.estimated = False, False
        self.register_load_state_dict_post_hook(_trust)  # type: ignore[no-untyped-call]

    @classmethod
    def build(cls, options: Mapping[str, Any], setting: Setting) -> "Forward":
        """Return the method with the run's transition matrix, where it is wanted and known."""
        matrix = setting.transition if options.get("transition") == "true" else None
        return cls(setting.n_samples, setting.n_classes, matrix=matrix, **options)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Ask for a pass over the data after the last epoch of the warm-up.

        Raises
        ------
        InputError : a warm-up as long as the training, or an epoch after it without the pass that it asked for.
        """
        if self.estimating and epoch == 0 and self.warmup >= epochs:
            raise InputError(f"warmup must be < the number of epochs {epochs}, got {self.warmup}.")
        if self.estimating and epoch >= self.warmup and not self.estimated:
            raise InputError(
                f"Forward estimates its matrix from a pass after epoch {self.warmup}, the last of its warm-up: call "
                "visit for every batch of samples and then end_pass, as needs_pass asks."
            )
        self.epoch = epoch
        self.needs_pass = self.estimating and epoch == self.warmup - 1
        self.estimated = self.estimated and epoch >= self.warmup

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss.

        Raises
        ------
        InputError : a step in training before ``start_epoch``, while the matrix is to be estimated.
        """
        del index
        if self.estimating and self.epoch is None and learning(self):
            raise InputError(
                "Forward counts epochs until it estimates its matrix: call start_epoch(epoch, epochs), epoch from 0, "
                "before the first step of each epoch."
            )
        # log sum_k exp(log p_k + log T_ky): stable where p underflows. An estimated T may have a column of zeros, a
        # class that no sample prefers; clamped as the authors clamp the corrected probability, its loss stays finite.
        log_t = self.T.clamp(min=1e-7).log().t()[labels]
        return -(logits.float().log_softmax(1) + log_t).logsumexp(1).mean()

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """Keep the sample's probabilities."""
        del labels, rate
        self.visited = True
        self.p.index_copy_(0, distributed.gather(index), distributed.gather(logits.float().softmax(1)))

    def end_pass(self) -> None:
        """Estimate T, equations (12) and (13).

        Raises
        ------
        InputError : no batch was shown to ``visit``.
        """
        if not self.visited:
            raise InputError("Forward estimates its matrix from what visit was shown, and it was shown nothing.")
        rank = round(self.quantile * (len(self.p) - 1))
        self.T.copy_(self.p[self.p.sort(0).indices[rank]])
        self.visited, self.estimated = False, True


def _trust(forward: "Forward", _: Any) -> None:
    """Take the matrix of a checkpoint as it is: one from before the estimate meets the end of its warm-up again."""
    forward.estimated = True


def _stochastic(matrix: Tensor, n_classes: int) -> Tensor:
    matrix = torch.as_tensor(matrix, dtype=torch.float32)
    if matrix.shape != (n_classes, n_classes):
        raise InputError(f"matrix must have shape ({n_classes}, {n_classes}), got {tuple(matrix.shape)}.")
    if not (matrix >= 0).all() or not torch.allclose(matrix.sum(1), torch.ones(n_classes), atol=1e-4):
        raise InputError("matrix must have entries >= 0 and rows that sum to 1.")
    return matrix.clone()
