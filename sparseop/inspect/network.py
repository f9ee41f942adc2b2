"""Pictures without features: the fast network, trained with SOP for some minutes, or one of timm makes them.

Errors are planted before the training and stay in it, so that the features have seen planted errors as they have
seen the real ones; what is then found of them is no rosier than what is found of the real ones. The copies of one
training differ in nothing, so there is one; its share of planted errors is small enough to leave the network what it
is.

SOP's u and v judge too: they are those of the labels as given but for the planted samples, whose number is known on
the copy alone.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparseop.deep import augment, networks
from sparseop.deep.datasets.files import read_square
from sparseop.deep.labels.methods import SOP, Setting
from sparseop.deep.labels.sample_variables import corruption
from sparseop.deep.networks.fastnet import FastNet
from sparseop.errors import InputError, brief, fits, random_generator
from sparseop.files import sha256
from sparseop.inspect import planting
from sparseop.inspect.features import examine
from sparseop.inspect.labels import Codes, read_labels
from sparseop.inspect.reading import Source
from sparseop.inspect.result import Inspection
from sparseop.inspect.store import Store
from sparseop.inspect.thumbnails import ArrayPictures, FilePictures
from sparseop.inspect.work import Extra, Say, judge

SIDE, BATCH = 32, 250
FEWEST, MOST = 12, 60  #: epochs
LISTED = 3  #: damaged files that are named


def inspect_pictures(
    source: Source,
    *,
    minutes: float = 5.0,
    network: str | None = None,
    merge_spellings: bool = False,
    seed: int = 0,
    work: Path | None = None,
    say: Say = lambda _: None,
) -> Inspection:
    """Judge the labels of pictures that have no features.

    Parameters
    ----------
    minutes : how long the fast network trains.
    network : a pretrained network of timm, by name; nothing is trained then.
    merge_spellings, seed, work, say : as in ``inspect_labels``.

    Raises
    ------
    InputError : pictures of which none can be read, a network that timm does not have or that is not installed,
        labels as in ``read_labels``.
    """
    pictures = source.pictures
    if pictures is None:
        raise InputError("the input must hold features or pictures, and has neither.")
    say(f"reading {len(pictures):,} pictures")
    images, readable, notes = _read(pictures)
    raw = np.asarray(source.labels, dtype=object)[readable]
    read = read_labels(raw, merge=merge_spellings)
    images, k, n = images[torch.from_numpy(read.kept)], len(read.classes), len(read.kept)
    read = replace(read, kept=readable[read.kept], total=len(pictures))  # rows are those of the input
    generator = random_generator("seed", seed, spawn_key=(6,))
    copies, extra = None, None
    store = Store(work, {"images": sha256(images.numpy().tobytes()), "seed": seed})
    if network is not None:
        found = store.get("timm", {"network": network}, lambda: {"features": _timm(network, images, say)})
    else:
        even = np.zeros((k, k))
        copies = [planting.plant(read.codes, np.zeros(n), even, generator)]
        given = copies[0].labels
        depends = {"labels": sha256(given.tobytes()), "minutes": minutes}
        found = store.get("network", depends, lambda: _train(images, given, k, minutes, seed, say))
        switched = found["switched"].copy()
        switched[copies[0].where] = np.nan
        extra = {"network": Extra(switched, found["switched"][None])}
    held = examine(found["features"], each=False, name="the network's features")
    return judge(
        held,
        read,
        notes=(*source.notes, *notes, *read.notes),
        names=source.names,
        copies=copies,
        extra=extra,
        seed=seed,
        work=work,
        say=say,
    )


def _read(pictures: Any) -> tuple[Tensor, NDArray[np.int64], tuple[str, ...]]:
    """Return the pictures as uint8 (n, 3, 32, 32), which of them could be read, and what to say of the others."""
    fits("the pictures", len(pictures) * 3 * SIDE * SIDE, itemsize=1)
    images, readable, damaged = [], [], []
    for row in range(len(pictures)):
        try:
            images.append(_square(pictures, row))
            readable.append(row)
        except InputError as error:
            damaged.append(str(error))
    if not images:
        raise InputError(
            f"none of the {len(pictures)} pictures can be read: {damaged[0] if damaged else 'there is none'}"
        )
    more = f" and {len(damaged) - LISTED} more" if len(damaged) > LISTED else ""
    told = (f"{len(damaged)} pictures are left out: {' '.join(damaged[:LISTED])}{more}",) if damaged else ()
    return torch.stack(images), np.array(readable), told


def _square(pictures: Any, row: int) -> Tensor:
    if isinstance(pictures, FilePictures):
        return read_square(str(pictures.paths[row]), SIDE)
    assert isinstance(pictures, ArrayPictures)
    pixels = torch.from_numpy(pictures.pixels(row))
    image = pixels[None].expand(3, -1, -1) if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    if image.shape[1:] == (SIDE, SIDE):
        return image.contiguous()
    resized = nn.functional.interpolate(image[None].float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    return resized[0].round().clamp(0, 255).to(torch.uint8)


def _train(images: Tensor, labels: Codes, k: int, minutes: float, seed: int, say: Say) -> dict[str, NDArray[Any]]:
    """Train for a stated time; return the features (n, d) and SOP's suspicion (n,)."""
    torch.manual_seed(seed)
    n, targets = len(images), torch.from_numpy(labels)
    pixels = images.float() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)).clamp(min=1e-3)
    view = augment.build("weak", mean=mean.tolist(), std=std.tolist(), pad=2)
    plain = augment.build("none", mean=mean.tolist(), std=std.tolist())
    draws = torch.Generator().manual_seed(seed)
    network = networks.build("fastnet", k)
    assert isinstance(network, FastNet)
    network.whiten(plain(images[torch.randperm(n, generator=draws)[:2000]], draws))
    batch = min(BATCH, max(n // 8, 8))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def steps(epoch_loss: Callable[[Tensor, Tensor, Tensor], Tensor], order: Tensor) -> None:
        for index in torch.split(order, batch):
            if len(index) < 2:
                continue
            loss = epoch_loss(network(view(images[index], draws)), targets[index], index)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            optimiser.step()

    say(f"training the fast network with SOP for about {minutes:g} minutes")
    network.train()
    started = time.perf_counter()
    probe = torch.randperm(n, generator=draws)[: 4 * batch]
    steps(lambda logits, wanted, _: nn.functional.cross_entropy(logits, wanted), probe)
    epoch_seconds = (time.perf_counter() - started) * n / len(probe)
    epochs = int(np.clip(60 * minutes / max(epoch_seconds, 1e-3), FEWEST, MOST))
    rates = tuple(0.1 * (1 - e / epochs) for e in range(epochs))
    setting = Setting(n, k, batch, rates)
    late = {
        "u_on": max(0.2, 4.01 / epochs),
        "v_on": max(0.5, 8.01 / epochs),
    }  # not before the network has learnt anything
    options = SOP.resolve({"lr_u": "auto", "lr_v": "auto", **late}, setting)
    method = SOP(n, k, **options, seed=seed)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = rates[epoch]
        steps(method, torch.randperm(n, generator=draws))
        if time.perf_counter() - started > 90 * minutes + 30:  # another program has slowed it down
            break
    network.eval()
    with torch.inference_mode():
        features = torch.cat([_pooled(network, plain(part, draws)) for part in torch.split(images, 500)])
    U, V = corruption(method.variables.u, method.variables.v, targets)
    return {"features": features.numpy(), "switched": ((U + 2 * V.amax(1)) / 3).numpy().astype(np.float64)}


def _pooled(network: FastNet, images: Tensor) -> Tensor:
    return network.body(nn.functional.relu(network.first(images))).amax((2, 3))  # type: ignore[no-any-return]


def _timm(name: str, images: Tensor, say: Say) -> NDArray[Any]:
    """Return the features of a pretrained timm network, (n, d)."""
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # torchvision of another torch raises the second
        raise InputError(f"--network needs timm, which cannot be imported ({brief(error)}).") from None
    if not timm.is_model(name):
        near = timm.list_models(f"*{name[:6]}*", pretrained=True)[:5]
        raise InputError(
            f"--network must be a network of timm, got {name!r}{'; near: ' + ', '.join(near) if near else ''}."
        )
    say(f"loading {name}")
    try:
        model = timm.create_model(name, pretrained=True, num_classes=0).eval()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the weights of {name!r} cannot be had ({type(error).__name__}); leave out --network to train one."
        ) from None
    about: Any = model.pretrained_cfg
    mean, std = (torch.tensor(about[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    side, found = about["input_size"][1], []
    with torch.inference_mode():
        for part in torch.split(images, 50):
            scaled = nn.functional.interpolate(part.float() / 255, (side, side), mode="bicubic", antialias=True)
            found.append(model((scaled - mean) / std).float())
    return torch.cat(found).numpy()
