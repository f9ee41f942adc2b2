"""The notebooks: their numbers are the library's, bad parameters end in a sentence, and they live in a browser."""

import ast
import html
import importlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

marimo = pytest.importorskip("marimo")
DEMOS = Path(__file__).resolve().parents[2] / "demos"
NOTEBOOKS = sorted(path for path in DEMOS.glob("*.py") if "marimo.App(" in path.read_text())


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def run(name, **parameters):
    """Run a notebook with these parameters in place of its controls.

    Return (everything shown as text, its variables).
    """
    notebook = importlib.import_module(f"demos.{name}")
    outputs, names = notebook.app.run(defs={"controls": SimpleNamespace(value=parameters)} if parameters else {})
    return "\n".join(output.text for output in outputs if hasattr(output, "text")), names


def test_every_lesson_is_there_and_driven_in_a_browser():
    assert {path.stem for path in NOTEBOOKS} == set(SLIDERS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_opens_with_its_question_and_says_what_to_try(path):
    tree = ast.parse(path.read_text())
    assert "?" in ast.get_docstring(tree).split("\n")[0]
    call = next(
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "classroom.opening"
    )
    assert ast.literal_eval(call.args[0]).rstrip().endswith("?")
    assert len(call.args[2].elts) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_is_a_well_formed_notebook(path):
    done = subprocess.run(
        [sys.executable, "-m", "marimo", "check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_implicit_l1_finds_the_corrupted_entries():
    shown, names = run("implicit_l1", log10_alpha=1.3, log_gamma=-8, corrupted=3)
    found = names["found"]
    assert found["convex"].status == "optimal"
    assert set(np.flatnonzero(np.abs(found["limit"].s) > 0.05)) == set(np.flatnonzero(found["problem"].s_star))
    np.testing.assert_allclose(found["path"][-1], found["limit"].s, atol=1e-4)
    assert f"differ by at most {np.abs(found['limit'].s - found['convex'].s).max():.0e};" in shown
    for try_this, fails in ((3, False), (16, True)):  # what the list says: the data are at fault, not descent
        case = names["solve"](1.3, -8, try_this)
        for theta in (case["limit"].theta, case["convex"].theta):
            assert (
                np.linalg.norm(theta - case["problem"].theta_star) > 0.01 * np.linalg.norm(case["problem"].theta_star)
            ) == fails
    right = found["problem"].s_star == 0
    assert np.abs(names["solve"](2.0, -8, 3)["limit"].s[right]).max() > 0.1  # alpha too large: others grow too
    for extreme in ((0.0, -24, 16), (3.6, -2, 0), (3.6, -24, 20)):
        assert np.isfinite(names["solve"](*extreme)["path"]).all()


def test_learning_rates_fail_on_both_sides_of_the_window():
    shown, names = run("learning_rates", log10_alpha=1.6, tail=0.05, corrupted=4)
    middle = names["found"]["end"]
    slow, fast = (names["solve"](x, 0.05, 4)["end"] for x in (-1.0, 3.5))
    assert "Right." in shown
    assert middle["error"] < 0.1
    assert middle["found"] > 0.95
    assert slow["error"] > 1  # theta has memorised ...
    assert slow["found"] < 0.5
    assert slow["swallowed"] < 0.01
    assert fast["error"] > 0.5  # ... or learned nothing
    assert fast["swallowed"] > 0.5
    assert "too small" in names["tell"](names["solve"](-1.0, 0.05, 4))
    assert "too large" in names["tell"](names["solve"](3.5, 0.05, 4))
    without_tail = names["solve"](-1.0, 0.0, 4)
    assert without_tail["end"]["error"] < 1e-3  # nothing to memorise with: no alpha is too small
    race = without_tail["race"]
    assert race["error"][0] > 0.5


def test_phase_transition_knows_its_place():
    _, names = run("phase_transition", rank=20, corrupted=20, log10_lam=-1)
    found = names["found"]
    assert ": **recovered**" in names["tell"](found)
    assert found["error"] < 1e-10
    assert found["interval"].lower < 0.1
    assert np.all(found["errors"][found["lams"] > 1.01 * found["interval"].lower] < 1e-6)
    assert np.all(found["errors"][found["lams"] < 0.99 * found["interval"].lower] > 1e-6)
    beyond = names["solve"](60, 80, -1)
    assert "**not recovered**" in names["tell"](beyond)
    assert beyond["interval"].lower == np.inf
    assert beyond["predicted"] < 80


def test_the_refinery_needs_no_stopping_time():
    shown, names = run("refinery", rho=0.3, eps=0.3, alpha=0.9, positive="cluster")
    plain, refined = names["found"]["descent"], names["found"]["refinery"]
    assert plain.noise_fitted[-1] > 0.5
    assert refined.noise_fitted[-1] < 0.02
    assert refined.test_accuracy[-1] > 0.99 > plain.test_accuracy[-1]
    assert f"{100 * refined.test_accuracy[-1]:.1f} % and has fitted" in shown
    low = names["solve"](0.3, 0.3, 0.4, "cluster", steps=300)["refinery"]
    assert low.label_recovery[-1] == pytest.approx(0.7, abs=0.02)  # below 1/(2 - 2 rho) the wrong ones stay wrong


@pytest.mark.slow
def test_label_noise_shows_memorising_and_separating():
    shown, names = run("label_noise", rate=0.4, epochs=40, seed=0)
    found = names["found"]
    wrong = found["given"] != found["true"]
    assert wrong.mean() == pytest.approx(0.4, abs=0.01)
    assert found["CE"]["memorised"][-1] > 80
    assert found["SOP"]["memorised"][-1] < 10
    assert found["SOP"]["test"][-1] > found["CE"]["test"][-1] + 10
    flagged = found["scores"][-1] > 0.5
    assert wrong[flagged].mean() > 0.95
    assert flagged[wrong].mean() > 0.8
    assert found["scores"].shape == (40, 1347)
    assert "After epoch 40" in shown
    assert f"SOP flags {flagged.sum()} of 1347" in shown


@pytest.mark.slow
def test_image_recovery_moves_the_noise_into_s_and_the_ratio_decides():
    shown, names = run("image_recovery", noise=0.3, log2_ratio=0.0)
    found = names["found"]
    own, other = found["double"], found["absolute"]
    whole = own["noise_in_s"] + own["noise_in_f"]
    assert own["noise_in_s"][0] == 0
    assert own["noise_in_s"][-1] > 0.85
    assert whole[-1] == pytest.approx(1, abs=0.03)  # nothing is left in the residual
    assert own["psnr"].max() - own["psnr"][-1] < 0.3
    assert other["psnr"].max() - other["psnr"][-1] > 5
    assert f"{own['psnr'][-1]:.1f} dB with" in shown
    small = names["solve"](0.3, -4.0)["double"]
    assert small["noise_in_f"][-1] > 0.8
    large = names["solve"](0.3, 4.0)["double"]
    assert np.isfinite(large["psnr"]).all()
    assert large["precision"][-1] < own["precision"][-1] - 0.15  # it takes the photograph's detail too


BAD = [
    ("implicit_l1", {"log10_alpha": 1.3, "log_gamma": -8, "corrupted": 3, "rank": "50"}, "rank must be >= 0 and <= 20"),
    ("implicit_l1", {"log10_alpha": 1.3, "log_gamma": -8, "corrupted": 30}, "corrupted must be >= 0 and <= 20"),
    (
        "implicit_l1",
        {"log10_alpha": 1.3, "log_gamma": -8, "corrupted": 3, "seed": "one"},
        "seed must be a whole number",
    ),
    ("implicit_l1", {"log10_alpha": 1.3, "log_gamma": 1, "corrupted": 3}, "log gamma must lie in [-50, 0)"),
    ("implicit_l1", {"log10_alpha": 400, "log_gamma": -8, "corrupted": 3}, "log10 alpha must lie in [-4, 6]"),
    ("learning_rates", {"log10_alpha": 9, "tail": 0.05, "corrupted": 4}, "log10 alpha must lie in [-4, 6], got 9"),
    ("learning_rates", {"log10_alpha": 1, "tail": -1, "corrupted": 4}, "tail must lie in [0, 1], got -1"),
    ("phase_transition", {"rank": 0, "corrupted": 20, "log10_lam": -1}, "rank must be >= 1 and <= 100"),
    ("phase_transition", {"rank": 20, "corrupted": 20, "log10_lam": -1, "seed": ""}, "seed must be a whole number"),
    ("label_noise", {"rate": 1.5, "epochs": 2, "seed": 0}, "rate must lie in"),
    ("label_noise", {"rate": 0.4, "epochs": 0, "seed": 0}, "epochs must be >= 1"),
    ("refinery", {"rho": 0.6, "eps": 0.3, "alpha": 0.9, "positive": "cluster", "steps": 10}, "rho must lie in"),
    ("refinery", {"rho": 0.3, "eps": 0.3, "alpha": 1.5, "positive": "cluster", "steps": 10}, "alpha"),
    ("image_recovery", {"noise": 0.0, "log2_ratio": 0}, "noise must lie in (0, 0.9], got 0.0."),
    ("image_recovery", {"noise": 0.3, "log2_ratio": 9}, "log2 ratio must lie in [-6, 6], got 9."),
    ("image_recovery", {"noise": 0.3, "log2_ratio": 0, "image": "nowhere.png"}, "the image 'nowhere.png' is not there"),
    ("image_recovery", {"noise": 0.3, "log2_ratio": 0, "seed": "one"}, "seed must be a whole number"),
    (
        "image_recovery",
        {"noise": 0.3, "log2_ratio": 0, "seed": "1" * 40},
        "seed must be >= 0 and <= 9223372036854775807",
    ),
]


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"), BAD, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(BAD)]
)
def test_bad_parameters_end_in_a_friendly_sentence(name, parameters, sentence):
    shown, names = run(name, **parameters)
    assert names["found"] is None
    text = html.unescape(html.unescape(names["trouble"].text))
    assert "be computed" in text
    assert sentence in text
    assert html.unescape(html.unescape(shown)).count("be computed") == 1  # shown once, in place of the picture
    assert "<svg role" not in shown


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("implicit_l1", {"log10_alpha": 1.3, "log_gamma": -8, "corrupted": 3, "rank": "0"}),  # theta_star = 0
        ("refinery", {"rho": 0.0, "eps": 0.3, "alpha": 0.9, "positive": "cluster", "steps": 10}),
        ("label_noise", {"rate": 0.0, "epochs": 1}),
    ],
)
def test_what_is_not_there_is_not_told_as_nan(name, parameters):
    _, names = run(name, **parameters)
    told = names["tell"](names["found"], *([1] if name == "label_noise" else []))
    assert "nan" not in told
    if name == "label_noise":  # what training warned of is told, word for word
        assert "it switches on after epoch 4 instead, not within this run" in told


