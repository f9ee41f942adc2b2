"""The static classroom: its numbers are the library's, it asks nobody for anything, it fits a screen and a phone."""

import json
import re
import statistics
from pathlib import Path

import numpy as np
import pytest

from demos.build import build
from sparseop.linear import (
    LinearProblem,
    flow_limit,
    gradient_flow,
    implicit_regularizer,
    incoherence_condition,
    solve_convex,
)
from sparseop.refinery.data import CorruptedDataset
from sparseop.refinery.descent import largest_step, refine
from sparseop.refinery.network import OneHiddenLayer

PAGE = Path(__file__).resolve().parents[2] / "demos" / "index.html"
SIZES = {"laptop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
PLAIN = "(key, value) => value instanceof Float64Array ? Array.from(value) : value"


def lessons(page):
    return page.evaluate(
        """LESSONS.map(one => ({id: one.id, question: one.question, steps: one.steps.length,
        controls: one.controls.map(({name, min, max}) => ({name, min, max})),
        toggles: (one.toggles || []).map(one => one.name)}))"""
    )


def start(page, address=""):
    page.goto("about:blank")
    page.goto(PAGE.as_uri() + address)


def computed(page, expression):
    """Return what an expression of the page gives, typed arrays as lists."""
    return json.loads(page.evaluate(f"JSON.stringify({expression}, {PLAIN})"))


def test_the_page_is_what_its_sources_say():
    assert PAGE.read_text(encoding="utf-8") == build(), "run python -m demos.build"


def test_it_stays_small_and_names_no_other_machine():
    text = PAGE.read_text(encoding="utf-8")
    recorded = len(re.search(r"const DATA = .*", text).group())
    assert len(text.encode()) - recorded < 300_000
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:|#|\$\{this\.image\})", text)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text  # the browser itself would refuse a request


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_flow_limit_and_program_are_the_librarys_over_hundreds_of_settings(page):
    start(page)
    rng = np.random.default_rng(0)
    settings = [
        {
            "alpha": round(float(rng.uniform(0, 3.6)), 2),
            "gamma": int(rng.integers(-24, -1)),
            "k": int(rng.integers(0, 21)),
            "seed": int(rng.integers(1000)),
        }
        for _ in range(200)
    ]
    found = computed(
        page,
        f"""{json.dumps(settings)}.map(one => {{ const problem = parabola(one), alpha = 10 ** one.alpha,
        L = -one.gamma, run = flow(problem, alpha, L, 1e4), end = limit(problem, alpha, L, run.nu[run.nu.length - 1]),
        cold = one.seed % 4 ? end : limit(problem, alpha, L), best = program(problem, L / (2 * alpha));
        return {{J: problem.J, y: problem.y, s: end.s, theta: end.theta, best: best.s, gap: best.gap, cold: cold.s}}; }})""",
    )
    for setting, one in zip(settings, found, strict=True):
        problem, gamma, alpha = LinearProblem(one["J"], one["y"]), np.exp(setting["gamma"]), 10 ** setting["alpha"]
        mine = flow_limit(problem, alpha=alpha, gamma=gamma)
        np.testing.assert_allclose(one["s"], mine.s, rtol=0, atol=1e-8, err_msg=str(setting))
        np.testing.assert_allclose(one["cold"], mine.s, rtol=0, atol=1e-8, err_msg=str(setting))
        np.testing.assert_allclose(one["theta"], mine.theta, rtol=0, atol=1e-8, err_msg=str(setting))
        convex = solve_convex(problem, -setting["gamma"] / (2 * alpha))
        assert abs(one["gap"]) < 1e-6, setting
        np.testing.assert_allclose(one["best"], convex.s, rtol=0, atol=1e-3, err_msg=str(setting))


@pytest.mark.browser
def test_the_flow_on_its_way_and_the_regulariser(page):
    start(page)
    for alpha, gamma, k, seed in ((1.3, -8, 3, 1), (0.2, -20, 8, 2), (2.6, -3, 5, 3), (3.0, -12, 0, 4)):
        one = computed(
            page,
            f"""(() => {{ const problem = parabola({{k: {k}, seed: {seed}}}), run = flow(problem, 10 ** {alpha}, {-gamma}, 1e4);
            return {{J: problem.J, y: problem.y, t: run.t, s: run.nu.map(nu => sparse(nu, 10 ** {alpha}, {-gamma})),
            h: [-2, -0.3, 0, 1e-4, 1].map(s => [s, regulariser(s, {-gamma})])}}; }})()""",
        )
        problem, late = LinearProblem(one["J"], one["y"]), np.array(one["t"]) > 1e-3
        path = gradient_flow(problem, alpha=10**alpha, gamma=np.exp(gamma), times=np.array(one["t"])[late])
        far = np.abs(np.array(one["s"])[late] - path.s).max()
        assert far < 0.01 * np.abs(problem.y).max()  # half a pixel or so
        for s, h in one["h"]:
            assert h == pytest.approx(implicit_regularizer(s, np.exp(gamma)), rel=1e-10, abs=1e-15)


@pytest.mark.browser
def test_the_race_ends_where_the_library_says(page):
    start(page)
    for alpha, tail, k, seed in ((2.0, 0.3, 4, 1), (-0.5, 0.3, 4, 1), (3.5, 0.1, 6, 2), (1.0, 0.0, 3, 3)):
        one = computed(
            page,
            f"""(() => {{ const problem = memorising({{tail: {tail}, k: {k}, seed: {seed}}}), end = limit(problem, 10 ** {alpha}, 12);
            return {{J: problem.J, y: problem.y, s: end.s, theta: end.theta}}; }})()""",
        )
        mine = flow_limit(LinearProblem(one["J"], one["y"]), alpha=10**alpha, gamma=np.exp(-12))
        np.testing.assert_allclose(one["s"], mine.s, rtol=0, atol=1e-7)
        np.testing.assert_allclose(one["theta"], mine.theta, rtol=0, atol=1e-7)


@pytest.mark.browser
def test_a_hundred_observations_are_recovered_where_the_library_recovers_them(page):
    start(page)
    rng = np.random.default_rng(1)
    for _ in range(30):
        r, k, lam, seed = (
            int(rng.integers(1, 100)),
            int(rng.integers(0, 80)),
            10 ** rng.uniform(-3, 1),
            int(rng.integers(50)),
        )
        one = computed(
            page,
            f"""(() => {{ const problem = gaussian({{r: {r}, k: {k}, seed: {seed}}}), found = program(problem, {lam});
            return {{J: problem.J, y: problem.y, star: problem.theta_star, s_star: problem.s_star, mu: problem.mu,
            theta: found.theta, gap: found.gap}}; }})()""",
        )
        problem = LinearProblem(one["J"], one["y"], one["star"], one["s_star"])
        convex, size = solve_convex(problem, lam), np.linalg.norm(one["star"])
        assert abs(one["gap"]) < 1e-6, (r, k, lam, seed)
        np.testing.assert_allclose(one["theta"], convex.theta, rtol=0, atol=2e-3 * size, err_msg=f"{r}, {k}, {lam}")
        assert incoherence_condition(problem, max(k, 1)).right == pytest.approx(100 / (4 * one["mu"]), rel=1e-6)


@pytest.mark.browser
@pytest.mark.parametrize("alpha", [0.0, 0.9])
def test_the_refinery_steps_as_the_librarys(page, alpha):
    start(page)
    one = computed(
        page,
        f"""(() => {{ const values = {{rho: 0.3, eps: 0.4, seed: 5}}, data = refineryData(values), net = refineryNetwork(values),
        eta = largestStep(net, data.X), state = {{W: net.W.map(row => row.slice()), v: net.v}}, random = generator(1);
        let last; for (let t = 0; t <= 100; t++) last = refine(state, data, {{alpha: {alpha}, eta, positive: "self"}}, random);
        return {{X: data.X, y: data.y, star: data.star, cluster: data.cluster, C: data.C, W: net.W, eta, f: last.f}}; }})()""",
    )
    data = CorruptedDataset(
        X=np.array(one["X"]),
        y=np.array(one["y"], float),
        y_star=np.array(one["star"], float),
        cluster=np.array(one["cluster"]),
        centres=np.array(one["C"]),
        gammas=np.array([-1.0, 1.0]),
    )
    network = OneHiddenLayer(np.array(one["W"]))
    assert one["eta"] == pytest.approx(largest_step(data, network), rel=1e-4)
    mine = refine(data, network, steps=100, eta=one["eta"], alpha=alpha, positive_from="self", test_crops=1)
    np.testing.assert_allclose(one["f"], mine.f, rtol=0, atol=1e-9)


# ---- what a reader does ----------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_start_page_leads_to_every_lesson_and_back(page):
    start(page)
    every = lessons(page)
    assert page.locator(".cards li").count() == len(every) >= 6
    for one in every:
        page.locator(f'.cards a[href="#{one["id"]}"]').click()
        page.wait_for_function("id => classroom.lesson?.id === id", arg=one["id"])
        assert page.locator("#question").inner_text() == one["question"]
        page.locator("#home").click()
        page.wait_for_selector(".cards")
    assert page.requests == ["about:blank", PAGE.as_uri()] or set(page.requests) <= {"about:blank", PAGE.as_uri()}


@pytest.mark.browser
def test_every_step_sets_a_state_and_its_question_is_answered_only_when_asked(page):
    start(page)
    for one in lessons(page):
        start(page, f"#{one['id']}")
        for number in range(one["steps"]):
            assert page.locator(".step nav span").inner_text() == f"{number + 1} of {one['steps']}"
            asked = page.locator("[data-answer]")
            if asked.count():
                assert "Yes." not in page.locator(".step").inner_text()
                answer = page.evaluate("classroom.lesson.steps[classroom.step].answer")
                asked.nth(answer).click()
                assert "Yes." in page.locator(".step").inner_text()
                asked.nth((answer + 1) % asked.count()).click()
                assert "No." in page.locator(".step").inner_text()
            if number + 1 < one["steps"]:
                page.locator("#next").click()


@pytest.mark.browser
def test_an_outlier_moves_under_the_finger_and_s_answers(page):
    start(page, "#implicit?k=0")
    point = page.locator('[data-point="10"]')
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 60, steps=4)
    page.wait_for_function("() => classroom.values.moved !== ''")
    page.mouse.up()
    page.wait_for_function("() => classroom.state.s[10] > 0.3")  # it alone has an s
    others = page.evaluate("Array.from(classroom.state.s).filter((_, i) => i !== 10).map(Math.abs)")
    assert max(others) < 0.05
    page.locator('[data-point="3"]').focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => classroom.values.moved.includes('3:')")


