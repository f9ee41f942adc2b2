"""The console command, and what is public of the trainers."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sparseop import command

ROOT = Path(__file__).resolve().parents[1]


def test_it_does_what_the_modules_do(capsys):
    assert command.main(["train", "--list", "digits_sym40"]) == 0
    assert "digits_sym40_sop" in capsys.readouterr().out
    assert command.main(["predict", "nowhere", "x.png"]) == 2
    assert "there is no run in 'nowhere'" in capsys.readouterr().err
    assert command.main([]) == 2
    assert "sparseop train" in capsys.readouterr().out
    assert command.main(["tarin"]) == 2
    assert "must be one of train, predict, export, inspect, got 'tarin'" in capsys.readouterr().err


def test_it_comes_with_the_package():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["sparseop"] == "sparseop.command:main"


def without_torch(*arguments):
    """Run Python where torch is not installed."""
    hide = (
        "import sys, importlib.util as u, runpy\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)\n"
        "sys.modules['torch'] = None\n"
    )
    return subprocess.run(
        [sys.executable, "-c", hide + "\n".join(arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "line",
    [
        "sys.argv = ['-m', 'train']; runpy.run_module('sparseop.deep.train', run_name='__main__')",
        "from sparseop import command; sys.exit(command.main(['train']))",
    ],
)
def test_without_torch_one_sentence_says_how_to_get_it(line):
    done = without_torch(line)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "needs PyTorch, which is not installed: pip install 'sparseop[deep]'" in done.stderr


def test_public_names_load_torch_only_when_they_are_used():
    code = (
        "import sys, sparseop.deep as deep; assert 'torch' not in sys.modules; assert 'SOP' in dir(deep)\n"
        "assert all(callable(getattr(deep, name)) for name in deep.__all__ if name not in ('train', 'predict'))\n"
        "from sparseop.deep import predict, train\n"
        "assert callable(train) and callable(predict) and train.main and predict.main"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
