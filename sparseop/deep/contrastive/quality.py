r"""What labels over keys are worth, where the true classes are known.

The true soft label y* of a query is uniform over the keys of its class, its own positive among them. Theorem 1 of
SANE's paper bounds a generalisation error by the mean of |y - y*|_2. That distance cannot see semantics: uniform
smoothing with the same weight on the own positive always comes out at least as well as any refinement that puts mass on
the wrong keys, and the label that is uniform over all keys better than both, for y* is itself spread thin. So total
variation and purity stand beside it.
"""

import torch
from torch import Tensor

from sparseop.deep.contrastive.labels import Refined, one_hot_labels, smooth


@torch.no_grad()
def weights(refined: Refined) -> dict[str, Tensor]:
    """Return what needs no truth: means over the batch of one-hot weight, alpha, beta, own mass, largest p and q."""
    return {
        "one_hot_weight": (1 - refined.alpha - refined.beta).mean(),
        "alpha": refined.alpha.mean(),
        "beta": refined.beta.mean(),
        "own_mass": refined.own_mass().mean(),
        "p_max": refined.p.amax(1).mean(),
        "q_max": refined.q.amax(1).mean(),
    }


@torch.no_grad()
def against_truth(refined: Refined, used: Tensor, query_class: Tensor, key_class: Tensor) -> dict[str, Tensor]:
    """Compare labels with the truth; means over the batch.

    Parameters
    ----------
    refined : by ``labels.refine``.
    used : (s, C) the labels that the loss was given: ``refined.label``, or a control.
    query_class, key_class : (s,) and (C,) int64; -1 for a key of no class.

    Returns
    -------
    same_mass, wrong_mass : label mass on keys of the query's class other than its own positive; of another class.
    purity : same_mass / (same_mass + wrong_mass), of the means; nan for one-hot labels.
    q_same : mass of q on keys of the query's class, and chance: their share among the keys.
    l2_*, tv_* : |y - y*|_2 and |y - y*|_1 / 2 for y the one-hot label, the refined, the smoothed with the same own
        mass, the uniform one, and the ``used`` one.
    """
    same = query_class[:, None] == key_class[None]
    truth = same / same.sum(1, keepdim=True)
    vanilla = one_hot_labels(refined.own, len(key_class))
    others = same & (vanilla == 0)
    same_mass, all_same = (used * others).sum(1).mean(), (used * same).sum(1).mean()
    wrong_mass = 1 - all_same
    row = {
        "same_mass": same_mass,
        "wrong_mass": wrong_mass,
        "purity": same_mass / (same_mass + wrong_mass).clamp(min=1e-12),
        "q_same": (refined.q * same).sum(1).mean(),
        "chance": others.float().sum(1).mean() / (len(key_class) - 1),
    }
    row["purity"] = torch.where(same_mass + wrong_mass > 1e-6, row["purity"], torch.nan)
    uniform = torch.full_like(vanilla, 1 / len(key_class))
    for name, label in (
        ("one_hot", vanilla),
        ("refined", refined.label),
        ("smoothed", smooth(refined)),
        ("uniform", uniform),
        ("used", used),
    ):
        row[f"l2_{name}"] = (label - truth).norm(dim=1).mean()
        row[f"tv_{name}"] = (label - truth).abs().sum(1).mean() / 2
    return row
