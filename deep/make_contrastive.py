"""The recipes of MoCo's CIFAR demo and of SANE's tables 1, 2, 4, 5 and 6; ``python -m deep.make_recipes`` writes them.

What the paper says is taken as it stands (section 4, appendix B); what it leaves open is named in ``NOTES``, which
every recipe carries that depends on it. docs/contrastive.md argues for each reading.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from deep.published import values
from deep.recipe_text import Tables, toml_text

NOTES = {
    "momentum": (
        "iota = 1 - m is not given: 0.999 (MoCo, CLSA, i-Mix); MoCo's CIFAR demo, of at most 800 epochs, has 0.99"
    ),
    "lambda": "the lambda of the headline numbers is not given; 0.5 is the best of table 5",
    "head": (
        "'3-layered MLP': widths 2048, 2048, 128, ReLU, no batch normalisation; the code of MoCo v2 and CLSA has two"
        " layers"
    ),
    "start": "weights start as torch draws them (fan in); MoCo's ResNets as torchvision draws them (fan out)",
    "batch norm": "batch normalisation in 8 groups with shuffled keys, as in MoCo's demo; the paper does not say",
    "augmentation": (
        "views as in MoCo's demo, which the paper's footnote names, so no blur (its text lists one); crops of 0.2 to 1"
        " of the area"
    ),
    "decay": (
        "lr 0.03 at batches of 256, weight decay 1e-4 as printed ('the same with MoCo'; MoCo's CIFAR demo: 0.06 at 512,"
        " 5e-4)"
    ),
    "strong": "strong views replace the key views in the mixup term alone, queries stay weak (appendix B)",
    "strong vanilla": "vanilla mixup with strong views: both parts of a mix are strong queries; the paper does not say",
    "no mixup": (
        "without mixup the second term is that of the query itself (theta = 1); the paper does not say; no mixup, no"
        " strong views"
    ),
    "epochs": "1,000 epochs, as table 4, with which lambda = 0.5 agrees and lambda = 0, which is MoCo, does not",
    "moco epochs": (
        "the paper says that MoCo was trained for 4,000 epochs, after i-Mix, whose own scripts train MoCo for 1,000;"
        " here as long as SANE"
    ),
    "demo": "MoCo's CIFAR demo (colab notebook of facebookresearch/moco): kNN on the head's output, k = 200, T = 0.1",
    "demo crop": "crops of 0.08 to 1, torchvision's default, as in the notebook",
    "on demo": "SANE on the settings of MoCo's demo, temperature included, so that nothing but the method differs",
    "control": "the control: p and q replaced by uniform smoothing of the same weight",
    "single": "small views: both parts of each mix are made anew at 96 x 96",
    "multi": "views of 224, 192, 160, 128 and 96 pixels, both parts of each mix at one size, losses averaged",
    "crops": "images scaled to 256 on the shorter side and cut to 256 x 256 before they are cropped",
    "linear": "judge with: python -m sparseop.deep.trained.linear RUN --protocol {}",
}
CIFAR_VIEWS: dict[str, Any] = {"name": "weak", "size": 32, "crop_area": [0.2, 1.0]}
CIFAR_R50: Tables = {
    "data": {"name": "cifar10"},
    "network": {"name": "bottleneck_resnet50"},
    "head": {"dim": 128, "layers": 3, "hidden": 2048},
    "views": CIFAR_VIEWS,
    "training": {
        "epochs": 1000,
        "batch_size": 256,
        "optimiser": "sgd",
        "lr": 0.03,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "splits": 8,
    },
    "evaluation": {
        "neighbours": [50, 200],
        "temperatures": [0.05, 0.1],
        "probe": "adam",
        "probe_lr": 0.01,
        "probe_epochs": 200,
    },
    "engine": {"precision": "bfloat16", "channels_last": False, "test_every": 20},
}
CIFAR_R18: Tables = {
    "data": {"name": "cifar10"},
    "network": {"name": "resnet18"},
    "head": {"dim": 128, "layers": 1},
    "views": {**CIFAR_VIEWS, "crop_area": [0.08, 1.0]},
    "training": {
        "epochs": 200,
        "batch_size": 512,
        "optimiser": "sgd",
        "lr": 0.06,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "cosine-epoch",
        "splits": 8,
    },
    "evaluation": {
        "neighbours": [200, 50],
        "temperatures": [0.1, 0.05],
        "probe": "sgd",
        "probe_lr": 30.0,
        "probe_epochs": 100,
    },
    "engine": {"precision": "bfloat16", "channels_last": False, "test_every": 5},
}
IMAGENET: Tables = {
    "data": {"name": "imagenet", "size": 256},
    "network": {"name": "bottleneck_resnet50", "stem": "large"},
    "head": {"dim": 128, "layers": 3, "hidden": 2048},
    "views": {"name": "weak", "size": 224, "crop_area": [0.2, 1.0], "blur_chance": 0.5},
    "training": {
        "epochs": 200,
        "batch_size": 256,
        "optimiser": "sgd",
        "lr": 0.03,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "splits": 8,
    },
    "evaluation": {"bank": 100000, "probe": "none", "labels_every": 100},
    "engine": {"precision": "bfloat16", "channels_last": False, "test_every": 10, "test_batch": 256},
}
MOCO: dict[str, Any] = {"name": "moco", "queue": 4096, "temperature": 0.1, "momentum": 0.99}
SANE: dict[str, Any] = {
    "name": "sane",
    "queue": 4096,
    "temperature": 0.2,
    "lam": 0.5,
    "sharpening": 0.8,
    "kappa": 2.0,
    "mu_start": 0.0,
    "mu_end": 1.0,
}
SANE_IMAGENET: dict[str, Any] = {
    **SANE,
    "queue": 65536,
    "sharpening": 1.0,
    "kappa": 0.1,
    "mu_start": 0.5,
    "mu_end": 10.0,
    "momentum": 0.999,
}
NO_P, NO_Q, ONE_HOT = {"p": False}, {"q": False}, {"p": False, "q": False}
#: changes of the method, by the rows of table 4
TABLE4: dict[str, dict[str, Any]] = {
    "none": {"lam": 0.0},
    "p": {**NO_Q, "mixup": "none"},
    "q": {**NO_P, "mixup": "none"},
    "MM": {**ONE_HOT, "mix_strength": "strong"},
    "p+q": {"mixup": "none"},
    "p+MM": {**NO_Q, "mix_strength": "strong"},
    "q+MM": {**NO_P, "mix_strength": "strong"},
    "p+q+MM": {"mix_strength": "strong"},
}
COMMON = [NOTES["lambda"], NOTES["head"], NOTES["batch norm"], NOTES["start"]]
CIFAR_NOTES = [*COMMON, NOTES["momentum"], NOTES["augmentation"], NOTES["decay"]]


def cells() -> Iterator[tuple[str, str, str]]:
    """Yield (file name, header comment, TOML) of every contrastive recipe that is written by script."""
    for name, parts, source, notes in (*_demo(), *_table1(), *_table2(), *_table4(), *_table5(), *_table6()):
        value = _published(source)
        published = "" if value is None else f"; published {value:g} %"
        head = (
            f"# python -m sparseop.deep.train {name} --data-root DIR\n# {source['table'].replace('_', ', ')}:"
            f" {source['method']}, {source['dataset']}, {source['setting']}{published}.\n# Written by"
            " deep/make_recipes.py.\n"
        )
        yield (
            name,
            head,
            _toml(f"{source['method']}, {source['dataset']}, {source['setting']}", parts, source, value, notes),
        )


Cell = tuple[str, Tables, dict[str, Any], list[str]]


def _demo() -> Iterator[Cell]:
    """MoCo's CIFAR demo, SANE on the same settings, and the control."""
    for epochs, hours in ((200, "an hour"), (400, "two hours"), (800, "four hours")):
        momentum = 0.99
        base = _with(CIFAR_R18, training={"epochs": epochs})
        for word, title, change, notes in (
            ("moco", "MoCo", {**MOCO}, [NOTES["demo"]]),
            ("moco_sym", "MoCo, symmetric", {**MOCO, "symmetric": "sum"}, [NOTES["demo"]]),
            ("sane", "SANE", {**SANE, "temperature": 0.1, "momentum": momentum}, [NOTES["on demo"], NOTES["lambda"]]),
            (
                "sane_uniform",
                "SANE, p and q uniform",
                {**SANE, "temperature": 0.1, "momentum": momentum, "refinement": "uniform"},
                [NOTES["on demo"], NOTES["lambda"], NOTES["control"]],
            ),
            (
                "mm",
                "MoCo + momentum mixup",
                {**SANE, **ONE_HOT, "temperature": 0.1, "momentum": momentum},
                [NOTES["on demo"], NOTES["lambda"]],
            ),
        ):
            yield (
                f"demo_cifar10_{word}_{epochs}",
                {**base, "method": change},
                {
                    "table": "moco_demo",
                    "dataset": "CIFAR-10",
                    "setting": f"knn_head {epochs}ep",
                    "method": title,
                    "needs": f"CIFAR-10; a GPU, {hours}",
                },
                [*notes, NOTES["demo crop"]],
            )


