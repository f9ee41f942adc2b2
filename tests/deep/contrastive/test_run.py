"""The contrastive loop: against one written by hand, stopped and resumed, killed, on two processes, and refusals."""

import functools
import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from sparseop.deep import networks, train
from sparseop.deep.augment.views import Views
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import report
from sparseop.deep.contrastive import run as engine
from sparseop.deep.contrastive.encoder import Encoder, follow, momentum_copy
from sparseop.deep.contrastive.queue import Queue
from sparseop.deep.training import epoch_runs
from sparseop.deep.training.schedule import rate
from sparseop.deep.training.seeds import seed_for
from sparseop.errors import InputError
from tests.deep.runs import (
    StopError,
    assert_nothing_left,
    assert_same_state,
    kill_in_epoch_3,
    sets,
    state_of,
    stop_in,
    train_on_two_processes,
)

ROOT = Path(__file__).resolve().parents[3]
TINY = [
    "data.train=200",
    "data.test=40",
    "network.width=4",
    "head.dim=8",
    "head.hidden=16",
    "method.queue=100",
    "training.epochs=3",
    "training.batch_size=40",
    "evaluation.neighbours=[20]",
    "evaluation.temperatures=[0.1]",
    "evaluation.labels_every=2",
]
#: views without a draw: every process, and every number of them, sees the same
STILL = [
    "views.crop_area=[1.0, 1.0]",
    "views.crop_ratio=[1.0, 1.0]",
    "views.flip=0",
    "views.rotation=0",
    "views.jitter_chance=0",
    "views.grey_chance=0",
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def tiny(*overrides, base="shapes_sane"):
    baselines = ["evaluation.baselines=false"] if base == "shapes_moco" else []
    return recipes.read(base, [*TINY, *baselines, *overrides])


# ---- the loop itself -------------------------------------------------------------------------------------------------


def test_it_is_moco_by_hand(tmp_path):
    """MoCo with SGD: the same weights as thirty lines of torch, drawing the same views."""
    # in the same memory layout: so small a network turns the last bits of a convolution into other weights within five
    # steps
    recipe = tiny(
        "engine.channels_last=false",
        "training.optimiser=sgd",
        "training.lr=0.05",
        "training.epochs=2",
        "method.keys=own",
        "training.warmup=0",
        base="shapes_moco",
    )
    engine.train(recipe, tmp_path / "run")
    data = engine.prepare(recipe, None).dataset
    torch.manual_seed(seed_for(0, "network"))
    online = Encoder(*networks.backbone("resnet8", 3, width=4), dim=8, layers=2, hidden=16)
    slow, queue = momentum_copy(online), Queue(100, 8, seed=seed_for(0, "method"))
    options = dict(recipe.views.options)
    views = Views(**options, mean=data.mean, std=data.std)
    optimiser = torch.optim.SGD(online.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-2)
    for epoch in range(2):
        order = torch.randperm(200, generator=torch.Generator().manual_seed(seed_for(0, "order", epoch)))
        draw = torch.Generator().manual_seed(seed_for(0, "views", epoch, 0))
        for step, index in enumerate(order.split(40)):
            optimiser.param_groups[0]["lr"] = rate(recipe.training, (epoch + step / 5) / 2)
            follow(slow, online, 0.99)
            first, second = views(data.train_images[index], draw)
            q = online(first)
            with torch.no_grad():
                k = slow(second)
            logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.keys.clone().T], 1) / 0.1
            optimiser.zero_grad()
            cross_entropy(logits, torch.zeros(40, dtype=torch.int64)).backward()
            optimiser.step()
            queue.push(k, index)
    state = state_of(tmp_path / "run")
    for network, part in ((online, "online"), (slow, "momentum")):
        for key, wanted in network.state_dict().items():
            torch.testing.assert_close(state[part][key], wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(state["method"]["queue.keys"], queue.keys, rtol=1e-4, atol=1e-6)
    assert torch.equal(state["method"]["queue.index"], queue.index)


def test_a_run_writes_what_it_says(tmp_path):
    recipe = tiny(
        "engine.test_every=2",
        "evaluation.baselines=true",
        "evaluation.neighbours=[20, 5]",
        "evaluation.temperatures=[0.1, 0.05]",
    )
    summary = engine.train(recipe, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} - {"tensorboard"} == {
        "recipe.toml",
        "run.json",
        "labels.npz",
        "metrics.csv",
        "last.pt",
        "summary.json",
    }
    assert recipes.text(recipes.read(tmp_path / "run" / "recipe.toml")) == recipes.text(recipe)
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    assert len(lines) == 4
    assert {
        "epoch",
        "lr",
        "loss",
        "knn",
        "knn_head",
        "knn_5",
        "one_hot_weight",
        "alpha",
        "beta",
        "p_max",
        "q_max",
        "own_mass",
        "same_mass",
        "purity",
        "tv_refined",
        "l2_refined",
        "l2_smoothed",
        "l2_one_hot",
    } <= set(names)
    assert [bool(line.split(",")[names.index("knn")]) for line in lines[1:]] == [
        False,
        True,
        True,
    ]  # every second, and the last
    written = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert written["final"] == summary["final"]
    assert {"knn", "knn_5", "knn_head", "linear", "linear_head"} <= summary["final"].keys()
    assert {"knn", "linear"} <= summary["pixels"].keys() & summary["untrained"].keys()
    assert summary["labels"]["own_mass"] + summary["labels"]["same_mass"] + summary["labels"][
        "wrong_mass"
    ] == pytest.approx(1)


def test_judging_the_untrained_network_leaves_the_trained_one_alone(tmp_path):
    for name, baselines in (("a", "true"), ("b", "false")):
        engine.train(tiny("training.epochs=1", f"evaluation.baselines={baselines}"), tmp_path / name)
    assert_same_state(state_of(tmp_path / "a"), state_of(tmp_path / "b"))
    finals = [json.loads((tmp_path / name / "summary.json").read_text())["final"] for name in "ab"]
    assert finals[0] == finals[1]


def test_same_seed_same_run_other_seed_other_run(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        engine.train(tiny(f"seed={seed}", "training.epochs=1"), tmp_path / name)
    assert_same_state(state_of(tmp_path / "a"), state_of(tmp_path / "b"))
    weight = "backbone.body.0.weight"
    assert not torch.equal(state_of(tmp_path / "a")["online"][weight], state_of(tmp_path / "c")["online"][weight])


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["method.mix_strength=strong"],
        ["method.mix_sizes=[12, 8]"],
        ["training.splits=4"],
        ["method.name=moco", "method.symmetric=sum", "method.queue=100"],
        ["method.symmetric=mean"],
    ],
    ids=str,
)
def test_every_way_of_training_takes_finite_steps(overrides, tmp_path):
    summary = engine.train(tiny("training.epochs=1", *overrides), tmp_path / "run")
    assert summary["epochs"] == 1
    assert 0 <= summary["final"]["knn"] <= 100


