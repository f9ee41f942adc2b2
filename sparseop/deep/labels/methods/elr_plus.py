"""ELR+ (S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda, NeurIPS 2020): two networks, averages, mixup."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import one_hot

from sparseop.deep.labels.methods.elr import CLAMP
from sparseop.deep.labels.methods.hooks import Step
from sparseop.deep.labels.methods.setting import memory_note
from sparseop.errors import InputError, between, fits, integer, nonnegative, positive


class ELRPlus(nn.Module):
    r"""Early-learning regularisation whose targets come from the other network, averaged over its weights.

    With l = max(l', 1 - l'), l' ~ Beta(alpha, alpha), and a random partner j(i) of each sample, network k descends the
    mean of CE(l y_i + (1 - l) y_j(i)) + lam log(1 - <l t_i + (1 - l) t_j(i), p_i>) on the mixed images, where

        t_i <- beta t_i + (1 - beta) p'_i / sum p'_i      p' of the *other* network's average, on the unmixed image.

    The average follows its network with each step, ``a <- m a + (1 - m) w``, m = momentum exp(-5 (1 - s)^2), s the
    share of the first ``rise`` of the run that is over. The run is judged by the mean of both averages' logits.
    As released, the average's batch statistics are its own, and with 100 classes the mixed label is multiplied by
    the mixed target and divided by its sum. Otherwise than there, both networks take a step with each batch.

    Parameters
    ----------
    lam, beta, alpha, momentum : released for CIFAR-10: 3, 0.7, 1, 0.997; for CIFAR-100: 7, 0.9, 1, 0.997.
    rise : share of the run; released for CIFAR-10: 40,000 of 78,200 steps.

    Raises
    ------
    InputError : an option out of range.
    """

    networks = 2
    targets: Tensor

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        lam: float = 3.0,
        beta: float = 0.7,
        alpha: float = 1.0,
        momentum: float = 0.997,
        rise: float = 0.5,
    ) -> None:
        super().__init__()
        self.lam, self.beta = nonnegative("lam", lam), between("beta", beta, 0, 1, ends="[)")
        self.alpha, self.momentum = positive("alpha", alpha), between("momentum", momentum, 0, 1, ends="[)")
        self.rise = between("rise", rise, 0, 1, ends="(]")
        self.n_classes = integer("n_classes", n_classes, 2)
        integer("n_samples", n_samples, 1)
        fits(memory_note("ELR+", n_samples, 2 * n_classes), 2 * n_samples * n_classes, itemsize=4)
        self.register_buffer("targets", torch.zeros(2, n_samples, n_classes))
        self.averages = nn.ModuleList()

    def attach(self, networks: nn.ModuleList) -> None:
        """Start the averages at the networks."""
        self.averages = copy.deepcopy(networks).requires_grad_(False)

    def judges(self, networks: nn.ModuleList) -> list[nn.Module]:
        """Return the averages."""
        del networks
        return list(self.averages)

    def learn(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return the sum of both networks' losses, and the first network's average's logits (B, K), unmixed."""
        images = step.view()
        with torch.no_grad():
            judged = [step.run(average, images).float() for average in self.averages]
        found = [self._one(step, number, images, judged[1 - number]) for number in range(2)]
        return torch.stack(found).sum(), judged[0]

    def _one(self, step: Step, number: int, images: Tensor, judged: Tensor) -> Tensor:
        with torch.no_grad():
            p = judged.softmax(1)
            target = self.targets[number].index_select(0, step.index)
            target = self.beta * target + (1 - self.beta) * p / p.sum(1, keepdim=True)
            self.targets[number].index_copy_(0, step.index, target)
            alpha = torch.full((), self.alpha, device=images.device)
            share = Beta(alpha, alpha, validate_args=False).sample()
            share = torch.maximum(share, 1 - share)
            partner = torch.randperm(len(images), device=images.device)
            given = one_hot(step.labels, self.n_classes).float()
            mixed, label, target = (share * part + (1 - share) * part[partner] for part in (images, given, target))
        return self.loss(step.run(step.networks[number], mixed).float(), label, target)

    def loss(self, logits: Tensor, label: Tensor, target: Tensor) -> Tensor:
        """Return cross-entropy on ``label`` (B, K) plus lam log(1 - <target, p>), means."""
        if self.n_classes == HUNDRED:
            label = label * target
            label = label / label.sum(1, keepdim=True).clamp(min=1e-12)
        p = logits.softmax(1).clamp(CLAMP, 1 - CLAMP)
        ce = -(label * logits.log_softmax(1)).sum(1).mean()
        return ce + self.lam * torch.log(1 - (target * p).sum(1)).mean()

    @torch.no_grad()
    def moved(self, step: Step) -> None:
        """Let the averages follow."""
        left = 1 - min(step.place / self.rise, 1.0)
        momentum = self.momentum * math.exp(-5 * left * left)
        for average, network in zip(self.averages, step.networks, strict=True):
            for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                slow.mul_(momentum).add_(fast, alpha=1 - momentum)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Refuse: the loss runs the networks itself (``learn``)."""
        del logits, labels, index
        raise InputError(f"{type(self).__name__} runs its networks itself: call learn(step), see hooks.RunsNetworks.")

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return how little of the targets, mean of both networks', is on the given label; 0 before the first."""
        mean = self.targets.mean(0)
        share = mean.gather(1, labels.to(mean.device)[:, None]).squeeze(1) / mean.sum(1).clamp(min=CLAMP)
        return torch.where(mean.sum(1) > 0, 1 - share, 0.0)

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the class of the largest target."""
        del labels
        return self.targets.mean(0).argmax(1)


HUNDRED = 100  # classes: the released code's own rule for CIFAR-100