def _table1() -> Iterator[Cell]:
    base = _with(CIFAR_R50, training={"epochs": 2000})
    slow = {"momentum": 0.999}
    for word, title, method, notes in (
        ("moco", "MoCo v2", {**MOCO, "temperature": 0.2, **slow}, [NOTES["moco epochs"], *CIFAR_NOTES[1:]]),
        ("sane", "SANE", {**SANE, **slow}, CIFAR_NOTES),
        ("sane_strong", "SANE (strong)", {**SANE, **slow, "mix_strength": "strong"}, [*CIFAR_NOTES, NOTES["strong"]]),
    ):
        yield (
            f"sane_table1_cifar10_{word}",
            {**base, "method": method},
            {
                "table": "sane_table1",
                "dataset": "CIFAR-10",
                "setting": "linear",
                "method": title,
                "needs": "CIFAR-10; a GPU, some days",
            },
            [*notes, NOTES["linear"].format("sane")],
        )


def _table2() -> Iterator[Cell]:
    needs = "ImageNet in class folders, train/ and val/; 8 GPUs (torchrun --nproc-per-node 8), {}"
    for epochs, days in ((200, "three days and more"), (800, "two weeks and more")):
        base = _with(IMAGENET, training={"epochs": epochs})
        where = {"table": "sane_table2", "dataset": "ImageNet", "needs": needs.format(days)}
        yield (
            f"sane_table2_imagenet_moco_{epochs}",
            {
                **base,
                "head": {"dim": 128, "layers": 2, "hidden": 2048},
                "method": {**MOCO, "queue": 65536, "temperature": 0.2, "momentum": 0.999},
            },
            {**where, "setting": f"linear weak {epochs}ep", "method": "MoCo v2"},
            [NOTES["crops"], NOTES["linear"].format("moco")],
        )
        for strength in ("weak", "strong"):
            for title, sizes, note in (
                ("SANE-Single", [96], "single"),
                ("SANE-Multi", [224, 192, 160, 128, 96], "multi"),
            ):
                yield (
                    f"sane_table2_imagenet_{title[5:].lower()}_{strength}_{epochs}",
                    {**base, "method": {**SANE_IMAGENET, "mix_sizes": sizes, "mix_strength": strength}},
                    {**where, "setting": f"linear {strength} {epochs}ep", "method": title},
                    [*COMMON, NOTES[note], NOTES["crops"], NOTES["linear"].format("sane-imagenet")],
                )


