"""Write the recipes of figure 1 and of every cell of SOP's tables 1 to 4, and of SANE's tables: ``python -m deep.make_recipes``.

The files in ``deep/recipes`` are what is read, run and shared; this script is where a choice that holds for a whole row
or column is made once. It is run again when such a choice changes; a test holds the committed files to its output.

Where the paper's text, its table A.1, its released code and what its authors said disagree, ``NOTES`` says what was
taken.
"""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd

from deep import make_contrastive
from deep.published import PUBLISHED_ONLY, SECOND_TESTS, recipe_name, values
from deep.recipe_text import Tables, toml_text
from sparseop import cli
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.training.schema import RECIPES
from sparseop.files import write_atomic

NOTES = {
    "inclusive": (
        "symmetric noise as released: a share of the labels is drawn anew from all classes, the true one included "
        "(caption: 'to another class'; A.2: 'random one hot vector')"
    ),
    "asymmetric": (
        "asymmetric noise as released: the loop meets labels it has changed, so 18.4 % are wrong, not 20 % "
        "(A.2 describes noise.kind = 'asymmetric')"
    ),
    "pair": (
        "asymmetric noise as released: in each block of five classes two are swapped, 16 % of all labels; the paper"
        " does not describe it, and ELR's and DivideMix's tables use another"
    ),
    "milestones": "CIFAR-100 decays after epochs 80 and 120 (section 2.2; table A.1 says 40 and 80)",
    "all samples": (
        "50,000 training samples as released (table A.1: 45,000; training.validation = 5000 holds 5,000 out)"
    ),
    "weight decay": (
        "weight decay 1e-3 as in the released configuration and in ELR's (section 2.2 and table A.1: 5e-4); an "
        "independent run with 5e-4 fell 3.9 points short on CIFAR-100N"
    ),
    "u": (
        "u learns from both losses, as in the last released code, hence lr_u = 0.1 for asymmetric noise on CIFAR-100 "
        "(README; table A.1: 1, for the code of the paper's time, method.u_loss = 'ce')"
    ),
    "preact": (
        "PreActResNet-18 as released (network.released): table 2's caption says ResNet-34, the author corrected it"
    ),
    "auto lr": (
        "the published rates are literal, constant, for a mean over 128 samples; they scale with batch_size / 128"
    ),
    "human": (
        "human labels: the authors said that the settings are those of CIFAR-10 and CIFAR-100 with symmetric noise"
    ),
    "cifar10 cosine": (
        "ELR's own configuration for symmetric noise on CIFAR-10 anneals with warm restarts; here the paper's "
        "common schedule"
    ),
    "baseline": (
        "the paper takes this row from other publications; settings are those of the method's own paper with this"
        " table's network and schedule"
    ),
    "baseline table 2": (
        "the row is DivideMix's table 1; settings are DivideMix's: PreActResNet-18, 300 epochs, decay after 150"
    ),
    "crust": (
        "rows but SOP+ are CIFAR-N's own (Wei et al. 2022): ResNet-34, 100 epochs, lr 0.1 decayed after 60, weight"
        " decay 5e-4"
    ),
    "cores": (
        "CORES* adds a second, semi-supervised phase to CORES2; this recipe is the first phase alone and cannot reach"
        " the row"
    ),
    "clothing lr": "lr 0.002 (table A.1; section 2.2 says 0.001)",
    "clothing s": (
        "with lr_u = 0.1, lr_v = 1 and a batch of 64, v cannot leave 1e-8 in ten epochs and u hardly: by the growth law"
        " this is cross-entropy with capped gradients; method.lr_u = 'auto', lr_v = 'auto' switch s on"
    ),
    "figure": "the paper names the network alone; schedule and rates are table A.1's for CIFAR-10",
    "webvision size": (
        "images scaled to 256 on the shorter side and cut to 256 x 256 before the random 227 x 227 window"
    ),
}

