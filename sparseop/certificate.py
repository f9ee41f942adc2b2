"""Certificates: what a solver's answer is checked by, computed from the arrays returned and from the user's own data.

A result class of a solver is a frozen dataclass with a ``status`` (``sparseop.status.Status``) that derives from
``Certified`` and has a method ``certificate(problem)``. It computes, from the problem and the arrays of the result
alone and by no part of the solver, a list of ``Check``s. Every returned array is covered by at least one of them:
change the array, and the certificate no longer holds. ``docs/certificates.md`` lists what is checked for each
class; tests corrupt every array.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparseop.errors import FloatArray
from sparseop.status import Status


@dataclass(frozen=True)
class Check:
    """One identity or bound that the answer has to satisfy.

    Attributes
    ----------
    name : what is checked, as a formula or a few words.
    error : how far from it the answer is; nan and infinity never pass.
    allowed : the largest error that passes.
    covers : the arrays of the result that enter.
    """

    name: str
    error: float
    allowed: float
    covers: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether ``error <= allowed``."""
        return bool(self.error <= self.allowed)

    def __str__(self) -> str:
        return f"{self.name}: {self.error:.1e} {'<=' if self.holds else 'IS NOT <='} {self.allowed:.1e}"


@dataclass(frozen=True)
class Certificate:
    """All checks of one answer. ``print(certificate)`` shows one line for each."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check does."""
        return all(check.holds for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    @property
    def covered(self) -> frozenset[str]:
        """Names of the arrays that some check covers."""
        return frozenset(name for check in self.checks for name in check.covers)

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))


class Certified:
    """What all results of solvers have in common; see the module."""

    status: Status

    @property
    def converged(self) -> bool:
        """Whether the answer is what was asked for, to the tolerance asked for."""
        return self.status.converged

    @property
    def message(self) -> str:
        """The status in words."""
        return self.status.sentence


def not_finite(**arrays: FloatArray) -> Certificate | None:
    """Return the certificate that fails where an array has an entry that is no number, before it is computed with."""
    bad = tuple(name for name, values in arrays.items() if not np.isfinite(values).all())
    return Certificate((Check("every entry is finite", float("inf"), 0.0, bad),)) if bad else None


def apart(found: FloatArray | float, expected: FloatArray | float, scale: FloatArray | float = 0.0) -> float:
    """Return max |found - expected| / max(|expected|, scale), entry by entry; 0 where both are equal or both nan.

    ``scale`` is an absolute size, for each entry or for all, in which a difference counts where ``expected`` is small.
    """
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    if found.shape != expected.shape:
        return float("inf")
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(found - expected) / np.maximum(np.abs(expected), scale)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return float(np.where(same, 0.0, error).max(initial=0.0))
