"""Every committed figure, drawn again from its data: two lines of caption, nothing too small to read."""

import importlib
import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.text import Text

from sparseop import plotting
from sparseop.provenance import ROOT

SMALLEST = 8.0  # points, at the size a figure is saved in


def studies():
    """Yield every study of theory and deep that draws from a committed table."""
    for path in sorted([*(ROOT / "theory").glob("*.py"), *(ROOT / "deep").glob("*.py")]):
        if "STUDIES" in path.read_text(encoding="utf-8"):
            for study in importlib.import_module(f"{path.parent.name}.{path.stem}").STUDIES:
                data = [ROOT / "figures" / "data" / f"{study.name}{end}.csv" for end in ("", "_full")]
                yield from (pytest.param(study, csv, id=csv.stem) for csv in data if study.draw and csv.exists())


@pytest.mark.slow
@pytest.mark.parametrize(("study", "csv"), list(studies()))
def test_says_one_thing_in_two_lines(study, csv: Path):
    with plotting.style():
        drawn = study.draw(pd.read_csv(csv))
    for key, figure in (drawn if isinstance(drawn, dict) else {"": drawn}).items():
        figure.draw_without_rendering()
        caption = figure._supxlabel.get_text() if figure._supxlabel else ""
        assert caption, f"{csv.stem} {key}: no caption"
        assert caption.count("\n") < 2, f"{csv.stem} {key}: {caption}"
        assert not re.search(r"(?<!\\)\b(rho|eps|alpha|gamma|lambda|delta|beta)\b|[xQ]~|\bnan\b", caption), caption
        small = [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_fontsize() < SMALLEST]
        assert not small, f"{csv.stem} {key}: too small to read: {small}"
