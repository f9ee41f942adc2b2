"""The released code beside the engine.

Driven in a made checkout of the same interfaces, and what can be wrong with a checkout.
"""

import contextlib
import json
import multiprocessing
import runpy
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from benchmarks import deep_epochs, official_sop, record
from benchmarks.deep_epochs import Stopwatch, Turn
from benchmarks.official import busy, checkout, cifar, driver, large
from sparseop.deep import datasets, networks
from sparseop.deep.labels.recipe import parse
from sparseop.errors import InputError
from sparseop.files import read_csv
from tests.benchmarks import fake_official


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Return a made checkout, whose epochs are logged in log.txt beside it; records go to tmp_path."""
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log.txt"))
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setitem(official_sop.NETWORKS, "convnet", ("Tiny", ("network.width=4",)))
    return fake_official.write(tmp_path / "official")


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["official_sop", *map(str, arguments)])
    return official_sop.main()


def small(monkeypatch, folder, *arguments):
    return command(
        monkeypatch,
        "--official",
        folder,
        "--device",
        "cpu",
        "--network",
        "convnet",
        "--batches",
        2,
        "--rounds",
        1,
        *arguments,
    )


def test_both_take_turns_on_the_same_images(official, tmp_path, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in official.rglob("*") if path.is_file()}
    assert small(monkeypatch, official, "--workers", 1) == 0, capsys.readouterr().err
    assert "seconds an epoch" in capsys.readouterr().out

    checksum = int(official_sop.images(None, 256).train_images.sum())
    lines = [line.split() for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert [line[:3] for line in lines] == [
        ["1", "sop", "0"],
        ["1", "sopplus", "0.9"],
        ["2", "sop", "0"],
        ["2", "sopplus", "0.9"],
    ]
    assert {tuple(line[3:]) for line in lines} == {("256", str(checksum), "1", multiprocessing.get_start_method())}
    assert {path: path.read_bytes() for path in official.rglob("*") if path.is_file()} == before

    rows = read_csv(tmp_path / "figures" / "measured" / "data" / "bench_official_sop_cpu.csv")
    names = list(rows[["whose", "method", "setting"]].itertuples(index=False, name=None))
    assert names == [
        ("released code", "sop", "float32"),
        ("released code", "sop+", "float32"),
        *(
            ("this project", method, setting)
            for setting in ("float32", "bfloat16")
            for method in ("ce", "sop", "sop+", "elr")
        ),
    ]
    product = rows["images a second"] * rows["seconds an epoch"]
    assert ((product - 50_000).abs() <= 0.006 * rows["images a second"] + 0.06 * rows["seconds an epoch"]).all()
    said = json.loads((tmp_path / "figures" / "measured" / "data" / "bench_official_sop_cpu.json").read_text())
    assert (said["samples"], said["parameters"], said["threads"]) == (256, 30730, 1)
    assert (said["official"]["commit"], said["official"]["as released"]) == ("unknown", False)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"trainer": fake_official.FILES["trainer/trainer.py"].replace("seen = 0", "raise RuntimeError('no luck')")},
            "does not run here: trainer/trainer.py line 17: RuntimeError: no luck",
        ),
        (
            {"loss": fake_official.FILES["model/loss.py"].replace("super()", "__import__('os')._exit(1)")},
            "ended by itself",
        ),
        (
            {"datasets": "raise ModuleNotFoundError('No module named torchvision')"},
            "needs torchvision, which cannot be imported here",
        ),
    ],
    ids=["raises", "dies", "no torchvision"],
)
def test_a_checkout_that_does_not_run_is_said_in_a_sentence(official, changed, says, monkeypatch, capsys):
    fake_official.write(official, **changed)
    assert small(monkeypatch, official, "--settings", "float32") == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--network", "resnet43"], "Did you mean 'resnet34'"),
        (["--batches", "0"], "--batches must be >= 1"),
        (["--rounds", "0"], "--rounds must be >= 1"),
        (["--workers", "-1"], "--workers must be >= 0"),
        (["--device", "cuda:1"], "CUDA_VISIBLE_DEVICES"),
        (["--device", "tpu"], "must be 'cuda' or 'cpu'"),
        (["--settings", "float16"], "--settings must be one of"),
        (["--data-root", "nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_said_before_any_work(official, arguments, says, monkeypatch, capsys):
    monkeypatch.setattr(official_sop, "measure", lambda *_, **__: pytest.fail("work"))
    assert command(monkeypatch, "--official", official, "--device", "cpu", *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_not_the_released_code(official, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        checkout.identify(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is no folder"):
        checkout.identify(official / "train.py")
    fake_official.write(official, loss="class elr_loss: pass\n")  # ELR's repository has the same files
    with pytest.raises(
        InputError, match=r"not a checkout of .*its model/loss.py has no 'class overparametrization_loss'"
    ):
        checkout.identify(official)
    (official / "train.py").unlink()
    with pytest.raises(InputError, match=r"it has no train.py"):
        checkout.identify(official)


def test_a_version_is_known_by_its_digest_or_its_git(official, monkeypatch):
    found = checkout.identify(official)
    monkeypatch.setitem(checkout.RELEASED, found["digest"], "abc")
    (official / "__pycache__").mkdir()
    assert checkout.identify(official) == {**found, "commit": "abc", "as released": True}
    (official / "model" / "model.py").write_text("changed = 1\n")
    assert checkout.identify(official)["commit"] == "unknown"
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "-m", "a"]):
        subprocess.run(["git", "-C", official, *words], check=True)
    head = subprocess.run(
        ["git", "-C", official, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert (checkout.identify(official)["commit"], checkout.identify(official)["as released"]) == (head, False)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "ratio_consistency"}', '{"comet": null}'])
def test_a_broken_configuration_is_said_in_a_sentence(tmp_path, text):
    (tmp_path / checkout.CONFIG).write_text(text)
    with pytest.raises(InputError, match="is not the released configuration"):
        driver._configuration(
            SimpleNamespace(
                checkout=tmp_path, device="cpu", arch="a", data=tmp_path, batch=1, workers=0, scratch=tmp_path
            ),
            "sop",
            {},
        )


def test_only_an_error_in_the_checkout_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(driver._Here, "job", SimpleNamespace(checkout=tmp_path), raising=False)
    with pytest.raises(ZeroDivisionError), driver._blamed():
        1 / 0  # noqa: B018
    (tmp_path / "theirs.py").write_text("raise SystemExit\n")
    with pytest.raises(InputError, match=r"theirs.py line 1: SystemExit: -"), driver._blamed():
        runpy.run_path(str(tmp_path / "theirs.py"))


def test_the_files_are_the_official_layout(tmp_path, recwarn):
    made = official_sop.images(None, 23)
    cifar.write(tmp_path, made.train_images, made.train_labels, made.classes)
    read = datasets.load("cifar10", tmp_path)  # a reader that knows nothing of the writer
    assert torch.equal(read.train_images, made.train_images)
    assert torch.equal(read.train_labels, made.train_labels)
    assert torch.equal(read.test_images, made.train_images[:10])
    assert official_sop.images(tmp_path, 11).train_images.shape == (11, 3, 32, 32)
    with pytest.raises(InputError, match="there are 23"):
        official_sop.images(tmp_path, 128)
    assert any("checksum" in str(warning.message) for warning in recwarn)


def test_torchvision_reads_the_files_and_checks_them(tmp_path):
    try:
        torchvision = large.load("torchvision")
    except (ModuleNotFoundError, RuntimeError):
        pytest.skip("torchvision is not installed")
    made = official_sop.images(None, 23)
    lists = cifar.write(tmp_path, made.train_images, made.train_labels, made.classes)
    ours = type("Ours", (torchvision.datasets.CIFAR10,), lists)
    read = ours(str(tmp_path))
    assert torch.equal(torch.from_numpy(read.data).permute(0, 3, 1, 2), made.train_images)
    assert read.targets == made.train_labels.tolist()
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(RuntimeError, match="corrupted"):
        ours(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "released"), [("resnet34", 21_282_122), ("resnet18", 11_173_962), ("preact_resnet18", 11_171_274)]
)
def test_the_networks_are_as_large_as_the_released_ones(name, released):
    settings = [f"network.name={name}", *official_sop.NETWORKS[name][1]]
    network = parse("", name="bench", overrides=settings).network
    assert sum(p.numel() for p in networks.build(name, 10, 3, **network.options).parameters()) == released


def test_a_gpu_is_watched_during_each_turn_and_named_in_the_record(official, tmp_path, monkeypatch, capsys):
    """Everything but the GPU: the device, the two programs and what nvidia-smi says are made up."""

    def submit(function, *arguments):
        jobs.append(arguments[0])
        return SimpleNamespace(result=lambda: {} if function is driver.start else sleep(0))

    def sleep(epoch):
        time.sleep(0.15)
        return Turn(0.3, 2**30)

    jobs = []
    monkeypatch.setattr(official_sop.devices, "choose", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    monkeypatch.setattr(
        official_sop, "ProcessPoolExecutor", lambda *_: contextlib.nullcontext(SimpleNamespace(submit=submit))
    )
    monkeypatch.setattr(official_sop, "contestant", lambda *_: sleep)
    monkeypatch.setattr(official_sop, "METHODS", ("sop",))
    monkeypatch.setattr(busy, "question", lambda _: ["echo", "93"])
    monkeypatch.setattr(busy, "PERIOD", 0.01)
    monkeypatch.setattr(busy, "LAG", 0)
    assert (
        command(
            monkeypatch, "--official", official, "--batches", 1, "--rounds", 1, "--settings", "bfloat16", "--compile"
        )
        == 0
    )
    assert "of nvidia-smi" in capsys.readouterr().out
    assert (jobs[0].device, jobs[0].workers, jobs[1:]) == ("cuda", 8, ["sop", "sop+"] * 2)
    rows = read_csv(tmp_path / "figures" / "measured" / "data" / "bench_official_sop_cuda.csv")
    assert rows["GPU busy %"].tolist() == [93, 93, 93]
    assert rows["peak GiB"].tolist() == [1, 1, 1]
    said = json.loads((tmp_path / "figures" / "measured" / "data" / "bench_official_sop_cuda.json").read_text())
    assert said["device"] == "a card"
    assert said["settings"] == {
        "bfloat16": ["engine.precision=bfloat16", "engine.channels_last=true", "engine.compile=true"]
    }


def test_ratios_stand_beside_their_goals():
    best = {
        ("released code", "sop", "float32"): Turn(10.0, 2**30),
        ("released code", "sop+", "float32"): Turn(24.0),
        ("this project", "ce", "float32"): Turn(4.0),
        ("this project", "sop", "float32"): Turn(5.0),
        ("this project", "sop+", "float32"): Turn(8.0),
        ("this project", "elr", "float32"): Turn(4.0),
    }
    percent = dict.fromkeys(best, 95.0) | {("this project", "elr", "float32"): None}
    rows = official_sop.table(best, percent, 25_000, "cuda").set_index(["whose", "method"])
    theirs, sop, plus, elr = (
        rows.loc[key]
        for key in (
            ("released code", "sop"),
            ("this project", "sop"),
            ("this project", "sop+"),
            ("this project", "elr"),
        )
    )
    assert (theirs["images a second"], theirs["seconds an epoch"], theirs["peak GiB"], theirs["x released"]) == (
        2500,
        20,
        1,
        1,
    )
    assert (sop["x released"], sop["x released, goal"], sop["x CE"], sop["x CE, goal"]) == (2, 5, 1.25, 1.05)
    assert (plus["x released"], plus["x CE"], plus["x CE, goal"], plus["GPU busy %"], plus["GPU busy %, goal"]) == (
        3,
        2,
        2.1,
        95,
        90,
    )
    assert pd.isna(
        [
            elr["x released"],
            elr["x released, goal"],
            elr["x CE, goal"],
            elr["GPU busy %"],
            theirs["x CE"],
            theirs["GPU busy %, goal"],
        ]
    ).all()
    assert not any(
        "GPU" in name or "released, goal" in name for name in official_sop.table(best, percent, 25_000, "cpu")
    )


def test_how_busy_the_gpu_was(monkeypatch):
    monkeypatch.setattr(busy, "PERIOD", 0.01)
    asked = busy.Sampler([sys.executable, "-c", "print(93)"])
    with asked:
        while not asked.samples:
            pass
    assert asked.samples[0][1] == 93
    assert not asked.missing
    asked.samples = [(0.5, 0.0), (2.0, 80.0), (3.0, 90.0), (9.0, 100.0), (20.0, 1.0)]
    assert asked.median([(0.0, 3.0), (8.0, 10.0)]) == 90  # the second of another's turn does not count
    assert asked.median([(20.0, 20.5)]) is None
    for words, says in (
        ([sys.executable, "-c", "print('[N/A]')"], "said '[N/A]'"),
        (["no-such-tool"], "cannot be used"),
        ([sys.executable, "-c", "exit(9)"], "cannot be used"),
    ):
        with busy.Sampler(words) as none:
            none._thread.join()
        assert says in none.missing
        assert none.median([(0.0, 1e9)]) is None


def test_the_question_names_one_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="7f-1"))
    assert busy.question(torch.device("cuda"))[1] == "--id=GPU-7f-1"
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace())
    assert not any("--id" in word for word in busy.question(torch.device("cuda")))


def test_the_peak_of_a_turn_leaves_out_what_others_hold(monkeypatch):
    memory = SimpleNamespace(now=0, peak=0)

    def work(during, stays):
        memory.peak, memory.now = memory.now + during, memory.now + stays

    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: memory.now)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: memory.peak)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: setattr(memory, "peak", memory.now))
    first, second = Stopwatch(torch.device("cuda")), Stopwatch(torch.device("cuda"))
    assert first(lambda: work(5, 5))[1].peak == 5
    assert second(lambda: work(7, 7))[1].peak == 7
    assert first(lambda: work(10, 1))[1].peak == 15  # 5 held, 10 more; the second's 7 are not its own
    assert second(lambda: work(2, 0))[1].peak == 9
    assert (first.held, second.held) == (6, 7)


def test_the_best_turn_counts_and_not_the_first():
    taken = {"a": [Turn(1.0), Turn(4.0), Turn(3.0)], "b": [Turn(9.0), Turn(5.0), Turn(8.0)]}
    order = []
    best = deep_epochs.turns(
        {name: lambda epoch, name=name: order.append(name) or taken[name][epoch] for name in taken}, 2
    )
    assert best == {"a": Turn(3.0), "b": Turn(5.0)}
    assert order == ["a", "b"] * 3


def test_a_step_of_each_method_is_timed():
    seconds = deep_epochs.measure("convnet", ["network.width=4", "engine.threads=1"], rounds=1, batches=1, device="cpu")
    assert set(seconds) == set(deep_epochs.METHODS)
    assert min(seconds.values()) > 0
