"""torch.compile sees a network once for each shape of batch: its graph has no break, and nothing is compiled again."""

import functools

import torch
from torch._dynamo.utils import counters

from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine


def test_a_run_compiles_for_two_shapes(tmp_path, monkeypatch):
    """1,347 images in batches of 600 are two whole ones and a smaller.

    Evaluations in between take the network as it is.
    """
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager", fullgraph=True))
    recipe = recipes.read(
        "digits_sym40_sop",
        [
            "network.width=2",
            "method.name=coteaching",
            "training.epochs=3",
            "training.batch_size=600",
            "engine.compile=true",
            "engine.precision=bfloat16",
        ],
    )
    engine.train(recipe, tmp_path / "run", device="cpu")
    assert counters["stats"]["unique_graphs"] == 2  # both networks share them
    assert not counters["graph_break"]
    torch._dynamo.reset()
