"""Time SOP's update of u and v: closed form on the touched rows, beside autograd on the whole tables as released.

    python -m benchmarks.deep_sample_variables [--repeats 20]

Batch 128, loss and update without any network, one thread; the two take turns, times are the best of the repeats. The
cost of a row update does not depend on the number of samples N; dense gradients cost two passes over N x K numbers a
step.
"""

import argparse
import sys
import time
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import mse_loss, normalize, one_hot

from benchmarks import record
from sparseop import cli
from sparseop.deep.labels.methods import SOP
from sparseop.errors import integer

BATCH = 128
SIZES = ((50_000, 10), (50_000, 100), (1_000_000, 14), (1_000_000, 100))


class Dense:
    """u and v as parameters of torch's SGD, all of the loss in one backward pass."""

    def __init__(self, n: int, k: int) -> None:
        self.k = k
        self.u = torch.nn.Parameter(1e-8 * torch.randn(n, 1))
        self.v = torch.nn.Parameter(1e-8 * torch.randn(n, k))
        self.optimiser = torch.optim.SGD([self.u, self.v], lr=10.0)

    def __call__(self, logits: Tensor, labels: Tensor, index: Tensor) -> None:
        """Take one step."""
        y = one_hot(labels, self.k).float()
        U = (self.u[index] ** 2 * y).clamp(0, 1)
        V = (self.v[index] ** 2 * (1 - y)).clamp(0, 1)
        q = normalize((logits.softmax(1) + U - V.detach()).clamp(min=1e-4), p=1).clamp(1e-4, 1)
        h = one_hot(logits.argmax(1), self.k).float()
        loss = -(y * q.log()).sum(1).mean() + mse_loss(h + U - V, y, reduction="sum") / len(y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def seconds(call: Callable[[Tensor, Tensor, Tensor], object], n: int, k: int) -> float:
    """Return the seconds of one step on random logits and samples."""
    logits, labels, index = (
        torch.randn(BATCH, k, requires_grad=True),
        torch.randint(0, k, (BATCH,)),
        torch.randperm(n)[:BATCH],
    )
    started = time.perf_counter()
    call(logits, labels, index)
    return time.perf_counter() - started


def main() -> int:
    """Print milliseconds a step."""
    parser = record.parser("deep_sample_variables", __doc__)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    return cli.run("benchmarks.deep_sample_variables", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    repeats = integer("--repeats", options.repeats, 1)
    torch.set_num_threads(1)
    rows = []
    for n, k in SIZES:
        method = SOP(n, k).train()
        calls = {
            "rows": lambda logits, labels, index, m=method: m(logits, labels, index).backward(),
            "dense": Dense(n, k),
        }
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(repeats):
            for name, call in calls.items():
                best[name] = min(best[name], seconds(call, n, k))
        milliseconds = {f"{name} (ms)": 1e3 * seconds for name, seconds in best.items()}
        rows.append({"N": n, "K": k, **milliseconds, "ratio": best["dense"] / best["rows"]})
    record.keep(pd.DataFrame(rows), "bench_deep_sample_variables", options, packages=("torch",), repeats=repeats)


if __name__ == "__main__":
    sys.exit(main())
