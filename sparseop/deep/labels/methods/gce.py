"""Generalised cross-entropy (Z. Zhang, M. Sabuncu, NeurIPS 2018, equation 6)."""

from torch import Tensor, nn

from sparseop.errors import between


class GCE(nn.Module):
    """The mean of (1 - p_y^q) / q: mean absolute error at q = 1, cross-entropy as q -> 0.

    Parameters
    ----------
    q : in (0, 1]; the paper's choice is 0.7.
    """

    def __init__(self, n_samples: int, n_classes: int, *, q: float = 0.7) -> None:
        super().__init__()
        del n_samples, n_classes
        self.q = between("q", q, 0, 1, ends="(]")

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss."""
        del index
        # p_y^q as exp(q log p_y): finite with a finite gradient even where p_y underflows
        log_p_y = logits.float().log_softmax(1).gather(1, labels[:, None])
        return ((1 - (self.q * log_p_y).exp()) / self.q).mean()
