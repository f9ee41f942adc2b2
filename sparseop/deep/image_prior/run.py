"""A run of image recovery: ``train(recipe, folder)`` and ``resume(folder)``.

A run is a folder::

    recipe.toml         the resolved recipe: every default spelt out, the ratio as a number
    run.json            versions, hardware, commit, the corruption level as estimated and the ratio chosen
    metrics.csv         one row a measurement: method, iteration, loss, PSNR, what was found of the corruption
    last.pt             a checkpoint, at most a few seconds old
    summary.json        each method at its last and at its best measurement, and the median filters
    clean.png, corrupted.png, recovered_METHOD.png, corruption.png (grey: s = 0)
    recovery.npz        the same as float32 arrays (C, H, W)
    recovery.png, .pdf, .svg, dark/recovery.png     the picture of all that

A run that was killed goes on from its checkpoint bit by bit as if it had not been.
"""

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparseop.deep.image_prior import corruption, images, networks
from sparseop.deep.image_prior import recipe as recipes
from sparseop.deep.image_prior.choose import choose
from sparseop.deep.image_prior.fit import Fit
from sparseop.deep.image_prior.picture import draw
from sparseop.deep.image_prior.ratio import estimated_level, matching
from sparseop.deep.image_prior.recipe import ImageRecipe
from sparseop.deep.training import checkpoint
from sparseop.deep.training import device as devices
from sparseop.deep.training.loop import CHECKPOINT, load_checkpoint, refitting, require_no_run
from sparseop.deep.training.records import Record, Row
from sparseop.errors import InputError
from sparseop.files import require_writable, sha256, write_atomic

SAVE_SECONDS = 3.0
#: called with the row of a measurement and the number of iterations of all methods together
Watch = Callable[[Row, int], None]


