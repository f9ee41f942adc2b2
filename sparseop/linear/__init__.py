"""The over-parameterised linear model of the SOP paper (section 3, appendix B).

Solvers whose results carry certificates.
"""

from sparseop.linear.choosing import LamChoice, choose_lam, lam_for_share, lam_grid, lam_max
from sparseop.linear.convex import ConvexSolution, solve_convex
from sparseop.linear.descent import DescentResult, Trajectory, accurate_step_size, gradient_descent
from sparseop.linear.diagnostics import RowDiagnostics, diagnose_rows
from sparseop.linear.flow import FlowLimit, GradientFlow, flow_limit, gradient_flow
from sparseop.linear.group_flow import GroupFlowLimit, group_flow, group_flow_limit, plane_directions
from sparseop.linear.groups import GroupSolution, groups_gap, solve_groups, solve_groups_path
from sparseop.linear.incoherence import IncoherenceCondition, coherence, incoherence_condition
from sparseop.linear.kernels import KernelFactor, KernelSolution, kernel_factor, solve_kernel_groups
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
from sparseop.linear.variants import VariantLimit, deep_flow_limit, sized_flow_limit

__all__ = [
    "ConvexSolution",
    "CriticalPoint",
    "DescentResult",
    "FlowLimit",
    "GradientFlow",
    "GroupFlowLimit",
    "GroupSolution",
    "IncoherenceCondition",
    "KernelFactor",
    "KernelSolution",
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
    "VariantLimit",
    "accurate_step_size",
    "choose_lam",
    "classify_critical_point",
    "coherence",
    "deep_flow_limit",
    "diagnose_rows",
    "flow_limit",
    "gaussian_low_rank",
    "gaussian_problem",
    "gradient",
    "gradient_descent",
    "gradient_flow",
    "group_flow",
    "group_flow_limit",
    "groups_gap",
    "hessian",
    "implicit_regularizer",
    "incoherence_condition",
    "kernel_factor",
    "lam_for_share",
    "lam_grid",
    "lam_max",
    "low_rank_flow",
    "matching_alpha",
    "matching_lam",
    "null_space_constant",
    "objective",
    "plane_directions",
    "recovery_interval",
    "recovery_threshold",
    "robust_pca_gap",
    "sized_flow_limit",
    "solve_convex",
    "solve_groups",
    "solve_groups_path",
    "solve_kernel_groups",
    "solve_path",
    "solve_robust_pca",
    "threshold_bound",
    "transition_sparsity",
]