#: the options of each method, for CIFAR-10 (or without a number of classes) and for CIFAR-100
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CE": ({"name": "ce"}, {"name": "ce"}),
    "Forward": ({"name": "forward", "quantile": 0.97}, {"name": "forward", "quantile": 1.0}),
    "GCE": ({"name": "gce", "q": 0.7},) * 2,
    "SL": ({"name": "sl", "alpha": 0.1, "beta": 1.0}, {"name": "sl", "alpha": 6.0, "beta": 0.1}),
    "MixUp": ({"name": "mixup", "alpha": 1.0},) * 2,
    "ELR": ({"name": "elr", "lam": 3.0, "beta": 0.7}, {"name": "elr", "lam": 7.0, "beta": 0.9}),
    "Co-teaching": ({"name": "coteaching"},) * 2,
    "CORES2": ({"name": "cores2"},) * 2,
    "CORES*": ({"name": "cores2"},) * 2,
    "SOP": ({"name": "sop", "lr_u": 10.0, "lr_v": 10.0}, {"name": "sop", "lr_u": 1.0, "lr_v": 10.0}),
    "SOP+": (
        {"name": "sop+", "lr_u": 10.0, "lr_v": 10.0, "lambda_C": 0.9, "lambda_B": 0.1},
        {"name": "sop+", "lr_u": 1.0, "lr_v": 10.0, "lambda_C": 0.9, "lambda_B": 0.1},
    ),
}
#: published shares of wrong human labels, which Co-teaching is told (Wei et al. 2022)
HUMAN_RATES = {
    "clean": 0.0,
    "aggregate": 0.0903,
    "random1": 0.1723,
    "random2": 0.1812,
    "random3": 0.1764,
    "worst": 0.4021,
    "noisy": 0.4020,
}
STEP = {"lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "step"}
COSINE = {
    "epochs": 300,
    "batch_size": 128,
    "lr": 0.02,
    "momentum": 0.9,
    "weight_decay": 1e-3,
    "schedule": "cosine",
    "eta_min": 2e-4,
}


def cells() -> Iterator[tuple[str, str, str]]:
    """Yield (file name, header comment, TOML) of every recipe."""
    for table, build in {"table1": _table1, "table2": _table2, "table3": _table3, "table4": _table4}.items():
        for cell in values(table).itertuples():
            if cell.method in PUBLISHED_ONLY or cell.dataset in SECOND_TESTS:
                continue
            name = recipe_name(table, cell.dataset, cell.setting, cell.method)
            parts, notes, needs = build(cell)
            yield name, _header(name, table, cell), _toml(table, cell, parts, notes, needs)
    for method in ("CE", "SOP"):
        for rate in (0, 20, 40):
            name = f"fig1_cifar10_sym{rate}_{method.lower()}"
            head = (
                f"# python -m sparseop.deep.train {name} --data-root DIR\n# SOP paper, figure 1: {method}, CIFAR-10,"
                f" {rate} % of the labels flipped; curves only, no number is published.\n# Written by"
                " deep/make_recipes.py.\n"
            )
            yield name, head, _fig1(method, rate)


def _fig1(method: str, rate: int) -> str:
    noise = {"kind": "symmetric", "rate": rate / 100} if rate else {"kind": "none"}
    parts = {
        "data": {"name": "cifar10"},
        "noise": noise,
        "network": {"name": "preact_resnet18", "released": True},
        "method": METHODS[method][0],
        "engine": {"precision": "bfloat16"},
        "training": {"epochs": 120, "batch_size": 128, **STEP, "milestones": [40, 80], "augment": "weak"},
    }
    cell = SimpleNamespace(dataset="CIFAR-10", setting=f"sym{rate}", method=method, value=None, std=None)
    return _toml("fig1", cell, parts, [NOTES["figure"]], "CIFAR-10; a GPU, half an hour")


def _table1(cell: Any) -> tuple[Tables, list[str], str]:
    big = cell.dataset == "CIFAR-100"
    training = {
        "epochs": 150 if big else 120,
        "batch_size": 128,
        **STEP,
        "milestones": [80, 120] if big else [40, 80],
        "augment": "weak",
    }
    notes = [NOTES["inclusive"], NOTES["all samples"]]
    notes += [NOTES["milestones"]] if big else []
    notes += [NOTES["auto lr"]] if cell.method == "SOP" else [NOTES["baseline"]]
    notes += [NOTES["cifar10 cosine"]] if cell.method == "ELR" and not big else []
    parts = {
        "data": {"name": "cifar100" if big else "cifar10"},
        "noise": _symmetric(cell.setting),
        "network": {"name": "resnet34"},
        "method": METHODS[cell.method][big],
        "training": training,
        "engine": {"precision": "bfloat16"},
    }
    return parts, notes, f"{cell.dataset}; a GPU, half an hour"


def _table2(cell: Any) -> tuple[Tables, list[str], str]:
    big = cell.dataset == "CIFAR-100"
    method = dict(METHODS[cell.method][big])
    notes = [NOTES["preact"]]
    if cell.setting == "asym40":
        noise: dict[str, Any] = {"kind": "pair" if big else "asymmetric_official", "rate": 0.4}
        notes.append(NOTES["pair" if big else "asymmetric"])
        if cell.method == "SOP+":
            method["lr_v"] = 100.0
            if big:
                method["lr_u"] = 0.1
                notes.append(NOTES["u"])
    else:
        noise = _symmetric(cell.setting)
        notes.append(NOTES["inclusive"])
    if cell.method == "SOP+":
        training = {**COSINE, "augment": "weak"}
        notes += [NOTES["weight decay"], NOTES["auto lr"]]
    else:
        training = {"epochs": 300, "batch_size": 128, **STEP, "milestones": [150], "augment": "weak"}
        notes.append(NOTES["baseline table 2"])
    parts = {
        "data": {"name": "cifar100" if big else "cifar10"},
        "noise": noise,
        "network": {"name": "preact_resnet18", "released": True},
        "method": method,
        "training": training,
        "engine": {"precision": "bfloat16"},
    }
    return parts, notes, f"{cell.dataset}; a GPU, {'two hours' if cell.method == 'SOP+' else 'an hour'}"


def _table3(cell: Any) -> tuple[Tables, list[str], str]:
    clothing = cell.dataset == "Clothing1M"
    method = dict(METHODS[cell.method][0])
    if cell.method == "SOP":
        method |= {"lr_u": 0.1, "lr_v": 1.0}
    if cell.method == "Co-teaching":
        method |= {"forget_rate": 0.385 if clothing else 0.2, "ramp": 5 if clothing else 10}
    if cell.method == "Forward":
        method |= {"warmup": 1 if clothing else 10}
    if cell.method == "CORES2" and clothing:
        method |= {"start": 2, "ramp": 3, "warmup": 3}
    notes = (
        [NOTES["auto lr"], NOTES["clothing s"] if clothing else NOTES["webvision size"]]
        if cell.method == "SOP"
        else [NOTES["baseline"]]
    )
    if clothing:
        training = {
            "epochs": 10,
            "batch_size": 64,
            **STEP,
            "lr": 0.002,
            "weight_decay": 1e-3,
            "milestones": [5],
            "augment": "weak",
            "pad": 0,
            "crop": 224,
        }
        network: dict[str, Any] = {"name": "resnet50", "pretrained": True}
        notes.append(NOTES["clothing lr"])
    else:
        training = {
            "epochs": 100,
            "batch_size": 32,
            **STEP,
            "milestones": [50],
            "augment": "weak",
            "pad": 0,
            "crop": 227,
        }
        network = {"name": "inception_resnet_v2"}
    parts = {
        "data": {"name": "clothing1m" if clothing else "webvision"},
        "noise": {"kind": "none"},
        "network": network,
        "method": method,
        "training": training,
        "engine": {"precision": "bfloat16", "test_batch": 250},
    }
    needs = (
        "Clothing1M (on request from its authors), torchvision; a GPU, some hours"
        if clothing
        else "WebVision 1.0 and the ILSVRC12 validation images, timm; a GPU, a day"
    )
    return parts, notes, needs


def _table4(cell: Any) -> tuple[Tables, list[str], str]:
    big = cell.dataset == "CIFAR-100N"
    clean = cell.setting == "clean"
    method = dict(METHODS[cell.method][big])
    data: dict[str, Any] = (
        {"name": "cifar100" if big else "cifar10"}
        if clean
        else {"name": "cifar100n" if big else "cifar10n", "labels": cell.setting}
    )
    notes = []
    if cell.method == "SOP+":
        training = {**COSINE, "augment": "weak"}
        network: dict[str, Any] = {"name": "preact_resnet18", "released": True}
        notes += [NOTES["human"], NOTES["weight decay"], NOTES["auto lr"]]
    else:
        training = {"epochs": 100, "batch_size": 128, **STEP, "lr": 0.1, "milestones": [60], "augment": "weak"}
        network = {"name": "resnet34"}
        notes += [NOTES["crust"]] + ([NOTES["cores"]] if cell.method == "CORES*" else [])
    if cell.method == "Co-teaching":
        method["forget_rate"] = HUMAN_RATES[cell.setting]
    parts = {
        "data": data,
        "noise": {"kind": "none" if clean else "given"},
        "network": network,
        "method": method,
        "training": training,
        "engine": {"precision": "bfloat16"},
    }
    needs = f"{cell.dataset}'s labels and images" if not clean else cell.dataset.rstrip("N")
    return parts, notes, f"{needs}; a GPU, {'two hours' if cell.method == 'SOP+' else 'half an hour'}"


def _symmetric(setting: str) -> dict[str, Any]:
    return {"kind": "symmetric_inclusive", "rate": int(setting.removeprefix("sym")) / 100}


def _header(name: str, table: str, cell: Any) -> str:
    deviation = "" if pd.isna(cell.std) else f" +- {cell.std}"
    return (
        f"# python -m sparseop.deep.train {name} --data-root DIR\n# SOP paper, {table.replace('table', 'table ')}:"
        f" {cell.method}, {cell.dataset}, {cell.setting}; published {cell.value}{deviation} %.\n# Written by"
        " deep/make_recipes.py.\n"
    )


def _toml(table: str, cell: Any, parts: Tables, notes: list[str], needs: str) -> str:
    source: dict[str, Any] = {"table": table, "dataset": cell.dataset, "setting": cell.setting, "method": cell.method}
    source |= {key: getattr(cell, key) for key in ("value", "std") if not pd.isna(getattr(cell, key))}
    source |= {"needs": needs, "notes": notes}
    return toml_text(f"{cell.method}, {cell.dataset}, {cell.setting}", {**parts, "source": source})


def write() -> None:
    """Write all files; those of cells that no longer exist are removed."""
    made = {name: header + body for name, header, body in cells()}
    for path in [*RECIPES.glob("table*.toml"), *RECIPES.glob("fig1*.toml")]:
        if path.stem not in made:
            path.unlink()
    for name, text in made.items():
        write_atomic(RECIPES / f"{name}.toml", text.encode())
    without_labels = {name: header + body for name, header, body in make_contrastive.cells()}
    for path in [*contrastive_recipes.FOLDER.glob("sane_*.toml"), *contrastive_recipes.FOLDER.glob("demo_*.toml")]:
        if path.stem not in without_labels:
            path.unlink()
    for name, text in without_labels.items():
        write_atomic(contrastive_recipes.FOLDER / f"{name}.toml", text.encode())
    print(
        f"{len(made)} recipes in {RECIPES.name}/, {len(without_labels)} in"
        f" {RECIPES.name}/{contrastive_recipes.FOLDER.name}/"
    )


if __name__ == "__main__":
    sys.exit(cli.command("deep.make_recipes", write))
