"""What is mutated, and which tests are asked: modules whose lines decide a number, each with the files that pin it."""

#: module -> the test files that can kill its mutants, the fastest first
LINEAR, REFINERY, LABELS, AUGMENT = "tests/linear/", "tests/refinery/", "tests/deep/labels/", "tests/deep/augment/"
METHODS = (
    LABELS + "methods/test_defaults.py",
    LABELS + "methods/test_gradients.py",
    LABELS + "methods/test_losses.py",
    LABELS + "methods/test_hooks.py",
)
SOP = (LABELS + "methods/test_gradients.py", LABELS + "methods/test_sop.py", LABELS + "test_sample_variables.py")
OPERATIONS = (AUGMENT + "test_augment.py", AUGMENT + "test_operations_everywhere.py")
PLAN: dict[str, tuple[str, ...]] = {
    **{
        f"sparseop/linear/{module}.py": tuple(f"{LINEAR}test_{name}.py" for name in names)
        for module, names in {
            "_interior_point": ("convex", "path"),
            "_blas": ("convex",),
            "_chebyshev": ("low_rank_flow",),
            "_hyperbolic": ("regularizer", "flow"),
            "_newton": ("flow",),
            "_stiff": ("flow",),
            "convex": ("convex", "path"),
            "descent": ("descent",),
            "flow": ("flow",),
            "incoherence": ("incoherence",),
            "landscape": ("landscape",),
            "low_rank_flow": ("low_rank_flow",),
            "nullspace": ("nullspace",),
            "path": ("path",),
            "problem": ("problem",),
            "recovery": ("recovery",),
            "regularizer": ("regularizer",),
            "robust_low_rank": ("robust_low_rank",),
            "transition": ("transition",),
            "zonotope": ("zonotope",),
        }.items()
    },
    **{
        f"sparseop/refinery/{module}.py": tuple(f"{REFINERY}test_{name}.py" for name in names)
        for module, names in {
            "constants": ("constants",),
            "data": ("data",),
            "descent": ("descent",),
            "generalization": ("generalization",),
            "network": ("network",),
            "schedules": ("descent", "constants"),
            "streams": ("data", "network"),
            "worst_case": ("worst_case",),
        }.items()
    },
    **{
        f"sparseop/deep/labels/methods/{module}.py": METHODS
        for module in ("ce", "cores2", "coteaching", "elr", "forward", "gce", "mixup", "sl", "hooks")
    },
    "sparseop/deep/labels/methods/sop.py": SOP,
    "sparseop/deep/labels/methods/sop_plus.py": SOP,
    "sparseop/deep/labels/sample_variables.py": (LABELS + "test_sample_variables.py", LABELS + "methods/test_sop.py"),
    "sparseop/deep/labels/noise.py": (LABELS + "test_noise.py",),
    "sparseop/deep/labels/run.py": (LABELS + "test_loop_by_hand.py", LABELS + "test_fast_run.py"),
    "sparseop/deep/training/loop.py": (LABELS + "test_loop_by_hand.py",),
    "sparseop/deep/augment/operations.py": OPERATIONS,
    "sparseop/deep/augment/autoaugment.py": OPERATIONS,
    "sparseop/deep/augment/geometry.py": (AUGMENT + "test_augment.py",),
    **{
        f"sparseop/deep/augment/{module}.py": (AUGMENT + "test_views.py",)
        for module in ("clsa", "colour", "crops", "views")
    },
}

#: cosmic-ray's operators. A sum turned into a bit shift, or an "is" for an "==", is an error at the first call
#: and would only flatter the score; a removed decorator compiles nothing or caches nothing, and changes no number.
ARITHMETIC = {
    "Add": ("Sub",),
    "Sub": ("Add",),
    "Mul": ("Div", "Pow"),
    "Div": ("Mul",),
    "FloorDiv": ("Div",),
    "Mod": ("Mul",),
    "Pow": ("Mul",),
}
COMPARISONS = {
    "Lt": ("LtE", "GtE"),
    "LtE": ("Lt", "Gt"),
    "Gt": ("GtE", "LtE"),
    "GtE": ("Gt", "Lt"),
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
}
OPERATORS = (
    "core/AddNot",
    "core/NumberReplacer",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceUnaryOperator_USub_UAdd",
    "core/ZeroIterationForLoop",
    *(f"core/ReplaceBinaryOperator_{old}_{new}" for old, others in ARITHMETIC.items() for new in others),
    *(f"core/ReplaceComparisonOperator_{old}_{new}" for old, others in COMPARISONS.items() for new in others),
)
