"""The runs that the static classroom plays: real ones, recorded frame by frame, by the notebooks' own code.

    python -m demos.record               all of them: minutes of one core; then python -m demos.build
    python -m demos.record labels        "What does a network do with wrong labels?"
    python -m demos.record picture       "Where does the noise of a picture go?"
    python -m demos.record inspector     "Which of my labels are wrong?"

Written to ``demos/site/records``: numbers rounded to what a screen shows, digits as hexadecimal grey levels, pictures
as JPEG. Each record names the commit and the versions it was made by.
"""

import argparse
import base64
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from demos.build import SITE
from sparseop import cli, provenance
from sparseop.files import write_atomic

RATES = (0.0, 0.2, 0.4, 0.6)
EPOCHS, SHOWN = 40, 48
LISTED = 240  #: of the inspector's list
LEAST = 0.5  #: SOP flags a label where u^2, v^2 say more than this


def _rounded(values: Any, digits: int = 1) -> list[float]:
    return [round(float(value), digits) for value in values]


def _digit(image: np.ndarray) -> str:
    """Return 64 hexadecimal grey levels of an 8 x 8 image, 0 is paper."""
    return "".join(f"{level:x}" for level in np.minimum(np.asarray(image, float) / 255 * 15.99, 15).astype(int).ravel())


def labels() -> dict[str, Any]:
    """Train CE and SOP on the digits at four shares of wrong labels; keep curves, scores and some of the images."""
    from demos.label_noise import solve

    runs = []
    for rate in RATES:
        found = solve(rate, EPOCHS, seed=0)
        wrong = found["given"] != found["true"]
        rng = np.random.default_rng(0)
        some = [rng.permutation(np.flatnonzero(part)) for part in (wrong, ~wrong)]
        count = min(SHOWN // 2, len(some[0]))
        chosen = np.sort(np.concatenate([some[0][:count], some[1][: SHOWN - count]]))
        runs.append(
            {
                "rate": rate,
                **{name: {key: _rounded(found[name][key]) for key in ("test", "memorised")} for name in ("CE", "SOP")},
                "flagged": [  # per epoch: share of the wrong labels flagged, and of the right ones
                    [round(float((score[part] > LEAST).mean()), 3) if part.any() else None for part in (wrong, ~wrong)]
                    for score in found["scores"]
                ],
                "samples": [
                    {
                        "image": _digit(found["images"][i]),
                        "given": int(found["given"][i]),
                        "true": int(found["true"][i]),
                        "score": [round(99 * float(score[i])) for score in found["scores"]],
                        "proposed": [int(proposal[i]) for proposal in found["proposals"]],
                    }
                    for i in chosen
                ],
            }
        )
    return {"epochs": EPOCHS, "runs": runs}


def picture() -> dict[str, Any]:
    """Fit a noisy photograph with s and, by the absolute loss, without; keep every second frame as JPEG."""
    from demos.image_recovery import solve

    found = solve(0.3, 0.0)
    frames = range(0, len(found["at"]), 2)

    def jpeg(image: np.ndarray) -> str:
        from PIL import Image

        levels = (255 * np.clip(np.moveaxis(image, 0, -1), 0, 1)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(levels).save(buffer, "JPEG", quality=82)
        return base64.b64encode(buffer.getvalue()).decode()

    return {
        "at": [int(found["at"][k]) for k in frames],
        "y": jpeg(found["y"]),
        "clean": jpeg(found["clean"]),
        **{
            method: {
                "psnr": _rounded([found[method]["psnr"][k] for k in frames], 2),
                "noise": _rounded([found[method]["noise_in_f"][k] for k in frames], 3),
                "noise_in_s": _rounded([found[method]["noise_in_s"][k] for k in frames], 3),
                "f": [jpeg(found[method]["f"][k]) for k in frames],
                **({"s": [jpeg(0.5 + found[method]["s"][k] / 2) for k in frames]} if method == "double" else {}),
            }
            for method in ("double", "absolute")
        },
    }


def inspector() -> dict[str, Any]:
    """Inspect the digits with errors put in, as ``python -m sparseop.inspect`` does; keep the top of the list."""
    from sparseop.inspect import inspect_labels
    from sparseop.inspect.demo import digits, source

    data, truth = source()
    found = inspect_labels(data.features, data.labels)
    pictures, _ = digits()
    top = found.table.head(LISTED)
    return {
        "samples": len(found.table),
        "wrong": int((np.asarray(data.labels) != truth.labels).sum()),
        "number": round(found.number),
        "interval": [round(end) for end in found.number_interval],
        "list": [
            {
                "image": _digit(pictures[int(one.row)]),
                "given": int(one.given),
                "proposed": int(one.proposed),
                "true": int(truth.labels[int(one.row)]),
                "suspicion": round(float(one.suspicion), 3),
            }
            for one in top.itertuples()
        ],
    }


RECORDS: dict[str, Callable[[], dict[str, Any]]] = {"labels": labels, "picture": picture, "inspector": inspector}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        "python -m demos.record", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", nargs="*", choices=[*RECORDS, []], help="default: all")
    options = parser.parse_args()

    def body() -> None:
        for name in options.which or RECORDS:
            record = RECORDS[name]()
            record["provenance"] = {
                "when": provenance.now(),
                "versions": provenance.versions("numpy", "torch", "scikit-learn"),
                **provenance.commit(),
            }
            path = SITE / "records" / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, (json.dumps(record, separators=(",", ":")) + "\n").encode())
            print(f"{path.relative_to(provenance.ROOT)}: {path.stat().st_size // 1024} KiB")

    return cli.run("demos.record", body)


if __name__ == "__main__":
    sys.exit(main())
