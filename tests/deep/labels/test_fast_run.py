"""Whole runs of the fast network: alternating mirrors, a falling rate, mirrored tests, exact resumption."""

import json

import pytest
import torch

from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.data import prepare
from sparseop.errors import InputError
from tests.deep.runs import StopError, assert_same_state, state_of, stop_in

RECIPE = """
[data]
name = "shapes"
size = 16
train = 400
test = 100
[noise]
kind = "symmetric"
rate = 0.3
[network]
name = "fastnet"
width = 4
[method]
name = "sop"
[training]
epochs = 3
batch_size = 50
optimiser = "orthogonal"
lr = 0.1
momentum = 0.85
nesterov = true
schedule = "linear"
pad = 2
mirror = "alternate"
[evaluation]
mirror = true
"""


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def tiny(*overrides):
    return recipes.parse(RECIPE, name="tiny", overrides=overrides)


def a_run(*overrides):
    recipe = tiny(*overrides)
    return engine._Run(recipe, prepare(recipe, None), torch.device("cpu"))


@pytest.mark.parametrize("method", ["ce", "elr", "sop", "sop+"])
def test_resume_is_bit_exact(method, tmp_path):
    recipe = tiny(f"method.name={method}", "engine.precision=bfloat16")
    engine.train(recipe, tmp_path / "whole")
    with pytest.raises(StopError):
        engine.train(recipe, tmp_path / "halves", watch=stop_in(2))
    engine.resume(tmp_path / "halves")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "halves"))


def test_two_epochs_show_both_sides_of_each_image(monkeypatch):
    """And one epoch about half of the images mirrored; which half is drawn once a run."""
    run = a_run("training.pad=0", "training.augment=flip")
    images = run.samples.dataset.train_images
    plain = run.plain(images, torch.Generator())
    seen = []
    monkeypatch.setattr(run.method, "mix", lambda batch: seen.append(batch.clone()) or batch, raising=False)
    index = torch.arange(len(images))
    for epoch in range(3):
        run.step(0.0, index, images, run.start_epoch(epoch))
    mirrored = [(batch == plain.flip(3)).flatten(1).all(1) for batch in seen]
    straight = [(batch == plain).flatten(1).all(1) for batch in seen]
    decided = ~(mirrored[0] & straight[0])  # an image may be its own mirror image
    assert all(bool((a | b).all()) for a, b in zip(mirrored, straight, strict=True))
    assert bool((mirrored[0] ^ mirrored[1])[decided].all())
    assert torch.equal(seen[0], seen[2])
    assert 0.4 < mirrored[0][decided].float().mean() < 0.6


def test_random_mirrors_are_drawn_anew_each_time(monkeypatch):
    run = a_run("training.mirror=random", "training.pad=0", "training.augment=flip")
    images, seen = run.samples.dataset.train_images, []
    monkeypatch.setattr(run.method, "mix", lambda batch: seen.append(batch.clone()) or batch, raising=False)
    for epoch in (0, 2):
        run.step(0.0, torch.arange(len(images)), images, run.start_epoch(epoch))
    assert not torch.equal(*seen)


def test_the_rate_falls_with_every_step():
    run = a_run()
    images, index = run.samples.dataset.train_images[:50], torch.arange(50)
    draws = run.start_epoch(1)
    assert run.rate(1) == pytest.approx(0.1 * 2 / 3)
    for place in (1 / 3, 0.5, 0.9):
        run.step(place, index, images, draws)
        assert sorted(group["lr"] for group in run.optimiser.param_groups) == pytest.approx(
            [rate * (1 - place) for rate in (0.01, 0.1, 13.0)]
        )


def test_the_first_convolution_whitens_the_runs_own_images():
    """The responses on its normalised images have the identity as their second moment, and no step changes that."""
    run = a_run()
    images = run.plain(run.samples.dataset.train_images, torch.Generator())
    filters = run.networks[0].first.weight.clone()
    responses = torch.nn.functional.conv2d(images, filters[:12]).transpose(0, 1).flatten(1).double()
    moment = responses @ responses.T / responses.shape[1]
    assert (moment - torch.diag(moment.diag())).abs().max() < 1e-4
    assert moment.diag().max() <= 1 + 1e-4
    assert moment.diag().median() > 0.5
    run.step(0.0, torch.arange(50), run.samples.dataset.train_images[:50], run.start_epoch(0))
    assert torch.equal(run.networks[0].first.weight, filters)


def test_the_mean_of_image_and_mirror_image_judges_and_is_stated(tmp_path):
    run = a_run()
    images = run.samples.dataset.test_images
    with torch.no_grad():
        both = [run._plain_logits(part) for part in (images, images.flip(3))]
        torch.testing.assert_close(run._judged_logits(images), (both[0] + both[1]) / 2)
        torch.testing.assert_close(run._judged_logits(images), run._judged_logits(images.flip(3)))
    assert not torch.allclose(both[0], both[1])
    engine.train(tiny("training.epochs=1"), tmp_path / "mirrored")
    engine.train(tiny("training.epochs=1", "evaluation.mirror=false"), tmp_path / "plain")
    summary = json.loads((tmp_path / "plain" / "summary.json").read_text())
    own = sum(row["core_seconds"] for row in state_of(tmp_path / "plain")["rows"])
    assert own > 0
    assert summary["core_hours"] == pytest.approx(own / 3600, abs=1e-4)
    said = [json.loads((tmp_path / run / "summary.json").read_text())["judged_by"] for run in ("mirrored", "plain")]
    assert said == ["mean of image and mirror image", "image"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.augment=none", "training.mirror = 'alternate' needs a training.augment that mirrors, got 'none'"),
        ("training.lr_head=0", "training.lr_head"),
        ("training.lr_bias=-1", "training.lr_bias"),
        ("training.optimiser=muon", "training.optimiser"),
    ],
)
def test_refused(change, message):
    with pytest.raises(InputError, match=message):
        tiny(change)