@pytest.mark.parametrize("splits", [1, 4])
def test_the_fast_network_whitens_by_the_runs_images_and_keeps_what_is_fixed(splits):
    recipe = tiny("network.name=fastnet", "network.width=4", f"training.splits={splits}")
    run = engine._Run(recipe, engine.prepare(recipe, None), torch.device("cpu"))
    images = run.plain(run.samples.dataset.train_images, torch.Generator())
    for network in (run.online.backbone, run.slow.backbone):
        responses = torch.nn.functional.conv2d(images, network.first.weight[:12]).transpose(0, 1).flatten(1).double()
        moment = responses @ responses.T / responses.shape[1]
        assert (moment - torch.diag(moment.diag())).abs().max() < 1e-4
    fixed = {name: value.clone() for name, value in run.online.backbone.named_parameters() if not value.requires_grad}
    assert len(fixed) == 7  # the whitening and six scales
    run.step(0.0, torch.arange(40), run.samples.dataset.train_images[:40], run.start_epoch(0))
    for name, value in run.online.backbone.named_parameters():
        assert name not in fixed or torch.equal(value, fixed[name]), name


def test_no_step_waits_for_the_device(monkeypatch):
    """Within an epoch nothing reads a tensor's value: on a GPU each such read would stop the pipeline."""
    recipe = tiny("training.splits=4")
    run = engine._Run(recipe, engine.prepare(recipe, None), torch.device("cpu"))
    draws, index, images = run.start_epoch(0), torch.arange(40), run.samples.dataset.train_images[:40]
    views = run.views(images, draws[0])
    run.views = lambda *_: views  # the views' own tests watch them
    run.step(0.1, index, images, draws)

    def forbidden(*_, **__):
        raise AssertionError("a step waited for the device")

    for reader in ("item", "__bool__", "__int__", "__float__", "__index__", "tolist", "numpy", "cpu", "nonzero"):
        monkeypatch.setattr(torch.Tensor, reader, forbidden)
    run.optimiser.step = lambda: None  # AdamW on a CPU reads its own step count
    run.step(0.2, index, images, draws)


