"""How a solver ended: one vocabulary for all of them."""

from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """How a solver ended. A member is its own name as a string, so ``status == "optimal"`` reads as it looks.

    Attributes
    ----------
    converged : whether the answer is what was asked for, to the tolerance asked for.
    sentence : the meaning in words.
    """

    OPTIMAL = "optimal", True, "the duality gap, computed from the data given, is at most tol"
    CONVERGED = "converged", True, "the equations that define the answer hold to within the tolerance"
    INACCURATE = (
        "inaccurate",
        False,
        "float64 lets the solver, or the proof, do no better; the certificate says how close",
    )
    ITERATION_LIMIT = "iteration limit", False, "the iterations allowed ran out first; the certificate says how close"
    DIVERGED = "diverged", False, "the iteration blew up, its step is too large; the last state before that is returned"

    converged: bool
    sentence: str

    def __new__(cls, value: str, converged: bool, sentence: str) -> Self:
        """Make a member that carries its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.converged, member.sentence = converged, sentence
        return member
