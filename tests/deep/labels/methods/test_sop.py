"""SOP and SOP+ against the released loss written densely, with autograd and SGD doing all the work."""

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, normalize, one_hot, softmax
from torch.utils._python_dispatch import TorchDispatchMode

from sparseop.deep.labels.methods import SOP, Setting, SOPPlus, sop
from sparseop.deep.labels.methods.sop import slope_of_u, slope_of_v, switch_on_epoch, switch_on_rate
from sparseop.errors import InputError

N, K, B, EPS = 24, 5, 8, 1e-4


class Reference(torch.nn.Module):
    """The released loss (2022-09): dense parameters, one backward pass for all; the options are the documented ones."""

    def __init__(self, u, v, *, lr_u, lr_v, u_loss="ce+mse", project=False, hard=True, lambda_C=0.0, lambda_B=0.0):
        super().__init__()
        self.u, self.v = torch.nn.Parameter(u.clone()[:, None]), torch.nn.Parameter(v.clone())
        self.optimiser = torch.optim.SGD([{"params": [self.u], "lr": lr_u}, {"params": [self.v], "lr": lr_v}])
        self.u_loss, self.project, self.hard, self.lambda_C, self.lambda_B = u_loss, project, hard, lambda_C, lambda_B

    def forward(self, logits, labels, index):
        output = logits[0] if logits.ndim == 3 else logits
        y = one_hot(labels, K).float()
        U = torch.clamp(self.u[index] ** 2 * y, 0, 1)
        V = torch.clamp(self.v[index] ** 2 * (1 - y), 0, 1)
        q = torch.clamp(softmax(output, 1) + U - V.detach(), min=EPS)
        q = torch.clamp(normalize(q, p=1, eps=EPS), min=EPS, max=1.0)
        p = softmax(output, 1).detach()
        h = one_hot(p.argmax(1), K).float() if self.hard else p
        U_mse = U if self.u_loss == "ce+mse" else U.detach()
        mse = ((h + U_mse - V - y) ** 2).sum() / len(labels)
        theta_loss = (-(y * q.log()).sum(1)).mean()
        if self.lambda_B:
            mean = torch.clamp(q.mean(0), min=EPS, max=1.0)
            theta_loss = theta_loss + self.lambda_B * -(mean.log() / K).sum()
        if logits.ndim == 3:
            kl = kl_div(log_softmax(logits[1], 1), softmax(logits[0], 1).detach(), reduction="none").sum(1)
            theta_loss = theta_loss + self.lambda_C * kl.mean()
        return theta_loss, theta_loss + mse

    def step(self):
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.project:
            with torch.no_grad():
                self.u.clamp_(-1, 1)
                self.v.clamp_(-1, 1)


