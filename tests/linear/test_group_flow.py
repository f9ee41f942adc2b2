"""Flows on factors of S: conservation laws, the paper's case K = 1, limits, and where each leaves the program."""

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, flow_limit, solve_groups
from sparseop.linear.group_flow import group_flow, group_flow_limit, plane_directions


def instance(*, n=12, p=20, rank=2, wrong=2, seed=0):
    rng = np.random.default_rng(seed)
    J = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p))
    S = np.zeros((n, 2))
    S[:wrong] = rng.standard_normal((wrong, 2))
    return J, J @ rng.standard_normal((p, 2)) + S


def apart(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_one_direction_is_the_flow_of_the_paper():
    J, Y = instance()
    alpha, gamma = 20.0, np.exp(-8.0)
    theirs = flow_limit(LinearProblem(J, Y[:, 0]), alpha=alpha, gamma=gamma)
    mine = group_flow_limit(J, Y[:, :1], [[3.0]], alpha=alpha, gamma=gamma)
    assert mine.converged
    assert apart(mine.Theta[:, 0], theirs.theta) < 1e-8
    np.testing.assert_allclose(mine.S[:, 0], theirs.s, atol=1e-8)
    np.testing.assert_allclose(mine.Theta, J.T @ mine.V, atol=1e-8)
    # a b with a = gamma', b = 0 is u u - v v with u, v = (a +- b) / 2: gamma' = 2 gamma, at half the rate
    product = group_flow(J, Y[:, :1], "products", alpha=2 * alpha, gamma=2 * gamma, horizon=100.0)
    assert product.converged
    assert apart(product.Theta[:, 0], theirs.theta) < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_with_enough_directions_the_limit_is_the_program(seed):
    J, Y = instance(seed=seed)
    lam = 1.0
    program = solve_groups(J, Y, lam, tol=1e-12)
    off = []
    for L in (8.0, 16.0, 24.0):
        limit = group_flow_limit(J, Y, plane_directions(16), alpha=L / (2 * lam), gamma=np.exp(-L))
        assert limit.converged
        assert limit.residual < 1e-8
        off.append(apart(limit.Theta, program.Theta))
    assert off[2] < off[1] < off[0] < 1e-3
    # no V_i leaves the polytope {|<V_i, d>| <= lam} by more than the scale allows: 1 + O(1/L)
    assert np.abs(limit.V @ plane_directions(16).T).max() < lam * (1 + 2 / 24)


def test_few_directions_have_another_norm():
    """For two directions the norm is |S|_1: the entrywise program. It does not turn with the outputs, (G) does."""
    J, Y = instance(wrong=6)
    lam, L = 0.05, 100.0
    two, many = (group_flow_limit(J, Y, plane_directions(n), alpha=L / (2 * lam), gamma=np.exp(-L)) for n in (2, 32))
    group, entry = (
        solve_groups(J, Y, lam),
        np.column_stack([solve_groups(J, Y[:, k], lam).Theta[:, 0] for k in range(2)]),
    )
    assert apart(two.Theta, entry) < 0.5 * apart(two.Theta, group.Theta)
    assert apart(many.Theta, group.Theta) < 0.5 * apart(many.Theta, entry)


def test_products_keep_their_hyperbola_and_are_switched_on_by_length():
    J, Y = instance()
    lam, L = 1.0, 16.0
    flow = group_flow(J, Y, "products", alpha=L / lam, gamma=np.exp(-L), horizon=300.0)
    assert flow.converged
    chord = np.linalg.norm(flow.V, axis=1)
    assert (flow.length >= chord - 1e-6).all()
    on = np.linalg.norm(flow.S, axis=1) > 1e-3
    assert on.sum() == 2
    assert (flow.length[on] > lam).all()
    assert (flow.length[on] < lam * (1 + 2 / L)).all()  # |S| of order 1 needs a little more than lam
    np.testing.assert_allclose(flow.Theta, J.T @ flow.V, atol=1e-5)


def test_boosts_do_not_commute():
    """The reason why products have no potential: two paths of V with one end lead to different S."""

    def boost(x, y):
        return np.array([[0, x, y], [x, 0, 0], [y, 0, 0]])

    from scipy.linalg import expm

    start = np.array([1.0, 0, 0])
    one, other = expm(boost(0, 1)) @ expm(boost(1, 0)) @ start, expm(boost(1, 0)) @ expm(boost(0, 1)) @ start
    assert np.abs(one - other).max() > 0.1
    for end in (one, other):
        assert end[0] ** 2 - end[1:] @ end[1:] == pytest.approx(1.0)


def test_normalised_factors_do_not_turn_while_they_are_small():
    """A row that starts in the opposite direction is never switched on; in the right one it is."""
    J, Y = np.zeros((1, 1)), np.array([[1.0, 0.0]])
    right, wrong = (
        group_flow(J, Y, "normalised", alpha=8.0, gamma=np.exp(-8.0), horizon=20.0, start=[[x, 0.1]]) for x in (1, -1)
    )
    assert right.residual < 1e-3
    assert wrong.residual > 0.99
    assert wrong.status == "iteration limit"


def test_hostile_input():
    J, Y = instance()
    for call, words in [
        (lambda: plane_directions(1), "n must be >= 2"),
        (lambda: group_flow_limit(J, Y, [[1.0, 0.0]], alpha=1, gamma=0.1), "directions must span all 2 columns"),
        (lambda: group_flow_limit(J, Y, np.eye(3), alpha=1, gamma=0.1), "directions must have shape"),
        (lambda: group_flow(J, Y, "sums", alpha=1, gamma=0.1, horizon=1), "factors must be one of"),
        (lambda: group_flow(J, Y, "products", alpha=1, gamma=1.0, horizon=1), r"gamma must lie in \[exp\(-300\), 1\)"),
        (lambda: group_flow(J, Y, "products", alpha=1, gamma=0.1, horizon=0), "horizon must be"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
