"""What everything rests on: light imports, arguments checked in one sentence, files written whole, figures to the byte."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from sparseop import cli, errors, files, plotting, provenance


@pytest.mark.parametrize(("module", "forbidden"), [
    ("sparseop", ("torch", "cvxpy", "numba", "scipy", "pandas")),
    ("sparseop.linear", ("torch", "cvxpy", "pandas", "matplotlib")),
    ("sparseop.refinery", ("torch", "cvxpy", "sparseop.linear")),
    ("sparseop.study", ("torch", "cvxpy", "sparseop.linear")),
    ("sparseop.deep", ("cvxpy", "pandas", "scipy", "sklearn", "joblib", "sparseop.linear", "sparseop.refinery")),
])
def test_imports_stay_light(module, forbidden):
    code = f"import sys, {module}; print(*[m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("check", "words"), [
    (lambda: errors.positive("lam", 0), "lam must be a finite number > 0, got 0."),
    (lambda: errors.positive("lam", True), "lam must be a real number, got True."),
    (lambda: errors.positive("lam", [1.0]), "lam must be a real number"),
    (lambda: errors.nonnegative("rate", -0.1), "rate must be a finite number >= 0, got -0.1."),
    (lambda: errors.between("gamma", 1.0, 0, 1), "gamma must lie in (0, 1), got 1.0."),
    (lambda: errors.between("rho", 0.5, 0, 0.5, ends="[)"), "rho must lie in [0, 0.5), got 0.5."),
    (lambda: errors.integer("rank", 7, 0, 5, why="min(N, p)"), "rank must be >= 0 and <= 5 = min(N, p), got 7."),
    (lambda: errors.integer("rank", 2.0, 0), "rank must be a whole number, got 2.0."),
    (lambda: errors.choice("phi", "TANH", ("tanh", "softplus")), "got 'TANH'. Did you mean 'tanh'?"),
    (lambda: errors.array("x", [1, 2], (3,), what="one entry a row"), "x must have shape (3) (one entry a row), got (2,)."),
    (lambda: errors.array("x", [1, np.inf], (None,)), "x must be finite, got inf at index 1."),
])
def test_each_check_says_name_value_and_what_is_allowed(check, words):
    with pytest.raises(errors.InputError) as caught:
        check()
    assert words in str(caught.value)


def test_command_lines_end_as_documented(capsys):
    def wrong():
        raise errors.InputError("lam must be > 0, got -1.")

    def full():
        raise OSError(28, "No space left on device", "figures/fig2.png")

    def stop():
        raise KeyboardInterrupt

    assert cli.run("prog", lambda: None) == 0
    assert cli.run("prog", wrong) == 2
    assert cli.run("prog", full) == 2
    assert cli.run("prog", stop) == 130
    assert capsys.readouterr().err.splitlines() == [
        "prog: error: lam must be > 0, got -1.",
        "prog: error: No space left on device: 'figures/fig2.png'.",
        "prog: interrupted: run the same command again to go on.",
    ]
    with pytest.raises(ZeroDivisionError):  # a bug of ours keeps its traceback
        cli.run("prog", lambda: 1 / 0)


def test_equal_files_are_left_untouched(tmp_path):
    path = tmp_path / "new" / "file"
    files.write_atomic(path, b"a")
    stamp = path.stat().st_mtime_ns
    files.write_atomic(path, b"a")
    assert path.stat().st_mtime_ns == stamp
    files.write_atomic(path, b"b")
    assert path.read_bytes() == b"b"
    assert list(path.parent.iterdir()) == [path]


def test_figures_are_byte_identical(tmp_path):
    def drawn(folder):
        with plotting.style():
            figure = Figure()
            figure.subplots().plot([1, 2, 3], label="x")
            plotting.caption(figure, "10 trials")
        return [path.read_bytes() for path in plotting.save(figure, tmp_path / folder / "plot")]

    assert drawn("a") == drawn("b")


def test_provenance_names_no_host_or_user():
    record = {**provenance.hardware(), **provenance.commit(), "versions": provenance.versions("numpy", "no-such-package")}
    assert record["versions"]["numpy"] == np.__version__
    assert record["versions"]["no-such-package"] == "not installed"
    assert set(record) == {"processor", "cores", "system", "commit", "dirty", "versions"}
