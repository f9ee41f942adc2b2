"""Judge the frozen backbone of a run: nearest neighbours, and a linear classifier trained on top.

    python -m sparseop.deep.trained.linear RUN                           on the run's own data, by ridge regression
    python -m sparseop.deep.trained.linear RUN --protocol sane           by the protocol of SANE for CIFAR-10
    python -m sparseop.deep.trained.linear RUN --set data.name=cifar10   on other data than it was trained on

=============  =====================================================================================================
protocol       how the linear classifier is trained
=============  =====================================================================================================
ridge          closed form on standardised features of the images as they are; no draw, no rate to choose
moco           SGD, rate 30, a tenth after 60 % and 80 % of 100 epochs, no decay, on random crops and mirror images
sane           Adam, rate 0.01, 200 epochs, no decay, on random crops and mirror images
sane-imagenet  SGD, rate 10, cosine over 100 epochs, no decay, on random crops and mirror images
=============  =====================================================================================================

The backbone's batch normalisation keeps its running statistics. Accuracies are those after the last epoch; they are
printed and written to RUN/linear-PROTOCOL.json (of other data, network or features, with their names behind). An
interrupted evaluation goes on where it stopped when the same command is given again.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparseop import cli
from sparseop.deep import datasets, tasks
from sparseop.deep.augment.views import Views
from sparseop.deep.datasets import Dataset
from sparseop.deep.trained import judging
from sparseop.deep.trained.load import Trained
from sparseop.deep.training import checkpoint, probe
from sparseop.deep.training.feed import Feed, epoch_order
from sparseop.deep.training.progress import print_columns, watcher
from sparseop.deep.training.schema import MOST_EPOCHS, SINGLE
from sparseop.deep.training.seeds import seed_for
from sparseop.errors import InputError, between, choice, integer


@dataclass(frozen=True)
class Protocol:
    """How a linear classifier is trained; see ``probe.linear_probe``."""

    solver: str
    lr: float = 0.0
    epochs: int = 1
    schedule: str = ""
    batch: int = 256
    crops: bool = False


PROTOCOLS = {
    "ridge": Protocol("ridge"),
    "moco": Protocol("sgd", 30.0, 100, "step", crops=True),
    "sane": Protocol("adam", 0.01, 200, "constant", crops=True),
    "sane-imagenet": Protocol("sgd", 10.0, 100, "cosine", crops=True),
}


def evaluate(
    found: Trained,
    dataset: Dataset,
    protocol: Protocol,
    *,
    device: torch.device,
    seed: int = 0,
    state: Path | None = None,
) -> dict[str, Any]:
    """Return percentages: "knn" (MoCo's setting), "knn_50" (SANE's), "linear"; and how many "neighbours" voted.

    Parameters
    ----------
    state : file that keeps an evaluation which takes epochs, to go on from; removed at the end.

    Raises
    ------
    InputError : data of other channels, a rate at which the classifier diverges.
    """
    classes, crops = dataset.n_classes, protocol.crops and protocol.solver != "ridge"
    labels, test_labels = dataset.train_labels.to(device), dataset.test_labels.to(device)
    train, test = (found.features(images, device) for images in (dataset.train_images, dataset.test_images))
    result: dict[str, Any] = {}
    result["neighbours"] = [min(k, len(labels)) for k, _ in (probe.MOCO_KNN, probe.SANE_KNN)]
    for name, k, (_, temperature) in zip(
        ("knn", "knn_50"), result["neighbours"], (probe.MOCO_KNN, probe.SANE_KNN), strict=True
    ):
        result[name] = 100 * probe.knn(train, labels, test, test_labels, classes, k=k, temperature=temperature)
    if protocol.solver == "ridge":
        return result | {"linear": 100 * probe.linear_probe(train, labels, test, test_labels, classes)}
    feed = Feed(dataset.train_images if crops else train, device)
    views = _views(found, dataset) if crops else None

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = epoch_order(
            torch.arange(len(labels)),
            protocol.batch,
            torch.Generator().manual_seed(seed_for(seed, "linear", epoch)),
            drop_last=False,
        )
        draws = torch.Generator(device).manual_seed(seed_for(seed, "linear views", epoch))
        for index, features in feed.batches(order):
            if views is not None:  # they were images
                with torch.no_grad():
                    features = found.network(views(features, draws)[0]).float()
            yield features, labels[index]  # not inside the block, which would reach out to whoever asks

    begun = None
    settings = {**asdict(protocol), "seed": seed, "classes": classes, "features": judging.mark(train)}
    if state is not None and state.is_file():
        kept = checkpoint.load(state)
        begun = kept["state"] if kept.get("settings") == settings else None
    told = watcher("linear classifier", protocol.epochs)
    started = time.perf_counter()

    def after(epoch: int, loss: float, current: dict[str, Any]) -> None:
        nonlocal started
        told(epoch, 0, {"loss": loss, "images_per_second": len(labels) / (time.perf_counter() - started)})
        if state is not None:
            checkpoint.save(state, {"settings": settings, "state": current})
        started = time.perf_counter()

    head = probe.train_head(
        batches,
        found.width,
        classes,
        solver=protocol.solver,
        lr=protocol.lr,
        epochs=protocol.epochs,
        schedule=protocol.schedule,
        device=device,
        after=after,
        begun=begun,
    )
    with torch.no_grad():
        right = torch.cat([head(part).argmax(1) for part in torch.split(test, probe.PREDICTED)]) == test_labels
    if state is not None:
        state.unlink(missing_ok=True)
    return result | {"linear": 100 * float(right.double().mean())}


def _views(found: Trained, dataset: Dataset) -> Views:
    """Return random resized crops of torchvision's bounds and mirror images, nothing else.

    The papers' linear protocol.
    """
    height, width = dataset.train_images.shape[2:]
    return Views(
        found.size or min(height, width),
        mean=found.mean,
        std=found.std,
        count=1,
        crop_area=(0.08, 1.0),
        jitter_chance=0.0,
        grey_chance=0.0,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = judging.parser("linear", __doc__, data="the data")
    parser.add_argument(
        "--protocol", default="ridge", metavar="NAME", help=f"one of {', '.join(PROTOCOLS)} (default: ridge)"
    )
    parser.add_argument("--epochs", type=int, help="instead of the protocol's")
    parser.add_argument("--lr", type=float, help="instead of the protocol's")
    parser.add_argument("--batch", type=int, help="instead of the protocol's 256")
    parser.add_argument(
        "--no-crops", action="store_true", help="train on features of the images as they are: computed once"
    )
    parser.add_argument(
        "--features",
        default="backbone",
        metavar="backbone|head",
        help="of a contrastive run; MoCo's CIFAR demo judges the head's",
    )
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="data.KEY=VALUE",
        dest="overrides",
        help="other data than the run's",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with cli.plain_warnings():
        return cli.run("sparseop.deep.trained.linear", lambda: _run(options), kept=judging.KEPT)


def _run(options: argparse.Namespace) -> None:
    name = choice("--protocol", options.protocol, PROTOCOLS)
    given = {key: getattr(options, key) for key in ("epochs", "lr", "batch") if getattr(options, key) is not None}
    integer("--epochs", given.get("epochs", 1), 1, MOST_EPOCHS)
    integer("--batch", given.get("batch", 2), 2)
    between("--lr", given.get("lr", 0.0), 0, SINGLE[1], ends="[]")
    integer("--seed", options.seed, 0)
    if name == "ridge" and (given or options.no_crops):
        raise InputError("the protocol 'ridge' takes no --epochs, --lr, --batch and --no-crops: it is a closed form.")
    given |= {"crops": False} if options.no_crops else {}
    protocol = replace(PROTOCOLS[name], **given)
    for item in options.overrides:
        if not item.startswith("data."):
            raise InputError(f"--set changes the data alone, as in --set data.name=cifar10, got {item!r}.")
    found, device = judging.open_run(options.run, options.network, options.device, options.features, options.weights)
    path = options.run / "recipe.toml"
    data = tasks.of_file(path).recipes.read(path, options.overrides).data
    stem = (
        f"linear-{name}"
        + (f"-{data.name}" if data != found.recipe.data else "")
        + "".join(
            f"-{given}"
            for given, usual in ((options.network, "online"), (options.features, "backbone"))
            if given != usual
        )
    )
    dataset = datasets.load(data.name, options.data_root, **data.options)
    started = time.perf_counter()
    result = evaluate(found, dataset, protocol, device=device, seed=options.seed, state=options.run / f"{stem}.pt")
    entries = {
        "network": options.network,
        "features": options.features,
        "dataset": dataset.name,
        "data": dict(data.options),
        "protocol": {"name": name, **asdict(protocol)},
        "seed": options.seed,
        **result,
        "notes": list(dataset.notes),
    }
    judging.write(options.run / f"{stem}.json", found, entries, started)
    print_columns(
        (f"{dataset.name}, {len(dataset.test_labels)} test images", ""),
        [
            *(
                (
                    f"kNN, k = {k}{'' if k == asked else f' (all there are; {asked} asked)'}, T = {t:g}",
                    f"{result[key]:.1f} %",
                )
                for key, k, (asked, t) in zip(
                    ("knn", "knn_50"), result["neighbours"], (probe.MOCO_KNN, probe.SANE_KNN), strict=True
                )
            ),
            (f"linear classifier ({name})", f"{result['linear']:.1f} %"),
        ],
    )
    print(options.run / f"{stem}.json")


if __name__ == "__main__":
    sys.exit(main())
