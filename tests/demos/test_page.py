"""The page to hand out: its numbers are sparseop's, it asks nobody for anything, and it fits a phone."""

import re
from pathlib import Path

import numpy as np
import pytest

from sparseop.linear import LinearProblem, flow_limit, gradient_flow, implicit_regularizer, solve_convex

PAGE = Path(__file__).resolve().parents[2] / "demos" / "index.html"


def hold_to_the_library(state):
    """Compare everything the page shows with the library, on the page's own J and y."""
    problem = LinearProblem(
        state["problem"]["J"], state["problem"]["y"], state["problem"]["theta_star"], state["problem"]["s_star"]
    )
    alpha, gamma = state["alpha"], state["gamma"]
    limit = flow_limit(problem, alpha=alpha, gamma=gamma)
    convex = solve_convex(problem, state["lam"])
    assert (limit.status, convex.status) == ("converged", "optimal")
    np.testing.assert_allclose(state["limit"]["s"], limit.s, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state["limit"]["theta"], limit.theta, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state["program"]["s"], convex.s, rtol=0, atol=1e-8)
    times = np.array(state["flow"]["t"])
    late = times > 1e-3
    path = gradient_flow(problem, alpha=alpha, gamma=gamma, times=times[late])
    np.testing.assert_allclose(
        np.array(state["flow"]["s"])[late], path.s, rtol=0, atol=0.01 * np.abs(problem.y).max()
    )  # half a pixel or so
    for s, h in state["h"]:
        assert h == pytest.approx(implicit_regularizer(s, gamma), rel=1e-10, abs=1e-15)
    return problem, limit, convex


@pytest.mark.browser
def test_dragging_the_sliders_gives_the_librarys_numbers(page, dragged):
    page.goto(PAGE.as_uri())
    seen = []
    for alpha, gamma, k in [(0.36, 0.73, 0.15), (0.9, 0.2, 0.3), (0.05, 0.95, 0.6), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)]:
        for name, share in (("alpha", alpha), ("gamma", gamma), ("k", k)):
            dragged(page, page.locator(f"#{name}"), share)
        page.wait_for_function(
            "() => Math.abs(Math.log10(state.alpha) - document.getElementById('alpha').value) < 1e-12 "
            "&& state.L === -document.getElementById('gamma').value"
        )
        state = page.evaluate("state")
        _, limit, convex = hold_to_the_library(state)
        wrong = int(np.count_nonzero(state["problem"]["s_star"]))
        assert page.locator("#k-value").inner_text() == f"{wrong} of 20"
        shown = float(page.locator("#apart").inner_text())
        assert shown == pytest.approx(np.abs(limit.s - convex.s).max(), rel=0.06, abs=1e-9)  # two digits are shown
        assert float(page.locator("#lam").inner_text()) == pytest.approx(state["lam"], rel=0.06)
        assert page.locator("#paths path.wrong").count() == wrong
        assert page.locator("#paths circle").count() == 20
        seen.append((state["alpha"], state["gamma"], wrong))
    assert len(set(seen)) == 5
    assert page.requests == [PAGE.as_uri()]


@pytest.mark.browser
def test_what_the_try_list_says_happens(page):
    def error(address):
        page.goto("about:blank")
        page.goto(PAGE.as_uri() + address)
        return (
            float(page.locator("#off").inner_text()),
            float(page.locator("#apart").inner_text()),
            page.evaluate("state"),
        )

    percent, apart, state = error("")
    assert percent < 0.1
    assert error("#k=16")[0] > 1
    assert error("#alpha=1.6&gamma=-16")[1] < 0.01 * apart  # lam is what it was: 16 / 8 = 10^0.3
    wild = error("#alpha=2.4")[2]
    right = [i for i, s in enumerate(wild["problem"]["s_star"]) if s == 0]
    assert max(abs(wild["limit"]["s"][i]) for i in right) > 0.1
    assert max(abs(state["limit"]["s"][i]) for i in right) < 1e-3


@pytest.mark.browser
def test_the_picture_follows_the_hand_before_it_lets_go(page):
    page.goto(PAGE.as_uri())
    before, box = page.evaluate("state.alpha"), page.locator("#alpha").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 1.3 / 3.6, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function("before => state.alpha > 5 * before", arg=before)  # the mouse is still down
    assert page.evaluate("state.milliseconds") < 2000
    page.mouse.up()


@pytest.mark.browser
def test_another_instance_and_the_address_that_leads_back_to_it(page):
    page.goto(PAGE.as_uri())
    first = page.evaluate("state.problem.y")
    page.locator("#another").click()
    page.wait_for_function("first => state.problem.y[0] !== first[0]", arg=first)
    state, address = page.evaluate("state"), page.url
    hold_to_the_library(state)
    page.goto("about:blank")
    page.goto(address)
    assert page.evaluate("state.problem.y") == state["problem"]["y"]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("#alpha=99", "alpha must be a number from 0 to 3.6, got “99”."),
        ("#gamma=tiny", "gamma must be a number from -24 to -2, got “tiny”."),
        ("#k=2.5", "k must be a whole number from 0 to 20, got “2.5”."),
        ("#seed=-1", "seed must be a whole number from 0 to 4294967295, got “-1”."),
        ("#alhpa=1", "there is no parameter “alhpa”; there are alpha, gamma, k and seed."),
        (
            "#k=<img src=x onerror=alert(1)>",
            "k must be a whole number from 0 to 20, got “<img src=x onerror=alert(1)>”.",
        ),
    ],
)
def test_a_bad_address_is_told_in_a_sentence(page, address, sentence):
    page.goto(PAGE.as_uri() + address)
    assert page.locator("#trouble").inner_text() == sentence
    hold_to_the_library(page.evaluate("state"))  # and everything else goes on


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_it_fits_the_screen_in_light_and_dark(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(PAGE.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing to scroll sideways
    assert all(
        box["height"] >= 30
        for box in (page.locator(f"#{name}").bounding_box() for name in ("alpha", "gamma", "k", "another"))
    )  # a thumb's width
    colors = page.evaluate(
        """['body', '#lam', '#alpha-value', 'aside li'].map(name => document.querySelector(name)).map(element =>
        [getComputedStyle(element).color, getComputedStyle(document.body).backgroundColor])"""
    )
    for ink, paper in colors:
        assert contrast(ink, paper) > 4.5, (ink, paper)  # WCAG AA


def contrast(first, second):
    def luminance(color):
        parts = np.array([float(x) for x in re.findall(r"[\d.]+", color)[:3]]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_names_no_other_machine():
    text = PAGE.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:|#)", text)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text  # the browser itself would refuse a request
