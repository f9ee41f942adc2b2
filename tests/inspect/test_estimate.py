"""The estimate against scores whose truth is drawn: shares, weights, precision, intervals; and planting itself."""

import numpy as np
import pytest

from sparseop.inspect import estimate, planting


def drawn(share, n, m, seed=0, apart=4.0):
    """Return planted, others and which of the others are wrong, by two judges, one of them noisier."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < share

    def columns(bad):
        middle = np.where(bad, apart, 0.0)[:, None]
        return middle + rng.standard_normal((len(bad), 2)) * [1.0, 3.0]

    return columns(np.ones(m, bool)), columns(wrong), wrong


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
def test_share_number_and_precision_are_estimated_without_truth(share):
    planted, others, wrong = drawn(share, 8000, 600)
    model = estimate.fit(planted, others)
    score = model.score(others)
    known = estimate.estimate(model, model.score(planted), score, np.random.default_rng(1))
    number, low, high = known.number(score)
    assert number == pytest.approx(wrong.sum(), rel=0.15)
    assert low <= number <= high
    order = np.argsort(-score)
    middle, under, over = known.precision(score)
    for n in (int(0.5 * wrong.sum()), int(wrong.sum())):
        assert middle[n - 1] == pytest.approx(wrong[order[:n]].mean(), abs=0.06)
        assert under[n - 1] <= middle[n - 1] <= over[n - 1]
    suspicion = known.suspicion(score)
    for part, off in ((suspicion < 0.1, 0.01), ((suspicion > 0.2) & (suspicion < 0.8), 0.25), (suspicion > 0.9, 0.05)):
        assert suspicion[part].mean() == pytest.approx(wrong[part].mean(), abs=off)  # calibrated


def test_the_better_judge_weighs_more_and_a_useless_one_nothing():
    planted, others, _ = drawn(0.1, 5000, 500)
    noise = np.random.default_rng(3).standard_normal(5500)
    weight = estimate.fit(np.column_stack([planted, noise[:500]]), np.column_stack([others, noise[500:]])).weight
    per_unit = (
        weight / estimate.fit(np.column_stack([planted, noise[:500]]), np.column_stack([others, noise[500:]])).spread
    )
    assert per_unit[0] > 3 * per_unit[1] > 0
    assert per_unit[2] < 0.2 * per_unit[0]


def test_the_slope_of_the_likelihood_is_its_derivative():
    planted, others, _ = drawn(0.2, 300, 60)
    seen = []

    def spy(loss, start, jac, method, bounds):
        at = start + 0.3
        value, slope = loss(at)
        numeric = [(loss(at + e)[0] - loss(at - e)[0]) / 2e-6 for e in 1e-6 * np.eye(len(at))]
        seen.append(np.abs(slope - numeric).max())
        return type("R", (), {"fun": value, "x": at})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "minimize", spy)
        estimate.fit(planted, others)
    assert max(seen) < 1e-6


def test_wilsons_interval_holds_the_share():
    known = estimate.Estimate(0.1, np.zeros((1, 3)), np.sort(np.arange(100.0)))
    hit, m, (low, high) = known.found(20.0)
    assert (hit, m) == (80, 100)
    assert 0.7 < low < 0.8 < high < 0.87


def test_planted_errors_follow_the_pattern_and_avoid_the_doubtful():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 5000)
    wrong = (rng.random(5000) < 0.3).astype(float)
    pattern = np.zeros((4, 4))
    pattern[0, 1], pattern[2, 3] = 300, 100
    copy = planting.plant(labels, wrong, pattern, np.random.default_rng(1))
    assert len(copy.where) == round(planting.SHARE * 5000)
    assert (copy.labels[copy.where] != labels[copy.where]).all()
    rest = np.setdiff1d(np.arange(5000), copy.where)
    np.testing.assert_array_equal(copy.labels[rest], labels[rest])
    assert (wrong[copy.where] == 0).all()
    moves = np.zeros((4, 4))
    np.add.at(moves, (labels[copy.where], copy.labels[copy.where]), 1)
    assert moves[0, 1] / moves.sum() == pytest.approx(0.75, abs=0.1)
    assert moves[0, 1] + moves[2, 3] > 0.93 * moves.sum()


@pytest.mark.parametrize(("n", "rounds"), [(100, 5), (1797, 5), (5000, 2), (50000, 1)])
def test_there_are_as_many_copies_as_enough_errors_need(n, rounds):
    assert planting.rounds_for(n) == rounds


def test_confusions_are_expected_counts():
    found = planting.confusions(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array([0.5, 1.0, 0.25]), 3)
    np.testing.assert_allclose(found, [[0, 1, 0], [0.5, 0, 0], [0, 0.25, 0]])
