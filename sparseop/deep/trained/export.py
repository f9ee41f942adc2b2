"""Give the network of a run to other programs and libraries.

    python -m sparseop.deep.trained.export RUN OUT.pt2       any network with labels, as a program that torch alone runs
    python -m sparseop.deep.trained.export RUN OUT.onnx      the same for ONNX (pip install 'sparseop[onnx]')
    python -m sparseop.deep.trained.export RUN OUT.pth       the layout that torchvision's ResNets load
    python -m sparseop.deep.trained.export RUN OUT.pth --format detectron2       the one of detectron2's backbones
    python -m sparseop.deep.trained.export RUN OUT.pth --network momentum        the one of a contrastive run

A .pt2 or .onnx file maps images in [0, 1] to logits, normalisation included. A .pth file holds tensors alone, so
``torch.load(OUT, weights_only=True)`` reads it; ResNet-18, -34 and -50 have a counterpart there. Beside it, OUT.json
says where it comes from, the class names, how images were normalised, and how to load it.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparseop import cli, provenance
from sparseop.deep.networks.resnet import BasicBlock, Bottleneck, ResNet
from sparseop.deep.trained import judging, portable
from sparseop.deep.trained.classifier import load_classifier
from sparseop.deep.trained.load import Trained, load
from sparseop.errors import InputError, choice
from sparseop.files import require_writable, sha256, write_atomic

FORMATS = ("torchvision", "detectron2")
#: bottleneck or not, and the number of blocks a stage: the networks that both libraries have
DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
}
_IN_BLOCK = {
    "residual.0": "conv1",
    "residual.1": "bn1",
    "residual.3": "conv2",
    "residual.4": "bn2",
    "residual.6": "conv3",
    "residual.7": "bn3",
    "shortcut.0": "downsample.0",
    "shortcut.1": "downsample.1",
}


def torchvision_names(network: nn.Module) -> dict[str, str]:
    """Return, for each entry of the network's state but those of its classifier, the name that torchvision gives it.

    Raises
    ------
    InputError : a network without counterpart.
    """
    if not isinstance(network, ResNet):
        own = [name for name in network.state_dict() if not name.startswith("fc.")]
        if "layer1.0.conv1.weight" in own:  # torchvision's network itself
            return {name: name for name in own}
        raise InputError(
            f"torchvision and detectron2 have no counterpart of a {type(network).__name__}; ResNet-18, -34 and -50 they"
            " have. A file that ends in .pt2 or .onnx takes any network with labels."
        )
    stages = _stages(network)
    first = network.body[0]
    assert isinstance(first, nn.Conv2d)
    if depth(network) is None or first.out_channels != 64:
        raise InputError(
            "torchvision and detectron2 have ResNet-18, -34 and -50 of width 64, not one of "
            f"{' + '.join(str(len(stage)) for stage in stages)} blocks and width {first.out_channels}."
        )
    prefixes = {"body.0": "conv1", "body.1": "bn1"}
    for number, stage in enumerate(stages, 1):
        for block, place in enumerate(stage):
            prefixes |= {f"body.{place}.{own}": f"layer{number}.{block}.{theirs}" for own, theirs in _IN_BLOCK.items()}
    names = {}
    for name in network.state_dict():
        module, _, entry = name.rpartition(".")
        if module in prefixes:
            names[name] = f"{prefixes[module]}.{entry}"
    return names


def depth(network: nn.Module) -> int | None:
    """Return 18, 34 or 50 for a ResNet of that depth, this project's or torchvision's; None for another network."""
    if isinstance(network, ResNet):
        stages = _stages(network)
        bottleneck, counts = isinstance(network.body[stages[0][0]], Bottleneck), tuple(len(stage) for stage in stages)
    else:
        state = network.state_dict()
        counts = tuple(
            len({name.split(".")[1] for name in state if name.startswith(f"layer{stage}.")}) for stage in (1, 2, 3, 4)
        )
        bottleneck = "layer1.0.conv3.weight" in state
    return DEPTHS.get((bottleneck, counts))


def _stages(network: ResNet) -> list[list[int]]:
    """Return the places in ``network.body`` of the blocks of each stage.

    A stage but the first begins with a stride of 2.
    """
    stages: list[list[int]] = [[]]
    for place, block in enumerate(network.body):
        if isinstance(block, BasicBlock | Bottleneck):
            if any(isinstance(part, nn.Conv2d) and part.stride[0] == 2 for part in block.modules()):
                stages.append([])
            stages[-1].append(place)
    return stages


def to_torchvision(network: nn.Module, last: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the state of a network without its classifier, in torchvision's names; ``last`` becomes ``fc``."""
    state = network.state_dict()
    found = {theirs: state[own].detach().clone().contiguous() for own, theirs in torchvision_names(network).items()}
    return found | {f"fc.{name}": value.detach().clone() for name, value in (last or {}).items()}


