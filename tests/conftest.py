"""Property tests draw new examples on a developer's machine, the same ones in CI; parallel workers have one thread.

For the marker ``browser``: a headless Chromium, the system's own, driven by Playwright.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: without these a fresh profile calls home, and a container has no sandbox to offer
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def lacking(what: str) -> None:
    """Skip on a machine without a browser; fail in CI, where a skipped test would go unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI the browser tests must run", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        lacking(f"no browser: none of {', '.join(NAMES)} is on the PATH and CHROMIUM names none")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        lacking("playwright is not installed (it is in the dependency group 'test')")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page that fails the test when its script does, and remembers every request that isn't for this machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(180_000)  # a hang ends; a busy machine does not fail a test
    errors, requests = [], []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.requests = requests
    yield opened
    context.close()
    assert errors == []
    assert [
        url for url in requests if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1", "ws://127.0.0.1"))
    ] == []


def drag(page, slider, share: float) -> None:
    """Drag the handle of a range input to ``share`` of its track, by real mouse events."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    low, high, value = slider.evaluate("e => [e.min, e.max, e.value].map(Number)")
    start = box["x"] + box["width"] * (value - low) / (high - low)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(start, middle)
    page.mouse.down()
    for step in range(1, 9):  # a hand passes through the places between
        page.mouse.move(start + (box["x"] + share * box["width"] - start) * step / 8, middle)
    page.mouse.up()


@pytest.fixture
def dragged():
    return drag
