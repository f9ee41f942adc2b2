"""The real runs that tables want, in order of worth: on a GPU those of the papers' networks first, then the fast one's.

    python -m deep.runs --data-root DIR                      go on with the first run that has no committed record
    python -m deep.runs --data-root DIR --hours 6 --jobs 2   stop after six hours; two runs at a time
    python -m deep.runs --data-root DIR --official SOP       on a GPU: first what a step and an epoch take, beside the
                                                             released code
    python -m deep.runs --data-root DIR --task contrastive   MoCo and SANE instead: first how long a step takes
    python -m deep.runs --plan                               print the list and what is done

Each run is a process of ``sparseop.deep.train`` in ``runs/plan``; one that the time did not suffice for is resumed by
the next call. A finished one leaves recipe, provenance, metrics and summary in ``deep/results``, to be committed. What
is measured first on a GPU counts in the hours; of the labels' tables it is left out where this checkout has it.
"""

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.official import checkout
from deep.published import recipe_name
from sparseop import cli, provenance
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.training import device as devices
from sparseop.errors import InputError, integer, positive
from sparseop.provenance import ROOT

RESULTS = ROOT / "deep" / "results"
MOST_JOBS = 64  #: that share a device
KEPT = ("recipe.toml", "run.json", "metrics.csv", "summary.json")


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