def from_torchvision(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a state in torchvision's names into a network of this project; an ``fc`` is left aside.

    Raises
    ------
    InputError : a network without counterpart, an entry that is missing, unknown or of another shape.
    """
    names = torchvision_names(network)
    own = network.state_dict()
    strangers = [name for name in state if name not in names.values() and not name.startswith("fc.")]
    missing = [name for name in names.values() if name not in state]
    if strangers or missing:
        what, which = ("lacks", missing) if missing else ("holds", strangers)
        raise InputError(
            f"the state {what} {which[0]!r}, which the network {'has' if missing else 'does not have'} ({len(which)}"
            " such entries)."
        )
    for name, theirs in names.items():
        if state[theirs].shape != own[name].shape:
            raise InputError(f"{theirs} must have shape {tuple(own[name].shape)}, got {tuple(state[theirs].shape)}.")
    network.load_state_dict({name: state[theirs] for name, theirs in names.items()}, strict=False)


def to_detectron2(state: dict[str, Tensor]) -> dict[str, Any]:
    """Return what detectron2's checkpointer reads, of a state in torchvision's names.

    The backbone in Detectron's names.
    """
    found = {}
    for name, value in state.items():
        if name.startswith("fc."):
            continue
        parts = name.split(".")
        if parts[0].startswith("layer"):
            head, tail = [f"res{int(parts[0][5:]) + 1}", parts[1]], parts[2:]
        else:
            head, tail = ["stem"], parts
        if tail[0] == "downsample":
            tail = ["shortcut", *([] if tail[1] == "0" else ["norm"]), *tail[2:]]
        elif tail[0].startswith("bn"):
            tail = [f"conv{tail[0][2:]}", "norm", *tail[1:]]
        found[".".join(head + tail)] = value
    return {"model": found, "__author__": "sparseop", "matching_heuristics": True}


def export(
    run: Path | str, out: Path | str, *, kind: str = "torchvision", which: str = "online", weights: str = "auto"
) -> Path:
    """Write the network of a run and return the file; see the module.

    Parameters
    ----------
    kind : layout of a .pth file: "torchvision" or "detectron2".
    which : "online" or "momentum", for a contrastive run.
    weights : of the "last" epoch, of the one "chosen" by held-out samples, or "auto": chosen where there are such.

    Raises
    ------
    InputError : no run there, a network without counterpart, a file that is there already.
    """
    run, out = Path(run), Path(out)
    choice("--format", kind, FORMATS)
    if out.suffix not in (".pth", ".pt", *portable.SUFFIXES):
        raise InputError(
            f"OUT must end in .pt2, .onnx, .pth or .pt (detectron2 takes .pkl for a pickle, which this is not), got "
            f"'{out}'."
        )
    about = out.with_name(out.name + ".json")
    for path in (out, about):
        if path.exists():
            raise InputError(f"'{path}' is there already; choose another name.")
    whole = portable.kind_of(out)
    if whole is not None:
        return _portable(run, out, about, whole, weights)
    found = load(run, which, weights=weights)
    state = to_torchvision(found.network, found.last)
    content: dict[str, Any] = state if kind == "torchvision" else to_detectron2(state)
    require_writable(out.parent)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    record = {
        "format": kind,
        "recipe": found.recipe.name,
        "network": f"ResNet-{depth(found.network)}",
        "weights": which,
        "epoch": found.epoch,
        "input": {"range": [0, 1], "order": "RGB", "mean": list(found.mean), "std": list(found.std)},
        "classes": _classes(run),
        "load": _how(kind, found, out.name),
        "sha256": sha256(buffer.getvalue()),
        **provenance.stamp("sparseop", "torch"),
    }
    write_atomic(about, (json.dumps(record, indent=1) + "\n").encode())
    write_atomic(out, buffer.getvalue())
    return out


def _portable(run: Path, out: Path, about: Path, kind: str, weights: str) -> Path:
    """Write the whole network and what is known of it."""
    found = load_classifier(run, weights)
    require_writable(out.parent)
    content = portable.portable(found, kind)
    record = {
        "format": kind,
        "recipe": found.recipe.name,
        "network": found.recipe.network.name,
        "epoch": found.epoch,
        "input": {"range": [0, 1], "order": "RGB" if found.shape[0] == 3 else "grey", "shape": ["batch", *found.shape]},
        "normalisation": {"inside": True, "mean": list(found.mean), "std": list(found.std)},
        "classes": list(found.classes),
        "load": portable.example(found, kind, out.name),
        "sha256": sha256(content),
        **provenance.stamp("sparseop", "torch"),
    }
    write_atomic(about, (json.dumps(record, indent=1) + "\n").encode())
    write_atomic(out, content)
    return out


def _classes(run: Path) -> list[str] | None:
    """Return the class names of a run; None where it is too old to know them."""
    found = json.loads((run / "run.json").read_text(encoding="utf-8")).get("classes")
    return None if found is None else list(found)


def _how(kind: str, found: Trained, name: str) -> list[str]:
    """Return the lines that load the file."""
    small = found.network.state_dict()[_first(found.network)].shape[-1] == 3
    if kind == "detectron2":
        lines = [
            f"MODEL.WEIGHTS: {name}",
            f"MODEL.RESNETS.DEPTH: {depth(found.network)}",
            "MODEL.RESNETS.STRIDE_IN_1X1: False",
            "INPUT.FORMAT: RGB",
            f"MODEL.PIXEL_MEAN: {[round(255 * x, 3) for x in found.mean]}",
            f"MODEL.PIXEL_STD: {[round(255 * x, 3) for x in found.std]}",
        ]
        lines += ["MODEL.RESNETS.RES2_OUT_CHANNELS: 64"] if depth(found.network) != 50 else []  # 256 is ResNet-50's
        return (
            [*lines, "its stem is the 3 x 3 one of small images, which detectron2's own ResNet does not have"]
            if small
            else lines
        )
    lines = [
        (
            f"model = torchvision.models.resnet{depth(found.network)}(num_classes={len(found.last['bias'])})"
            if found.last
            else f"model = torchvision.models.resnet{depth(found.network)}()"
        )
    ]
    if small:
        lines += [
            f"model.conv1 = torch.nn.Conv2d({len(found.mean)}, 64, 3, padding=1, bias=False)",
            "model.maxpool = torch.nn.Identity()",
        ]
    loaded = f"torch.load({name!r}, weights_only=True)"
    return (
        [*lines, f"model.load_state_dict({loaded})"]
        if found.last
        else [*lines, "model.fc = torch.nn.Identity()", f"model.load_state_dict({loaded})"]
    )


def _first(network: nn.Module) -> str:
    return next(name for name, theirs in torchvision_names(network).items() if theirs == "conv1.weight")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = judging.parser("export", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, *.pt2, *.onnx or *.pth")
    parser.add_argument(
        "--format", default="torchvision", metavar="|".join(FORMATS), help="layout (default: torchvision)"
    )
    options = parser.parse_args(arguments)
    return cli.run("sparseop.deep.trained.export", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    out = export(options.run, options.out, kind=options.format, which=options.network, weights=options.weights)
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB; to load it:")
    for line in json.loads(out.with_name(out.name + ".json").read_text())["load"]:
        print(f"    {line}")


if __name__ == "__main__":
    sys.exit(main())