def _table4() -> Iterator[Cell]:
    for row, change in TABLE4.items():
        yield (
            f"sane_table4_cifar10_{row.replace('+', '_').lower()}",
            {**CIFAR_R50, "method": {**SANE, "momentum": 0.999, **change}},
            {
                "table": "sane_table4",
                "dataset": "CIFAR-10",
                "setting": "linear strong",
                "method": row,
                "needs": "CIFAR-10; a GPU, a day or two",
            },
            [*CIFAR_NOTES, NOTES["strong" if "MM" in row else "no mixup"], NOTES["linear"].format("sane")],
        )
    yield (
        "sane_table4_cifar10_uniform_mm",
        {**CIFAR_R50, "method": {**SANE, "momentum": 0.999, "mix_strength": "strong", "refinement": "uniform"}},
        {
            "table": "sane_table4",
            "dataset": "CIFAR-10",
            "setting": "linear strong",
            "method": "uniform+MM",
            "needs": "CIFAR-10; a GPU, a day or two",
        },
        [*CIFAR_NOTES, NOTES["control"], NOTES["strong"]],
    )


def _table5() -> Iterator[Cell]:
    for lam in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield (
            f"sane_table5_cifar10_lambda{round(100 * lam)}",
            {**CIFAR_R50, "method": {**SANE, "momentum": 0.999, "mix_strength": "strong", "lam": lam}},
            {
                "table": "sane_table5",
                "dataset": "CIFAR-10",
                "setting": "linear strong",
                "method": f"lambda={lam:g}",
                "needs": "CIFAR-10; a GPU, a day or two",
            },
            [NOTES["epochs"], *CIFAR_NOTES[1:], NOTES["strong"], NOTES["linear"].format("sane")],
        )


