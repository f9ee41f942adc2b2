"""The wheel and the sdist, each installed by itself outside the checkout: what they bring is what the commands need.

The dependencies are those of the interpreter that runs the tests, found through one line of a .pth file in a fresh
environment: they are the same either way, and torch alone would take minutes. What is tested is what could be missing:
the package's own files, which come from the distribution and nowhere else (its folder is asserted, and no path of the
checkout is left in the environment), and that nothing asks for a file of the repository.
"""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

COMMANDS = """
import sys
from pathlib import Path

import sparseop
from sparseop.deep import train
from sparseop.deep.trained import linear

assert Path(sparseop.__file__).is_relative_to(sys.prefix), sparseop.__file__
checkout, packages = sys.argv[1:]  # the environment of the tests may lie in the checkout: its packages alone are seen
assert not [path for path in sys.path if path.startswith(checkout) and path != packages], sys.path
tiny = ["network.width=4", "training.epochs=1", "training.batch_size=100"]
images = ["data.train=300", "data.test=50", "network.width=4", "training.epochs=1", "training.batch_size=32"]
images += ["method.queue=64", "evaluation.neighbours=[5]", "evaluation.temperatures=[0.1]", "training.warmup=0"]
small = ["size=24", "network.width=4", "network.scales=2", "training.iterations=3", "training.every=1"]
on_digits = [*tiny, "data.name=digits", "network.name=convnet", "training.augment=none", "training.milestones=[]"]
for command in (
    ["--list"],
    ["--list", "table1"],
    ["--show", "sane_table2_imagenet_multi_weak_200"],
    ["--set", *tiny],
    ["sane", "--set", *images, "--out", "compared"],
    ["image-recovery", "--set", *small],
    ["table1_cifar10_sym40_sop", "--set", *on_digits, "--out", "member"],
    ["--resume", "member"],
):
    print("$", *command, flush=True)
    assert train.main(command) == 0, command
assert linear.main(["compared/sane"]) == 0
"""
EXAMPLE = """
import numpy as np
from sparseop.linear import gaussian_problem, solve_convex

problem = gaussian_problem(60, 90, 5, 4, seed=0)
found = solve_convex(problem, 0.3)
print(found.status, np.flatnonzero(found.s))
assert found.converged
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build both, without looking for a build back end on the network."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def environment(folder):
    """Make a fresh environment that sees this interpreter's packages behind its own; return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    (site / "_tested.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, site


def install(distribution, tmp_path):
    """Install into a fresh environment; return a function that runs its Python in an empty folder, and its packages."""
    python, site = environment(tmp_path / "env")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}
    clean |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    (tmp_path / "empty").mkdir()

    def run(*command):
        return subprocess.run(
            command,
            cwd=tmp_path / "empty",
            env=clean,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = run(*pip, "--target", str(site), str(distribution))
    assert done.returncode == 0, done.stderr
    return lambda *arguments: run(str(python), *arguments), site


def test_an_installed_wheel_runs_every_kind_of_command(distributions, tmp_path):
    run, _ = install(distributions["wheel"], tmp_path)
    for script in (COMMANDS, EXAMPLE):
        done = run("-c", script, str(ROOT), sysconfig.get_path("purelib"))
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert '"commit": "unknown"' in (tmp_path / "empty" / "member" / "run.json").read_text()
    done = run("-m", "sparseop.deep.train", "digits_sym40_sob")
    assert done.returncode == 2
    assert "did you mean 'digits_sym40_sop'" in done.stderr


def test_an_installed_sdist_is_the_installed_wheel(distributions, tmp_path):
    """The same files, byte by byte; so what the wheel runs it runs too, and it lists the recipes."""
    run, site = install(distributions["sdist"], tmp_path)
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if name.startswith("sparseop/")}
        assert {"sparseop/deep/recipes/table1.toml", "sparseop/deep/recipes/published.csv"} < names
        for name in names:
            assert (site / name).read_bytes() == wheel.read(name), name
    here = {path.relative_to(site).as_posix() for path in (site / "sparseop").rglob("*") if path.is_file()}
    assert {name for name in here if "__pycache__" not in name} == names
    done = run("-m", "sparseop.deep.train", "--list", "digits")
    assert done.returncode == 0, done.stderr
    assert "digits_sym40_sop" in done.stdout
