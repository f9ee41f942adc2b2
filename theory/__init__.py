"""The studies of the theory: one file a figure. Run one with ``python -m theory.NAME``."""
