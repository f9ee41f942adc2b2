import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.linear.zonotope import reach


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), m=st.integers(0, 12), r=st.integers(1, 5), twins=st.booleans(), size=st.floats(-3, 3)
)
def test_every_answer_is_certified(seed, m, r, twins, size):
    rng = np.random.default_rng(seed)
    C, c, d = rng.standard_normal((m, r)), rng.standard_normal(r), rng.standard_normal(r) * 10**size
    if twins and m:
        C[m // 2 :] = C[0]
        C[-1] = 0
    found = reach(C, c, d)
    assert found.error <= 1e-9
    if np.isfinite(found.tau):
        assert np.abs(found.w).max(initial=0) <= 1 + 1e-9
        assert np.allclose(C.T @ found.w + c, found.tau * d, atol=1e-8)
        assert np.isclose(found.a @ d, 1)
        assert np.isclose(np.abs(C @ found.a).sum() + c @ found.a, found.tau, rtol=1e-8, atol=1e-8)
    else:  # Farkas: the dual falls without end along a
        assert abs(found.a @ d) <= 1e-9 * np.linalg.norm(d) * np.linalg.norm(found.a)
        assert np.abs(C @ found.a).sum() + c @ found.a < 0


def test_along_an_axis_of_a_square():
    found = reach(np.eye(2), np.array([0.5, 0.0]), np.array([2.0, 0.0]))
    assert found.tau == 0.75
    assert found.bound == 0.75


def test_out_of_reach():
    assert reach(np.eye(2), np.array([0.0, 1.5]), np.array([1.0, 0.0])).bound == -np.inf
    assert reach(np.eye(2), np.array([0.0, -0.5]), np.array([1.0, 0.0])).tau == 1
    assert reach(np.zeros((0, 2)), np.array([3.0, 0.0]), np.array([1.0, 0.0])).tau == 3
    assert reach(np.zeros((0, 2)), np.array([3.0, 1.0]), np.array([1.0, 0.0])).tau == -np.inf