# ---- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def served(request, tmp_path):
    """The notebook ``request.param`` at an address of this machine, as ``make demo`` serves it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path / "marimo.log").open("w+")
    command = [
        sys.executable,
        "-m",
        "marimo",
        "run",
        str(DEMOS / f"{request.param}.py"),
        "--headless",
        "--no-token",
        "--no-sandbox",
        "--host",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=DEMOS.parent)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (tmp_path / "marimo.log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


SLIDERS = {
    "implicit_l1": 0.9,
    "learning_rates": 0.9,
    "phase_transition": 0.9,
    "label_noise": 0.1,
    "refinery": 0.1,
    "image_recovery": 0.1,
}
BUTTONS = {"label_noise": "Train", "image_recovery": "Fit"}  # what takes seconds waits for a button


@pytest.mark.browser
@pytest.mark.parametrize("served", SLIDERS, indirect=True)
def test_a_dragged_slider_redraws_the_picture(served, page, request):
    page.goto(served)
    picture = page.locator("svg[role=img]").last
    picture.wait_for(timeout=180_000)
    before = picture.inner_html()
    handle = page.get_by_role("slider").first
    knob, track = handle.bounding_box(), handle.locator("xpath=ancestor::*[@dir]").bounding_box()
    middle, target = (
        knob["y"] + knob["height"] / 2,
        track["x"] + SLIDERS[request.node.callspec.params["served"]] * track["width"],
    )
    page.mouse.move(knob["x"] + knob["width"] / 2, middle)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(knob["x"] + (target - knob["x"]) * step / 5, middle)
    button = BUTTONS.get(request.node.callspec.params["served"])
    if button is None:
        page.wait_for_function(
            "before => [...document.querySelectorAll('svg[role=img]')].at(-1)?.innerHTML !== before",
            arg=before,
            timeout=180_000,
        )
        page.mouse.up()  # it followed the hand before the hand let go
    else:
        page.mouse.up()
        page.get_by_role("button", name=button).click()
        page.wait_for_function(
            "before => [...document.querySelectorAll('svg[role=img]')].at(-1)?.innerHTML !== before",
            arg=before,
            timeout=180_000,
        )
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.get_by_text("Try this").first.is_visible()
    for trouble in ("Traceback", "An internal error", "be computed"):
        assert page.get_by_text(trouble).count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("served", ["implicit_l1"], indirect=True)
def test_a_bad_number_typed_into_a_field_gets_a_sentence_and_a_good_one_the_picture(served, page):
    page.goto(served)
    picture = page.locator("svg[role=img]").last
    picture.wait_for(timeout=180_000)
    page.get_by_text("Another instance").click()
    rank = page.get_by_role("textbox").nth(2)
    rank.fill("50")
    rank.press("Enter")
    page.get_by_text("rank must be >= 0 and <= 20 = the smaller of observations and parameters, got 50.").wait_for(
        timeout=60_000
    )
    assert picture.count() == 0
    assert page.get_by_text("Traceback").count() == 0
    rank.fill("2")
    rank.press("Enter")
    picture.wait_for(timeout=60_000)
    assert page.get_by_text("be computed").count() == 0
