"""As a new user walks: own pictures with wrong labels, suspects, predictions, again on corrected labels, export.

The whole way by the commands that docs/your-own.md prints, on 2,000 painted pictures, 200 of them in a wrong folder.
"""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sparseop.deep.datasets.shapes import shapes

N, WRONG = 2000, 200


def write(root):
    """Write 2,000 pictures of ten classes, a tenth in a wrong class folder, and 200 new ones; return the truth."""
    data, rng = shapes(N, 200, size=40), np.random.default_rng(0)
    given = data.train_labels.numpy().copy()
    moved = rng.permutation(N)[:WRONG]
    given[moved] = (given[moved] + rng.integers(1, 10, WRONG)) % 10
    truth = {}
    for i in range(N):
        name = f"{data.classes[given[i]]}/{i:04}.png"
        (root / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.train_images[i].permute(1, 2, 0).numpy()).save(root / "pictures" / name)
        truth[name] = data.classes[int(data.train_labels[i])]
    (root / "new").mkdir()
    for i in range(200):
        path = root / "new" / f"{i:03}_{data.classes[int(data.test_labels[i])]}.png"
        Image.fromarray(data.test_images[i].permute(1, 2, 0).numpy()).save(path)
    return truth


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_from_a_folder_of_pictures_to_a_network_elsewhere(tmp_path):
    truth = write(tmp_path)

    def command(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "sparseop.command", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = command("train", "folder", "--data-root", "pictures", "--device", "cpu", "--out", "run")
    assert "next: run/suspects.csv" in said
    assert (tmp_path / "run" / "run.png").stat().st_size > 10_000

    suspects = rows(tmp_path / "run" / "suspects.csv")
    wrong = {name for name, true in truth.items() if name.split("/")[0] != true}
    among = sum(row["path"] in wrong for row in suspects)
    found = sum(row["path"] in wrong for row in suspects[:among])
    assert found >= 0.85 * among  # of as many names as are wrong, at least 85 % are
    right = [
        truth[row["path"]] == row["proposed"]
        for row in suspects
        if row["path"] in wrong and float(row["suspicion"]) > 0.5
    ]
    assert np.mean(right) > 0.8

    command("predict", "run", "new", "--csv", "new.csv", "--device", "cpu")
    predicted = rows(tmp_path / "new.csv")
    accuracy = np.mean([row["path"].rsplit("_", 1)[1] == f"{row['predicted']}.png" for row in predicted])
    assert accuracy > 0.85

    labels = rows(tmp_path / "run" / "labels.csv")
    left = sum(truth[row["path"]] != row["label"] for row in labels if row["split"] == "train")
    assert left < 0.5 * among  # the corrected table has less than half the wrong labels
    table = ["--set", f"data.file={tmp_path / 'run' / 'labels.csv'}"]
    command("train", "csv", "--data-root", "pictures", "--device", "cpu", "--out", "again", *table)
    before, after = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("run", "again"))
    assert after["flagged"] < before["flagged"]

    command("export", "again", "network.pt2")
    assert json.loads((tmp_path / "network.pt2.json").read_text())["classes"] == sorted(set(truth.values()))
