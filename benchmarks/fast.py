"""Time a step of the fast network beside its convolutions alone, SOP beside cross-entropy, and a product of matrices.

    python -m benchmarks.fast                  one core, bfloat16, batches of 250 random images of 32 x 32

All take turns in one process, a few batches each, so that a busy machine disturbs all alike; a ratio is between the
best rounds. Times are the process's own. A convolution's work is counted as torch counts it (two operations for each
weight and place), forward once and backward once for its weights and once for its input where they are wanted. Goals: a
step at most 1.25 times its convolutions, a step of SOP at most 1.03 times one of cross-entropy.
"""

import sys
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import nn

from benchmarks import record
from benchmarks.deep_epochs import Stopwatch, Turn, random_dataset, timed, turns
from sparseop import cli
from sparseop.deep import networks
from sparseop.deep.labels import noise
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.data import Samples
from sparseop.errors import integer

SIDE = 2048  #: of the matrices whose product shows what the core can do
METHODS = ("CE", "SOP", "ELR", "GCE")
BATCH = 250


def convolutions(batch: int, device: torch.device) -> tuple[Callable[[], None], float]:
    """Return what runs the network's convolutions once, forward and backward in bfloat16, and its operations."""
    network = networks.build("fastnet", 10).to(memory_format=torch.channels_last)
    calls: list[tuple[nn.Conv2d, torch.Tensor, torch.Tensor]] = []

    def note(module: nn.Module, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        like = partial(torch.randn, device=device)
        calls.append((module, like(given[0].shape), like(result.shape)))

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        network(torch.zeros(batch, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    network.bfloat16()
    work, operations = [], 0.0
    for module, image, slope in calls:
        x, y = (part.bfloat16().contiguous(memory_format=torch.channels_last) for part in (image, slope))
        first = not module.weight.requires_grad
        wanted = [
            *([] if first else [x.requires_grad_(), module.weight]),
            *([] if module.bias is None else [module.bias]),
        ]
        work.append((module, x, y, wanted))
        operations += 2 * y.numel() * module.weight[0].numel() * (1 if first else 3)

    def once() -> None:
        for module, x, y, wanted in work:
            torch.autograd.grad(module(x), wanted, y)

    return once, operations


def samples(n: int) -> Samples:
    """Return ``n`` random images, 40 % of their labels wrong."""
    dataset = random_dataset(n)
    labels = noise.corrupt(dataset.train_labels, dataset.n_classes, "symmetric", 0.4)
    return Samples(dataset, labels, torch.arange(n), torch.arange(0))


def measure(rounds: int, batches: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return milliseconds and GFLOP a second of each contestant, and the ratios that have goals."""
    device = torch.device("cpu")
    data = samples(batches * BATCH)
    contestants: dict[str, Callable[[int], Turn]] = {}
    for method in METHODS:
        recipe = recipes.read(
            f"fast_cifar10_sym40_{method.lower()}",
            [f"training.epochs={max(rounds + 1, 2)}", f"training.batch_size={BATCH}"],
        )
        contestants[f"step, {method}"] = timed(partial(engine._Run, recipe, data, device), device)
    once, operations = convolutions(BATCH, device)
    matrix = torch.randn(SIDE, SIDE).bfloat16()
    watch = Stopwatch(device)

    def repeated(work: Callable[[], object]) -> Callable[[int], Turn]:
        return lambda _: watch(lambda: [work() for _ in range(batches)])[1]

    contestants["its convolutions alone"] = repeated(once)
    contestants["a product of matrices"] = repeated(lambda: matrix @ matrix)
    best = turns(contestants, rounds)
    rows = []
    for name, turn in best.items():
        seconds = turn.seconds / batches
        done = 2.0 * SIDE**3 if name == "a product of matrices" else operations
        images = round(BATCH / seconds) if name != "a product of matrices" else None
        rows.append(
            {
                "what": name,
                "ms": round(1e3 * seconds, 1),
                "images a second": images,
                "GFLOP a second": round(done / seconds / 1e9),
            }
        )
    own = {name: turn.seconds for name, turn in best.items()}
    rates = {row["what"]: row["GFLOP a second"] for row in rows}
    ratios = {
        "step / convolutions": own["step, CE"] / own["its convolutions alone"],
        **{f"{method} / CE": own[f"step, {method}"] / own["step, CE"] for method in METHODS[1:]},
        "step / product of matrices, FLOP a second": rates["step, CE"] / rates["a product of matrices"],
        "convolutions / product of matrices, FLOP a second": (
            rates["its convolutions alone"] / rates["a product of matrices"]
        ),
    }
    return pd.DataFrame(rows), {name: round(value, 3) for name, value in ratios.items()}


def main() -> int:
    """Run the command line."""
    parser = record.parser("fast", __doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=4, help="a round and contestant")
    options = parser.parse_args()

    def body() -> None:
        table, ratios = measure(integer("--rounds", options.rounds, 1), integer("--batches", options.batches, 1))
        record.keep(
            table,
            "bench_fast",
            options,
            packages=("torch",),
            rounds=options.rounds,
            batches=options.batches,
            **ratios,
        )

    return cli.run("benchmarks.fast", body)


if __name__ == "__main__":
    sys.exit(main())
