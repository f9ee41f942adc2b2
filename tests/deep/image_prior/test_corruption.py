import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from sparseop.deep.image_prior.corruption import (
    LARGEST_WINDOW,
    corrupt,
    detection,
    median_filter,
    median_of_moderate,
    psnr,
)
from sparseop.deep.image_prior.images import load_image
from sparseop.deep.image_prior.ratio import estimated_level, matching, ratio_for, resolve, stable
from sparseop.errors import InputError
from sparseop.linear import matching_alpha, matching_lam


@pytest.fixture(scope="module")
def clean():
    return torch.rand(3, 50, 40, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_salt_and_pepper(clean, rate):
    y = corrupt(clean, rate, seed=3)
    changed = y != clean
    assert abs(changed.float().mean() - rate) < 0.02
    assert set(y[changed].unique().tolist()) <= {0.0, 1.0}
    if rate:
        assert abs(y[changed].mean() - 0.5) < 0.05
    assert torch.equal(y, corrupt(clean, rate, seed=3))
    assert rate in (0.0,) or not torch.equal(y, corrupt(clean, rate, seed=4))
    assert torch.equal(clean, clean.clamp(0.1, 0.9))  # the original is left alone


def test_uniform_impulses_are_marked_by_nothing(clean):
    y = corrupt(clean, 0.4, kind="uniform", seed=0)
    values = y[y != clean]
    assert 0 < values.min() < 0.05
    assert 0.95 < values.max() < 1
    assert ((y == 0) | (y == 1)).sum() == 0


def test_psnr():
    x = torch.full((1, 4, 4), 0.5)
    assert psnr(x + 0.1, x) == pytest.approx(20, abs=1e-4)
    assert psnr(x, x) == math.inf
    assert psnr(x + 9, x) == pytest.approx(-10 * math.log10(0.25))  # clipped


def test_detection_counts_visible_entries_only():
    truth = torch.tensor([[[0.5, -0.5, 0.05, 0.0]]])
    assert detection(torch.tensor([[[0.2, 0.0, 0.2, 0.0]]]), truth) == (0.5, 0.5)
    precision, recall = detection(torch.zeros_like(truth), truth)
    assert math.isnan(precision)
    assert recall == 0


@pytest.mark.parametrize("side", [3, 5])
def test_medians_match_scipy(clean, side):
    found = median_filter(clean, side)
    for channel in range(3):
        # torch reflects about the border pixels, SciPy calls that "mirror"
        wanted = ndimage.median_filter(clean[channel].numpy(), size=side, mode="mirror")
        assert np.array_equal(found[channel].numpy(), wanted)


def test_median_of_moderate_leaves_the_rest_alone(clean):
    y = corrupt(clean, 0.6, seed=1)
    found = median_of_moderate(y, 3)
    kept = (y > 0) & (y < 1)
    assert torch.equal(found[kept], y[kept])
    assert ((found > 0) & (found < 1)).all()
    everything = torch.ones(1, 6, 6)
    assert torch.equal(median_of_moderate(everything, 3), everything)


def test_of_wide_white_ground_only_the_edge_is_replaced():
    """Windows that grew with the ground would take the square of its side in memory for every entry."""
    image = torch.ones(1, 300, 300)
    image[..., :10] = 0.5
    found = median_of_moderate(image, 3)
    reach = 10 + LARGEST_WINDOW // 2
    assert (found[..., :reach] == 0.5).all()
    assert (found[..., reach:] == 1).all()


@pytest.mark.parametrize("kind", ["salt-and-pepper", "uniform"])
@pytest.mark.parametrize("name", ["flower", "china"])
def test_the_level_is_estimated_without_the_truth(name, kind):
    pytest.importorskip("sklearn")
    clean = load_image(name, 64)
    assert estimated_level(clean) < 0.04
    for rate in (0.1, 0.3, 0.5):
        y = corrupt(clean, rate, kind=kind, seed=2)
        visible = float(((y - clean).abs() > 0.1).float().mean())
        assert abs(estimated_level(y) - visible) < 0.2 * visible + 0.01


def test_the_rule():
    assert matching(150, 1e-5) == pytest.approx(matching_lam(150, 1e-5))
    assert matching(0.03, 1e-5) == pytest.approx(matching_alpha(0.03, 1e-5))
    assert matching(matching(77, 1e-3), 1e-3) == pytest.approx(77)
    ratios = [ratio_for(level, 1e-5) for level in (0, 0.1, 0.25, 0.4)]
    assert ratios == sorted(ratios)
    assert 30 < ratios[0] < ratios[-1] < 500
    # what counts is lam: another gamma, another ratio, the same lam
    assert matching(ratio_for(0.25, 1e-2), 1e-2) == pytest.approx(matching(ratio_for(0.25, 1e-8), 1e-8))
    with pytest.raises(
        InputError, match=r"training\.lr must be lower for g and h to be stable on an image of 768 entries, got 1e\+30"
    ):
        stable(100, 1e-5, entries=768, lr=1e30, momentum=0.9)
    with pytest.raises(InputError, match="the image must have more than 2 pixels on a side, got 2 x 9"):
        estimated_level(torch.zeros(3, 2, 9))
    with pytest.raises(InputError, match="level must lie in"):
        ratio_for(1.5, 1e-5)
    with pytest.raises(InputError, match="noise must lie in"):
        corrupt(torch.zeros(1, 2, 2), 1.5)


def test_small_images_get_a_stable_ratio_with_the_same_lam(clean):
    y = corrupt(clean, 0.5, seed=0)
    ratio, gamma = resolve(y, 1e-5, lr=0.1, momentum=0.9)
    assert (ratio, gamma) == (ratio_for(estimated_level(y), 1e-5), 1e-5)
    small = y[:, :16, :16]
    limited, raised = resolve(small, 1e-5, lr=1.0, momentum=0.9)
    assert limited == pytest.approx(0.19 * small.numel())
    assert raised > 1e-5
    assert matching(limited, raised) == pytest.approx(matching(ratio_for(estimated_level(small), 1e-5), 1e-5))