@pytest.mark.browser
def test_hold_lambda_keeps_it_while_gamma_moves(page):
    start(page, "#implicit?hold=1")
    before = page.evaluate("classroom.state.lam")
    page.locator("#c-gamma").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => classroom.values.gamma === -12")
    page.wait_for_function("() => classroom.state.L === 12")
    assert page.evaluate("classroom.state.lam") == pytest.approx(before, rel=0.05)


@pytest.mark.browser
def test_the_phase_diagram_is_clicked(page):
    start(page, "#transition")
    box = page.locator("#panel-0 svg").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.2 * box["height"])
    page.wait_for_function("() => classroom.values.r > 50 && classroom.values.k > 50")
    page.wait_for_function("() => document.querySelector('.verdict').innerText.includes('Not recovered')")


@pytest.mark.browser
def test_time_plays_and_stops(page):
    start(page, "#implicit?time=-3")
    page.locator("#play").click()
    page.wait_for_function("() => classroom.values.time > -2.5")
    page.locator("#play").click()
    page.wait_for_function("() => document.getElementById('play').textContent.includes('play')")


@pytest.mark.browser
def test_every_extreme_of_every_slider_gives_a_sentence_that_is_one(page):
    start(page)
    for one in lessons(page):
        for control in one["controls"]:
            for end in ("min", "max"):
                start(page, f"#{one['id']}?{control['name']}={control[end]}")
                page.wait_for_function(
                    "() => !document.querySelector('.verdict').innerText.startsWith('Training')", timeout=60000
                )
                said = page.locator(".verdict").inner_text()
                assert said.endswith((".", ".)")), said
                assert not re.search(r"nan|undefined|infinity|null|\binf\b", said, re.IGNORECASE), said
                assert page.locator("#trouble").inner_text() == ""
    start(page, "#transition?r=99&k=0")  # the condition holds, and yet: the sentence says why
    page.wait_for_function("() => document.querySelector('.verdict').innerText.includes('at this λ')")
    said = page.locator(".verdict").inner_text()
    assert "Not recovered at this λ" in said
    assert "it speaks of large λ only" in said


