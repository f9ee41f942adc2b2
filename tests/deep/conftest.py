"""What several tests of the trainers stand on."""

import contextlib
import json

import pytest
import torch

from benchmarks.official import large
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.contrastive.encoder import Encoder
from sparseop.deep.training import checkpoint


@pytest.fixture(scope="session")
def large_packages():
    """Return which of torchvision and timm can be imported."""
    found = set()
    for package in ("torchvision", "timm"):
        with contextlib.suppress(ModuleNotFoundError, RuntimeError):
            large.load(package)
            found.add(package)
    return found


@pytest.fixture(scope="session")
def contrastive_run():
    """Return a function that writes a run folder without training."""

    def write(folder, network, name="resnet18", **options):
        """Write what the contrastive trainer leaves behind, with ``network`` as its backbone."""
        text = (
            f'name = "tiny"\ntask = "contrastive"\n[data]\nname = "shapes"\n[network]\nname = "{name}"\n[views]\nname ='
            ' "weak"\nsize = 16\n'
        )
        whole = contrastive_recipes.text(
            contrastive_recipes.parse(text, name="tiny", overrides=[f"network.{k}={v}" for k, v in options.items()])
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.toml").write_text(whole)
        (folder / "run.json").write_text(
            json.dumps({"normalisation": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]}})
        )
        with torch.no_grad():
            width = network.eval()(torch.zeros(1, 3, 32, 32)).shape[1]
        online = Encoder(network, width).state_dict()
        momentum = {key: value + 1 if value.dtype.is_floating_point else value for key, value in online.items()}
        checkpoint.save(folder / "last.pt", {"recipe": whole, "epoch": 7, "online": online, "momentum": momentum})
        return folder

    return write
