"""Closed-form gradients against autograd on the dense formulae, row updates, and appendix A.1's point."""

import itertools
import math

import pytest
import torch

from sparseop.deep.labels.sample_variables import SampleVariables, corrected, corruption, gradients, phi
from sparseop.errors import InputError

EPS = 1e-4


def dense_losses(p, u, v, labels, hard):
    """The released code's loss with u (N, 1), v (N, K) as leaves: (L_CE, L_MSE), summed over the samples."""
    y = torch.nn.functional.one_hot(labels, p.shape[1]).to(p.dtype)
    U, V = torch.clamp(u**2 * y, 0, 1), torch.clamp(v**2 * (1 - y), 0, 1)
    q = torch.clamp(p + U - V.detach(), min=EPS)
    q = torch.clamp(torch.nn.functional.normalize(q, p=1, eps=EPS, dim=1), min=EPS, max=1.0)
    h = torch.nn.functional.one_hot(p.argmax(1), p.shape[1]).to(p.dtype) if hard else p
    return -(y * q.log()).sum(), ((h + U - V - y) ** 2).sum()


def example(seed, *, scale=1.0, n=64, K=7):
    generator = torch.Generator().manual_seed(seed)
    p = (3 * torch.randn(n, K, generator=generator, dtype=torch.float64)).softmax(1)
    u = scale * torch.randn(n, generator=generator, dtype=torch.float64)
    v = scale * torch.randn(n, K, generator=generator, dtype=torch.float64)
    return p, u, v, torch.randint(0, K, (n,), generator=generator)


@pytest.mark.parametrize(
    ("hard", "u_mse", "scale"), list(itertools.product([True, False], [True, False], [1e-8, 0.3, 1.5]))
)
def test_gradients_are_those_of_autograd(hard, u_mse, scale):
    p, u, v, labels = example(3, scale=scale)
    U, V = u[:, None].clone().requires_grad_(), v.clone().requires_grad_()
    ce, mse = dense_losses(p, U, V, labels, hard)
    (wanted_u,) = torch.autograd.grad(ce + mse if u_mse else ce, U, retain_graph=True)
    (wanted_v,) = torch.autograd.grad(mse, V)
    g_u, g_v = gradients(p, u, v, labels, eps=EPS, u_mse=u_mse, hard=hard)
    torch.testing.assert_close(g_u, wanted_u[:, 0], rtol=1e-10, atol=1e-18)
    torch.testing.assert_close(g_v, wanted_v, rtol=1e-10, atol=1e-18)


def test_cross_entropy_tells_v_nothing():
    """Appendix A.1: dL_CE/dv_j = -2 v_j / sum(p + s) at every j != y, whatever the network predicts.

    The paper prints (A.2) and (A.4) without the minus of s = -v^2; autograd settles the sign.
    """
    torch.manual_seed(0)
    labels = torch.tensor([2])
    y = torch.nn.functional.one_hot(labels, 5).double()
    v = torch.full((1, 5), 0.01, dtype=torch.float64, requires_grad=True)
    seen = []
    for _ in range(4):
        p = torch.randn(1, 5, dtype=torch.float64).softmax(1)
        w = p - v**2 * (1 - y)
        ce = -(y * (w / w.sum()).log()).sum()
        (gradient,) = torch.autograd.grad(ce, v, retain_graph=True)
        torch.testing.assert_close(gradient, -2 * v * (1 - y) / w.sum())
        seen.append(gradient[y == 0] * w.sum())
        (mse_gradient,) = torch.autograd.grad(((w - y) ** 2).sum(), v)
        torch.testing.assert_close(mse_gradient, -4 * (w - y) * v * (1 - y))
        assert mse_gradient[y == 0].argmin() == p[y == 0].argmax()  # the squared loss moves the predicted class most
    for gradient in seen:
        assert (gradient == gradient[0]).all()  # one number for all classes ...
        torch.testing.assert_close(gradient, seen[0])  # ... and for all predictions


def test_phi_is_equation_7_up_to_the_second_clamp():
    p, u, v, labels = example(5, scale=0.7)
    w = corrected(p, *corruption(u, v, labels), labels)
    m = torch.maximum(w, torch.tensor(EPS))
    torch.testing.assert_close(phi(w, EPS), torch.maximum(m / m.sum(1, keepdim=True), torch.tensor(EPS)))


def test_a_sample_whose_label_is_hopeless_has_no_gradient():
    """p_y + U < eps: the loss is -log eps and moves neither network nor u (the released code's small-loss filter)."""
    logits = torch.tensor([[0.0, 20.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0])
    u, v = torch.tensor([1e-8]), torch.full((1, 3), 1e-8)
    q = phi(corrected(logits.softmax(1), *corruption(u, v, labels), labels), EPS)
    loss = -q.gather(1, labels[:, None]).log().sum()
    assert loss.item() == pytest.approx(-math.log(EPS))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() == 0
    assert gradients(logits.detach().softmax(1), u, v, labels, eps=EPS, u_mse=False, hard=True)[0] == 0


def test_only_the_given_rows_are_written():
    variables = SampleVariables(10, 3, std=1e-8, seed=1)
    before = variables.v.clone()
    index = torch.tensor([7, 2])
    u, v = variables.rows(index)
    variables.write(index, u + 1, v + 1)
    changed = (variables.v != before).all(1)
    assert changed.nonzero().flatten().tolist() == [2, 7]
    torch.testing.assert_close(variables.v[7], before[7] + 1)


def test_start_is_gaussian_of_the_stated_std_and_seeded():
    a, b, c = (SampleVariables(20_000, 5, std=1e-8, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.v, b.v)
    assert not torch.equal(a.v, c.v)
    assert a.v.dtype == torch.float32
    assert float(a.v.std()) == pytest.approx(1e-8, rel=0.02)
    assert float(a.v.mean()) == pytest.approx(0, abs=2e-10)


def test_what_does_not_fit_is_refused_before_it_is_allocated():
    with pytest.raises(InputError, match=r"1000000000000 samples and 1000 classes would take .* GiB"):
        SampleVariables(10**12, 1000)
