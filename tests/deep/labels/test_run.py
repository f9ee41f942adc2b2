"""The training loop: against a loop written by hand, stopped and resumed, killed, on two processes, on a full disk."""

import functools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sparseop.deep import networks
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.data import prepare
from sparseop.deep.labels.methods import METHODS
from sparseop.deep.training.feed import Feed, epoch_order, whole_pass
from sparseop.deep.training.schedule import rates
from sparseop.deep.training.seeds import seed_for
from sparseop.errors import InputError
from tests.deep.runs import (
    StopError,
    assert_nothing_left,
    assert_same_state,
    kill_in_epoch_3,
    state_of,
    stop_in,
    train_on_two_processes,
)

pytestmark = pytest.mark.filterwarnings("ignore:[uv]_on = ")  # three epochs, and "auto" rates
ROOT = Path(__file__).resolve().parents[3]
TINY = [
    "network.width=4",
    "training.epochs=3",
    "training.batch_size=100",
    "training.augment=weak",
    "training.pad=1",
    "training.hole=3",
]
#: "auto" lets no corruption switch on within so few epochs, and says so; with this it does after two
RATES = {"sop-rows": ["method.lr=100"]}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def tiny(*overrides, base="digits_sym40_sop"):
    return recipes.read(base, [*TINY, *overrides])


# ---- the loop itself -------------------------------------------------------------------------------------------------


