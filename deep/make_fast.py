"""Write the recipes of the fast network on CIFAR-10 and CIFAR-10N: ``python -m deep.make_fast``.

They are the cells of SOP's tables 1 and 4 at the price of a processor: another network and another optimiser, 16 epochs
of about a minute on one core. One choice of rates holds for all of them.
"""

import sys
from collections.abc import Iterator
from typing import Any

from deep.make_recipes import HUMAN_RATES, METHODS, NOTES
from deep.published import values
from deep.recipe_text import Tables, toml_text
from sparseop import cli
from sparseop.deep.training.schema import RECIPES
from sparseop.files import write_atomic

SYMMETRIC = ("sym20", "sym40", "sym60", "sym80")
HUMAN = ("clean", "aggregate", "random1", "worst")
NAMES = ("CE", "Forward", "GCE", "ELR", "Co-teaching", "SOP", "SOP+")  #: of the methods
OURS = {"SOP": {"lr_u": "auto", "lr_v": "auto"}, "SOP+": {"lr_u": "auto", "lr_v": "auto"}}
TRAINING = {
    "epochs": 16,
    "batch_size": 250,
    "optimiser": "orthogonal",
    "lr": 0.05,
    "lr_bias": 13.0,
    "lr_head": 0.01,
    "momentum": 0.85,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "linear",
    "augment": "weak",
    "pad": 2,
    "mirror": "alternate",
}

#: what ``deep.fast_tables`` takes away, one at a time, and how
PIECES: dict[str, tuple[str, ...]] = {
    "all of it": (),
    "the first convolution learns": ("network.whiten=false",),
    "random start, no identities": ("network.identity=false",),
    "batch norm follows slowly (0.1)": ("network.norm_momentum=0.1",),
    "batch norm learns scales": ("network.norm_scale=true",),
    "SGD, rate 0.1": ("training.optimiser=sgd", "training.lr=0.1"),
    "random mirrors": ("training.mirror=random",),
    "no crop": ("training.augment=flip",),
    "tested on the image alone": ("evaluation.mirror=false",),
    "single precision": ("engine.precision=float32",),
}


def recipe_name(setting: str, method: str) -> str:
    """Return how the recipe of a cell is called."""
    return f"fast_cifar10_{setting}_{method.lower().replace('+', 'plus').replace('-', '')}"


def cells() -> Iterator[tuple[str, str]]:
    """Yield (file name, TOML with its comment) of every recipe."""
    for setting in (*SYMMETRIC, *HUMAN):
        for method in NAMES:
            name = recipe_name(setting, method)
            head = (
                f"# python -m sparseop.deep.train {name} --data-root DIR\n"
                f"# {method} on all of CIFAR-10, {setting}, by a network that one core trains in half an hour. "
                "Not a row of the paper.\n# Written by deep/make_fast.py.\n"
            )
            yield name, head + toml_text(f"{method}, CIFAR-10, {setting}, fast network", _parts(setting, method))


def _parts(setting: str, method: str) -> Tables:
    human = setting in HUMAN
    options: dict[str, Any] = {**METHODS[method][0], **OURS.get(method, {})}
    if method == "Co-teaching":
        options["forget_rate"] = HUMAN_RATES[setting] if human else 0.9 * int(setting[3:]) / 100
    noise: dict[str, Any] = (
        {"kind": "symmetric_inclusive", "rate": int(setting.removeprefix("sym")) / 100} if not human else {}
    )
    source: dict[str, Any] = {
        "dataset": "CIFAR-10N" if human else "CIFAR-10",
        "setting": setting,
        "method": method,
        "needs": "CIFAR-10"
        + ("'s images and CIFAR-10N's labels" if human and setting != "clean" else "")
        + "; half an hour of one core",
        "notes": [] if human else [NOTES["inclusive"]],
    }
    table = "table4" if human else "table1"
    published = values(table)
    match = published[
        (published.dataset == source["dataset"]) & (published.setting == setting) & (published.method == method)
    ]
    if len(match):
        source |= {"value": float(match.value.iloc[0]), "std": float(match["std"].iloc[0])}
    return {
        "data": {"name": "cifar10"} if not human or setting == "clean" else {"name": "cifar10n", "labels": setting},
        "noise": noise or {"kind": "none" if setting == "clean" else "given"},
        "network": {"name": "fastnet"},
        "method": options,
        "training": TRAINING,
        "evaluation": {"mirror": True},
        "engine": {"precision": "bfloat16", "threads": 1, "test_batch": 500},
        "source": source,
    }


def body() -> None:
    """Write all files."""
    for name, text in cells():
        write_atomic(RECIPES / f"{name}.toml", text.encode())


if __name__ == "__main__":
    sys.exit(cli.command("deep.make_fast", body))
