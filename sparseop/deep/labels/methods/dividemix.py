"""DivideMix (J. Li, R. Socher, S. Hoi, ICLR 2020, algorithm 1): two networks that divide the samples for each other."""

import importlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy, one_hot

from sparseop.deep.labels.methods.hooks import ByEpoch, Step, require_stack
from sparseop.deep.labels.methods.setting import memory_note
from sparseop.errors import InputError, between, fits, integer, nonnegative, positive


class DivideMix(ByEpoch):
    r"""Cross-entropy first; then semi-supervised epochs, in which the other network says what is labelled.

    After the warm-up and after each epoch a mixture of two Gaussians is fitted to each network's losses of all samples,
    scaled to [0, 1]; w_i is the probability of the component of smaller mean. Network k takes as labelled the samples
    with w_i > ``threshold`` in the eyes of the *other* network (co-divide); for a batch, with two views of each image:

    *   labelled: p = mean over views of its own predictions; target sharpen(w y + (1 - w) p)        (co-refinement)
    *   unlabelled: q = mean over views and both networks; target sharpen(q)                         (co-guessing)
    *   all views are mixed with a random partner, l = max(l', 1 - l'), l' ~ Beta(alpha, alpha)      (MixMatch)
    *   loss: cross-entropy on the labelled part, lambda_u(t) times the mean squared error on the other, and
        sum_k log((1/K) / mean p_k) / K against guessing one class

    with sharpen(p) = p^(1/T) / sum p^(1/T) and lambda_u(t) rising over ``ramp`` epochs. Both networks judge, by the
    mean of their logits, as released. Otherwise than there, both networks take a step with each batch, and a batch
    holds as many labelled samples as it happens to: an epoch is one pass over all samples.

    Parameters
    ----------
    warmup : epochs of cross-entropy (released: 10 for CIFAR-10, 30 for CIFAR-100).
    threshold, temperature, alpha, lambda_u, ramp : as above; released: 0.5, 0.5, 4, 25 (0 to 150 by noise), 16.
    memory : the losses are means over so many last passes (released: 1, and 5 at 90 % noise).
    penalty : take the mean negative entropy into the warm-up's loss, as released for asymmetric noise.
    seed : of the start of the mixture's fit.

    Raises
    ------
    InputError : an option out of range; scikit-learn, whose GaussianMixture divides, is not installed.
    """

    networks = 2
    clean: Tensor
    losses: Tensor
    seen: Tensor
    passes: Tensor

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        warmup: int = 10,
        threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 25.0,
        ramp: int = 16,
        memory: int = 1,
        penalty: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_classes = integer("n_classes", n_classes, 2)
        self.warmup = integer("warmup", warmup, 1)
        self.threshold = between("threshold", threshold, 0, 1)
        self.temperature, self.alpha = positive("temperature", temperature), positive("alpha", alpha)
        self.lambda_u, self.ramp = nonnegative("lambda_u", lambda_u), integer("ramp", ramp, 1)
        self.memory, self.penalty, self.seed = integer("memory", memory, 1), penalty, integer("seed", seed, 0)
        self.epochs = 0
        fits(memory_note("DivideMix", n_samples, 2 * (memory + 1)), 2 * n_samples * (memory + 1), itemsize=4)
        self.mixture: Any = _gaussian_mixture()
        self.register_buffer("clean", torch.ones(2, integer("n_samples", n_samples, 1)))
        self.register_buffer("losses", torch.zeros(memory, 2, n_samples))
        self.register_buffer("seen", torch.zeros(n_samples, dtype=torch.bool))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell which epoch begins, from 0, of how many."""
        super().start_epoch(epoch, epochs)
        self.epochs = epochs

    # ---- the division ------------------------------------------------------------------------------------------------

    @property
    def needs_pass(self) -> bool:
        """Whether this epoch is followed by a division: the last of the warm-up, and all after it."""
        return self.epoch is not None and self.epoch + 1 >= self.warmup

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """Take both networks' losses of a batch, logits (2, B, K)."""
        del rate
        require_stack(self, logits, labels, 2, "network")
        both = cross_entropy(logits.float().flatten(0, 1), labels.repeat(2), reduction="none").view(2, -1)
        self.losses[0].index_copy_(1, index, both)
        self.seen[index] = True

    def end_pass(self) -> None:
        """Divide the samples that were seen, by each network's losses."""
        own = self.losses[0][:, self.seen]
        low, high = own.amin(1, keepdim=True), own.amax(1, keepdim=True)
        self.losses[0][:, self.seen] = (own - low) / (high - low).clamp(min=1e-12)
        self.passes += 1
        count = min(int(self.passes), self.memory)
        mean = self.losses[:count].mean(0)[:, self.seen].double().cpu().numpy()
        for network, losses in enumerate(mean):
            mixture = self.mixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=self.seed % 2**32)
            chance = mixture.fit(losses[:, None]).predict_proba(losses[:, None])[:, mixture.means_[:, 0].argmin()]
            self.clean[network, self.seen] = torch.as_tensor(chance, dtype=self.clean.dtype, device=self.clean.device)
        if self.memory > 1:
            self.losses.copy_(self.losses.roll(1, 0))

    # ---- the step ----------------------------------------------------------------------------------------------------

    def attach(self, networks: nn.ModuleList) -> None:
        """Keep nothing of the networks."""

    def moved(self, step: Step) -> None:
        """Do nothing after the optimiser's step."""

    def judges(self, networks: nn.ModuleList) -> list[nn.Module]:
        """Return both networks."""
        return list(networks)

    def learn(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return the sum of both networks' losses, and the first network's logits (B, K)."""
        self.require_epoch()
        assert self.epoch is not None
        if self.epoch < self.warmup:
            images = step.view()
            logits = [step.run(network, images).float() for network in step.networks]
            loss = torch.stack([self._warm(own, step.labels) for own in logits]).sum()
            return loss, logits[0]
        views = [step.view(), step.view()]
        found = [self._one(step, number, views) for number in range(2)]
        return found[0][0] + found[1][0], found[0][1]

    def _warm(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(logits, labels)
        if self.penalty:
            loss = loss + (logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
        return loss

    def _one(self, step: Step, number: int, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the loss of one network, the other fixed, and its logits (B, K) on the first view."""
        own, other = step.networks[number], step.networks[1 - number]
        chance = self.clean[1 - number].index_select(0, step.index)
        labelled = chance > self.threshold
        with torch.no_grad():
            other.eval()  # only the network that learns moves its batch statistics
            mine = [step.run(own, images).float() for images in views]
            theirs = [step.run(other, images).float() for images in views]
            other.train()
            p = torch.stack([logits.softmax(1) for logits in mine]).mean(0)
            q = (p + torch.stack([logits.softmax(1) for logits in theirs]).mean(0)) / 2
            given = one_hot(step.labels, self.n_classes).float()
            refined = chance[:, None] * given + (1 - chance[:, None]) * p
            target = self.sharpen(torch.where(labelled[:, None], refined, q))
            images, targets, first = torch.cat(views), target.repeat(2, 1), labelled.repeat(2)
            images, targets = self.mix(images, targets)
        logits = step.run(own, images).float()
        place = step.place * self.epochs - self.warmup
        return self.loss(logits, targets, first, min(max(place / self.ramp, 0.0), 1.0)), mine[0]

    def sharpen(self, p: Tensor) -> Tensor:
        """Return p^(1/T), rows divided by their sums."""
        raised = p ** (1 / self.temperature)
        return raised / raised.sum(1, keepdim=True)

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and targets, each mixed with those of a random partner, nearer to its own."""
        alpha = torch.full((), self.alpha, device=images.device)
        share = Beta(alpha, alpha, validate_args=False).sample()
        share = torch.maximum(share, 1 - share)
        partner = torch.randperm(len(images), device=images.device)
        return share * images + (1 - share) * images[partner], share * targets + (1 - share) * targets[partner]

    def loss(self, logits: Tensor, targets: Tensor, labelled: Tensor, risen: float) -> Tensor:
        """Return L_X + lambda_u ``risen`` L_U + L_reg; a part without samples is 0."""
        log_p = logits.log_softmax(1)
        p = log_p.exp()
        supervised = -(targets * log_p).sum(1) * labelled
        guessed = ((p - targets) ** 2).mean(1) * ~labelled
        count = labelled.sum()
        balance = -(p.mean(0).clamp(min=1e-12) * self.n_classes).log().mean()
        return (
            supervised.sum() / count.clamp(min=1)
            + self.lambda_u * risen * guessed.sum() / (len(labelled) - count).clamp(min=1)
            + balance
        )

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Refuse: the loss runs the networks itself (``learn``)."""
        del logits, labels, index
        raise InputError(f"{type(self).__name__} runs its networks itself: call learn(step), see hooks.RunsNetworks.")

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return 1 - w, the mean over both networks; 0 before the first division."""
        del labels
        return 1 - self.clean.mean(0)


def _gaussian_mixture() -> Any:
    try:
        return importlib.import_module("sklearn.mixture").GaussianMixture
    except ImportError:
        raise InputError(
            "method 'dividemix' needs scikit-learn for its Gaussian mixture: pip install scikit-learn."
        ) from None
