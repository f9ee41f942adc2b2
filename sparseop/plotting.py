"""One visual style for every figure: colour-blind safe, readable on a projector and in print, byte-identical on redraw.

Colours are Paul Tol's 'bright' scheme (https://sro.sron.nl/pub-pages/tol/); maps are perceptually uniform. Every
qualitative series also differs by line style or marker, so that a grey print still reads.
"""

import contextlib
import io
import logging
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from sparseop.files import write_atomic

BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#888888"
COLORS = (BLUE, RED, GREEN, PURPLE, YELLOW, CYAN)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1)))
#: relative differences, errors: dark is small
ERROR_MAP = "viridis"
#: rates and shares from 0 to 1: white is 1, as in the papers' phase diagrams
RATE_MAP = "gray"

STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 170,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "image.origin": "lower",
    "image.interpolation": "nearest",
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.hashsalt": "sparseop",
    "axes.prop_cycle": cycler(color=COLORS),
}
FORMATS = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Apply the project's style inside a ``with`` block, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]  # matplotlib types the keys as literals
        yield


def caption(figure: Figure, text: str) -> None:
    """Write the caption (trials, grid, what to see) under the figure, where a cropped picture still carries it.

    Lines longer than the figure is wide are wrapped.
    """
    width = int(16 * figure.get_figwidth())  # characters of this size that fit
    text = "\n".join(textwrap.fill(line, width) for line in text.split("\n"))
    figure.supxlabel(text, fontsize=8.5, color="#444444", x=0.01, ha="left")


def mean_spread(axis: Any, table: Any, x: str, y: str, **options: Any) -> None:
    """Draw the mean of column ``y`` for each value of column ``x``, with its standard deviation as error bars."""
    grouped = table.groupby(x)[y]
    axis.errorbar(grouped.mean().index, grouped.mean(), yerr=grouped.std(), **{"capsize": 2, "elinewidth": 0.9, **options})


def plain_ticks(axis: Any, values: Any) -> None:
    """Label a logarithmic x axis with exactly these plain numbers."""
    axis.set_xticks(list(values), [f"{value:g}" for value in values])
    axis.minorticks_off()


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.png``, ``.pdf`` and ``.svg``, each atomically and without a date, and return their paths."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the date of the font file in every PDF
    paths = []
    for suffix, metadata in FORMATS.items():
        path = stem.with_suffix(f".{suffix}")
        buffer = io.BytesIO()
        with style():
            figure.savefig(buffer, format=suffix, metadata=metadata)
        write_atomic(path, buffer.getvalue())
        paths.append(path)
    return paths

