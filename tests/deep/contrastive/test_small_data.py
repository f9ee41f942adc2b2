"""Fewer images than a contrastive run asks for: how many neighbours vote is said, and a queue that is too long."""

import json

import pytest
import torch

from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import report
from sparseop.deep.contrastive import run as engine

TINY = ["data.train=80", "data.test=20", "network.width=4", "head.dim=8", "head.hidden=16", "training.epochs=1"]
TINY += ["evaluation.neighbours=[200, 50]", "evaluation.temperatures=[0.1, 0.05]"]


def tiny(queue, *overrides):
    changes = [*TINY, f"method.queue={queue}", "training.batch_size=40", "evaluation.baselines=false", *overrides]
    return recipes.read("shapes_moco", changes)


def test_fewer_images_than_neighbours_and_a_queue_longer_than_the_other_images(tmp_path):
    torch.set_num_threads(1)
    recipe = tiny(81)
    with pytest.warns(UserWarning, match=r"method.queue = 81 holds more keys than the other \d+ of an epoch"):
        summary = engine.train(recipe, tmp_path / "run")
    assert any(
        "old keys of a query's own image" in note
        for note in json.loads((tmp_path / "run/run.json").read_text())["notes"]
    )
    assert summary["neighbours"] == [80, 50]
    labels = [row[0] for row in report.table(report.column(recipe, summary), recipe)[1]]
    assert labels[:2] == ["kNN, k = 80 (all there are; 200 asked), T = 0.1", "kNN, k = 50, T = 0.05"]


def test_a_queue_of_the_other_images_keys_is_nothing_to_warn_of():
    keys = 2 if tiny(80).method.options["symmetric"] else 1
    assert not engine.prepare(tiny(40 * keys), None).dataset.notes
    assert engine.prepare(tiny(40 * keys + 1), None).dataset.notes
