"""What the notebooks share: how one opens, how a figure is shown, and what a number that can't be used leads to.

Every notebook is built alike: an opening, the controls, one cell that turns them into ``parameters``, ``solve`` (numbers only),
``draw`` (a figure of these numbers), one cell that shows it. Tests replace ``parameters`` and read what ``solve`` found.
"""

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import marimo as mo
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from sparseop import plotting
from sparseop.errors import InputError


def opening(question: str, setting: str, tries: Sequence[str]) -> mo.Html:
    """Return the head of a notebook: the question it answers, what is shown, and what to try."""
    steps = "\n".join(f"{i}. {text}" for i, text in enumerate(tries, 1))
    return mo.vstack([mo.md(f"# {question}\n\n{setting}"), mo.callout(mo.md(f"**Try this**\n\n{steps}"), kind="info")])


def whole(name: str, text: Any) -> int:
    """Return the whole number that a text field holds; range checks are the library's."""
    try:
        return int(text)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a whole number, got {str(text)!r}.") from None


def attempt(solve: Callable[..., Any], **parameters: Any) -> tuple[Any, mo.Html | None]:
    """Return (result, None), or (None, a friendly sentence) where a parameter can't be used."""
    try:
        with threadpool_limits(1):  # at these sizes a second thread only waits, and on a busy machine for long
            return solve(**parameters), None
    except InputError as error:
        return None, mo.callout(mo.md(f"**That can't be computed.** {error} Move a control, and it goes on."), kind="warn")


def fields(**values: Any) -> mo.ui.dictionary:
    """Return text fields for what is changed rarely: sizes and the seed of the instance."""
    return mo.ui.dictionary({label.replace("_", " "): mo.ui.text(str(value)) for label, value in values.items()})


def row(*controls: mo.Html) -> mo.Html:
    """Return the controls side by side, or below one another where the screen is narrow."""
    cells = "".join(f'<div style="flex: 1 1 17rem">{control.text}</div>' for control in controls)
    return mo.Html(f'<div style="display: flex; flex-wrap: wrap; gap: 0.4rem 2rem">{cells}</div>')


def more(text_fields: mo.ui.dictionary) -> mo.Html:
    """Return the fields folded away under 'another instance'."""
    row = mo.hstack([mo.hstack([mo.md(label), field], justify="start", gap=0.4) for label, field in text_fields.elements.items()],
                    justify="start", gap=1.5, wrap=True)
    return mo.accordion({"Another instance": row})


def picture(draw: Callable[[Any], Figure], found: Any, alt: str) -> mo.Html:
    """Return the figure as part of the page, sharp at any size and in the page's own ink; ``alt`` says in words what it shows.

    Black becomes the page's text colour and white paper the page itself, so that one drawing serves light and dark pages.
    """
    with plotting.style():
        figure = draw(found)
        figure.patch.set_visible(False)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg"):], flags=re.DOTALL).replace("#000000", "currentColor")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    head = f'<svg role="img" aria-label="{html.escape(alt)}" fill="currentColor" style="width: 100%; height: auto; max-width: {1.6 * float(size[1]):.0f}px"'
    return mo.Html(head + svg[4:].replace(size[0], "", 1))
