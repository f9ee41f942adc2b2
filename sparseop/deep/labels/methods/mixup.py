"""MixUp (H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz, ICLR 2018)."""

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from sparseop.deep.labels.methods.hooks import learning
from sparseop.errors import InputError, positive


class MixUp(nn.Module):
    """Cross-entropy on convex combinations of two images and of their labels.

    One lambda ~ Beta(alpha, alpha) a batch and a random partner j(i) for each sample::

        x~_i = lambda x_i + (1 - lambda) x_j(i)      loss = lambda CE(x~_i, y_i) + (1 - lambda) CE(x~_i, y_j(i))

    The images of a step in training go through ``mix`` first, ``network(loss.mix(images))``; in evaluation mode, or
    without gradients, the loss is plain cross-entropy.

    Parameters
    ----------
    alpha : the paper's choice for CIFAR-10 is 1; larger values were used against label noise.
    """

    lam: Tensor

    def __init__(self, n_samples: int, n_classes: int, *, alpha: float = 1.0) -> None:
        super().__init__()
        del n_samples, n_classes
        self.alpha = positive("alpha", alpha)
        # not in the checkpoint: both are drawn anew for every batch
        self.register_buffer("lam", torch.ones(()), persistent=False)
        self.partner: Tensor | None = None

    def mix(self, images: Tensor) -> Tensor:
        """Draw lambda and the partners from torch's global generator; return the mixed images."""
        alpha = torch.full((), self.alpha, device=images.device)
        self.lam = Beta(alpha, alpha, validate_args=False).sample()
        self.partner = torch.randperm(len(images), device=images.device)
        return self.lam * images + (1 - self.lam) * images[self.partner]

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss for logits of the images that ``mix`` returned last.

        Raises
        ------
        InputError : a step in training whose images were not mixed.
        """
        del index
        logits = logits.float()
        if not learning(self):
            return cross_entropy(logits, labels)
        partner, self.partner = self.partner, None  # each batch is mixed anew
        if partner is None or len(partner) != len(labels):
            raise InputError(
                "MixUp trains on mixed images: call mix(images) on the images of each step, and give the network what "
                f"it returns; {'nothing' if partner is None else f'a batch of {len(partner)}'} was mixed before this "
                f"batch of {len(labels)}."
            )
        return self.lam * cross_entropy(logits, labels) + (1 - self.lam) * cross_entropy(logits, labels[partner])
