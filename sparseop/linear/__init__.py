"""The over-parameterised linear model of the SOP paper (section 3, appendix B): solvers whose results carry certificates."""

from sparseop.linear.choosing import LamChoice, choose_lam, lam_for_share, lam_grid, lam_max
from sparseop.linear.convex import ConvexSolution, solve_convex
from sparseop.linear.descent import DescentResult, Trajectory, accurate_step_size, gradient_descent
from sparseop.linear.diagnostics import RowDiagnostics, diagnose_rows
from sparseop.linear.flow import FlowLimit, GradientFlow, flow_limit, gradient_flow
from sparseop.linear.groups import GroupSolution, groups_gap, solve_groups, solve_groups_path
from sparseop.linear.incoherence import IncoherenceCondition, coherence, incoherence_condition
from sparseop.linear.landscape import CriticalPoint, classify_critical_point, gradient, hessian, objective
from sparseop.linear.low_rank_flow import LowRankFlow, low_rank_flow
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
from sparseop.linear.regularizer import implicit_regularizer, matching_alpha, matching_lam
from sparseop.linear.robust_low_rank import (
    LowRankProblem,
    RobustPCA,
    gaussian_low_rank,
    robust_pca_gap,
    solve_robust_pca,
)
from sparseop.linear.transition import transition_sparsity

__all__ = [
    "ConvexSolution",
    "CriticalPoint",
    "DescentResult",
    "FlowLimit",
    "GradientFlow",
    "GroupSolution",
    "IncoherenceCondition",
    "LamChoice",
    "LinearProblem",
    "LowRankFlow",
    "LowRankProblem",
    "NullSpaceConstant",
    "RecoveryInterval",
    "RobustPCA",
    "RowDiagnostics",
    "ThresholdBound",
    "Trajectory",
    "accurate_step_size",
    "choose_lam",
    "classify_critical_point",
    "coherence",
    "diagnose_rows",
    "flow_limit",
    "gaussian_low_rank",
    "gaussian_problem",
    "gradient",
    "gradient_descent",
    "gradient_flow",
    "groups_gap",
    "hessian",
    "implicit_regularizer",
    "incoherence_condition",
    "lam_for_share",
    "lam_grid",
    "lam_max",
    "low_rank_flow",
    "matching_alpha",
    "matching_lam",
    "null_space_constant",
    "objective",
    "recovery_interval",
    "recovery_threshold",
    "robust_pca_gap",
    "solve_convex",
    "solve_groups",
    "solve_groups_path",
    "solve_path",
    "solve_robust_pca",
    "threshold_bound",
    "transition_sparsity",
]
