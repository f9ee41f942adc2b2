"""The study of the linear model: its linear run against a network that is linear, its counts by hand, its figure."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from deep import linearised, linearised_cells, small_runs, sop_rows
from deep.small_runs import CLASSES, EPOCHS, Linearised, N, accuracy, begin, digits, margin
from sparseop.deep.tangent import tangent_kernel
from sparseop.linear import transition_sparsity

EPOCHS_HERE = 2


@pytest.fixture(scope="module")
def data():
    """The digits of seed 0, 40 % of the labels wrong."""
    return digits("symmetric", 0.4, 0)


def test_the_data_are_600_digits_and_others_of_the_same_noise(data):
    """Exactly 40 % wrong; the images do not depend on the noise; nothing of the test set is trained on."""
    assert int(data.wrong.sum()) == 240
    assert len(data.others) == 1347 - N
    assert torch.equal(data.images, digits("pairflip", 0.2, 0).images)
    assert not torch.equal(data.images, digits("symmetric", 0.4, 1).images)
    seen = {image.numpy().tobytes() for image in data.images}
    assert not any(image.numpy().tobytes() in seen for image in data.test)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, within torch.func.jvp
def test_the_linear_run_of_a_linear_network_is_that_network_trained(data):
    """Batches, momentum, weight decay, SOP's variables: nothing differs for a dense layer, linear in its parameters."""
    run = begin(initial=0, order=0)
    run.network = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    run.__post_init__()
    run.train(data, 1)  # momentum of this epoch is left behind below
    run.__post_init__()
    frozen, branch = run.snapshot(), deepcopy(run)
    kernel = tangent_kernel(frozen, data.images, classes=range(CLASSES)).values
    linear = Linearised(frozen, kernel, data.images).train(branch, data, EPOCHS_HERE)
    deep = run.train(data, EPOCHS_HERE).network(data.images)
    with torch.no_grad():
        moved = (deep - frozen(data.images)).abs().max()
        assert (linear - deep).abs().max() < 2e-4 * moved
    torch.testing.assert_close(branch.method.variables.u, run.method.variables.u, rtol=1e-3, atol=1e-12)


def test_a_transition_is_found_where_it_is_for_a_random_space():
    """The median of a few random supports in a Gaussian eigenspace, within three windows of sqrt N."""
    space = np.linalg.qr(np.random.default_rng(0).standard_normal((N, 20)))[0]
    found = [linearised_cells.recovered_sparsity(space, np.random.default_rng(trial)) for trial in range(5)]
    assert abs(np.median(found) - transition_sparsity(N, 20)) < 3 * np.sqrt(N)


def test_the_ratio_is_the_count_of_the_module_by_hand(data):
    """In a space that holds the clean labels both ratios are 0 and both programs find every wrong label.

    All but those of a class that is mostly wrong: of each its own column, by entries, is the sign of the majority.
    """
    for seed in (0, 1):
        digit = digits("symmetric", 0.4, seed) if seed else data
        clean = linearised_cells.one_hot(digit.true)
        space = clean / np.sqrt(clean.sum(0))
        found = linearised_cells._detection(digit, 0.4, digit.true, space, "early")
        assert found["ratio"] == pytest.approx(0, abs=1e-6)
        assert found["own_ratio"] == pytest.approx(0, abs=1e-6)
        assert found["group_ratio"] == pytest.approx(0, abs=1e-6)
        wrong, right = (torch.bincount(digit.true[part], minlength=CLASSES) for part in (digit.wrong, ~digit.wrong))
        lost = wrong > right
        assert lost.any() == (seed == 0)
        # there wrong and right labels both have one entry that doesn't fit, a tie; elsewhere a wrong one has two
        ties = float((wrong * right)[lost].sum())
        assert found["auroc"] == pytest.approx(1 - ties / 2 / float(wrong.sum() * right.sum()), abs=1e-12)
        assert found["group_auroc"] == 1
    one = np.ones((N, 1)) / np.sqrt(N)  # says nothing: the best fit of a class is 0, its error the class itself
    nothing = linearised_cells._detection(data, 0.4, data.given, one, "early")
    assert nothing["ratio"] == pytest.approx(1 / (1 - 2 * 0.4), rel=1e-6)
    assert nothing["own_ratio"] == pytest.approx(1, rel=1e-6)


def test_margins_and_accuracy():
    """The best other class minus the given one."""
    logits, given = torch.tensor([[1.0, 3, 2], [0.0, -1, 5]]), torch.tensor([1, 0])
    assert margin(logits, given).tolist() == [-1, 5]
    assert accuracy(logits, torch.tensor([1, 0])) == 50


def test_a_run_goes_on_as_if_it_had_not_been_looked_at(data):
    """Stopped at an epoch, copied and gone on with, a run is the run that was not stopped; the rates are a cosine."""
    whole = begin(initial=0, order=0).train(data, 2)
    stopped = begin(initial=0, order=0).train(data, 1)
    stopped.snapshot()
    stopped.train(data, 2)
    for a, b in zip(whole.network.parameters(), stopped.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert small_runs.RATES[0] == 0.05
    assert small_runs.RATES[EPOCHS // 2] == pytest.approx(0.025)


@pytest.mark.parametrize("study", [linearised.STUDIES[0], sop_rows.STUDIES[0]], ids=lambda study: study.name)
def test_the_grids_are_whole(study):
    """Every seed has the same cells, none twice, and the quick grid is part of the whole."""
    for grid in study.grids.values():
        frame = pd.DataFrame(grid)
        assert not frame.duplicated().any()
        assert frame.groupby("seed").size().nunique() == 1
    whole = [tuple(cell.items()) for cell in study.grids["paper"]]
    assert all(tuple(cell.items()) in whole for cell in study.grids["quick"])
