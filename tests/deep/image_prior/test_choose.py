import pytest
import torch

from sparseop.deep.image_prior import recipe
from sparseop.deep.image_prior.choose import FACTORS, choose
from sparseop.deep.image_prior.corruption import corrupt, psnr
from sparseop.deep.image_prior.fit import Fit
from sparseop.deep.image_prior.images import load_image
from sparseop.deep.image_prior.ratio import estimated_level, matching, ratio_for
from sparseop.errors import InputError


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def made(*changes):
    return recipe.parse(
        "",
        name="x",
        overrides=["network.width=6", "network.scales=2", "network.depth=4", "training.iterations=9", *changes],
    )


def smooth(side=32):
    axis = torch.linspace(0.2, 0.8, side)
    return torch.stack([axis[:, None] * axis[None] + 0.1 * c for c in range(3)])


def test_a_number_stays_and_auto_is_the_rule():
    y = corrupt(smooth(), 0.2)
    assert choose(y, made("sparse.ratio=33")) == made("sparse.ratio=33")
    chosen = choose(y, made())
    assert matching(chosen.sparse.ratio, chosen.sparse.gamma) == pytest.approx(
        matching(ratio_for(estimated_level(y), 1e-5), 1e-5)
    )


def test_held_out_takes_the_least_error_of_the_candidates():
    y, lines = corrupt(smooth(), 0.2), []
    asked = made("sparse.ratio=held-out")
    chosen = choose(y, asked, tell=lines.append)
    errors = [float(line.split()[-1]) for line in lines]
    lams = [float(line.split()[2].rstrip(":")) for line in lines]
    assert len(lines) == len(FACTORS)
    assert lams == sorted(lams, reverse=True)
    of_chosen = [
        e
        for lam, e in zip(lams, errors, strict=True)
        if lam == pytest.approx(matching(chosen.sparse.ratio, chosen.sparse.gamma), rel=0.01)
    ]
    assert of_chosen == [min(errors)]
    assert chosen.training == asked.training  # the run itself is as long as asked, and sees every entry
    assert choose(y, asked) == chosen  # the same again


def test_without_g_and_h_nothing_is_fitted_to_choose():
    lines = []
    chosen = choose(corrupt(smooth(), 0.2), made("sparse.ratio=held-out", 'methods=["absolute"]'), tell=lines.append)
    assert lines == []
    assert isinstance(chosen.sparse.ratio, float)


def test_no_candidate_is_chosen_where_none_can_be_judged():
    with pytest.raises(InputError, match="found no ratio with a finite error"):
        choose(corrupt(smooth(), 0.2), made("sparse.ratio=held-out", "training.holdout=1e-9"))


@pytest.mark.slow
def test_held_out_entries_correct_a_rule_that_is_far_off(monkeypatch):
    """With the rule wrong by a factor of four, the choice by held-out entries is within 1 dB of the best candidate."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr("sparseop.deep.image_prior.ratio.LAM", 4 * 0.15)
    clean = load_image("china", 48)
    y = corrupt(clean, 0.3, seed=1)
    asked = recipe.parse(
        "",
        name="x",
        overrides=["network.width=24", "network.scales=3", "training.iterations=400", "sparse.ratio=held-out"],
    )
    chosen = choose(y, asked)
    ends = {}
    for lam in (matching(chosen.sparse.ratio, chosen.sparse.gamma), 0.04, 0.08, 0.16, 0.32):
        fit = Fit(
            y,
            "double",
            recipe.parse(
                "", name="x", overrides=["network.width=24", "network.scales=3", f"sparse.ratio={matching(lam, 1e-5)}"]
            ),
        )
        for _ in range(400):
            fit.step()
        ends[lam] = psnr(fit.output(), clean)
    first = next(iter(ends.values()))
    assert first > max(ends.values()) - 1
    assert min(ends.values()) < first - 5
