"""SOP by rows: its flow against small steps, its bias against the certified row-group program, its growth law."""

import math

import numpy as np
import pytest
import torch

from sparseop.deep.labels.methods import Setting, SOPRows, sop_rows
from sparseop.errors import InputError
from sparseop.linear import solve_groups

N, K, B = 24, 5, 8


def test_a_step_is_the_flow_of_a_and_b_in_small_steps():
    """a, b moved by ten thousand small gradient steps on |h + a^2 b - y|^2, b's direction fixed within the step."""
    draw = torch.Generator().manual_seed(0)
    A = torch.tensor([1e-9, 1e-4, 0.3, 0.9, 0.5, 0.2], dtype=torch.float64)
    r = torch.randn(6, K, generator=draw, dtype=torch.float64)
    gap = torch.randn(6, K, generator=draw, dtype=torch.float64)
    gap[4] = 0  # the network agrees: A decays
    gap[5] = r[5].flip(0) - r[5].flip(0) @ r[5] / (r[5] @ r[5]) * r[5]
    time = 0.4
    found, moved = sop_rows.flow(A, r, gap, time, floor=0.0)
    wanted = r + time * (gap - sop_rows.corruption(A, r))
    torch.testing.assert_close(moved, wanted)
    b = math.sqrt(2) * wanted / wanted.norm(dim=1, keepdim=True)
    a, steps = A.sqrt(), 10_000
    for _ in range(steps):
        rho = gap - a.square()[:, None] * b
        a = a + time / steps * 4 * a * (rho * b).sum(1)
    torch.testing.assert_close(found, a.square(), rtol=2e-3, atol=0)
    assert found[4] < A[4]


def test_its_bias_is_the_row_group_program():
    """On a linear model, from a small start, theta and s end as the certified program's at the theory's lam."""
    draw = np.random.default_rng(0)
    n, p = 40, 6
    J = draw.standard_normal((n, p)) / math.sqrt(p)
    Y = J @ draw.standard_normal((p, 3))
    Y[:8] += 3 * draw.standard_normal((8, 3))
    start, time = 1e-40, 2e-3
    lam = math.log(1 / start) / (8 * math.sqrt(2))
    program = solve_groups(J, Y, lam)
    torch_J, torch_Y = torch.from_numpy(J), torch.from_numpy(Y)
    A, r = torch.full((n,), start, dtype=torch.float64), torch.zeros(n, 3, dtype=torch.float64)
    for _ in range(20_000):
        gap = torch_Y - torch_J @ (torch_J.T @ r)  # theta = J^T r
        A, r = sop_rows.flow(A, r, gap, time, floor=start)
    S = sop_rows.corruption(A, r).numpy()
    assert program.zero.sum() >= n - 12
    assert np.abs(S - program.S).max() < 0.02 * np.abs(program.S).max()
    assert np.linalg.norm(J.T @ r.numpy() - program.Theta) < 0.02 * np.linalg.norm(program.Theta)
    assert (np.linalg.norm(S, axis=1)[program.zero] < 1e-3).all()


@pytest.mark.parametrize(("epochs", "on", "batch"), [(60, 0.2, 64), (100, 0.5, 8), (30, 0.3, 5)])
def test_the_automatic_rate_switches_a_contradicted_label_on_when_it_says(epochs, on, batch):
    """A network that always says class 1 to label 0; and a closed form, not a search."""
    setting = Setting(batch, K, batch, (0.1,) * epochs)
    options = SOPRows.resolve({"on": on}, setting)
    loss = SOPRows(batch, K, **options).train()
    index, labels = torch.arange(batch), torch.zeros(batch, dtype=torch.long)
    logits = torch.zeros(batch, K).index_fill_(1, torch.tensor([1]), 9.0).requires_grad_()
    seen = []
    for _ in range(epochs):
        loss(logits, labels, index)
        seen.append(float(loss.A[0]))
    assert sum(A < 0.5 - 1e-3 for A in seen) == pytest.approx(on * epochs - 1, abs=1)
    before = np.array(seen[: int(on * epochs) - 1])
    growth = np.log(before / (1 - before))
    np.testing.assert_allclose(np.diff(growth), 16 * options["lr"] / batch, rtol=1e-3)
    assert (loss.suspicion(labels) > 0.99).all()
    assert (loss.proposed(labels) == 1).all()
    assert loss.measures(labels)["rows_on"] == 1


def test_short_schedules_switch_on_no_earlier_than_the_floor():
    """Of ten epochs a fifth would be two."""
    setting = Setting(B, K, B, (0.1,) * 10)
    with pytest.warns(UserWarning, match="on = 0.2 of 10 epochs would switch"):
        floored = SOPRows.resolve({}, setting)["lr"]
    assert floored == pytest.approx(B * math.log(1e16) / (16 * sop_rows.FIRST), rel=1e-9)


def test_a_corrected_label_gives_the_network_no_gradient_and_an_agreed_one_keeps_its_own():
    """At A = 1, s = e_given - e_other; the loss is that of SOP's phi(p + s)."""
    loss = SOPRows(2, K, lr=1.0).eval()
    loss.A[:] = torch.tensor([1.0, 1e-16])
    loss.r[0] = torch.tensor([1.0, -1.0, 0, 0, 0])
    logits = torch.tensor([[0.0, 8, 0, 0, 0], [8.0, 0, 0, 0, 0]], requires_grad=True)
    value = loss(logits, torch.tensor([0, 0]), torch.tensor([0, 1]))
    value.backward()
    assert value.item() < 1e-2
    assert logits.grad.abs().max() < 1e-2
    assert torch.equal(loss.A, torch.tensor([1.0, 1e-16]))  # evaluation moves nothing


def test_bad_options_are_told():
    """Numbers out of range, "auto" where no schedule is known."""
    for options, message in [
        ({"lr": "auto"}, "lr must be a number here"),
        ({"lr": -1.0}, "lr must be"),
        ({"lr": 1.0, "init": 0.6}, "init must lie"),
        ({"lr": 1.0, "on": 1.0}, "on must lie"),
        ({"lr": 1.0, "prediction": "sure"}, "prediction must be one of"),
    ]:
        with pytest.raises(InputError, match=message):
            SOPRows(N, K, **options)
    with pytest.raises(InputError, match="lr must be one of 'auto'"):
        SOPRows.resolve({"lr": "fast"}, Setting(B, K, B, (0.1,) * 30))
