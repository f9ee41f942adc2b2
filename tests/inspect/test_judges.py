"""Each judge against another way of computing it, and all of them on labels that are known to be wrong."""

import numpy as np
import pytest

from sparseop.inspect import demo, judges
from sparseop.inspect.features import examine
from sparseop.inspect.space import Neighbours, directions, kernel_map, nearest, squared_distances
from sparseop.inspect.work import area
from sparseop.linear import solve_groups


@pytest.fixture(scope="module")
def digits():
    pictures, labels = demo.digits()
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(labels))[:500])
    pixels, right = pictures.reshape(len(pictures), -1)[some] / 255, labels[some]
    given = right.copy()
    wrong = rng.choice(500, 100, replace=False)
    given[wrong] = (right[wrong] + rng.integers(1, 10, 100)) % 10
    return examine(pixels), given, right


def test_the_map_is_the_kernel_on_its_anchors(digits):
    held, _, _ = digits
    map_ = kernel_map(held, 80, 1.0, seed=0)
    J = map_.apply(map_.anchors)
    kernel = np.exp(-map_.width * squared_distances(map_.anchors, map_.anchors))
    np.testing.assert_allclose(J @ J.T, kernel, atol=1e-8)
    off = squared_distances(map_.anchors, map_.anchors)[np.triu_indices(80, 1)]
    assert map_.width == pytest.approx(1 / np.median(off))


def test_the_margin_is_that_of_the_certified_program(digits):
    held, given, _ = digits
    J = held.mapped((map_ := kernel_map(held, 60, 1.0, seed=0)).apply, map_.rank)
    opinion = judges.rows(J, given, 10, 1.0)
    solution = solve_groups(J, judges.one_hot(given, 10), 1.0, intercept=True, tol=1e-9)
    f = J @ solution.Theta + solution.intercept
    own = f[np.arange(500), given]
    f[np.arange(500), given] = -np.inf
    np.testing.assert_allclose(opinion.doubt, f.max(1) - own, atol=1e-3)
    assert opinion.facts["gap"] <= 1e-6
    assert opinion.facts["status"] == "optimal"
    np.testing.assert_array_equal(opinion.instead[opinion.doubt > 0.01], f.argmax(1)[opinion.doubt > 0.01])


def test_leave_one_out_is_what_leaving_out_gives(digits):
    held, given, _ = digits
    J = held.mapped((map_ := kernel_map(held, 30, 1.0, seed=0)).apply, map_.rank)
    opinion, p = judges.held_out(J, given, 10)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    ridge, sharp = opinion.facts["ridge"], 1 / opinion.facts["temperature"]
    base, Y = np.bincount(given, minlength=10) / 500, judges.one_hot(given, 10)
    for i in (0, 7, 499):
        rest = np.arange(500) != i
        A = J[rest].T @ J[rest] + ridge * np.eye(J.shape[1])
        f = J[i] @ np.linalg.solve(A, J[rest].T @ (Y[rest] - base)) + base
        logits = sharp * f
        wanted = np.exp(logits - logits.max())
        np.testing.assert_allclose(p[i], wanted / wanted.sum(), rtol=1e-4)


def test_neighbours_are_the_nearest_others(digits):
    held, _, _ = digits
    low = directions(held, seed=0)
    near = nearest(low, seed=0, k=5)
    distances = squared_distances(low.astype(float), low.astype(float))
    np.fill_diagonal(distances, np.inf)
    wanted = np.sort(np.argsort(distances, axis=1)[:, :5], axis=1)
    assert (np.sort(near.index, axis=1) == wanted).mean() > 0.999  # ties in single precision
    assert not (near.index == np.arange(500)[:, None]).any()
    few = nearest(low, seed=0, k=5, most=100)
    assert set(np.unique(few.index)) <= set(few.references.tolist())
    assert len(few.references) == 100


def test_votes_are_counted_by_weight():
    near = Neighbours(np.array([[1, 2, 3]], np.int32), np.array([[1.0, 2.0, 1.0]], np.float32), np.arange(4))
    vote, _ = judges.neighbours(
        Neighbours(np.tile(near.index, (4, 1)), np.tile(near.weight, (4, 1)), near.references),
        np.array([0, 0, 1, 2]),
        3,
    )
    assert vote.doubt[0] == pytest.approx(2 / 4 - 1 / 4)
    assert vote.instead[0] == 1


def test_every_judge_finds_wrong_labels_and_the_vote_read_with_confusions_finds_more_of_those_in_pairs(digits):
    held, given, right = digits
    J = held.mapped((map_ := kernel_map(held, 200, 1.0, seed=0)).apply, map_.rank)
    near = nearest(directions(held, seed=0), seed=0)

    def areas(labels):
        wrong = labels != right
        found = [
            judges.rows(J, labels, 10, 1.0),
            judges.held_out(J, labels, 10)[0],
            *judges.neighbours(near, labels, 10),
        ]
        return [area(o.doubt[wrong], o.doubt[~wrong]) for o in found], found

    found, opinions = areas(given)
    assert min(found) > 0.97
    assert found[0] > 0.99
    wrong = given != right
    proposed = judges.propose(opinions, np.full(4, 0.25), 10)
    assert (proposed[wrong] == right[wrong]).mean() > 0.9
    assert (proposed != given).all()
    pairs = right.copy()
    moved = np.random.default_rng(1).choice(500, 150, replace=False)
    pairs[moved] = (right[moved] + 1) % 10
    in_pairs, _ = areas(pairs)
    assert in_pairs[3] > in_pairs[2] + 0.01


def test_the_area_counts_ties_half():
    assert area(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == pytest.approx((0.5 + 1 + 1 + 1) / 4)
