"""One method on one image: g and h against loops, baselines without any g and h, states that go on to the last bit."""

import copy
import math
import sys

import numpy as np
import pytest
import torch

from sparseop.deep.image_prior import networks, recipe
from sparseop.deep.image_prior.corruption import corrupt, psnr
from sparseop.deep.image_prior.fit import Fit
from sparseop.deep.image_prior.images import load_image
from sparseop.deep.image_prior.ratio import estimated_level, matching, ratio_for
from sparseop.deep.image_prior.sparse import SparsePart
from sparseop.errors import InputError
from tests.deep.fake_cuda import CUDA, fake_cuda

TINY = ["network.width=4", "network.scales=2", "network.depth=4", "sparse.ratio=300", "sparse.gamma=0.01"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def made(*changes):
    return recipe.parse("", name="x", overrides=[*TINY, *changes])


def smooth(side=16, channels=3):
    axis = torch.linspace(0.2, 0.8, side)
    return torch.stack([axis[:, None] * axis[None] + 0.1 * c for c in range(channels)])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("start", ["constant", "normal"])
def test_g_and_h_match_a_loop_over_entries(momentum, start):
    y = corrupt(smooth(8), 0.4, seed=1)
    chosen = made(
        f"training.momentum={momentum}",
        f"sparse.start={start}",
        "network.scales=1",
        "sparse.ratio=40",
        "sparse.gamma=0.1",
    )
    fit = Fit(y, "double", chosen)
    state = fit.sparse.state_dict()
    g, h = (state[name].double().numpy().ravel().copy() for name in ("g", "h"))
    move_g, move_h = np.zeros_like(g), np.zeros_like(h)
    count, rate, target = y.numel(), 40 * chosen.training.lr, y.double().numpy().ravel()
    for _ in range(12):
        f = fit.output().double().numpy().ravel()
        for i in range(count):
            r = f[i] + g[i] * g[i] - h[i] * h[i] - target[i]
            move_g[i] = momentum * move_g[i] + 2 * r * 2 * g[i] / count
            move_h[i] = momentum * move_h[i] - 2 * r * 2 * h[i] / count
            g[i] -= rate * move_g[i]
            h[i] -= rate * move_h[i]
        fit.step()
    state = fit.sparse.state_dict()
    assert np.abs(g).max() > 0.1  # something has moved
    np.testing.assert_allclose(state["g"].numpy().ravel(), g, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(state["h"].numpy().ravel(), h, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(fit.corruption().numpy().ravel(), g * g - h * h, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("method", ["squared", "absolute"])
def test_the_baselines_have_no_g_and_h_at_all(method):
    fit = Fit(smooth(), method, made())
    assert fit.sparse is None
    assert fit.corruption() is None
    assert len(fit.optimiser.param_groups) == 1
    names = {id(p) for p in fit.network.parameters()}
    assert {id(p) for p in fit.optimiser.param_groups[0]["params"]} == names


@pytest.mark.parametrize(
    ("method", "loss"),
    [
        ("squared", lambda f, _, y: (f - y).square().mean()),
        ("absolute", lambda f, _, y: (f - y).abs().mean()),
        ("double", lambda f, s, y: (f + s - y).square().mean()),
    ],
)
def test_losses(method, loss):
    y = corrupt(smooth(), 0.3)
    fit = Fit(y, method, made())
    for _ in range(3):
        expected = float(loss(fit.output(), fit.corruption() if method == "double" else 0, y))
        fit.step()
        assert fit.loss == pytest.approx(expected, rel=1e-5)


def test_all_methods_start_from_the_same_network():
    fits = [Fit(smooth(), method, made()) for method in recipe.METHODS]
    assert torch.equal(fits[0].output(), fits[1].output())
    assert torch.equal(fits[0].output(), fits[2].output())
    assert not torch.equal(fits[0].output(), Fit(smooth(), "squared", made("seed=1")).output())


@pytest.mark.skipif(sys.platform != "linux", reason="reaches into Linux's libraries")
@pytest.mark.parametrize("method", recipe.METHODS)
def test_a_step_waits_for_no_device(method, monkeypatch):
    with fake_cuda(monkeypatch) as stream:
        fit = Fit(smooth(), method, made("training.input_noise=0.03", "training.holdout=0.1"), CUDA)
        fit.step()
        stream.watching = True
        fit.step()
        fit.step()
    assert stream.seen > 100
    assert [fault for fault in stream.faults if "deterministic" not in fault] == []  # no run asks for that here


@pytest.mark.parametrize("method", ["absolute", "double"])
def test_a_state_goes_on_to_the_last_bit(method):
    changes = made("training.input_noise=0.03", "sparse.start=normal")
    y = corrupt(smooth(), 0.3)
    whole, first, second = (Fit(y, method, changes) for _ in range(3))
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(3):
        second.step()
    assert second.iteration == whole.iteration == 6
    assert torch.equal(second.output(), whole.output())
    if method == "double":
        assert torch.equal(second.corruption(), whole.corruption())


def test_held_out_entries_have_no_influence_and_their_error_is_the_true_one_but_for_a_constant():
    clean, rate = smooth(32), 0.3
    y = corrupt(clean, rate, seed=5)
    fit = Fit(y, "double", made("training.holdout=0.2"))
    hidden = fit.seen[0] == 0
    assert 0.1 < hidden.float().mean() < 0.3
    other = Fit(torch.where(hidden, 0.5, y), "double", made("training.holdout=0.2"))
    for _ in range(5):
        fit.step()
        other.step()
    assert torch.equal(fit.output(), other.output())
    assert fit.corruption()[hidden].abs().max() == 0
    # many draws of the corruption: mean |f - y| = (1 - p) mean |f - x| + p / 2
    f = fit.output()
    draws = [fit_error(f, corrupt(clean, rate, seed=s), hidden) for s in range(200)]
    assert np.mean(draws) == pytest.approx(
        (1 - rate) * fit_error(f, clean, hidden) + rate / 2, abs=4 * np.std(draws) / math.sqrt(200)
    )
    assert math.isnan(Fit(y, "squared", made()).held_out_error(f))


def fit_error(f, y, hidden):
    return float((f - y)[hidden].abs().mean())


def test_a_normal_start_is_as_if_gamma_were_smaller():
    part = SparsePart((200, 500), gamma=1e-5, start="normal")
    mean = math.exp(float(part.g.detach().abs().log().mean()))
    assert mean == pytest.approx(0.53e-5, rel=0.02)
    assert SparsePart((2, 2), gamma=1e-5)().abs().max() == 0


@pytest.mark.parametrize("name", networks.NAMES)
@pytest.mark.parametrize("size", [(32, 32), (35, 47), (64, 33)])
def test_networks_make_images_of_any_size(name, size):
    network = networks.build(name, 3, size, width=4, scales=3)
    image = network(torch.rand(network.noise_shape))
    assert image.shape == (1, 3, *size)
    assert 0 <= image.min() <= image.max() <= 1


def test_the_released_network():
    """The hourglass of the released code at its defaults: 128 wide, five scales."""
    network = networks.build("skip", 3, (64, 64), width=128, scales=5, depth=32, skip=4)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 5 * 5 + 1
    assert {m.stride for m in convolutions} == {(1, 1), (2, 2)}
    assert all(m.padding_mode == "reflect" for m in convolutions if m.kernel_size == (3, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: networks.build("skip", 3, (20, 40), scales=4), "needs an image of at least 32 pixels, got 20 x 40"),
        (lambda: networks.build("skip", 3, (64, 64), width=0), "network.width must be >= 1, got 0."),
        (lambda: networks.build("decoder", 3, (64, 64), scales=99), "network.scales must be >= 1 and <= 14, got 99."),
        (lambda: networks.build("decoder", 3, (64, 64), extra=101), "network.extra must be >= 0 and <= 100, got 101."),
        (lambda: networks.build("skip", 3, (64, 64), width=10**8), "network 'skip' with width = 100000000 would take"),
        (lambda: networks.build("skipp", 3, (64, 64)), "Did you mean 'skip'?"),
        (lambda: Fit(smooth(), "doubel", made()), "Did you mean 'double'?"),
        (lambda: Fit(smooth(), "double", made("sparse.ratio=auto")), "sparse.ratio must be a number here, got 'auto'"),
        (lambda: SparsePart((2, 2), gamma=1.0), "gamma must lie in [1e-30, 1), got 1.0."),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.slow
def test_no_drift_after_the_plateau_in_the_default_where_the_losses_without_s_fall():
    """The default, but twice as long.

    The last PSNR is within 0.3 dB of the best, and the absolute loss has lost 8 dB.
    """
    pytest.importorskip("sklearn")
    default = recipe.read("image-recovery")
    clean = load_image(default.image, default.size)
    y = corrupt(clean, default.noise, seed=default.seed)
    chosen = recipe.read("image-recovery", [f"sparse.ratio={ratio_for(estimated_level(y), default.sparse.gamma)}"])
    curves = {}
    for method in recipe.METHODS:
        fit, curve = Fit(y, method, chosen), []
        for iteration in range(2 * default.training.iterations if method == "double" else default.training.iterations):
            if iteration % 20 == 0:
                curve.append(psnr(fit.output(), clean))
            fit.step()
        curves[method] = np.array(curve)
    double = curves["double"]
    plateau = double[len(double) // 2 :]
    assert double[-1] > 25
    assert double.max() - double[-1] < 0.3
    assert plateau.max() - plateau.min() < 0.3
    assert curves["absolute"].max() - curves["absolute"][-1] > 8
    assert curves["squared"].max() - curves["squared"][-1] > 5
    assert double[-1] > max(curve[-1] for name, curve in curves.items() if name != "double") + 8


@pytest.mark.slow
def test_matched_pairs_end_alike_and_unmatched_ones_do_not():
    pytest.importorskip("sklearn")
    clean = load_image("flower", 48)
    y = corrupt(clean, 0.3, seed=0)
    ends = {}
    for gamma, lam in ((1e-2, 0.035), (1e-7, 0.035), (1e-7, 0.35)):
        chosen = recipe.parse(
            "",
            name="x",
            overrides=[
                "network.width=24",
                "network.scales=3",
                f"sparse.gamma={gamma}",
                f"sparse.ratio={matching(lam, gamma)}",
            ],
        )
        fit = Fit(y, "double", chosen)
        for _ in range(400):
            fit.step()
        ends[gamma, lam] = psnr(fit.output(), clean)
    assert abs(ends[1e-2, 0.035] - ends[1e-7, 0.035]) < 1.5
    assert ends[1e-7, 0.35] < min(ends[1e-2, 0.035], ends[1e-7, 0.035]) - 5
