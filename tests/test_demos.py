"""The demos run as notebooks, with the numbers the library gives."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

marimo = pytest.importorskip("marimo")
DEMO = Path(__file__).resolve().parent.parent / "demos" / "implicit_l1.py"


@pytest.mark.slow
def test_implicit_l1_shows_the_truth_found():
    spec = importlib.util.spec_from_file_location("implicit_l1", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _, names = module.app.run()
    found = names["found"]
    assert found["convex"].status == "optimal"
    assert set(np.flatnonzero(np.abs(found["limit"].s) > 0.05)) == set(np.flatnonzero(found["problem"].s_star))
    for extreme in ((0.0, -24, 16), (3.6, -2, 0), (3.6, -24, 16)):
        assert np.isfinite(names["solve"](*extreme)["path"]).all()


@pytest.mark.slow
def test_notebook_is_well_formed():
    done = subprocess.run([sys.executable, "-m", "marimo", "check", str(DEMO)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