def compare(method, reference, *, views=1, steps=30):
    """Feed both the same drifting logits; the loss, its gradient by the logits, u and v must agree all along."""
    generator = torch.Generator().manual_seed(0)
    method.train()
    drift = torch.randn(views, N, K, generator=generator)
    for _ in range(steps):
        index = torch.randperm(N, generator=generator)[:B]
        labels = (index * 7) % K
        logits = 3 * drift[:, index] + torch.randn(views, B, K, generator=generator)
        logits = (logits if views > 1 else logits[0]).requires_grad_()
        loss = method(logits, labels, index)
        (gradient,) = torch.autograd.grad(loss, logits)
        wanted, everything = reference(logits, labels, index)
        (wanted_gradient,) = torch.autograd.grad(wanted, logits, retain_graph=True)
        everything.backward()
        reference.step()
        torch.testing.assert_close(loss, wanted)
        torch.testing.assert_close(gradient, wanted_gradient, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(method.variables.u, reference.u[:, 0].detach(), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(method.variables.v, reference.v.detach(), atol=1e-6, rtol=1e-5)
        # rounding errors grow as u and v do: start each step from the same point
        method.variables.u.copy_(reference.u[:, 0].detach())
        method.variables.v.copy_(reference.v.detach())
    assert method.variables.v.abs().max() > 0.5  # the test reached the interesting range


@pytest.mark.parametrize("u_loss", ["ce", "ce+mse"])
@pytest.mark.parametrize("constraint", ["clamp", "project"])
@pytest.mark.parametrize("prediction", ["hard", "soft"])
def test_sop_is_the_released_loss(u_loss, constraint, prediction):
    method = SOP(N, K, lr_u=6.0, lr_v=20.0, init_std=1e-2, u_loss=u_loss, constraint=constraint, prediction=prediction)
    reference = Reference(
        method.variables.u,
        method.variables.v,
        lr_u=6.0,
        lr_v=20.0,
        u_loss=u_loss,
        project=constraint == "project",
        hard=prediction == "hard",
    )
    compare(method, reference)


def test_sop_plus_is_the_released_loss():
    """Also that u descends the balance term, which the released code takes on phi(p + s)."""
    method = SOPPlus(N, K, lr_u=6.0, lr_v=20.0, init_std=1e-2, lambda_C=0.9, lambda_B=0.5)
    reference = Reference(method.variables.u, method.variables.v, lr_u=6.0, lr_v=20.0, lambda_C=0.9, lambda_B=0.5)
    compare(method, reference, views=2)


def test_sop_plus_balance_of_the_paper_is_on_the_network():
    method = SOPPlus(N, K, lambda_C=0.0, lambda_B=0.7, balance="network").eval()
    logits, labels, index = torch.randn(B, K), torch.arange(B) % K, torch.arange(B)
    assert method.views == ()  # lambda_C = 0: one view
    plain = SOP(N, K).eval()
    wanted = plain(logits, labels, index) - 0.7 * logits.softmax(1).mean(0).log().mean()
    torch.testing.assert_close(method(logits, labels, index), wanted)


def test_algorithm_1_to_the_letter():
    """Lines 10 to 13: after the epoch, one step a sample with its own gradient and alpha tau, projected on [-1, 1]."""
    alpha_u, alpha_v, tau = 30.0, 40.0, 0.05
    method = SOP(N, K, lr_u=alpha_u, lr_v=alpha_v, init_std=0.1, u_loss="ce", constraint="project", update="epoch")
    assert method.needs_pass
    u, v = method.variables.u.clone(), method.variables.v.clone()
    logits, labels, index = 2 * torch.randn(N, K), torch.arange(N) % K, torch.arange(N)
    method.train()
    method(logits, labels, index)
    assert torch.equal(method.variables.u, u)  # nothing moves within the epoch
    method.visit(logits, labels, index, tau)
    for i in range(N):
        u_i, v_i = u[i].clone().requires_grad_(), v[i].clone().requires_grad_()
        y = one_hot(labels[i], K).float()
        s = u_i**2 * y - v_i**2 * (1 - y)
        w = torch.clamp(logits[i].softmax(0) + s, min=EPS)
        ce = -(y * torch.log(torch.clamp(w / w.sum(), min=EPS))).sum()
        h = one_hot(logits[i].argmax(), K).float()
        (g_u,) = torch.autograd.grad(ce, u_i)
        (g_v,) = torch.autograd.grad(((h + u_i.detach() ** 2 * y - v_i**2 * (1 - y) - y) ** 2).sum(), v_i)
        torch.testing.assert_close(method.variables.u[i], (u[i] - alpha_u * tau * g_u).clamp(-1, 1))
        torch.testing.assert_close(method.variables.v[i], (v[i] - alpha_v * tau * g_v).clamp(-1, 1))


def test_nothing_moves_in_evaluation_mode():
    method = SOP(N, K).eval()
    before = method.variables.v.clone()
    method(torch.randn(B, K), torch.arange(B) % K, torch.arange(B))
    assert torch.equal(method.variables.v, before)


def test_with_u_and_v_off_it_is_cross_entropy():
    method = SOP(N, K).eval()
    logits, labels = torch.randn(B, K), torch.arange(B) % K
    torch.testing.assert_close(method(logits, labels, torch.arange(B)), cross_entropy(logits, labels))


def test_state_stays_float32_under_autocast():
    method = SOP(N, K).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = method(torch.randn(B, K, dtype=torch.bfloat16), torch.arange(B) % K, torch.arange(B))
    assert loss.dtype == method.variables.u.dtype == torch.float32


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes, beside those of ``known`` storages."""

    def __init__(self, *known):
        super().__init__()
        self.known, self.numel = {tensor.untyped_storage().data_ptr() for tensor in known}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in self.known:
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize("n_samples", [100, 1_000_000])
def test_a_step_touches_only_its_rows(n_samples):
    """No operation of loss, gradient and update makes a tensor larger than B x K, whatever the number of samples."""
    method = SOP(n_samples, K).train()
    logits = torch.randn(B, K, requires_grad=True)
    with Largest(method.variables.u, method.variables.v) as largest:
        method(logits, torch.arange(B) % K, torch.arange(B)).backward()
    assert B <= largest.numel <= B * K


def test_suspicion_and_proposal():
    method = SOP(3, 4)
    method.variables.u.copy_(torch.tensor([0.1, 0.9, 1.5]))
    method.variables.v.zero_()
    method.variables.v[0, 2] = 0.9
    labels = torch.tensor([1, 1, 1])
    torch.testing.assert_close(method.suspicion(labels), torch.tensor([(0.01 + 2 * 0.81) / 3, 0.27, 1 / 3]))
    assert method.proposed(labels).tolist() == [2, 1, 1]
    method.variables.v[1, 1] = 5.0  # the given label's own entry never counts
    assert method.proposed(labels).tolist() == [2, 1, 1]
    torch.testing.assert_close(method.measures(labels)["v_on"], torch.tensor(1 / 3))


# ---- learning rates from the growth law ------------------------------------------------------------------------------


def setting(batch_size, epochs, *, n_classes=10, rate=0.02):
    return Setting(n_samples=N, n_classes=n_classes, batch_size=batch_size, rates=(rate,) * epochs)


def first_epoch_on(method, p_y, epochs, *, tau=0.02):
    """Simulate one sample seen once an epoch by a network that gives its label p_y and predicts class 1.

    (epoch of u, of v).
    """
    K = method.variables.v.shape[1]
    p = torch.full((1, K), (1 - p_y) * 0.1 / (K - 2))
    p[0, 0], p[0, 1] = p_y, (1 - p_y) * 0.9
    logits, label, index = p.log(), torch.tensor([0]), torch.tensor([0])
    method.variables.u.fill_(method_std)
    method.variables.v.fill_(method_std)
    method.train()
    on = [None, None]
    for epoch in range(epochs):
        if method.needs_pass:
            method.visit(logits, label, index, tau)
        else:
            # as in a batch of B samples: the gradient of the mean
            u, v = method.variables.rows(index)
            method._move(p, u, v, label, index, 1 / batch)
        for k, value in enumerate((method.variables.u[0] ** 2, method.variables.v[0, 1] ** 2)):
            if on[k] is None and value > 0.5:
                on[k] = epoch + 1
    return on


method_std, batch = 1e-8, 128


@pytest.mark.parametrize(("epochs", "n_classes", "size"), [(60, 10, 64), (120, 10, 128), (300, 100, 256)])
@pytest.mark.parametrize("u_loss", ["ce", "ce+mse"])
def test_auto_rates_switch_on_when_they_should(monkeypatch, epochs, n_classes, size, u_loss):
    """For a network that holds p_y = 1/K, u switches on at 0.2 T and v at 0.5 T, whatever B, T and K."""
    monkeypatch.setitem(globals(), "batch", size)
    options = {
        "lr_u": "auto",
        "lr_v": "auto",
        "u_on": 0.2,
        "v_on": 0.5,
        "init_std": 1e-8,
        "update": "batch",
        "u_loss": u_loss,
    }
    resolved = SOP.resolve(options, setting(size, epochs, n_classes=n_classes))
    method = SOP(1, n_classes, **resolved)
    u_on, v_on = first_epoch_on(method, 1 / n_classes, epochs)
    assert u_on == pytest.approx(0.2 * epochs, abs=0.03 * epochs + 1)
    assert v_on == pytest.approx(0.5 * epochs, abs=0.03 * epochs + 1)


def test_auto_rates_of_a_short_run_wait_for_the_network():
    """The switch-on epochs of 4 epochs are those of the floor, and say so; from 20 epochs on nothing changes."""
    with pytest.warns(UserWarning, match=r"_on = 0\.[25] of 4 epochs would switch") as told:
        options = SOP.resolve({"lr_u": "auto", "lr_v": "auto"}, setting(64, 4))
    assert ["not within this run" in str(warning.message) for warning in told] == [False, True]
    for name, slope in (("u", slope_of_u(10, u_mse=True)), ("v", slope_of_v)):
        found = switch_on_epoch([options[f"lr_{name}"] / 64] * 20, slope, 1e-8)
        assert found == pytest.approx(sop.FIRST[name], abs=1e-6)
    whole = SOP.resolve({"lr_u": "auto", "lr_v": "auto"}, setting(64, 20))
    assert whole["lr_u"] == switch_on_rate(setting(64, 20), slope_of_u(10, u_mse=True), on=0.2, std=1e-8)


def test_auto_rates_of_algorithm_1(monkeypatch):
    options = {
        "lr_u": "auto",
        "lr_v": "auto",
        "u_on": 0.25,
        "v_on": 0.5,
        "init_std": 1e-8,
        "update": "epoch",
        "u_loss": "ce",
        "constraint": "project",
    }
    method = SOP(1, 10, **SOP.resolve(options, setting(128, 80)))
    u_on, v_on = first_epoch_on(method, 0.1, 80)
    assert u_on == pytest.approx(20, abs=3)
    assert v_on == pytest.approx(40, abs=3)


def test_growth_law_of_v_by_hand():
    """B = 128, std = 1e-8, on after 10 of 20 epochs.

    About lr_v = 32 (10^(8/10) - 1) = 169.9 by the law of exponential growth.

    The law stops at v = 1; to pass 1/2 = v^2 takes half a multiplication less, but growth slows down near 1.
    """
    rate = switch_on_rate(setting(128, 20), slope_of_v, on=0.5, std=1e-8)
    assert rate == pytest.approx(32 * (10**0.8 - 1), rel=0.05)


def test_published_rates_of_both_data_sets_are_nearly_the_same_delay():
    """lr_u = 10 at K = 10 and lr_u = 1 at K = 100 (B = 128) switch u on within 19 and 35 epochs.

    10 at K = 100 after 6.
    """
    delay = {
        (K, lr): switch_on_epoch([lr / 128] * 200, slope_of_u(K, u_mse=True), 1e-8)
        for K, lr in ((10, 10), (100, 1), (100, 10))
    }
    assert delay[10, 10] == pytest.approx(19, abs=2)
    assert delay[100, 1] == pytest.approx(35, abs=8)
    assert delay[100, 10] < 8


def test_refusals():
    with pytest.raises(InputError, match="must be numbers here"):
        SOP(N, K, lr_u="auto")
    with pytest.raises(InputError, match="lr_v must be one of 'auto'"):
        SOP.resolve({"lr_u": 1.0, "lr_v": "automatic", "u_loss": "ce"}, setting(128, 10))
    with pytest.raises(InputError, match="u_loss must be one of"):
        SOP(N, K, u_loss="mse")
    with pytest.raises(InputError, match=r"takes logits of shape \(2, 8, K\)"):
        SOPPlus(N, K)(torch.randn(B, K), torch.arange(B) % K, torch.arange(B))
    with pytest.raises(InputError, match="lambda_C = 0 needs one view"):
        SOPPlus(N, K, lambda_C=0.0)(torch.randn(2, B, K), torch.arange(B) % K, torch.arange(B))


@pytest.mark.parametrize("update", ["batch", "epoch"])
def test_suspicion_by_margin_is_what_the_network_last_said(update):
    """The sigmoid of the margin; 0 before anything was seen, and u and v move as ever."""
    plain, loss = (SOP(N, K, update=update, suspect=suspect).train() for suspect in ("variables", "margin"))
    labels, logits = torch.arange(N) % K, torch.randn(N, K, generator=torch.Generator().manual_seed(0))
    assert (loss.suspicion(labels) == 0).all()
    for method in (plain, loss):
        if update == "batch":
            method(logits, labels, torch.arange(N))
        else:
            method.visit(logits, labels, torch.arange(N), 0.1)
    rest = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    margin = rest - logits.gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(loss.suspicion(labels), torch.sigmoid(margin))
    assert torch.equal(loss.variables.u, plain.variables.u)
    assert "preferred" in loss.state_dict()
    assert "preferred" not in plain.state_dict()
