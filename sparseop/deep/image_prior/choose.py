"""Choosing the ratio of g and h for one image without the truth: by the rule, or by entries that no fit sees.

For salt and pepper the mean |f - y| over held-out entries is (1 - p) mean |f - x| + p/2 in expectation, whatever f in
[0, 1] is: the error against the truth x but for a constant, so that its least value belongs to the best of the fits
compared. It costs a short fit for each candidate; ``deep/image_recovery.py`` measures what either choice loses against
an oracle.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sparseop.deep.image_prior.fit import Fit
from sparseop.deep.image_prior.ratio import matching, resolve, stable
from sparseop.deep.image_prior.recipe import ImageRecipe
from sparseop.errors import InputError

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the rule's ratio
HELD_OUT = 0.05  # share of the entries, where the recipe holds none out
SHORTER = 2 / 3  # of the recipe's iterations: where PSNR has settled, it stays


def choose(
    y: Tensor, recipe: ImageRecipe, device: torch.device | str = "cpu", tell: Callable[[str], None] | None = None
) -> ImageRecipe:
    """Return the recipe with numbers for ratio and gamma.

    Parameters
    ----------
    y : (C, H, W) the corrupted image.
    recipe : its ``sparse.ratio`` is a number, which stays, "auto" (the rule) or "held-out".
    device : where the fits run.
    tell : called with a line for each candidate.

    Raises
    ------
    InputError : no candidate has a finite error on held-out entries.
    """
    training, sparse = recipe.training, recipe.sparse
    if not isinstance(sparse.ratio, str):
        return recipe
    ratio, gamma = resolve(y, sparse.gamma, lr=training.lr, momentum=training.momentum)
    if sparse.ratio == "auto" or "double" not in recipe.methods:
        return replace(recipe, sparse=replace(sparse, ratio=ratio, gamma=gamma))
    errors: dict[tuple[float, float], float] = {}
    shorter = replace(
        training, holdout=training.holdout or HELD_OUT, iterations=max(1, round(SHORTER * training.iterations))
    )
    for factor in FACTORS:
        # a factor of the ratio at the gamma asked for: of lam, where gamma had to give way
        asked = factor * matching(matching(ratio, gamma), sparse.gamma)
        pair = stable(asked, sparse.gamma, entries=y.numel(), lr=training.lr, momentum=training.momentum)
        fit = Fit(
            y, "double", replace(recipe, training=shorter, sparse=replace(sparse, ratio=pair[0], gamma=pair[1])), device
        )
        for _ in range(shorter.iterations):
            fit.step()
        error = fit.held_out_error(fit.output())
        errors[pair] = (
            math.inf if math.isnan(error) else error
        )  # nan: it diverged, or of a tiny image no entry was held out
        if tell is not None:
            tell(f"lam = {matching(*pair):.3g}: error on held-out entries {error:.4f}")
    ratio, gamma = min(errors, key=lambda pair: errors[pair])
    if errors[ratio, gamma] == math.inf:
        raise InputError(
            'sparse.ratio = "held-out" found no ratio with a finite error on held-out entries; a larger'
            ' training.holdout or a lower training.lr may help, or sparse.ratio = "auto".'
        )
    return replace(recipe, sparse=replace(sparse, ratio=ratio, gamma=gamma))