@pytest.mark.browser
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("#implicit?alpha=99", "alpha must be a number from 0 to 3.6, got “99”."),
        ("#alpha=99", "alpha must be a number from 0 to 3.6, got “99”."),
        ("#implicit?gamma=tiny", "gamma must be a number from -24 to -2, got “tiny”."),
        ("#implicit?k=2.5", "k must be a whole number from 0 to 20, got “2.5”."),
        ("#implicit?seed=-1", "seed must be a whole number from 0 to 2147483647, got “-1”."),
        ("#implicit?hold=maybe", "hold must be 0 or 1, got “maybe”."),
        ("#implicit?moved=99:1", "moved must be like 3:0.5,7:-1, got “99:1”."),
        ("#transition?alhpa=1", "There is no parameter “alhpa” here; there are r, k, lam and seed."),
        ("#implict", "There is no lesson “implict”; there are implicit, rates, transition"),
        ("#implicit?k=<img src=x onerror=alert(1)>", "k must be a whole number from 0 to 20, got “<img src=x"),
    ],
)
def test_a_bad_address_is_told_in_a_sentence_and_everything_else_goes_on(page, address, sentence):
    start(page, address)
    assert page.locator("#trouble").inner_text().startswith(sentence)
    assert page.locator(".verdict").count() == 1 or page.locator(".cards").count() == 1


