"""The vocabulary of statuses and the checks that certificates are made of."""

import pickle

import numpy as np

from sparseop.certificate import Certificate, Check, apart
from sparseop.status import Status


def test_a_status_is_its_name_and_carries_its_meaning():
    assert Status.OPTIMAL == "optimal"
    assert f"{Status.ITERATION_LIMIT}" == "iteration limit"
    assert {status for status in Status if status.converged} == {Status.OPTIMAL, Status.CONVERGED}
    assert all(len(status.sentence) > 20 for status in Status)
    assert pickle.loads(pickle.dumps(Status.DIVERGED)) is Status.DIVERGED
    assert Status("inaccurate") is Status.INACCURATE


def test_a_check_holds_up_to_what_is_allowed_and_never_for_nan():
    assert Check("a", 1.0, 1.0).holds
    assert not Check("a", 1.1, 1.0).holds
    assert not Check("a", float("nan"), 1.0).holds
    assert not Check("a", float("inf"), float("nan")).holds


def test_a_certificate_says_what_failed_and_what_it_covers():
    certificate = Certificate((Check("x = y", 0.0, 1e-9, ("x", "y")), Check("z >= 0", 2.0, 0.0, ("z",))))
    assert not certificate.holds
    assert [check.name for check in certificate.failed] == ["z >= 0"]
    assert certificate.covered == {"x", "y", "z"}
    assert certificate["x = y"].holds
    assert "z >= 0: 2.0e+00 IS NOT <= 0.0e+00" in str(certificate)


def test_apart_is_relative_and_sees_nan_infinity_and_shapes():
    assert apart(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0
    assert apart(np.array([1.1]), np.array([1.0])) == np.abs(1.1 - 1.0)
    assert apart(np.array([1e-9]), np.array([0.0]), 1.0) == 1e-9
    assert apart(np.array([1e-9]), np.array([0.0])) == np.inf
    assert apart(np.array([np.nan]), np.array([np.nan])) == 0
    assert not apart(np.array([np.nan]), np.array([1.0])) <= 1
    assert not apart(np.array([1.0]), np.array([np.inf])) <= 1
    assert apart(np.ones(2), np.ones(3)) == np.inf
