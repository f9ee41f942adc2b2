"""The over-parameterised linear model of the SOP paper (section 3, appendix B): solvers whose results carry certificates."""

from sparseop.linear.convex import ConvexSolution, solve_convex
from sparseop.linear.incoherence import IncoherenceCondition, coherence, incoherence_condition
from sparseop.linear.nullspace import NullSpaceConstant, null_space_constant
from sparseop.linear.path import solve_path
from sparseop.linear.problem import LinearProblem, gaussian_problem
from sparseop.linear.recovery import (
    RecoveryInterval,
    ThresholdBound,
    recovery_interval,
    recovery_threshold,
    threshold_bound,
)
from sparseop.linear.transition import transition_sparsity

__all__ = [
    "ConvexSolution",
    "IncoherenceCondition",
    "LinearProblem",
    "NullSpaceConstant",
    "RecoveryInterval",
    "ThresholdBound",
    "coherence",
    "gaussian_problem",
    "incoherence_condition",
    "null_space_constant",
    "recovery_interval",
    "recovery_threshold",
    "solve_convex",
    "solve_path",
    "threshold_bound",
    "transition_sparsity",
]
