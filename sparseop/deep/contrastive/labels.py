r"""Self-labeling refinery, SLR (SANE, section 3.1): soft labels of queries over keys, from the keys' own similarities.

A batch of s queries x_i is judged against C = s + b keys: the positives of all queries of the batch, then the queue.
The vanilla label y_i is one at the column of the query's own positive. SLR estimates from the positive's feature t_i
how alike the query is to each key, with and without the positive itself,

    p_ik = exp(<t_i, k_k> / (tau tau')) / sum_l exp(<t_i, k_l> / (tau tau')),
    q_i: the same without l = own, q_i,own = 0,

and mixes them by their confidences (equation 5 and the line after it), z_i = 1 + mu max_k p_ik + mu max_k q_ik,

    ybar_i = (1 - alpha_i - beta_i) y_i + alpha_i p_i + beta_i q_i,
    alpha_i = mu max_k p_ik / z_i,   beta_i = mu max_k q_ik / z_i.

The paper calls alpha and beta "two constants", but by their formula they belong to a sample: here they are vectors, or
with ``scope="batch"`` their means. Its printed similarity, exp(-<f, g> / tau), has a sign too many: it would push
positives away.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

EXCLUDED = -1e4  #: a logit whose exponential is exactly 0, and 0 x EXCLUDED is 0 where 0 x -inf is nan


@dataclass(frozen=True)
class Refined:
    """Labels of s queries over C keys, no gradient.

    Attributes
    ----------
    label : (s, C) ybar; rows sum to 1.
    p, q : (s, C) the two estimates.
    alpha, beta : (s,) their weights.
    own : (s,) the column of each query's own positive.
    """

    label: Tensor
    p: Tensor
    q: Tensor
    alpha: Tensor
    beta: Tensor
    own: Tensor

    def own_mass(self) -> Tensor:
        """Return (s,) the label's mass on the query's own positive, 1 - alpha - beta + alpha p_own."""
        return self.label.gather(1, self.own[:, None]).squeeze(1)


def similarities(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return <q_i, k_j> / tau (s, C) of features with unit rows: the one similarity that losses and labels use."""
    return queries @ keys.T / temperature


def one_hot_labels(own: Tensor, columns: int) -> Tensor:
    """Return y (s, C), one at ``own``."""
    return one_hot(own, columns).float()


def confidence(start: float, end: float, place: float) -> float:
    """Return mu at ``place`` of the run, in [0, 1]: end - (end - start) (cos(pi place) + 1) / 2 (section 4.1)."""
    return end - (end - start) * (math.cos(math.pi * place) + 1) / 2


@torch.no_grad()
def refine(
    similarity: Tensor,
    own: Tensor,
    *,
    mu: float,
    sharpening: float = 1.0,
    use_p: bool = True,
    use_q: bool = True,
    scope: str = "sample",
) -> Refined:
    """Return the refined labels of equation (5).

    Parameters
    ----------
    similarity : (s, C) <t_i, k_k> / tau of the features that estimate, with the keys.
    own : (s,) int64, each query's own column.
    mu : prior confidence in p and q; 0 leaves the labels one-hot.
    sharpening : tau' in (0, 1]; smaller is sharper.
    use_p, use_q : leave an estimate out: its weight is 0, also in z.
    scope : "sample": alpha, beta of each sample; "batch": their means over the batch.
    """
    similarity = similarity.float() / sharpening
    column = own[:, None]
    p = similarity.softmax(1)
    q = similarity.scatter(1, column, EXCLUDED).softmax(1)
    of_p, of_q = mu * use_p * p.amax(1), mu * use_q * q.amax(1)
    z = 1 + of_p + of_q
    alpha, beta = of_p / z, of_q / z
    if scope == "batch":
        alpha, beta = alpha.mean().expand_as(alpha), beta.mean().expand_as(beta)
    label = alpha[:, None] * p + beta[:, None] * q
    label.scatter_add_(1, column, (1 - alpha - beta)[:, None])
    return Refined(label, p, q, alpha, beta, own)


def smooth(refined: Refined) -> Tensor:
    """Return the control (s, C): each row's own mass as refined, the rest spread evenly over all other keys."""
    own_mass = refined.own_mass()
    others = (1 - own_mass) / (refined.label.shape[1] - 1)
    label = others[:, None].expand_as(refined.label).clone()
    return label.scatter_(1, refined.own[:, None], own_mass[:, None])


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -(1/s) sum_ik y_ik log softmax(logits_i)_k, equation (4), for labels (s, C) whose rows sum to 1."""
    logits = logits.float()
    return (logits.logsumexp(1) - (labels * logits).sum(1)).mean()
