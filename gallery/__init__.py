"""The gallery: every figure and table of both papers, ours beside the published ones, and the studies beyond them.

    python -m gallery    write figures/README.md from figures/data, figures/tables and deep/results; computes nothing

A study enters itself with one ``Entry`` in ``sop.py``, ``sane.py``, ``bridge.py`` or ``beyond.py``; what has none is
shown all the
same, in a section of its own. No number is typed: each comes from a committed file through the entry's ``judge``.
"""
