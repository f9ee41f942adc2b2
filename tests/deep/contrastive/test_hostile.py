"""Bad input to ``python -m sparseop.deep.train sane --set ...``.

One sentence that names the key and what it got, before any work.
"""

import re

import pytest

from sparseop.deep import train

#: small enough that what should have been refused, but is not, ends soon
SMALL = [
    "--device",
    "cpu",
    "--set",
    "data.train=60",
    "data.test=10",
    "network.width=4",
    "training.epochs=1",
    "training.batch_size=20",
    "method.queue=40",
]

CASES = [
    # of the wrong kind
    ("training.epochs=many", "training.epochs must be a whole number, got 'many'"),
    ("training.epochs=1.5", "training.epochs must be a whole number, got 1.5"),
    ("training.epochs=true", "training.epochs must be a whole number, got True"),
    ("training.lr='fast'", "training.lr must be a number, got 'fast'"),
    ("training.shuffle=1", "training.shuffle must be true or false, got 1"),
    ("views.crop_area=0.5", "views.crop_area must be a list, got 0.5"),
    ("views.crop_area=['a','b']", "views.crop_area[0] must be a number, got 'a'"),
    ("training=3", "training"),
    ("method=sane", "method"),
    ("training.lr=2026-01-01", "training.lr must be a number"),
    ("data.train={a=1}", "data.train must be a whole number"),
    # out of range
    ("training.epochs=0", "training.epochs must be >= 1 and <= 10000000, got 0"),
    ("training.batch_size=1", "training.batch_size must be >= 2, got 1"),
    ("training.lr=nan", "training.lr must be a finite number > 0, got nan"),
    ("training.lr=-inf", "training.lr must be a finite number > 0, got -inf"),
    ("training.momentum=1", "training.momentum must lie in [0, 1), got 1"),
    ("training.weight_decay=nan", "training.weight_decay must be a finite number >= 0"),
    ("training.clip=-1", "training.clip must be a finite number >= 0"),
    ("training.warmup=-1", "training.warmup must be >= 0, got -1"),
    ("training.splits=0", "training.splits must be >= 1, got 0"),
    ("method.temperature=0", "method.temperature must be a finite number > 0"),
    ("method.momentum=1.0", "method.momentum must lie in [0, 1), got 1.0"),
    ("method.queue=0", "method.queue must be >= 1, got 0"),
    ("method.queue=10", "method.queue must be >= 20, the keys of one step, got 10"),
    ("seed=-1", "seed must be >= 0, got -1"),
    ("evaluation.neighbours=[0]", "same length"),
    ("evaluation.neighbours=[0, 1, 2]", "evaluation.neighbours must be >= 1, got 0"),
    ("evaluation.temperatures=[0.1, 0, 1]", "evaluation.temperatures must be a finite number > 0"),
    ("evaluation.bank=-1", "evaluation.bank must be >= 0, got -1"),
    ("evaluation.labels_every=0", "evaluation.labels_every must be >= 1, got 0"),
    ("head.dim=1", "head.dim must be >= 2, got 1"),
    ("head.dim=1000000000000", "network 'head' with dim = 1000000000000, layers = 2"),
    ("head.hidden=1000000000000", "would take"),
    ("head.layers=1000000000", "head.layers must be >= 1 and <= 100, got 1000000000"),
    ("method.queue=1000000000000", "the queue of 1000000000000 keys"),
    ("method.kappa=1e300", "method.kappa must be 0, or from 1e-37 to 1e+37 in size"),
    ("evaluation.temperatures=[1e-300]", "evaluation.temperatures"),
    ("evaluation.probe_epochs=1000000000", "evaluation.probe_epochs must be >= 1 and <= 10000000, got 1000000000"),
    ("head.layers=0", "head.layers must be >= 1 and <= 100, got 0"),
    ("network.width=0", "width must be >= 1, got 0"),
    # views
    ("views.size=1", "size must be >= 2 and <= 4096, got 1"),
    ("views.size=100000", "size must be >= 2 and <= 4096, got 100000"),
    ("views.crop_area=[0.9, 0.2]", "crop_area must be two numbers a <= b in (0, 1], got (0.9, 0.2)"),
    ("views.crop_area=[]", "crop_area must be two numbers"),
    ("views.crop_ratio=[nan, 1]", "crop_ratio must be two numbers"),
    ("views.rotation=181", "rotation must lie in [0, 180], got 181"),
    ("views.flip=2", "flip must lie in [0, 1], got 2"),
    ("views.jitter=[0.4]", "jitter must be four numbers"),
    ("views.jitter=[1, 1, 1, 0.6]", "jitter's hue must lie in [0, 0.5], got 0.6"),
    ("views.blur_sigma=[2, 1]", "blur_sigma must be two numbers"),
    ("views.name=weka", "views.name must be one of 'weak', 'strong', got 'weka'. Did you mean 'weak'?"),
    ("views.mean=[0.5]", "'mean'"),
    ("views.strength=strong", "'strength'"),
    ("views.generator=1", "'generator'"),
    # data
    ("data.train=5", "train must be >= 10"),
    ("data.train=100000000000", "train must be >= 10 and <= 16777216"),
    ("data.size=4", "size must be >= 8"),
    ("data.name=shape", "data.name must be one of"),
    ("data.colour=red", "'colour'"),
    ("data.name=cifar10", "cifar10 needs a data folder"),
    # names
    ("method.nmae=sane", "'nmae'"),
    ("method.name=moco", "--set method.name cannot be changed here"),
    ("method.lam=2", "method.lam must lie in [0, 1], got 2"),
    ("trainnig.epochs=3", "'trainnig'"),
    ("training.optimizer=sgd", "did you mean 'optimiser'"),
    ("training.optimiser=adam", "Did you mean 'adamw'"),
    ("network.name=resnet9", "Did you mean 'resnet8'"),
    ("engine.precision=float16", "Did you mean 'bfloat16'"),
    # no KEY=VALUE at all
    ("training.epochs", "--set takes table.key=value"),
    ("=3", "--set takes table.key=value"),
    ("a.b.c=3", "--set takes table.key=value"),
    ("training.=3", "--set takes table.key=value"),
    ("", "--set takes table.key=value"),
]


@pytest.mark.parametrize(("change", "words"), CASES, ids=[change for change, _ in CASES])
def test_one_sentence_before_any_work(change, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARSEOP_DATA", raising=False)
    assert train.main(["sane", *SMALL, "--set", change]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.strip().splitlines()
    assert len(lines) == 1
    assert re.fullmatch(r"sparseop\.deep\.train: error: .*[.?]", lines[0])
    assert words in lines[0]
    assert not list(tmp_path.rglob("*.*"))  # no run has begun, and no comparison
