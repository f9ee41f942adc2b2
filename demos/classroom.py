"""What the notebooks share: how one opens, its controls, how a figure is shown, what an unusable number leads to.

Every notebook is built alike: an opening, the ``controls``, ``solve`` (numbers only), ``draw`` (a figure of these
numbers), ``tell`` (these numbers in words), one cell that shows both. Tests replace the ``controls`` and read what
``solve`` found.
"""

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import marimo as mo
import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from sparseop import plotting
from sparseop.errors import InputError, integer


def opening(question: str, setting: str, tries: Sequence[str]) -> mo.Html:
    """Return the head of a notebook: the question it answers, what is shown, and what to try."""
    steps = "\n".join(f"{i}. {text}" for i, text in enumerate(tries, 1))
    return mo.vstack([mo.md(f"# {question}\n\n{setting}"), mo.callout(mo.md(f"**Try this**\n\n{steps}"), kind="info")])


def slider(start: float, stop: float, step: float, value: float, label: str) -> mo.ui.slider:
    """Return a slider as wide as its place, which shows its value."""
    return mo.ui.slider(start, stop, step, value=value, label=label, show_value=True, full_width=True)


def controls(*, instance: dict[str, Any], button: str | None = None, **named: Any) -> Any:
    """Return the controls of a notebook, whose values are the arguments of its ``solve``.

    Parameters
    ----------
    instance : what is changed rarely, such as sizes and seed, and its values; folded away under 'Another instance'.
    button : what takes seconds to solve waits for a button with this text.
    named : the others, side by side, or below one another where the screen is narrow.
    """
    cells = "".join(f'<div style="flex: 1 1 17rem">{{{name}}}</div>' for name in named)
    fields = {name: mo.ui.text(str(value), label=name) for name, value in instance.items()}
    folded = mo.accordion({"Another instance": mo.Html(_flex("".join(f"<div>{{{name}}}</div>" for name in fields)))})
    both = mo.Html(_flex(cells) + folded.text).batch(**named, **fields)
    return both if button is None else both.form(submit_button_label=button, bordered=False)


def whole(name: str, value: Any, low: int, high: int | None = None, *, why: str = "") -> int:
    """Return a whole number from a text field; the other arguments are those of ``errors.integer``."""
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        raise InputError(f"{name} must be a whole number, got {value[:40]!r}.") from None
    return integer(name, number, low, high, why=why)


def attempt(solve: Callable[..., Any], controls: Any) -> tuple[Any, mo.Html | None]:
    """Return (what is found, None), or (None, a friendly sentence) where a value or a package can't be used."""
    values = (
        controls.element.value if controls.value is None else controls.value
    )  # a button that nobody has pressed yet
    try:
        with threadpool_limits(1):  # at these sizes a second thread only waits, and on a busy machine for long
            return solve(**values), None
    except InputError as error:
        return None, mo.callout(
            mo.md(f"**That can't be computed.** {error} Move a control, and it goes on."), kind="warn"
        )
    except ModuleNotFoundError as missing:
        if str(missing.name).startswith(("sparseop", "demos")):  # ours: a bug
            raise
        return None, mo.callout(
            mo.md(
                f"**This lesson needs {missing.name}**, which is not installed: `pip install 'sparseop[deep,image]'`."
            ),
            kind="warn",
        )


def show(trouble: mo.Html | None, draw: Callable[..., Figure], tell: Callable[..., str], *found: Any) -> mo.Html:
    """Return the figure that ``draw`` makes and what ``tell`` says of it; the trouble, where there was some."""
    return mo.vstack([picture(draw, *found), mo.md(tell(*found))]) if trouble is None else trouble


def picture(draw: Callable[..., Figure], *found: Any) -> mo.Html:
    """Return the figure as part of the page, in the page's own ink; ``draw``'s docstring says in words what it shows.

    Black becomes the page's text colour and white paper the page itself: one drawing serves light and dark pages.
    """
    with plotting.style():
        figure = draw(*found)
        figure.patch.set_visible(False)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL).replace(
        "#000000", "currentColor"
    )
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    head = (
        f'<svg role="img" aria-label="{html.escape(str(draw.__doc__))}" fill="currentColor" style="width: 100%; height:'
        f' auto; max-width: {1.6 * float(size[1]):.0f}px"'
    )
    return mo.Html(head + svg[4:].replace(size[0], "", 1))


def rounded(value: float) -> str:
    """Return a gap or an error in a few digits; below the rounding of the arithmetic it is not worth its digits."""
    return "below rounding" if abs(value) < 1e-13 else f"{value:.0e}"


def decibels(value: float) -> str:
    """Return a PSNR; a fit that has diverged has none."""
    return f"{value:.1f} dB" if np.isfinite(value) else "none, it has diverged"


def _flex(inside: str) -> str:
    return f'<div style="display: flex; flex-wrap: wrap; gap: 0.4rem 2rem">{inside}</div>'