@dataclass(frozen=True)
class Run:
    """A recipe, its seed, and changes that are part of what is asked."""

    recipe: str
    seed: int = 0
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder of its record."""
        suffix = "".join("-" + change.partition(".")[2].replace("=", "").replace('"', "") for change in self.changes)
        return f"{self.recipe}{suffix}-seed{self.seed}"

    @property
    def record(self) -> Path:
        """Where its record goes."""
        group = "contrastive" if self.recipe in contrastive_recipes.names() else self.recipe.partition("_")[0]
        return RESULTS / group / self.name


def plan(task: str = "labels", *, gpu: bool = True) -> list[Run]:
    """Return all runs of a task, the most wanted first; without a GPU those of the fast network alone."""
    if task == "contrastive":
        return contrastive_plan() if gpu else [*fast_contrastive_plan(), *contrastive_plan()]
    if not gpu:
        return fast_plan()
    first = [Run(f"table1_cifar10_sym40_{method}") for method in ("ce", "elr", "sop")]
    plus = [Run("table4_cifar10n_worst_sopplus"), Run("table2_cifar10_sym50_sopplus")]
    rest = [Run(name) for name in recipes.names() if name.startswith(("fig1_cifar10_", "table1_cifar10_"))]
    seeds = [Run(name.recipe, seed) for seed in (1, 2, 3, 4) for name in (*first, *plus)]
    hundred = [
        Run("table4_cifar100n_noisy_sopplus", 0, (f"training.weight_decay={decay}",)) for decay in ("5e-4", "1e-3")
    ]
    hundred += [Run(name) for name in recipes.names() if name.startswith(("table1_cifar100_", "table2_cifar100_"))]
    return list(dict.fromkeys([*first, *plus, *rest, *seeds, *hundred, *fast_plan()]))


def fast_plan() -> list[Run]:
    """Return the runs of the fast network: CE, ELR and SOP as training goes on, short runs first; then the tables."""

    def of(setting: str, *methods: str, epochs: int = 16, seed: int = 0) -> list[Run]:
        changes = () if epochs == 16 else (f"training.epochs={epochs}",)
        return [Run(recipe_name("fast", "CIFAR-10", setting, method), seed, changes) for method in methods]

    found = of("clean", "CE")
    for epochs in (8, 16, 32):
        for methods in (("CE", "SOP"), ("ELR",)):
            found += [run for setting in ("sym40", "worst") for run in of(setting, *methods, epochs=epochs)]
        if epochs == 8:
            name = recipe_name("fast", "CIFAR-10", "clean", "CE")
            found += [Run(name, 0, ("training.epochs=4", *changes)) for changes in PIECES.values()]
            found += of("clean", "CE", epochs=32)
    for setting in ("sym20", "sym60", "sym80", "aggregate", "random1"):
        found += of(setting, "CE", "ELR", "SOP")
    for setting in ("worst", "sym50", "aggregate", "random1", "clean"):
        found += of(setting, "SOP+", "ELR+", "DivideMix")
    for setting in ("sym40", "worst", "sym20", "sym60", "sym80"):
        found += of(setting, "GCE", "Forward")
    found += rows_plan()
    for setting in ("sym40", "worst"):
        found += of(setting, "CE", "SOP", "ELR", epochs=64) + of(setting, "CE", "SOP", "ELR", seed=1)
    return list(dict.fromkeys(found))


def rows_plan() -> list[Run]:
    """Return SOP by rows beside SOP, three tries each of when the variables switch on, three seeds of the default."""
    asymmetric = ("noise.kind=asymmetric", "noise.rate=0.4")
    noises: list[tuple[str, tuple[str, ...]]] = [("sym40", ()), ("sym80", ()), ("worst", ()), ("sym40", asymmetric)]
    found = []
    for setting, noise in noises:
        for method, option in (("sop", "u_on"), ("soprows", "on")):
            name = f"fast_cifar10_{setting}_{method}"
            found += [Run(name, seed, noise) for seed in (0, 1, 2)]
            found += [Run(name, 0, (*noise, f"method.{option}={share}")) for share in (0.1, 0.4)]
    return found


def fast_contrastive_plan() -> list[Run]:
    """Return MoCo, SANE, its parts and its control with the fast network on CIFAR-10: some hours of one core each."""
    small = ("network.name=fastnet", "training.epochs=60", "engine.threads=1", "engine.channels_last=true")
    longer = (small[0], "training.epochs=100", *small[2:])  # MoCo for as long as SANE takes, at 1.7 times its epoch
    found = [Run(f"demo_cifar10_{word}_200", 0, small) for word in ("moco", "sane", "sane_uniform", "mm")]
    table4 = [name for name in contrastive_recipes.names() if name.startswith("sane_table4_")]
    return [*found, Run("demo_cifar10_moco_200", 0, longer), *(Run(name, 0, small) for name in table4)]


def contrastive_plan() -> list[Run]:
    """Return the contrastive runs: 200 epochs on MoCo's demo, with the control and at SANE's time.

    Table 4's ablation, shortened.
    """
    demo = [Run(f"demo_cifar10_{word}_200") for word in ("moco", "sane", "mm", "sane_uniform")]
    longer = [
        Run("demo_cifar10_moco_200", 0, ("training.epochs=340",))
    ]  # for as long as SANE takes, at 1.7 times MoCo's epoch
    short = ("network.name=resnet18", "training.epochs=50")  # the paper: ResNet-50, 1,000
    rows = [name for name in contrastive_recipes.names() if name.startswith("sane_table4_")]
    ablation = [Run(name, 0, short) for name in rows]
    # where refinement itself might pay: the confidence of the ImageNet setting, a small queue, few images
    regimes = [
        Run(f"demo_cifar10_{word}_200", 0, change)
        for change in (("method.mu_start=0.5", "method.mu_end=10.0"), ("method.queue=1024",))
        for word in ("sane", "sane_uniform")
    ]
    seeds = [replace(run, seed=seed) for seed in (1, 2) for run in demo]
    return [
        *demo,
        *longer,
        *ablation,
        Run("demo_cifar10_moco_sym_200"),
        *regimes,
        *seeds,
        *(
            Run(f"demo_cifar10_{word}_{epochs}")
            for epochs in (400, 800)
            for word in ("moco", "sane", "sane_uniform", "moco_sym")
        ),
    ]


def start(run: Run, folder: Path, data_root: Path | None, device: str) -> subprocess.Popen[bytes]:
    """Start or resume a run."""
    resumed = (folder / "last.pt").exists()
    if not resumed:
        shutil.rmtree(folder, ignore_errors=True)  # stopped before its first checkpoint: nothing to lose
    what = (
        ["--resume", str(folder)]
        if resumed
        else [
            run.recipe,
            "--seed",
            str(run.seed),
            "--out",
            str(folder),
            *(part for change in run.changes for part in ("--set", change)),
        ]
    )
    command = [sys.executable, "-m", "sparseop.deep.train", *what, "--device", device]
    command += [] if data_root is None else ["--data-root", str(data_root)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def keep(run: Run, folder: Path) -> None:
    """Copy the record of a finished run to where it is committed."""
    run.record.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copy(folder / name, run.record / name)


def work(runs: list[Run], scratch: Path, data_root: Path | None, *, device: str, hours: float, jobs: int) -> None:
    """Run what has no record yet, ``jobs`` at a time, until all is done or the time is over."""
    deadline = time.monotonic() + 3600 * hours
    todo = [run for run in runs if not (run.record / "summary.json").exists()]
    going: dict[Run, subprocess.Popen[bytes]] = {}
    failed: list[str] = []
    try:
        while (todo or going) and time.monotonic() < deadline:
            while todo and len(going) < jobs and time.monotonic() < deadline:
                run = todo.pop(0)
                going[run] = start(run, scratch / run.name, data_root, device)
                print(f"started {run.name}", flush=True)
            for run, process in list(going.items()):
                if process.poll() is not None:
                    del going[run]
                    if process.returncode == 0:
                        keep(run, scratch / run.name)
                    else:
                        failed.append(run.name)
                    print(f"{'finished' if process.returncode == 0 else 'FAILED, see its log:'} {run.name}", flush=True)
            time.sleep(1)
    finally:
        for run, process in going.items():
            process.terminate()  # its last epoch's checkpoint stays
            process.wait()
            print(f"stopped {run.name}: goes on with the next call", flush=True)
    if failed:
        log = (scratch / failed[0]).with_suffix(".log")
        raise InputError(f"{len(failed)} of the runs failed, the first {failed[0]}; why is in '{log}'.")


def measurements(task: str, device: str, official: Path | None) -> list[list[str]]:
    """Return the modules and arguments to run on a GPU before the runs: how long they take."""
    if task == "contrastive":
        return [["benchmarks.contrastive", "--record", "--device", device]]
    wanted = []
    if not any((RESULTS / "table5").glob("preact_resnet18-cuda-*.json")):
        wanted.append(
            [
                "deep.table5",
                "--measure",
                "--network",
                "preact_resnet18",
                "--batches",
                "100",
                "--set",
                "engine.precision=bfloat16",
                "--device",
                device,
            ]
        )
    if official is not None and not (ROOT / "figures" / "data" / "bench_official_sop_cuda.csv").exists():
        wanted.append(
            ["benchmarks.official_sop", "--record", "--device", device, "--official", str(official.resolve())]
        )
    return wanted


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        "python -m deep.runs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, metavar="DIR")
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", default=ROOT / "runs" / "plan", help="default: runs/plan"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--hours", type=float, default=1e6)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--task", choices=("labels", "contrastive"), default="labels")
    parser.add_argument(
        "--official",
        type=Path,
        metavar="DIR",
        help="a checkout of SOP's released code, to be timed beside this project on a GPU",
    )
    parser.add_argument("--plan", action="store_true", help="print the list")
    options = parser.parse_args()

    def body() -> None:
        gpu = options.device.startswith("cuda") or (options.device == "auto" and torch.cuda.is_available())
        if options.plan:
            for run in plan(options.task, gpu=gpu):
                print(f"{'done' if (run.record / 'summary.json').exists() else '    '}  {run.name}")
            return
        begun = time.monotonic()
        hours, jobs = positive("--hours", options.hours), integer("--jobs", options.jobs, 1, MOST_JOBS)
        if options.data_root is not None and not options.data_root.is_dir():
            raise InputError(f"--data-root '{options.data_root}' is not a folder.")
        if not torch.cuda.is_available():  # where there is one it stays untouched here: the runs share it
            devices.choose(options.device)
        if provenance.commit()["dirty"]:
            raise InputError(
                "this checkout differs from its commit, and records would name a commit that did not make them."
            )
        if options.official is not None:
            checkout.identify(options.official)
        if gpu:
            for command in measurements(options.task, options.device, options.official):
                if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode:
                    raise InputError(f"{command[0]} could not measure, and has said why; nothing was run.")
        with cli.ended_like_interrupted():
            work(
                plan(options.task, gpu=gpu),
                options.scratch,
                options.data_root,
                device=options.device,
                hours=hours - (time.monotonic() - begun) / 3600,
                jobs=jobs,
            )

    return cli.run("deep.runs", body)


if __name__ == "__main__":
    sys.exit(main())
