"""Early-learning regularisation (S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda, NeurIPS 2020, equation 6)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparseop.deep.labels.methods.hooks import learning
from sparseop.deep.labels.methods.setting import memory_note
from sparseop.deep.training import distributed
from sparseop.errors import between, fits, integer, nonnegative

CLAMP = 1e-4  # of the released code: keeps log(1 - <p, t>) finite


class ELR(nn.Module):
    """The mean of CE + lam log(1 - <p_i, t_i>), t_i a running average of the network's own predictions.

    ``t_i <- beta t_i + (1 - beta) p_i`` each time the sample is seen, from t_i = 0, p_i without gradient. As in the
    released code, p is clamped to [1e-4, 1 - 1e-4] in the regulariser, and divided by its sum in the average.

    Parameters
    ----------
    lam, beta : the paper takes 3 and 0.7 for CIFAR-10, 7 and 0.9 for CIFAR-100.
    """

    targets: Tensor

    def __init__(self, n_samples: int, n_classes: int, *, lam: float = 3.0, beta: float = 0.7) -> None:
        super().__init__()
        self.lam, self.beta = nonnegative("lam", lam), between("beta", beta, 0, 1, ends="[)")
        integer("n_samples", n_samples, 1)
        fits(memory_note("ELR", n_samples, n_classes), n_samples * n_classes, itemsize=4)
        self.register_buffer("targets", torch.zeros(n_samples, n_classes))

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss and, in training mode, move the rows of ``index``."""
        logits = logits.float()
        p = logits.softmax(1).clamp(CLAMP, 1 - CLAMP)
        target = self.targets.index_select(0, index)
        if learning(self):
            with torch.no_grad():
                target = self.beta * target + (1 - self.beta) * p / p.sum(1, keepdim=True)
                self.targets.index_copy_(0, distributed.gather(index), distributed.gather(target))
        regulariser = torch.log(1 - (target * p).sum(1)).mean()
        return cross_entropy(logits, labels) + self.lam * regulariser

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return 1 - t_{i, y_i} / sum t_i: how little of the running prediction is on the given label.

        0 before the first.
        """
        labels = labels.to(self.targets.device)
        mass = self.targets.sum(1)
        share = self.targets.gather(1, labels[:, None]).squeeze(1) / mass.clamp(min=CLAMP)
        return torch.where(mass > 0, 1 - share, 0.0)

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the class of the largest target."""
        del labels
        return self.targets.argmax(1)
