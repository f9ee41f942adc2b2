"""Symmetric cross-entropy learning (Y. Wang et al., ICCV 2019, equations 6 and 7)."""

import math

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparseop.errors import InputError, nonnegative


class SL(nn.Module):
    """The mean of alpha CE + beta RCE, where RCE = -sum_k p_k log y_k with log 0 := A, which is -A (1 - p_y).

    Parameters
    ----------
    alpha, beta : weights; the paper takes 0.1 and 1 for CIFAR-10, 6 and 0.1 for CIFAR-100.
    A : the paper's value is -4; its released code clamps the label at 1e-4, which is A = -9.21.
    """

    def __init__(
        self, n_samples: int, n_classes: int, *, alpha: float = 0.1, beta: float = 1.0, A: float = -4.0
    ) -> None:
        super().__init__()
        del n_samples, n_classes
        self.alpha, self.beta = nonnegative("alpha", alpha), nonnegative("beta", beta)
        if not -math.inf < A < 0:
            raise InputError(f"A must be a finite number < 0, got {A!r}.")
        self.A = float(A)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss."""
        del index
        logits = logits.float()
        p_y = logits.softmax(1).gather(1, labels[:, None])
        return self.alpha * cross_entropy(logits, labels) - self.A * self.beta * (1 - p_y).mean()