@devices.as_before()
def train(
    recipe: ImageRecipe,
    folder: Path | str,
    *,
    device: str = "auto",
    data_root: Path | str | None = None,
    watch: Watch | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Recover an image by each method of a recipe into a new run folder, and return the summary.

    ``watch`` is called at each measurement, ``tell`` with a line for each ratio that is tried before the run (see
    ``choose``).

    Raises
    ------
    InputError : an image that cannot be used, a loss that is not finite (the last checkpoint stays), a full disk.
    """
    folder = Path(folder)
    require_no_run(folder)
    run = _Run(recipe, devices.choose(device), data_root)
    require_writable(folder)  # before the fits that a choice by held-out entries takes
    run.recipe = choose(run.y, recipe, run.device, tell)
    about = {
        "image_sha256": run.fingerprint,
        "shape": list(run.y.shape),
        "estimated_level": run.level,
        "ratio_chosen": recipe.sparse.ratio,
        "ratio": run.recipe.sparse.ratio,
    }
    return run.fit(Record.begin(folder, recipes.text(run.recipe), run.device, about), None, watch)


@devices.as_before()
def resume(
    folder: Path | str, *, device: str = "auto", data_root: Path | str | None = None, watch: Watch | None = None
) -> dict[str, Any]:
    """Go on with a run from its checkpoint and return its summary.

    Raises
    ------
    InputError : no run or no checkpoint there, a checkpoint of another recipe, another image than the run began with.
    """
    folder = Path(folder)
    path, state = load_checkpoint(folder)
    run = _Run(recipes.read(path), devices.choose(device), data_root)
    record = Record.go_on(folder, state["rows"], {"image_sha256": ("the image and its corruption", run.fingerprint)})
    return run.fit(record, state, watch)


class _Run:
    """The image of a recipe, and what its methods have made of it so far."""

    def __init__(self, recipe: ImageRecipe, device: torch.device, root: Path | str | None) -> None:
        self.recipe, self.device = recipe, device
        devices.prepare(device, deterministic=False, threads=recipe.training.threads)
        given = images.load_image(recipe.image, recipe.size, root)
        self.clean = given if recipe.noise > 0 else None
        self.y = (
            given
            if self.clean is None
            else corruption.corrupt(given, recipe.noise, kind=recipe.noise_kind, seed=recipe.seed)
        )
        networks.build(
            recipe.network.name, len(self.y), self.y.shape[1:], **recipe.network.options
        )  # refuses before anything is written
        self.level = estimated_level(self.y)
        self.fingerprint = sha256(self.y.numpy().tobytes())
        self.recovered: dict[str, Tensor] = {}
        self.s: Tensor | None = None

    def fit(self, record: Record, state: dict[str, Any] | None, watch: Watch | None) -> dict[str, Any]:
        """Run what is left of the methods and return the summary."""
        first = 0
        if state is not None:
            with refitting("methods"):
                first, self.recovered, self.s = int(state["method"]), dict(state["recovered"]), state["s"]
        try:
            for index in range(first, len(self.recipe.methods)):
                fit = Fit(self.y, self.recipe.methods[index], self.recipe, self.device)
                if state is not None and index == first:
                    with refitting("network and method"):
                        fit.load_state_dict(state["fit"])
                self._advance(fit, index, record, watch)
            self._save(record, len(self.recipe.methods), {})
        except torch.OutOfMemoryError:
            raise InputError(
                f"{self.device} ran out of memory; a smaller size (now {self.y.shape[1]} x {self.y.shape[2]}) or "
                "network.width needs less. The last checkpoint is kept."
            ) from None
        except KeyboardInterrupt:
            self._publish(record, finished=False)  # what there is, before the command says that it was interrupted
            raise
        finally:
            record.close()
        return self._publish(record)

    def _advance(self, fit: Fit, index: int, record: Record, watch: Watch | None) -> None:
        training, saved = self.recipe.training, time.monotonic()

        def measured() -> None:
            f, s = fit.output(), fit.corruption()
            if fit.iteration == training.iterations:
                _require_finite(fit, f)
            record.rows.append(
                {"method": fit.method, "iteration": fit.iteration, "loss": fit.loss, **fit.measure(f, s, self.clean)}
            )
            self.recovered[fit.method] = f.cpu().clamp(0, 1)
            self.s = self.s if s is None else s.cpu()
            if watch is not None:
                watch(record.rows[-1], training.iterations)

        if fit.iteration == 0:
            self._save(record, index, fit.state_dict())
        while fit.iteration < training.iterations:
            due = fit.iteration % training.every == 0
            if due:
                measured()
            fit.step()
            if due:
                _require_finite(fit)
                if time.monotonic() - saved > SAVE_SECONDS:
                    self._save(record, index, fit.state_dict())
                    record.write()
                    saved = time.monotonic()
        measured()

    def _save(self, record: Record, method: int, fit: dict[str, Any]) -> None:
        checkpoint.save(
            record.folder / CHECKPOINT,
            {
                "recipe": recipes.text(self.recipe),
                "method": method,
                "fit": fit,
                "recovered": self.recovered,
                "s": self.s,
                "rows": record.rows,
            },
        )

    def _publish(self, record: Record, *, finished: bool = True) -> dict[str, Any]:
        """Write metrics, images and picture of what there is, and of a finished run the summary; return it."""
        if not record.rows:
            return {}
        record.write()
        folder = record.folder
        named = {"clean": self.clean, "corrupted": self.y, **{f"recovered_{m}": f for m, f in self.recovered.items()}}
        found = {name: image for name, image in named.items() if image is not None}
        for name, image in found.items():
            write_atomic(folder / f"{name}.png", images.png(image))
        if self.s is not None:
            write_atomic(folder / "corruption.png", images.png((1 + self.s) / 2))
            found["s"] = self.s
        packed = io.BytesIO()
        np.savez_compressed(packed, **{name: image.numpy() for name, image in found.items()})  # type: ignore[arg-type]
        write_atomic(folder / "recovery.npz", packed.getvalue())
        summary = summarise(record.rows, self.clean, self.y, self.recipe, self.level)
        if finished:
            record.finish(summary, None)
        draw(folder / "recovery", {name: image.numpy() for name, image in found.items()}, record.rows, summary)
        return summary


def _require_finite(fit: Fit, f: Tensor | None = None) -> None:
    if not math.isfinite(fit.loss) or (f is not None and not bool(f.isfinite().all())):
        raise InputError(
            f"the loss of method {fit.method!r} was not finite after {fit.iteration} iterations; the last checkpoint is"
            " kept. A lower training.lr" + (" or sparse.ratio" if fit.method == "double" else "") + " may help."
        )


def summarise(rows: list[Row], clean: Tensor | None, y: Tensor, recipe: ImageRecipe, level: float) -> dict[str, Any]:
    """Return last and best measurement of each method, and what the filters that know nothing of networks reach."""
    ratio, gamma = float(recipe.sparse.ratio), recipe.sparse.gamma
    summary: dict[str, Any] = {
        "image": recipe.image,
        "noise": recipe.noise,
        "noise_kind": recipe.noise_kind,
        "seed": recipe.seed,
        "estimated_level": level,
        "ratio": ratio,
        "gamma": gamma,
        "lam": matching(ratio, gamma),
        "methods": {},
    }
    for method in recipe.methods:
        own = [row for row in rows if row["method"] == method]
        if not own:
            continue
        last = {key: value for key, value in own[-1].items() if key != "method"}
        best = max(own, key=lambda row: row["psnr"]) if clean is not None else None
        summary["methods"][method] = {
            "last": last,
            "best": None if best is None else {key: best[key] for key in ("iteration", "psnr")},
        }
    if clean is not None:
        summary["psnr_corrupted"] = corruption.psnr(y, clean)
        summary["filters"] = corruption.filters(y, clean)
    return summary