def test_rates():
    training = recipes.Training(epochs=4, lr=0.8, schedule="cosine", warmup=1)
    assert [rate(training, p) for p in (0, 0.125, 0.25, 0.5)] == pytest.approx(
        [0, 0.8 * 0.5 * (1 + 0.92388) / 2, 0.8 * 0.853553, 0.4], rel=1e-5
    )
    demo = recipes.Training(epochs=4, lr=0.8, schedule="cosine-epoch")
    assert [rate(demo, p) for p in (0, 0.2, 0.25, 0.75, 0.99)] == pytest.approx(
        [0.8 * 0.853553, 0.8 * 0.853553, 0.4, 0, 0], abs=1e-6
    )


def test_bfloat16(tmp_path):
    losses = []
    for precision in ("float32", "bfloat16"):
        engine.train(tiny(f"engine.precision={precision}", "training.epochs=1"), tmp_path / precision)
        losses.append(state_of(tmp_path / precision)["rows"][0]["loss"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_trains_alike(tmp_path, monkeypatch):
    """Traced and differentiated as in earnest, but run without a C++ compiler, which takes minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    losses = []
    for compiled in ("false", "true"):
        engine.train(tiny(f"engine.compile={compiled}", "training.epochs=1", "training.splits=4"), tmp_path / compiled)
        losses.append(state_of(tmp_path / compiled)["rows"][0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "overrides", [["training.splits=4"], ["method.mix_strength=strong", "engine.precision=bfloat16"]], ids=str
)
def test_on_a_gpu_as_on_a_processor(overrides, tmp_path):
    """Other draws, so other numbers; but it learns the same task, and goes on from where it was stopped."""
    summary = engine.train(tiny(*overrides), tmp_path / "gpu", device="cuda")
    assert summary["peak_bytes"] > 0
    other = engine.train(tiny(*overrides), tmp_path / "cpu", device="cpu")
    assert summary["labels"]["own_mass"] == pytest.approx(other["labels"]["own_mass"], rel=0.2)
    rows = [state_of(tmp_path / name)["rows"][-1]["loss"] for name in ("gpu", "cpu")]
    assert rows[0] == pytest.approx(rows[1], rel=0.1)


# ---- stopping and going on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [["method.mix_strength=strong"], ["training.splits=4", "training.optimiser=sgd", "training.lr=0.03"]],
    ids=["strong", "split"],
)
def test_resume_is_bit_exact(overrides, tmp_path):
    """Stopped in the middle of epoch 3 and resumed: the same weights, keys and moments, to the last bit."""
    engine.train(tiny(*overrides), tmp_path / "whole")
    with pytest.raises(StopError):
        engine.train(tiny(*overrides), tmp_path / "halves", watch=stop_in(2))
    assert state_of(tmp_path / "halves")["epoch"] == 2
    engine.resume(tmp_path / "halves")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "halves"))
    finals = [json.loads((tmp_path / run / "summary.json").read_text())["final"] for run in ("whole", "halves")]
    assert finals[0] == finals[1]


def test_killed_with_signal_9_and_resumed(tmp_path):
    kill_in_epoch_3("shapes_sane", [*TINY, "training.epochs=10"], tmp_path / "killed")
    assert 2 <= state_of(tmp_path / "killed")["epoch"] < 10
    engine.resume(tmp_path / "killed")
    engine.train(tiny("training.epochs=10"), tmp_path / "whole")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(["training.splits=1", "head.batch_norm=true"], marks=pytest.mark.slow, id="global batch norm"),
        pytest.param(["training.splits=4", "method.teacher=online"], id="split batch norm, shuffled keys"),
    ],
)
def test_two_processes_are_one(overrides, tmp_path):
    """torchrun with two gloo processes: the same weights, keys and labels as one process, to float tolerance."""
    overrides = [
        *STILL,
        *overrides,
        "data.train=120",
        "training.epochs=1",
        "training.optimiser=sgd",
        "training.lr=0.01",
        "training.warmup=0",
        "method.mu_start=5",
    ]
    train_on_two_processes("shapes_sane", [*TINY, *overrides], tmp_path / "two")
    engine.train(tiny(*overrides), tmp_path / "one")
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    for part in ("online", "momentum", "method"):
        for key, value in one[part].items():
            torch.testing.assert_close(
                two[part][key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}"
            )
    for column in ("loss", "alpha", "own_mass", "same_mass", "tv_refined"):
        assert one["rows"][0][column] == pytest.approx(two["rows"][0][column], rel=1e-4), column
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2


def test_a_finished_run_leaves_no_networks_behind(tmp_path):
    changes = ["training.epochs=1", "evaluation.baselines=true"]
    engine.train(tiny(*changes), tmp_path / "first")  # torch itself keeps what called its first optimiser
    assert_nothing_left(engine, lambda: engine.train(tiny(*changes), tmp_path / "second"))


# ---- what goes wrong, and the command --------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    recipe = tiny("training.optimiser=sgd", "training.schedule=constant", "training.warmup=0", "training.lr=1e30")
    with pytest.raises(InputError, match=r"the loss was not finite at step \d of 5 in epoch 1; .* \(none yet\)"):
        engine.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.queue=30"], "method.queue must be >= 40, the keys of one step, got 30"),
        (["method.symmetric=mean", "method.queue=79"], "method.queue must be >= 80"),
        (
            ["training.splits=3"],
            "training.splits = 3 needs training.drop_last = true and must divide training.batch_size, got 40",
        ),
        (["training.warmup=4"], "training.warmup must be <= training.epochs = 3, got 4"),
        (["method.lam=2"], "method.lam"),
        (["method.mixup=maybe"], "method.mixup must be one of 'momentum', 'vanilla', 'none', got 'maybe'"),
        (["method.lamda=0.5"], "did you mean 'lam'"),
        (["views.size=0"], "size must be >= 2 and <= 4096, got 0"),
        (["evaluation.neighbours=[1, 2]"], "must have the same length"),
        (["task=labels"], "task must be one of 'contrastive', got 'labels'"),
        (
            ["training.batch_size=1000", "method.queue=1000"],
            "training.batch_size must be at most the number of training images, 200, got 1000",
        ),
        (
            ["training.optimiser=adam"],
            "training.optimiser must be one of 'sgd', 'adamw', got 'adam'. Did you mean 'adamw'",
        ),
    ],
)
def test_recipes_that_are_refused(overrides, message, tmp_path):
    with pytest.raises(InputError) as refused:
        engine.train(tiny(*overrides), tmp_path / "run")
    assert message in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"it has no recipe\.toml"):
        engine.resume(tmp_path)
    run = tmp_path / "run"
    engine.train(tiny("training.epochs=1"), run)
    with pytest.raises(InputError, match="already holds a run"):
        engine.train(tiny("training.epochs=1"), run)
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text().replace("lam = 0.5", "lam = 0.6"))
    with pytest.raises(InputError, match="checkpoint of another recipe"):
        engine.resume(run)


def test_the_command_compares_at_equal_epochs_and_equal_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changes = sets(item for item in TINY if not item.startswith("evaluation"))
    assert (
        train.main(["sane", *changes, "--set", "method.lam=0.3", "--out", "out"]) == 0
    )  # an option that MoCo does not have
    out = capsys.readouterr().out
    header = out.strip().splitlines()[0]
    assert header.split("  ")[-1].strip() == "MoCo, SANE's time"
    for word in ("pixels", "untrained", "MoCo", "SANE"):
        assert word in header
    for line in (
        "kNN, k = 20, T = 0.1",
        "linear classifier (ridge)",
        "label mass on the own positive",
        "epochs",
        "training",
    ):
        assert line in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == [
        "moco",
        "moco_equal_time",
        "sane",
    ]
    assert train.main(["--resume", "out/sane"]) == 0
    assert "SANE" in capsys.readouterr().out


def test_a_comparison_that_was_killed_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changes = sets(item for item in TINY if not item.startswith("evaluation"))
    watched = epoch_runs.watcher

    def killed_in_the_second_run(title, *others):
        watch = watched(title, *others)

        def until(epoch, step, row):
            watch(epoch, step, row)
            if title.startswith("SANE") and epoch == 1:
                raise StopError

        return until

    monkeypatch.setattr(epoch_runs, "watcher", killed_in_the_second_run)
    with pytest.raises(StopError):
        train.main(["sane", *changes, "--out", "out"])
    monkeypatch.setattr(epoch_runs, "watcher", watched)
    assert train.main(["sane", *changes, "--out", "out"]) == 2
    assert "already holds a run; go on with it by --resume" in capsys.readouterr().err
    assert train.main(["--resume", "out"]) == 0
    assert "MoCo, SANE's time" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "sane" / "run.json").read_text())["resumed"][0]["epoch"] == 1
    recipe = recipes.read(tmp_path / "out" / "sane" / "recipe.toml")
    engine.train(recipe, tmp_path / "whole")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "out" / "sane"))


@pytest.mark.parametrize(
    ("seconds", "other", "epochs"), [(10.0, 17.0, 17), (10.0, 0.0, 1), (0.0, 0.1, 20), (0.0, 0.0, 1)]
)
def test_epochs_of_equal_time_of_runs_too_short_to_time(seconds, other, epochs):
    assert report.equal_time(10, seconds, other) == epochs
