"""A run's folder and its command: what is written, what an interruption leaves, how it goes on, what is refused."""

import csv
import json

import numpy as np
import pytest
import torch

from sparseop.deep import train
from sparseop.deep.image_prior import recipe, run
from sparseop.errors import InputError

Image = pytest.importorskip("PIL.Image")
TINY = [
    "network.width=4",
    "network.scales=2",
    "network.depth=4",
    "training.iterations=12",
    "training.every=4",
    "training.threads=1",
    "size=16",
]
FILES = {
    "recipe.toml",
    "run.json",
    "metrics.csv",
    "last.pt",
    "summary.json",
    "clean.png",
    "corrupted.png",
    "corruption.png",
    "recovery.npz",
    "recovery.png",
    "recovery.pdf",
    "recovery.svg",
    "dark/recovery.png",
    *(f"recovered_{m}.png" for m in recipe.METHODS),
}


@pytest.fixture(autouse=True)
def _picture(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    axis = np.linspace(40, 200, 24)
    Image.fromarray(np.stack([np.add.outer(axis, axis) / 2 + c for c in (0, 10, 20)], -1).astype(np.uint8)).save(
        "mine.png"
    )


@pytest.fixture(autouse=True)
def _no_picture(request, monkeypatch):
    """Drawing takes longer than the tiny runs; tests that ask for ``drawn`` draw."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(run, "draw", lambda *_: None)


@pytest.fixture
def drawn():
    """Ask for the picture."""


def made(*changes):
    return recipe.read("image-recovery", [*TINY, "image=mine.png", *changes])


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_a_run_leaves(tmp_path, drawn):
    summary = run.train(made(), tmp_path / "run", device="cpu")
    assert {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file()} == FILES
    table = rows(tmp_path / "run")
    assert [(row["method"], int(row["iteration"])) for row in table] == [
        (m, i) for m in recipe.METHODS for i in (0, 4, 8, 12)
    ]
    assert float(table[-1]["psnr"]) == pytest.approx(summary["methods"]["double"]["last"]["psnr"], rel=1e-5)
    with np.load(tmp_path / "run" / "recovery.npz") as arrays:
        clean, y, f = arrays["clean"], arrays["corrupted"], arrays["recovered_double"]
        assert clean.shape == arrays["s"].shape == (3, 16, 16)
        assert summary["methods"]["double"]["last"]["psnr"] == pytest.approx(
            -10 * np.log10(np.mean((f - clean) ** 2)), abs=1e-3
        )
        assert 0.2 < (y != clean).mean() < 0.4
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["ratio_chosen"] == "auto"
    assert about["ratio"] == summary["ratio"] > 0
    resolved = recipe.read(tmp_path / "run" / "recipe.toml")
    assert resolved.sparse.ratio == pytest.approx(summary["ratio"])
    with pytest.raises(InputError, match="already holds a run"):
        run.train(made(), tmp_path / "run", device="cpu")


def test_an_interrupted_run_keeps_what_it_has_and_goes_on_to_the_last_bit(tmp_path, monkeypatch):
    whole = run.train(made(), tmp_path / "whole", device="cpu")
    monkeypatch.setattr(run, "SAVE_SECONDS", 0.0)  # a checkpoint at every measurement

    def stop(row, total):
        if row["method"] == "absolute" and row["iteration"] == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train(made(), tmp_path / "run", device="cpu", watch=stop)
    kept = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"last.pt", "metrics.csv", "recovered_squared.png", "recovered_absolute.png"} <= kept
    assert "recovered_double.png" not in kept
    assert "summary.json" not in kept  # that is the mark of a finished run
    assert len(rows(tmp_path / "run")) == 7
    resumed = run.resume(tmp_path / "run", device="cpu")
    for name in ("summary.json", "metrics.csv", "recovered_absolute.png", "recovered_double.png", "corruption.png"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resumed["methods"]["double"]["last"]["psnr"] == whole["methods"]["double"]["last"]["psnr"]
    run.resume(tmp_path / "run", device="cpu")  # finished: says again how it ended
    assert (tmp_path / "run" / "summary.json").read_bytes() == (tmp_path / "whole" / "summary.json").read_bytes()


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_run_that_is_killed_goes_on_also_where_every_step_is_measured(at, tmp_path, monkeypatch):
    """The loss of a measurement is that of the step before, which a run that goes on has not taken itself."""
    chosen = made("training.every=1", "training.iterations=4", 'methods=["double"]')
    run.train(chosen, tmp_path / "whole", device="cpu")
    monkeypatch.setattr(run, "SAVE_SECONDS", 0.0)

    def kill(row, total):
        if row["iteration"] == at:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run.train(chosen, tmp_path / "run", device="cpu", watch=kill)
    run.resume(tmp_path / "run", device="cpu")
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()


def test_an_image_that_is_corrupted_already_has_no_psnr(tmp_path, capsys):
    assert train.main(["image-recovery", "--set", *TINY, "image=mine.png", "noise=0", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "PSNR" not in out
    assert "entries found corrupted" in out
    assert not (tmp_path / "run" / "clean.png").exists()
    assert all(row["psnr"] == "nan" for row in rows(tmp_path / "run"))
    assert "precision" not in json.loads((tmp_path / "run" / "summary.json").read_text())["methods"]["double"]["last"]


def test_the_command(tmp_path, capsys):
    """As the help says it: --set takes several changes at once."""
    assert (
        train.main(
            ["image-recovery", "--set", "image=mine.png", "noise=0.2", *TINY, "training.iterations=60", "--seed", "3"]
        )
        == 0
    )
    out, err = capsys.readouterr()
    for words in (
        "squared",
        "absolute",
        "double",
        "PSNR, last iteration",
        "corruption found: precision",
        "corruption found: recall",
        "median 5 x 5",
        "ratio alpha = ",
        "recovery.png",
    ):
        assert words in out
    assert "double: iteration 60/60" in err
    (folder,) = (tmp_path / "runs" / "image-recovery").iterdir()
    assert folder.name.endswith("-seed3")
    assert train.main(["--resume", str(folder)]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "PSNR" in line] == [
        line for line in out.splitlines() if "PSNR" in line
    ]


def test_options_before_the_recipe(capsys):
    assert train.main(["--set", *TINY, "image=mine.png", 'methods=["squared"]', "image-recovery"]) == 0
    assert "squared" in capsys.readouterr().out


def test_a_grey_image(tmp_path):
    Image.fromarray(np.add.outer(np.arange(20), np.arange(20)).astype(np.uint8) * 5).save("grey.png")
    run.train(made("image=grey.png"), tmp_path / "run", device="cpu")
    with np.load(tmp_path / "run" / "recovery.npz") as arrays:
        assert arrays["recovered_double"].shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["image=nowhere.png"], "the image 'nowhere.png' is not there"),
        (["image=letter.txt"], "no image"),
        (["noise=1.5"], "noise must lie in [0, 1], got 1.5."),
        (["noise=lots"], "noise in "),
        (["noize=0.3"], "unknown key in "),
        (["size=4", "network.scales=2"], "needs an image of at least 8 pixels, got 4 x 4"),
        (["methods=[]"], "methods must name at least one of"),
        (['methods=["dop"]'], "methods must be one of 'squared', 'absolute', 'double', got 'dop'"),
        (["sparse.ratio=0"], "sparse.ratio must be a finite number > 0"),
        (["sparse.gamma=1"], "sparse.gamma must lie in [1e-30, 1)"),
        (["sparse.gamma=1e-60"], "sparse.gamma must lie in [1e-30, 1), got 1e-60"),
        (["sparse.ratio=1e300"], "sparse.ratio must be 0, or from 1e-37 to 1e+37 in size"),
        (["network.depth=1000000000"], "memory"),
        (["training.threads=1000000000"], "training.threads must be >= 0 and <= 4096, got 1000000000"),
        ([f"training.threads={10**12}"], "training.threads must be >= 0 and <= 4096"),
        (["sparse.ratio=held"], "sparse.ratio must be a number or one of 'auto', 'held-out', got 'held'"),
        (["network.scales=0"], "network.scales must be >= 1 and <= 14, got 0"),
        (["noise_kind=pepper"], "noise_kind must be one of 'salt-and-pepper', 'uniform'"),
        (
            ["sparse.ratio=1e9", 'methods=["double"]', "training.iterations=40"],
            "the loss of method 'double' was not finite after",
        ),
        (
            ["sparse.ratio=1e8", 'methods=["double"]', "training.iterations=40", "training.every=100"],
            "the loss of method 'double' was not finite after 40",
        ),
        (["size=2"], "needs an image of at least 8 pixels, got 2 x 2"),
    ],
)
def test_one_sentence_and_status_2(arguments, message, capsys, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear Sir or Madam")
    assert train.main(["image-recovery", "--set", *TINY, "image=mine.png", *arguments]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if ": iteration" not in line]
    begun = "was not finite" in message  # but for a loss that only the run can show, nothing is said or begun before
    assert len(err) == (3 if begun else 1)
    assert err[-1].startswith("sparseop.deep.train: error: ")
    assert message in err[-1]
    assert begun == (tmp_path / "runs").exists()


def test_noise_that_meets_no_entry(tmp_path):
    """Without a corrupted entry PSNR is infinite, for which JSON has no number."""
    summary = run.train(made("noise=1e-30"), tmp_path / "run", device="cpu")
    assert summary["psnr_corrupted"] == np.inf
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["psnr_corrupted"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("s.pop('method')", "does not fit this run's methods"),
        ("s.update(method=0, fit={})", "does not fit this run's network and method"),
        ("s.update(recovered=3)", "does not fit this run's methods"),
        ("s.update(rows=None)", "its rows are missing"),
    ],
)
def test_a_checkpoint_of_something_else(change, message, tmp_path):
    run.train(made(), tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "last.pt"
    s = torch.load(path, weights_only=True)
    exec(change, {"s": s})
    torch.save(s, path)
    with pytest.raises(InputError, match=message):
        run.resume(tmp_path / "run", device="cpu")


def test_a_place_that_cannot_be_written_is_told_before_anything_is_fitted(capsys, tmp_path, monkeypatch):
    (tmp_path / "plain").write_text("")
    monkeypatch.setattr(run, "choose", lambda *_: pytest.fail("fitted"))
    assert (
        train.main(["image-recovery", "--set", *TINY, "image=mine.png", "sparse.ratio=held-out", "--out", "plain/run"])
        == 2
    )
    assert "plain" in capsys.readouterr().err


def test_resuming_what_cannot_be(tmp_path, capsys):
    assert train.main(["image-recovery", "--set", *TINY, "image=mine.png", "--out", "run"]) == 0
    Image.fromarray(np.zeros((24, 24, 3), dtype=np.uint8)).save("mine.png")
    capsys.readouterr()
    assert train.main(["--resume", "run"]) == 2
    assert "the image and its corruption differ from those that the run in 'run' began with." in capsys.readouterr().err


@pytest.mark.parametrize("name", recipe.names())
def test_committed_recipes_take_steps_with_a_narrow_network(name, tmp_path):
    chosen = recipe.read(
        name,
        [
            "image=mine.png",
            "size=24",
            "network.width=4",
            "network.scales=2",
            "training.iterations=3",
            "training.every=1",
        ],
    )
    assert recipe.parse(recipe.text(chosen), name="other") == chosen
    summary = run.train(chosen, tmp_path / "run", device="cpu")
    assert set(summary["methods"]) == set(chosen.methods)


def test_paper_settings():
    chosen = recipe.read("image-recovery-f16-50")
    assert chosen.network.options == {"width": 128, "scales": 5, "depth": 32, "skip": 4}
    assert (chosen.training.iterations, chosen.training.lr, chosen.training.momentum, chosen.training.input_noise) == (
        150_000,
        1,
        0,
        pytest.approx(1 / 30),
    )
    assert (chosen.sparse.ratio, chosen.sparse.gamma, chosen.sparse.start, chosen.noise, chosen.size) == (
        500,
        1e-5,
        "normal",
        0.5,
        0,
    )
