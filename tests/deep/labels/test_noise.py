"""Exact rates, the maps, reproducibility; the two released generators against hand-derived rates."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.deep.labels.noise import CIFAR10_MAP, KINDS, corrupt, require_better_than_chance
from sparseop.deep.training.samples import describe
from sparseop.errors import InputError

CIFAR10 = torch.arange(50_000) % 10
CIFAR100 = torch.arange(50_000) % 100
COARSE = (torch.arange(50_000) % 100 * 7) % 20  # some map from 100 classes to 20 superclasses of five


def moved(noisy):
    """Pairs (true, given) that occur among the corrupted."""
    return set(map(tuple, torch.stack([noisy.true, noisy.given], 1)[noisy.corrupted].tolist()))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 300), st.floats(0, 1), st.integers(0, 5))
def test_symmetric_flips_exactly_the_rate_and_never_to_the_class_itself(k, n, rate, seed):
    labels = torch.arange(n) % k
    noisy = corrupt(labels, k, "symmetric", rate, seed=seed)
    assert int(noisy.corrupted.sum()) == round(rate * n)


def test_symmetric_reaches_every_other_class_equally():
    noisy = corrupt(CIFAR10, 10, "symmetric", 0.4)
    off = noisy.transition[~torch.eye(10, dtype=torch.bool)]
    assert off.mean().item() == pytest.approx(0.4 / 9, abs=1e-3)
    assert off.std().item() < 4 * math.sqrt(0.4 / 9 / 5000)


@pytest.mark.parametrize(("labels", "k", "rate"), [(CIFAR10, 10, 0.2), (CIFAR10, 10, 0.8), (CIFAR100, 100, 0.4)])
def test_inclusive_symmetric_noise_is_weaker_by_the_share_of_the_true_class(labels, k, rate):
    """Published 'symmetric 40 %' of CIFAR-10 is 36 % wrong labels: a tenth of those drawn anew come out right."""
    expected = rate * (k - 1) / k
    found = corrupt(labels, k, "symmetric_inclusive", rate).realised_rate
    assert found == pytest.approx(expected, abs=4 * math.sqrt(rate / k / 50_000))


def test_asymmetric_flips_exactly_and_only_along_the_map():
    noisy = corrupt(CIFAR10, 10, "asymmetric", 0.4)
    assert moved(noisy) == set(CIFAR10_MAP.items())
    assert noisy.realised_rate == 0.2
    for source, target in CIFAR10_MAP.items():
        assert noisy.transition[source, target].item() == 0.4


def test_the_released_asymmetric_loop_flips_some_cats_back():
    """Of 5,000 cats 2,000 become dogs; of the then 7,000 dogs 2,800 become cats, 800 of them cats again on average.

    So 1,200 cats stay dogs (24 %), 2,000 dogs become cats (40 %) and 9,200 of 50,000 labels are wrong: 18.4 %.
    """
    noisy = corrupt(CIFAR10, 10, "asymmetric_official", 0.4)
    assert noisy.transition[3, 5].item() == pytest.approx(0.24, abs=0.02)
    assert noisy.transition[5, 3].item() == pytest.approx(0.40, abs=0.02)
    assert noisy.transition[9, 1].item() == noisy.transition[2, 0].item() == noisy.transition[4, 7].item() == 0.4
    assert noisy.realised_rate == pytest.approx(0.184, abs=0.001)
    # what is exact: how many labels the loop moves in and out of each class
    assert int((noisy.given == 3).sum()) == 5000 - 2000 + 2800
    assert int((noisy.given == 5).sum()) == 5000 + 2000 - 2800


def test_ring_pair_pairflip_and_superclass():
    ring = corrupt(CIFAR100, 100, "ring", 0.4)
    assert moved(ring) == {(c, c - c % 5 + (c + 1) % 5) for c in range(100)}
    assert ring.realised_rate == 0.4
    pair = corrupt(CIFAR100, 100, "pair", 0.4)
    touched = {a for a, _ in moved(pair)}
    assert len(touched) == 40
    assert all((b, a) in moved(pair) and a // 5 == b // 5 for a, b in moved(pair))
    assert pair.realised_rate == 0.16  # 2/5 of the classes
    flip = corrupt(CIFAR10, 10, "pairflip", 0.45)
    assert moved(flip) == {(c, (c + 1) % 10) for c in range(10)}
    assert flip.realised_rate == 0.45
    superclass = corrupt(CIFAR100, 100, "superclass", 0.2, coarse=COARSE)
    group = {int(c): int(g) for c, g in zip(CIFAR100[:100], COARSE[:100], strict=True)}
    assert all(group[a] == group[b] for a, b in moved(superclass))
    assert len(moved(superclass)) == 100
    assert superclass.realised_rate == 0.2


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.4])
def test_instance_noise_depends_on_the_image(rate):
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(256, (4, 3, 4, 4), generator=generator, dtype=torch.uint8)
    images, labels = patterns[torch.arange(20_000) % 4], torch.arange(20_000) // 4 % 5
    noisy = corrupt(labels, 5, "instance", rate, images=images, seed=1)
    # mean of a normal distribution of deviation 0.1 cut to [0, 1]
    z = rate / 0.1
    mean = rate + 0.1 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (0.5 * (1 + math.erf(z / math.sqrt(2))))
    assert noisy.realised_rate == pytest.approx(mean, abs=4 * math.sqrt(rate / 20_000))
    # one image of one class flips mostly to the same class; symmetric noise would give each of the four others a
    # quarter
    wrong = noisy.given[noisy.corrupted & (labels == 2) & (torch.arange(20_000) % 4 == 1)]
    assert torch.bincount(wrong, minlength=5).max() > 0.5 * len(wrong)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("file", "none")])
def test_seeds(kind):
    arguments = {"images": torch.randint(256, (500, 3, 2, 2)), "coarse": torch.arange(500) % 10 // 5}
    labels = torch.arange(500) % 10
    one, same, other = (corrupt(labels, 10, kind, 0.4, seed=s, **arguments) for s in (3, 3, 4))
    assert torch.equal(one.given, same.given)
    assert not torch.equal(one.given, other.given)
    assert torch.equal(one.true, labels)
    torch.testing.assert_close(one.transition.sum(1), torch.ones(10, dtype=torch.float64))
    assert torch.equal(corrupt(labels, 10, kind, 0.0, **arguments).given, labels) or kind == "instance"


def test_transition_of_a_class_without_samples_is_the_identity():
    noisy = describe(torch.tensor([1, 0, 0]), torch.tensor([0, 0, 0]), 3)
    assert noisy.transition.tolist() == [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 1]]


def test_labels_that_belong_to_other_images_are_refused():
    """Shuffled, labels agree with the truth as labels drawn without looking; noisy ones of these images do not."""
    generator = torch.Generator().manual_seed(0)
    true = torch.arange(1000) % 10
    shuffled = true[torch.randperm(1000, generator=generator)]
    with pytest.raises(InputError, match=r"agree with the true ones for .* in another order"):
        require_better_than_chance(describe(shuffled, true, 10), "labels.csv")
    for rate in (0.2, 0.8):
        require_better_than_chance(corrupt(true, 10, "symmetric", rate), "labels.csv")
    rare = (torch.arange(1000) < 20).long()
    require_better_than_chance(describe(rare, rare, 2), "labels.csv")
    with pytest.raises(InputError, match="agree"):
        require_better_than_chance(describe(true.flip(0), true, 10), "labels.csv")  # not one agrees


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "symetric"}, "Did you mean 'symmetric'"),
        ({"rate": 1.5}, "noise rate must lie in"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"n_classes": 5}, "classes 0 to 4, got 5 at index 5"),
        ({"kind": "asymmetric", "n_classes": 12}, "10 classes of CIFAR-10"),
        ({"kind": "ring", "n_classes": 12}, "blocks of 5"),
        ({"kind": "superclass"}, "needs superclasses"),
        ({"kind": "instance"}, "needs the images"),
        ({"kind": "file"}, "needs noise.path, a file of labels: .npy"),
        ({"kind": "file", "path": "/nowhere/labels.npy"}, "'/nowhere/labels.npy' is not there"),
    ],
)
def test_what_is_refused(change, message):
    arguments = {"labels": torch.arange(20) % 10, "n_classes": 10, "kind": "symmetric", "rate": 0.2} | change
    with pytest.raises(InputError, match=message):
        corrupt(**arguments)