def test_it_is_plain_sgd(tmp_path):
    """Cross-entropy without augmentation: the same weights as twenty lines of torch."""
    recipe = tiny("training.augment=none", "training.epochs=1", base="digits_sym40_ce")
    engine.train(recipe, tmp_path / "run")
    samples = prepare(recipe, None)
    images = (samples.dataset.train_images.float() / 255 - samples.dataset.mean[0]) / samples.dataset.std[0]
    torch.manual_seed(seed_for(0, "network"))
    network = networks.build("convnet", 10, 1, width=4)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9, weight_decay=5e-4)
    for epoch, rate in enumerate(rates(recipe.training)):
        optimiser.param_groups[0]["lr"] = rate
        order = samples.train[
            torch.randperm(1347, generator=torch.Generator().manual_seed(seed_for(0, "order", epoch)))
        ]
        for index in order.split(100):
            optimiser.zero_grad()
            cross_entropy(network(images[index]), samples.labels.given[index]).backward()
            optimiser.step()
    for wanted, found in zip(
        network.state_dict().values(), state_of(tmp_path / "run")["networks"].values(), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_run_writes_what_it_says(tmp_path):
    recipe = tiny("training.validation=200", "engine.test_every=2", 'method.lr_u="auto"')
    summary = engine.train(recipe, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} - {"tensorboard"} == {
        "recipe.toml",
        "run.json",
        "labels.npz",
        "metrics.csv",
        "last.pt",
        "chosen.pt",
        "summary.json",
        "samples.npz",
        "suspects.csv",
        "labels.csv",
    }
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(lines) == 4
    assert {"epoch", "lr", "loss", "train_given", "memorised", "flagged_recall", "test", "validation", "u_on"} <= set(
        lines[0].split(",")
    )
    column = lines[0].split(",").index("test")
    assert [bool(line.split(",")[column]) for line in lines[1:]] == [False, True, True]  # every second, and the last
    resolved = recipes.read(tmp_path / "run" / "recipe.toml")
    assert isinstance(resolved.method.options["lr_u"], float)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["noise_rate"] == pytest.approx(0.4, abs=0.001)
    assert about["samples"] + about["validation"] == 1347
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["final"] == summary["final"]
    assert summary["chosen_by_validation"]["epoch"] in (2, 3)
    samples = np.load(tmp_path / "run" / "samples.npz")
    assert len(samples["suspicion"]) == len(samples["index"]) == 1147


def test_the_held_out_samples_are_balanced_and_apart():
    samples = prepare(tiny("training.validation=200"), None)
    assert sorted([*samples.train.tolist(), *samples.validation.tolist()]) == list(range(1347))
    counts = samples.labels.true[samples.validation].bincount()
    assert counts.min() == counts.max() == 20


def test_same_seed_same_run_other_seed_other_run(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        engine.train(tiny(f"seed={seed}", "training.epochs=1"), tmp_path / name)
    assert_same_state(state_of(tmp_path / "a"), state_of(tmp_path / "b"))
    weight = "0.body.0.weight"
    assert not torch.equal(state_of(tmp_path / "a")["networks"][weight], state_of(tmp_path / "c")["networks"][weight])


@pytest.mark.parametrize("name", METHODS)
def test_no_step_waits_for_the_device(name, tmp_path, monkeypatch):
    """Within an epoch nothing reads a tensor's value: on a GPU each such read would stop the pipeline."""
    recipe = tiny(
        f"method.name={name}",
        "training.epochs=1",
        *(["method.warmup=1"] if name == "coteaching+" else []),
        *(['method.transition="true"'] if name == "forward" else []),
        *RATES.get(name, []),
    )
    run = engine._Run(recipe, prepare(recipe, None), torch.device("cpu"))
    run._begin(0)
    run.method.train()
    run.networks.train()
    # augmentation takes another route on a CPU, where there is nothing to wait for; its own tests watch the device's
    run.views = [run.plain] * len(run.views)
    draws = [torch.Generator().manual_seed(view) for view in range(len(run.views))]
    index = torch.arange(50)
    images = run.samples.dataset.train_images[:50]
    run._step(0.0, index, images, draws)  # the first step may allocate

    def forbidden(*_, **__):
        raise AssertionError("a step waited for the device")

    for reader in ("item", "__bool__", "__int__", "__float__", "__index__", "tolist", "numpy", "cpu", "nonzero"):
        monkeypatch.setattr(torch.Tensor, reader, forbidden)
    run._step(0.0, index, images, draws)


def test_algorithm_1_moves_u_and_v_after_the_epoch(tmp_path):
    recipe = tiny(
        "method.update=epoch",
        "method.u_loss=ce",
        "method.constraint=project",
        "method.lr_u=1e6",  # three passes suffice to move u and v from 1e-8 to the bound
        "method.lr_v=1e6",
    )
    engine.train(recipe, tmp_path / "run")
    state = state_of(tmp_path / "run")["method"]
    assert state["variables.v"].abs().max() > 0.1
    assert state["variables.v"].abs().max() <= 1


def test_bfloat16(tmp_path):
    for precision in ("float32", "bfloat16"):
        engine.train(tiny(f"engine.precision={precision}"), tmp_path / precision)
    losses = [[row["loss"] for row in state_of(tmp_path / precision)["rows"]] for precision in ("float32", "bfloat16")]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
    assert state_of(tmp_path / "bfloat16")["networks"]["0.body.0.weight"].dtype == torch.float32


def test_deterministic_mode_gives_the_same_run(tmp_path):
    seen = []

    def watch(*_):
        seen.append((torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()))

    before = torch.get_num_threads()
    changes = "method.name=sop+", "training.epochs=1", f"engine.threads={before + 1}"
    engine.train(tiny(*changes, "engine.deterministic=true"), str(tmp_path / "a"), watch=watch)
    assert set(seen) == {(True, before + 1)}
    assert not torch.are_deterministic_algorithms_enabled()  # and everything is as it was before
    assert torch.get_num_threads() == before
    engine.train(tiny(*changes), tmp_path / "b", watch=watch)
    assert seen[-1] == (False, before + 1)
    weight = "0.body.0.weight"
    torch.testing.assert_close(
        state_of(tmp_path / "a")["networks"][weight], state_of(tmp_path / "b")["networks"][weight]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_trains_alike(tmp_path, monkeypatch):
    """Traced and differentiated as in earnest, but run without a C++ compiler, which takes minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    for name, compiled in (("plain", "false"), ("compiled", "true")):
        engine.train(tiny("training.epochs=1", f"engine.compile={compiled}", "training.augment=none"), tmp_path / name)
    rows = [state_of(tmp_path / name)["rows"][0]["loss"] for name in ("plain", "compiled")]
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


def test_tensorboard_when_it_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    engine.train(tiny("training.epochs=1"), tmp_path / "run")
    assert list((tmp_path / "run" / "tensorboard").iterdir())


# ---- batches ---------------------------------------------------------------------------------------------------------


class Lazy:
    """Images decoded when asked for."""

    def __init__(self, images):
        self.images, self.shape, self.dtype = images, tuple(images.shape), images.dtype

    def __len__(self):
        return len(self.images)

    def fetch(self, index):
        return self.images[index]


def test_lazy_images_come_in_the_same_order():
    images = torch.randint(0, 256, (50, 1, 2, 2), dtype=torch.uint8)
    parts = list(torch.randperm(50).split(7))
    for (i, a), (j, b) in zip(
        Feed(images, torch.device("cpu")).batches(parts),
        Feed(Lazy(images), torch.device("cpu")).batches(parts),
        strict=True,
    ):
        assert torch.equal(i, j)
        assert torch.equal(a, b)


def test_shares_of_an_epoch():
    generators = [torch.Generator().manual_seed(5) for _ in range(3)]
    samples = torch.arange(100, 203)
    whole = epoch_order(samples, 20, generators[0], drop_last=False)
    shares = [epoch_order(samples, 20, g, drop_last=False, rank=r, world=2) for r, g in enumerate(generators[1:])]
    assert sorted(torch.cat(whole).tolist()) == samples.tolist()
    assert [len(part) for part in whole] == [20] * 5 + [3]
    for batch, *parts in zip(whole[:5], *shares, strict=False):
        assert sorted(torch.cat(parts).tolist()) == sorted(batch.tolist())
    assert [len(part) for part in shares[0]] == [len(part) for part in shares[1]]
    assert len(epoch_order(samples, 20, generators[0], drop_last=True)) == 5
    passes = [torch.cat(whole_pass(samples, 10, rank=r, world=2)) for r in range(2)]
    assert set(torch.cat(passes).tolist()) == set(samples.tolist())
    assert len(passes[0]) == len(passes[1])


# ---- stopping and going on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_resume_is_bit_exact(name, tmp_path):
    """Stopped in the middle of epoch 3 and resumed.

    The same weights, momentum and per-sample state, to the last bit.
    """
    warmup = ["method.warmup=1"] if name in ("coteaching+", "cores2", "forward") else []
    recipe = tiny(f"method.name={name}", *warmup, *RATES.get(name, []))
    engine.train(recipe, tmp_path / "whole")
    with pytest.raises(StopError):
        engine.train(recipe, tmp_path / "halves", watch=stop_in(2))
    assert state_of(tmp_path / "halves")["epoch"] == 2
    engine.resume(tmp_path / "halves")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "halves"))
    same = [
        [line.split(",")[:3] for line in (tmp_path / run / "metrics.csv").read_text().splitlines()]
        for run in ("whole", "halves")
    ]
    assert same[0] == same[1]
    assert json.loads((tmp_path / "halves" / "run.json").read_text())["resumed"][0]["epoch"] == 2


def test_killed_with_signal_9_and_resumed(tmp_path):
    kill_in_epoch_3("digits_sym40_sop", [*TINY, "training.epochs=12"], tmp_path / "killed")
    done = state_of(tmp_path / "killed")["epoch"]
    assert 2 <= done < 12
    engine.resume(tmp_path / "killed")
    engine.train(tiny("training.epochs=12"), tmp_path / "whole")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_two_processes_are_one(tmp_path):
    """torchrun with two gloo processes: the same u, v and weights as one process, to float tolerance."""
    # the last batch of 47 is left out: an odd one loses a sample on two processes; rounding errors grow, so one epoch
    overrides = ["training.augment=none", "training.epochs=1", "training.drop_last=true", "method.init_std=0.1"]
    train_on_two_processes("digits_sym40_sop", [*TINY, *overrides], tmp_path / "two")
    engine.train(tiny(*overrides), tmp_path / "one")
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    for part in ("networks", "method"):
        for key, value in one[part].items():
            torch.testing.assert_close(
                two[part][key], value, rtol=1e-3, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}"
            )
    assert one["rows"][-1]["loss"] == pytest.approx(two["rows"][-1]["loss"], rel=1e-5)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2


def test_a_finished_run_leaves_no_networks_behind(tmp_path):
    engine.train(tiny("training.epochs=1"), tmp_path / "first")  # torch itself keeps what called its first optimiser
    assert_nothing_left(engine, lambda: engine.train(tiny("training.epochs=1"), tmp_path / "second"))


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_epoch(tmp_path):
    recipe = tiny("training.schedule=step", "training.milestones=[2]", "training.gamma=1e30")
    with pytest.raises(
        InputError, match=r"not finite at step \d+ of 14 in epoch 3; .* last good checkpoint \(epoch 2\)"
    ):
        engine.train(recipe, tmp_path / "run")
    state = state_of(tmp_path / "run")
    assert state["epoch"] == 2
    assert all(value.isfinite().all() for value in state["networks"].values())
    assert state["method"]["variables.v"].isfinite().all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(tmp_path):
    """Epoch 2's checkpoint meets a full disk: one sentence, epoch 1's is whole, and the run can go on later."""
    recipe = tiny("training.epochs=2")

    def watch(epoch, step, row):
        if row is not None and epoch == 0:
            (tmp_path / "run" / "last.pt.part").symlink_to("/dev/full")

    with pytest.raises(
        InputError, match=r"cannot be written: No space left on device; the one of the epoch before is kept"
    ):
        engine.train(recipe, tmp_path / "run", watch=watch)
    assert state_of(tmp_path / "run")["epoch"] == 1
    assert engine.resume(tmp_path / "run")["epochs"] == 2


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path):
    engine.train(tiny("training.epochs=1"), tmp_path / "run")
    with pytest.raises(InputError, match=r"already holds a run"):
        engine.train(tiny("training.epochs=1"), tmp_path / "run")


def test_of_two_runs_that_begin_in_a_folder_one_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("sparseop.deep.training.loop.require_no_run", lambda _: None)  # both looked before either wrote
    engine.train(tiny("training.epochs=1"), tmp_path / "run")
    held = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match=r"another run has begun in '.*run' meanwhile"):
        engine.train(tiny("training.epochs=1", "seed=1"), tmp_path / "run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == held


def test_a_folder_without_checkpoint_is_left_alone(tmp_path):
    engine.train(tiny("training.epochs=1"), tmp_path / "run")
    (tmp_path / "run" / "last.pt").unlink()
    with pytest.raises(InputError, match="holds a run that has no checkpoint yet"):
        engine.train(tiny("training.epochs=1"), tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("s.pop('recipe')", "is the checkpoint of another recipe"),
        ("s.pop('rows')", "its rows are missing"),
        ("s['rows'] = 3", "its rows are missing"),
        ("s['epoch'] = 7", "not one for each epoch"),
        ("s['epoch'] = -1", "not one for each epoch"),
        ("s['optimiser'] = 3", "does not fit this run's networks"),
        ("s['optimiser'] = {}", "does not fit this run's networks"),
        ("s['networks'] = None", "does not fit this run's networks"),
        ("s.pop('method')", "does not fit this run's networks"),
        ("s.update(rows=9 * s['rows'], epoch=9)", "rows of the checkpoint must be >= 0 and <= 1, got 9"),
    ],
)
def test_a_checkpoint_of_something_else(change, message, tmp_path):
    engine.train(tiny("training.epochs=1"), tmp_path / "run")
    path = tmp_path / "run" / "last.pt"
    s = torch.load(path, weights_only=True)
    exec(change, {"s": s})
    torch.save(s, path)
    with pytest.raises(InputError, match=message):
        engine.resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.augment=weak", "training.pad=9"], "pad must be at most the side of the images, 8, got 9"),
        (["training.augment=weak", f"training.pad={10**12}"], "pad must be at most"),
        (["training.crop=30"], "crop must be at most the side of the images"),
        (["training.crop=2"], "'convnet' takes images of 4 x 4 pixels and more, got 2 x 2"),
        (
            ["training.augment=strong", "training.hole=16"],
            "hole must be less than twice the side of the images, 16, or nothing of them is left, got 16",
        ),
        (["method.name=forward"], "warmup must be < the number of epochs 3, got 10"),
        (["method.init_std=2", "method.lr_u=1", "method.lr_v=1"], r"init_std must lie in \[0, 1\], got 2.0"),
        (["method.name=sl", "method.A=-inf"], "A must be a finite number < 0, got -inf"),
        (["network.width=100000000"], "GiB of memory"),
    ],
)
def test_refused_before_anything_is_written(overrides, message, tmp_path):
    with pytest.raises(InputError, match=message):
        engine.train(tiny(*overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_that_its_last_step_has_ruined(tmp_path):
    """The loss of the last step is finite, what it leaves is not."""
    with pytest.raises(
        InputError, match="after the last epoch what the network or the method says of a sample is not finite"
    ):
        engine.train(tiny("training.epochs=1", "training.batch_size=1347", "training.lr=1e37"), tmp_path / "run")


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"it has no recipe\.toml"):
        engine.resume(tmp_path)
    run = tmp_path / "run"
    engine.train(tiny("training.epochs=1"), run)
    good, recipe = (run / "last.pt").read_bytes(), (run / "recipe.toml").read_text()

    (run / "recipe.toml").write_text(recipe.replace("momentum = 0.9", "momentum = 0.8"))
    with pytest.raises(InputError, match="checkpoint of another recipe"):
        engine.resume(run)
    (run / "recipe.toml").write_text(recipe)

    (run / "last.pt").write_bytes(good[: len(good) // 2])
    with pytest.raises(InputError, match="is not a whole checkpoint"):
        engine.resume(run)

    (run / "last.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="is not a whole checkpoint"):
        engine.resume(run)
    torch.save({"format": 1, "x": Bomb()}, run / "last.pt")
    with pytest.raises(InputError, match="is not a whole checkpoint"):
        engine.resume(run)
    assert not Bomb.went_off

    (run / "last.pt").unlink()
    with pytest.raises(InputError, match="there is no checkpoint"):
        engine.resume(run)

    (run / "last.pt").write_bytes(good)
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "labels_sha256": "0"}))
    with pytest.raises(InputError, match="the training labels differ"):
        engine.resume(run)


def explode():
    Bomb.went_off = True


class Bomb:
    """A pickle that runs code when loaded."""

    went_off = False

    def __reduce__(self):
        return explode, ()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["noise.kind=given"], "needs a data set with noisy labels of its own"),
        (["training.validation=1346"], "leaves 1 samples"),
        (["method.name=forward", "method.warmup=3"], "warmup must be < the number of epochs 3"),
    ],
)
def test_recipes_that_only_the_data_refuse(overrides, message, tmp_path):
    with pytest.raises(InputError, match=message):
        engine.train(tiny(*overrides), tmp_path / "run")


def test_unknown_device(tmp_path):
    with pytest.raises(InputError, match="device 'gpu' cannot be used"):
        engine.train(tiny(), tmp_path / "run", device="gpu")
