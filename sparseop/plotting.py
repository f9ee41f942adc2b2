"""One visual style for every figure: colour-blind safe, readable on a projector and in print, byte-identical on redraw.

Every figure is drawn once, for paper. ``save`` writes it for print and screen, and once more for dark pages
(``darken``).

Colours are Paul Tol's 'bright' scheme (https://sro.sron.nl/pub-pages/tol/); maps are perceptually uniform. Every
qualitative series also differs by line style or marker, so that a grey print still reads.
"""

import contextlib
import io
import logging
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from sparseop.files import write_atomic

BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#888888",
)
COLORS = (BLUE, RED, GREEN, PURPLE, YELLOW, CYAN)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1)))
#: what takes the place of white and black on dark pages
DARK_PAPER, DARK_INK = "#16181d", "#e9e9ec"
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


def mean_spread(
    axis: Any, table: Any, x: str, y: str, *, within: tuple[float, float] = (-np.inf, np.inf), **options: Any
) -> None:
    """Draw the mean of column ``y`` for each value of column ``x``, with its standard deviation as error bars.

    The bars end at the values that ``y`` can take: ``within=(0, 1)`` for a share.
    """
    grouped = table.groupby(x)[y]
    mean, spread = grouped.mean(), grouped.std()
    bars = [np.minimum(spread, room.clip(lower=0)) for room in (mean - within[0], within[1] - mean)]
    axis.errorbar(mean.index, mean, yerr=bars, **{"capsize": 2, "elinewidth": 0.9, **options})


def plain_ticks(axis: Any, values: Any) -> None:
    """Label a logarithmic x axis with exactly these plain numbers."""
    axis.set_xticks(list(values), [f"{value:g}" for value in values])
    axis.minorticks_off()


def label_ends(axis: Axes, ends: Sequence[tuple[float, float, str, Any]], *, apart: float = 0.055) -> None:
    """Write the name of each curve to the right of its end, in its colour, instead of a legend.

    Names that would overlap are moved up or down, in the order of the ends. Scales and limits of the axis must be set.

    Parameters
    ----------
    ends : (x, y, name, colour) of each curve's end, in data units.
    apart : least distance between two names, as a share of the axis' height.
    """
    to_axis = axis.transData - axis.transAxes
    ordered = sorted(ends, key=lambda end: end[1])
    wanted = [float(to_axis.transform((x, y))[1]) for x, y, _, _ in ordered]
    heights = np.clip(wanted, 0.02, 0.98)
    for _ in range(100):  # push neighbours apart by half of what is missing each, until nothing moves
        missing = np.maximum(apart - np.diff(heights), 0)
        if missing.max(initial=0) < 1e-4:
            break
        heights[:-1] -= missing / 2
        heights[1:] += missing / 2
        heights += max(0.02 - heights[0], 0) - max(heights[-1] - 0.98, 0)
    for (x, y, name, color), height in zip(ordered, heights, strict=True):
        across = float(to_axis.transform((x, y))[0])
        axis.text(
            across + 0.015, height, name, color=color, fontsize=9.5, ha="left", va="center", transform=axis.transAxes
        )


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.png``, ``.pdf`` and ``.svg`` and ``dark/stem.png``, atomically and without a date.

    Return their paths.

    The figure is dark afterwards.
    """
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the date of the font file in every PDF
    paths = [_write(figure, stem.with_name(f"{stem.name}.{suffix}")) for suffix in FORMATS]  # a stem may hold a dot
    darken(figure)
    return [*paths, _write(figure, stem.parent / "dark" / f"{stem.name}.png")]


def _write(figure: Figure, path: Path) -> Path:
    suffix = path.suffix[1:]
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=suffix, metadata=FORMATS[suffix], facecolor=figure.get_facecolor())
    write_atomic(path, buffer.getvalue())
    return path


def darken(figure: Figure) -> None:
    """Turn a figure drawn for paper into one for a dark page.

    Greys change places, dark colours become a little lighter.

    What is drawn on top of an image or a mesh keeps its colours, as the image does.
    """
    figure.draw_without_rendering()  # ticks exist only now
    kept: set[Artist] = set()
    for axes in figure.axes:
        meshes = [*axes.images, *(c for c in axes.collections if isinstance(c, QuadMesh))]
        if meshes:
            on_top: list[Artist] = [*axes.texts, *axes.lines, *axes.collections, *axes.patches]
            legend = axes.get_legend()
            if legend is not None and axes.bbox.overlaps(legend.get_window_extent()):
                on_top.append(legend)
            kept.update(part for artist in on_top for part in artist.findobj())
    for artist in figure.findobj():
        if artist not in kept:
            _darken(artist)


def _darken(artist: Artist) -> None:
    if isinstance(artist, Text):
        artist.set_color(_dark(artist.get_color()))
    elif isinstance(artist, Line2D):
        face, edge = artist.get_markerfacecolor(), artist.get_markeredgecolor()
        artist.set(color=_dark(artist.get_color()), markerfacecolor=_dark(face), markeredgecolor=_dark(edge))
    elif isinstance(artist, Patch):
        artist.set(facecolor=_dark(artist.get_facecolor()), edgecolor=_dark(artist.get_edgecolor()))
    elif isinstance(artist, Collection) and artist.get_array() is None:
        artist.set_facecolor([_dark(color) for color in np.reshape(artist.get_facecolor(), (-1, 4))])
        artist.set_edgecolor([_dark(color) for color in np.reshape(artist.get_edgecolor(), (-1, 4))])


def _dark(color: Any) -> Any:
    if isinstance(color, str) and color in ("none", "auto"):
        return color
    red, green, blue, alpha = to_rgba(color)
    if max(red, green, blue) - min(red, green, blue) < 0.1:  # a grey
        light = (red + green + blue) / 3
        mixed = tuple(
            (1 - light) * ink + light * paper for ink, paper in zip(to_rgba(DARK_INK), to_rgba(DARK_PAPER), strict=True)
        )
        return (*mixed[:3], alpha)
    white = 0.25 if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45 else 0.0
    return (*(part + white * (1 - part) for part in (red, green, blue)), alpha)
