"""The tables that all trainers' recipes have, ``[engine]`` and ``[source]``, and the checks of what they share."""

from dataclasses import dataclass
from typing import Any, Literal

from sparseop.deep.training.schema import MOST_EPOCHS, MOST_THREADS
from sparseop.errors import between, integer, nonnegative, positive


@dataclass(frozen=True)
class Engine:
    """How the same mathematics is computed.

    Attributes
    ----------
    precision : "float32" (on CUDA convolutions multiply with ten bits of mantissa, TF32, as torch does unless told
        otherwise), or "bfloat16": autocast of the network; losses and per-sample variables stay float32.
    channels_last : memory layout of images and weights.
    compile : torch.compile the network; shapes are static.
    deterministic : only deterministic kernels (slower on a GPU); runs on a CPU are deterministic anyway.
    threads : processor threads of each process, 0 for torch's choice; the last bits of a run on a CPU depend on it.
    test_batch : images a step of an evaluation.
    test_every : epochs between evaluations on the test set; the last epoch is always evaluated.
    """

    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    compile: bool = False
    deterministic: bool = False
    threads: int = 0
    test_batch: int = 1000
    test_every: int = 1


@dataclass(frozen=True)
class Source:
    """Where the recipe comes from, for tables; nothing here changes a run.

    Attributes
    ----------
    table, dataset, setting, method : the cell of a published table.
    value, std : the published test accuracy in percent; nan where there is none.
    needs : what it takes, such as "CIFAR-10, a GPU for an hour".
    notes : where paper, released code and author disagree, and what was taken.
    """

    table: str = ""
    dataset: str = ""
    setting: str = ""
    method: str = ""
    value: float = float("nan")
    std: float = float("nan")
    needs: str = ""
    notes: tuple[str, ...] = ()


def require_sound(recipe: Any) -> None:
    """Refuse numbers out of range in seed, ``[training]``'s optimisation and ``[engine]``, which all trainers have."""
    training, engine = recipe.training, recipe.engine
    integer("seed", recipe.seed, 0)
    integer("training.epochs", training.epochs, 1, MOST_EPOCHS)
    integer("training.batch_size", training.batch_size, 2)
    positive("training.lr", training.lr)
    between("training.momentum", training.momentum, 0, 1, ends="[)")
    nonnegative("training.weight_decay", training.weight_decay)
    nonnegative("training.clip", training.clip)
    integer("engine.threads", engine.threads, 0, MOST_THREADS)
    integer("engine.test_batch", engine.test_batch, 1)
    integer("engine.test_every", engine.test_every, 1)
