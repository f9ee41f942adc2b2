"""What the trainers may import: a machine with a GPU may hold nothing but torch, numpy and tqdm."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
sys.modules['matplotlib'] = None  # draws the picture at the end, where it is
from sparseop.deep import train

changes = ["--set", "training.epochs=1", "--set", "network.width=4"]
status = train.main(["digits_sym40_sop", *changes, "--out", sys.argv[1]])
others = {"pandas", "scipy", "sklearn", "joblib", "cvxpy", "numba", "tabulate", "threadpoolctl", "PIL"}
print("loaded:", sorted(others & set(sys.modules)))
sys.exit(status)
"""


def test_training_needs_torch_numpy_and_tqdm_only(tmp_path):
    """In a fresh interpreter, from the checkout: none of the project's other dependencies gets loaded."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded: []"