@pytest.mark.browser
def test_an_address_leads_back_to_what_was_shown(page):
    start(page, "#implicit")
    page.locator("#another").click()
    page.wait_for_function("() => classroom.values.seed === 4")
    page.locator("#c-k").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => classroom.values.k === 4 && location.hash.includes('k=4')")
    page.wait_for_function("() => classroom.state.problem.s_star.filter(v => v).length === 4")  # and it is drawn
    y, address = page.evaluate("Array.from(classroom.state.problem.y)"), page.url
    page.goto("about:blank")
    page.goto(address)
    assert page.evaluate("Array.from(classroom.state.problem.y)") == y


# ---- how it looks ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_picture_and_controls_are_seen_together_and_nothing_is_too_small(page, size, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(SIZES[size])
    start(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    for one in lessons(page):
        start(page, f"#{one['id']}")
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
        for part in (".figure", ".controls"):
            box = page.locator(part).bounding_box()
            assert box["y"] >= 0, (one["id"], part)
            assert box["y"] + box["height"] <= SIZES[size]["height"], (one["id"], part)
        texts = page.evaluate(
            """[...document.querySelectorAll('body *')].filter(e => e.childNodes.length && [...e.childNodes].some(
            n => n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length && !e.closest('sub, sup, tspan')).map(e =>
            [parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement ? e.ownerSVGElement.getBoundingClientRect().width
            / e.ownerSVGElement.viewBox.baseVal.width : 1), e.textContent.slice(0, 30)])"""
        )
        assert all(points >= 10.99 for points, _ in texts), [text for points, text in texts if points < 10.99]
        colors = page.evaluate(
            """['body', '.verdict', '.step', 'output', 'svg text', 'header a'].map(name => document.querySelector(name))
            .filter(e => e).map(e => [e.tagName === 'text' ? getComputedStyle(e).fill : getComputedStyle(e).color,
            getComputedStyle(e.closest('.step') || document.body).backgroundColor])"""
        )
        for ink, paper in colors:
            assert contrast(ink, paper) > 4.5, (one["id"], ink, paper)  # WCAG AA


@pytest.mark.browser
def test_nothing_jumps_while_a_slider_moves(page):
    start(page)
    for one in lessons(page):
        start(page, f"#{one['id']}")
        places = "['.figure', '.controls', '#panel-0', '#panel-1'].map(name => { const b = document.querySelector(name)"
        places += ".getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); })"
        before = page.evaluate(places)
        for control in one["controls"]:
            page.evaluate("([name, value]) => { change({[name]: value}); show(); }", [control["name"], control["min"]])
            assert page.evaluate(places) == before, (one["id"], control["name"])


@pytest.mark.browser
def test_a_redraw_takes_less_than_a_twentieth_of_a_second(page):
    """Of the browser's own processor time, so that other processes do not count.

    20 redraws a second on an idle core.
    """
    start(page)
    watch = page.context.new_cdp_session(page)
    watch.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        return {one["name"]: one["value"] for one in watch.send("Performance.getMetrics")["metrics"]}["TaskDuration"]

    def sweep(slider):
        """Return the median time of a redraw while the slider goes from end to end."""
        times = []
        for share in np.linspace(0, 1, 16):
            value = round(slider["min"] + (slider["max"] - slider["min"]) * share, 2)
            value = round(value) if slider["max"] - slider["min"] > 8 else value
            before = spent()
            page.evaluate("([name, value]) => { change({[name]: value}); show(); }", [slider["name"], value])
            times.append(1000 * (spent() - before))
        return statistics.median(times)

    for one in lessons(page):
        start(page, f"#{one['id']}")
        # the best of up to five: what shares the core's caches makes processor time dearer too
        medians = []
        while len(medians) < 5 and min(medians, default=100) >= 50:
            medians.append(sweep(one["controls"][0]))
        assert min(medians) < 50, (one["id"], medians)


@pytest.mark.browser
def test_keyboard_and_screen_reader_reach_every_control(page):
    start(page)
    for one in lessons(page):
        start(page, f"#{one['id']}")
        for name in [control["name"] for control in one["controls"]] + one["toggles"]:
            control = page.locator(f"#c-{name}")
            control.focus()
            assert page.evaluate("document.activeElement.id") == f"c-{name}"
            assert control.evaluate("e => e.getAttribute('aria-label') || e.closest('label').textContent.trim()")
        assert page.evaluate(
            "[...document.querySelectorAll('.figure svg.chart')].every(e => e.getAttribute('aria-label'))"
        )
        assert page.evaluate(
            "[...document.querySelectorAll('button')].every(e => e.getAttribute('aria-label') || e.textContent.trim())"
        )


def contrast(first, second):
    def luminance(color):
        parts = np.array([float(x) for x in re.findall(r"[\d.]+", color)[:3]]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
