"""Orthogonal steps against singular value decompositions, plain ones against torch's SGD, and a whole run with both."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sparseop.deep import networks
from sparseop.deep.training import optimisers
from sparseop.deep.training.optimisers import QUINTIC, OrthogonalSGD, orthogonalise
from sparseop.errors import InputError


def polynomial(s):
    a, b, c = QUINTIC
    return a * s + b * s**3 + c * s**5


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (5, 5), (1, 9)])
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_newton_schulz_moves_singular_values_and_nothing_else(shape, steps):
    """U S V^T becomes U p(...p(S / |S|)) V^T."""
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u, s, vh = np.linalg.svd(matrix.numpy(), full_matrices=False)
    s = s / np.linalg.norm(s)
    for _ in range(steps):
        s = polynomial(s)
    np.testing.assert_allclose(orthogonalise(matrix, steps).numpy(), (u * s) @ vh, atol=1e-12)


def test_enough_steps_make_every_direction_count():
    s = np.geomspace(0.01, 1, 200)
    for _ in range(5):
        s = polynomial(s)
    assert s.min() > 0.65
    assert s.max() < 1.21
    assert torch.equal(orthogonalise(torch.zeros(3, 4)), torch.zeros(3, 4))
    with pytest.raises(InputError, match="steps"):
        orthogonalise(torch.zeros(3, 4), 0)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_step_by_singular_value_decomposition(nesterov):
    """Three steps of a filter bank, written with numpy."""
    torch.manual_seed(0)
    bank = nn.Parameter(torch.randn(4, 3, 3, 3, dtype=torch.float64))
    w, buffer = bank.detach().numpy().reshape(4, -1).copy(), 0.0
    optimiser = OrthogonalSGD(
        [{"params": [bank], "orthogonal": True}], lr=0.2, momentum=0.6, nesterov=nesterov, weight_decay=0.0
    )
    for _ in range(3):
        gradient = torch.randn(4, 3, 3, 3, dtype=torch.float64)
        bank.grad = gradient.clone()
        optimiser.step()
        g = gradient.numpy().reshape(4, -1)
        buffer = 0.6 * buffer + g
        u, s, vh = np.linalg.svd(g + 0.6 * buffer if nesterov else buffer, full_matrices=False)
        s = s / np.linalg.norm(s)
        for _ in range(3):
            s = polynomial(s)
        w = w * 2 / np.linalg.norm(w) - 0.2 * (u * s) @ vh
        np.testing.assert_allclose(bank.detach().numpy().reshape(4, -1), w, atol=1e-12)


def test_other_parameters_take_plain_steps():
    torch.manual_seed(0)
    mine = nn.Linear(3, 2)
    theirs = copy.deepcopy(mine)
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    filters = nn.Parameter(torch.randn(2, 2, 3, 3))
    a = OrthogonalSGD([{"params": mine.parameters()}, {"params": [filters], "orthogonal": True}], **options)
    b = torch.optim.SGD(theirs.parameters(), **options)
    for _ in range(3):
        x = torch.randn(4, 3)
        for network, optimiser in ((mine, a), (theirs, b)):
            optimiser.zero_grad()
            network(x).square().sum().backward()
            optimiser.step()
    assert torch.equal(mine.weight, theirs.weight)
    with pytest.raises(InputError, match="two and more dimensions"):
        OrthogonalSGD([{"params": [nn.Parameter(torch.zeros(3))], "orthogonal": True}], lr=0.1)


def training(**changes):
    values = {"optimiser": "orthogonal", "lr": 0.1, "lr_bias": 4.0, "lr_head": 0.01, "momentum": 0.8}
    return SimpleNamespace(**{**values, "nesterov": True, "weight_decay": 1e-3, **changes})


def test_each_kind_of_parameter_has_its_rate_and_decay():
    network = networks.build("fastnet", 10, width=2)
    optimiser = optimisers.build(training(), network, torch.device("cpu"))
    optimisers.set_rate(optimiser, 0.05)
    found = {}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            found.setdefault(parameter.ndim, set()).add((group["lr"], group["orthogonal"], group["weight_decay"]))
    # a plain step takes lr * decay of a parameter: half of weight_decay at half the rate
    assert found == {4: {(0.05, True, 0.0)}, 2: {(0.005, False, 0.1)}, 1: {(2.0, False, 2.5e-4)}}
    count = sum(len(group["params"]) for group in optimiser.param_groups)
    assert count == sum(parameter.requires_grad for parameter in network.parameters())


def test_sgd_is_torchs():
    network = nn.Linear(2, 2)
    optimiser = optimisers.build(training(optimiser="sgd"), network, torch.device("cpu"))
    assert type(optimiser) is torch.optim.SGD
    assert [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups] == [(0.1, 1e-3)]
