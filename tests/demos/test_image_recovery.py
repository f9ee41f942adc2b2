"""The lesson on image recovery: the noise moves into s, a wrong learning rate leaves it in the image or takes the photograph too."""

import html
import importlib

import numpy as np
import pytest

pytest.importorskip("marimo")
pytest.importorskip("sklearn")


def run(**parameters):
    """Run the notebook with these parameters; return (everything shown as text, its variables)."""
    outputs, names = importlib.import_module("demos.image_recovery").app.run(defs={"parameters": parameters})
    return "\n".join(output.text for output in outputs if hasattr(output, "text")), names


@pytest.mark.slow
def test_the_noise_moves_into_s_and_the_ratio_decides():
    shown, names = run(noise=0.3, log2_ratio=0.0)
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


@pytest.mark.parametrize(("parameters", "sentence"), [
    ({"noise": 0.0, "log2_ratio": 0}, "noise must lie in (0, 0.9], got 0.0."),
    ({"noise": 0.3, "log2_ratio": 9}, "log2 ratio must lie in [-6, 6], got 9."),
    ({"noise": 0.3, "log2_ratio": 0, "image": "nowhere.png"}, "the image 'nowhere.png' is not there"),
    ({"noise": 0.3, "log2_ratio": 0, "seed": "one"}, "seed must be a whole number"),
])
def test_bad_parameters_end_in_a_friendly_sentence(parameters, sentence):
    _, names = run(**parameters)
    assert names["found"] is None
    assert sentence in html.unescape(html.unescape(names["trouble"].text))