def _table6() -> Iterator[Cell]:
    for strength in ("weak", "strong"):
        for word, title in (("vanilla", "MoCo+mixup"), ("momentum", "MoCo+momentum mixup")):
            change = {"mixup": word, **({"mix_strength": "strong"} if strength == "strong" else {})}
            notes = [NOTES["strong vanilla" if word == "vanilla" else "strong"]] if strength == "strong" else []
            yield (
                f"sane_table6_cifar10_{word}_{strength}",
                {**CIFAR_R50, "method": {**SANE, **ONE_HOT, "momentum": 0.999, **change}},
                {
                    "table": "sane_table6",
                    "dataset": "CIFAR-10",
                    "setting": f"linear {strength}",
                    "method": title,
                    "needs": "CIFAR-10; a GPU, a day or two",
                },
                [*CIFAR_NOTES, *notes, NOTES["linear"].format("sane")],
            )
            if strength == "weak":
                yield (
                    f"sane_table6_imagenet_{word}_weak",
                    {**IMAGENET, "method": {**SANE_IMAGENET, **ONE_HOT, "mixup": word}},
                    {
                        "table": "sane_table6",
                        "dataset": "ImageNet",
                        "setting": "linear weak",
                        "method": title,
                        "needs": "ImageNet in class folders, train/ and val/; 8 GPUs, three days and more",
                    },
                    [*COMMON, NOTES["crops"], NOTES["linear"].format("sane-imagenet")],
                )


def _with(base: Tables, **changes: dict[str, Any]) -> Tables:
    return {**base, **{part: {**base[part], **change} for part, change in changes.items()}}


def _published(source: dict[str, Any]) -> float | None:
    table = values(source["table"])
    row = table[
        (table["dataset"] == source["dataset"])
        & (table["setting"] == source["setting"])
        & (table["method"] == source["method"])
    ]
    return None if row.empty or pd.isna(row["value"].iloc[0]) else float(row["value"].iloc[0])


def _toml(title: str, parts: Tables, source: dict[str, Any], value: float | None, notes: list[str]) -> str:
    told = {
        **{key: source[key] for key in ("table", "dataset", "setting", "method")},
        **({} if value is None else {"value": value}),
        "needs": source["needs"],
        "notes": notes,
    }
    return 'task = "contrastive"\n' + toml_text(title, {**parts, "source": told})
