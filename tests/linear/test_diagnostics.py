"""Row diagnostics: the two statements are proved on instances, the classical table is named, and tables load."""

import itertools

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, null_space_constant, solve_groups
from sparseop.linear.diagnostics import diagnose_rows
from sparseop.linear.tables import TABLES, load


def test_safe_rows_are_found_and_hiding_rows_hide():
    rng = np.random.default_rng(0)
    J = rng.standard_normal((30, 2))
    J[:3] *= 6
    found = diagnose_rows(J, intercept=False)
    assert found.exact.all()
    assert 0 < found.safe < len(found.hiding)
    theta, lam = np.array([1.0, -2.0]), 1e4
    for _ in range(20):  # any so many rows, any size
        s = np.zeros(30)
        s[rng.choice(30, found.safe, replace=False)] = rng.standard_normal(found.safe) * 10.0 ** rng.integers(0, 4)
        np.testing.assert_allclose(solve_groups(J, J @ theta + s, lam).Theta[:, 0], theta, atol=1e-6)
    s = np.zeros(30)
    s[found.hiding] = (J @ found.direction)[found.hiding] * 100 / np.linalg.norm(found.direction)
    hidden = solve_groups(J, J @ theta + s, lam)
    assert np.abs(hidden.Theta[:, 0] - theta).max() > 1
    for rows in itertools.combinations(range(3), found.safe):  # null-space constant below 1: Definition B.3
        assert null_space_constant(LinearProblem(J, np.ones(30)), list(rows)).upper < 1


def test_a_share_is_what_the_null_space_constant_says():
    """h = max |x_i a| / |X a|_1 = rho / (1 + rho), rho of Definition B.3 for the one row."""
    J = np.random.default_rng(1).standard_normal((25, 4))
    found = diagnose_rows(J, intercept=False)
    for row in (0, 7):
        rho = null_space_constant(LinearProblem(J, np.ones(25)), [row])
        assert rho.exact
        assert found.share[row] == pytest.approx(rho.upper / (1 + rho.upper), rel=1e-6)
    few = diagnose_rows(J, intercept=False, programs=3)
    assert few.exact.sum() == 3
    assert (few.share >= found.share - 1e-9).all()  # an upper bound where no program was solved
    assert few.safe <= found.safe


def test_units_and_turns_of_columns_do_not_matter():
    J = np.random.default_rng(2).standard_normal((25, 3))
    plain, turned = diagnose_rows(J), diagnose_rows(J @ np.diag([1e6, 1.0, 1e-6]) + 5)
    np.testing.assert_allclose(turned.share, plain.share, atol=1e-6)
    np.testing.assert_array_equal(turned.hiding, plain.hiding)


def test_hawkins_bradu_and_kass_are_told_of_their_leverage_points():
    table = load("hawkins_bradu_kass")
    found = diagnose_rows(table.X)
    assert set(found.hiding) <= set(range(14))  # only leverage points, good and bad
    assert len(found.hiding) <= 10  # fewer than the ten wrong ones
    assert found.safe < 10
    assert f"The {len(found.hiding)} rows" in found.message
    assert found.room(10) == pytest.approx(10 / found.typical)
    assert {10, 19, 29, 33} <= set(diagnose_rows(load("stars").X).hiding)  # the four giants


def test_plain_columns():
    constant = diagnose_rows(np.ones((9, 1)))
    assert constant.rank == 1
    assert constant.safe == 4  # the median of nine
    assert len(constant.hiding) == 5
    alone = diagnose_rows(np.eye(4), intercept=False)
    assert alone.safe == 0
    assert alone.message.startswith("No wrong row is sure")
    with pytest.raises(InputError, match="J must not be zero"):
        diagnose_rows(np.zeros((4, 2)), intercept=False)
    with pytest.raises(InputError, match="corrupted must be"):
        constant.room(10)


@pytest.mark.parametrize(
    ("name", "shape"), [("stackloss", (21, 3)), ("stars", (47, 1)), ("hawkins_bradu_kass", (75, 3))]
)
def test_tables_load(name, shape):
    table = load(name)
    assert table.X.shape == shape
    assert len(table.y) == shape[0]
    assert table.frame.shape[1] == shape[1] + 1
    assert set(TABLES) == {"stackloss", "stars", "hawkins_bradu_kass"}
    with pytest.raises(InputError, match="Did you mean 'stars'"):
        load("star")


def test_the_tables_are_those_of_the_literature():
    """Least squares on stackloss: Brownlee's coefficients; the stars' slope is negative for the giants' sake."""
    table = load("stackloss")
    coefficients = np.linalg.lstsq(np.column_stack([np.ones(21), table.X]), table.y)[0]
    np.testing.assert_allclose(coefficients, [-39.92, 0.7156, 1.2953, -0.1521], atol=5e-3)
    stars = load("stars")
    rest = np.setdiff1d(np.arange(47), stars.outliers)
    assert np.polyfit(stars.X[:, 0], stars.y, 1)[0] == pytest.approx(-0.413, abs=1e-3)
    assert np.polyfit(stars.X[rest, 0], stars.y[rest], 1)[0] > 2
