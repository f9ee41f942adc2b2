"""MoCo and SANE as plain modules.

Every loss against a slow one written from the paper, and what gradients may reach.
"""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from sparseop.deep.contrastive import METHODS, SANE, Batch, MoCo, mixing
from sparseop.deep.contrastive.encoder import Encoder, SplitBatchNorm, follow, momentum_copy, split_batch_norm
from sparseop.deep.contrastive.labels import confidence
from sparseop.deep.contrastive.queue import Queue
from sparseop.errors import InputError

S, Q, DIM = 5, 12, 4


class Net(nn.Module):
    """Images to unit features, linearly."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(12, DIM)

    def forward(self, images):
        return normalize(self.linear(images.flatten(1)))


def setting(seed=0):
    """Return online and momentum network, a batch, and a queue's content."""
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randn(S, 3, 2, 2, generator=generator) for _ in range(2)]
    batch = Batch(views=views, index=torch.arange(S), place=0.4, generator=torch.Generator().manual_seed(9))
    return Net(1), Net(2), batch


def filled(method, seed=3):
    method.queue.keys.copy_(normalize(torch.randn(Q, DIM, generator=torch.Generator().manual_seed(seed))))
    method.queue.index.copy_(torch.arange(Q) % 7)
    return method


def run(method, seed=0):
    online, slow, batch = setting(seed)

    def encode_keys(images):
        with torch.no_grad():
            return slow(images)

    return method(online, encode_keys, batch), online, slow, batch


def softmax_loss(query, keys, label, tau):
    """-sum_k y_k log(exp(<q, k> / tau) / sum), one query, plain Python."""
    query, keys = query.detach(), [k.detach() for k in keys]
    sigma = [math.exp(float(query @ k) / tau) for k in keys]
    return -sum(float(y) * math.log(v / sum(sigma)) for y, v in zip(label, sigma, strict=True))


def one_hot(i, n):
    return [float(i == k) for k in range(n)]


def slow_label(t, keys, own, tau, sharpening, mu, p_used, q_used):
    sigma = [math.exp(float(t @ k) / tau / sharpening) for k in keys]
    p = [v / sum(sigma) for v in sigma]
    rest = sum(sigma) - sigma[own]
    q = [0.0 if k == own else v / rest for k, v in enumerate(sigma)]
    z = 1 + mu * max(p) * p_used + mu * max(q) * q_used
    a, b = mu * max(p) * p_used / z, mu * max(q) * q_used / z
    return torch.tensor([(1 - a - b) * (k == own) + a * p[k] + b * q[k] for k in range(len(keys))])


# ---- MoCo ------------------------------------------------------------------------------------------------------------


def test_moco_with_its_own_positive_is_equation_1():
    method = filled(MoCo(DIM, queue=Q, temperature=0.3))
    queue = method.queue.keys.clone()
    loss, online, slow, batch = run(method)
    q, k = online(batch.views[0]), slow(batch.views[1])
    expected = sum(softmax_loss(q[i], [k[i], *queue], one_hot(0, Q + 1), 0.3) for i in range(S)) / S
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_moco_with_the_batch_among_the_keys_is_equation_4():
    method = filled(MoCo(DIM, queue=Q, temperature=0.3, keys="batch"))
    queue = method.queue.keys.clone()
    loss, online, slow, batch = run(method)
    q, k = online(batch.views[0]), slow(batch.views[1])
    expected = sum(softmax_loss(q[i], [*k, *queue], one_hot(i, S + Q), 0.3) for i in range(S)) / S
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("symmetric", "share"), [("sum", 1), ("mean", 2)])
def test_the_symmetric_loss_adds_both_directions_and_queues_both_views(symmetric, share):
    method = filled(MoCo(DIM, queue=Q, symmetric=symmetric))
    queue = method.queue.keys.clone()
    loss, online, slow, batch = run(method)
    expected = 0.0
    for a, b in (batch.views, batch.views[::-1]):
        q, k = online(a), slow(b)
        expected += sum(softmax_loss(q[i], [k[i], *queue], one_hot(0, Q + 1), 0.1) for i in range(S)) / S
    assert float(loss.detach()) == pytest.approx(expected / share, rel=1e-5)
    torch.testing.assert_close(
        method.queue.keys[: 2 * S], torch.cat([slow(batch.views[1]), slow(batch.views[0])]).detach()
    )


@pytest.mark.parametrize("name", METHODS)
def test_no_gradient_into_keys_and_the_queue_gets_them_after_the_loss(name):
    method = filled(METHODS[name](DIM, queue=Q))
    before = method.queue.keys.clone()
    loss, online, slow, batch = run(method)
    torch.autograd.backward(loss)
    assert all(parameter.grad is None for parameter in slow.parameters())
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in online.parameters())
    torch.testing.assert_close(method.queue.keys, torch.cat([slow(batch.views[1]).detach(), before[S:]]))
    assert method.queue.index.tolist() == [*range(S), *(k % 7 for k in range(S, Q))]
    assert not any(buffer.requires_grad for buffer in method.buffers())


# ---- SANE ------------------------------------------------------------------------------------------------------------


SANE_OPTIONS = [
    {},
    {"lam": 1.0},
    {"lam": 0.25, "p": False},
    {"q": False, "sharpening": 1.0},
    {"mixup": "vanilla"},
    {"mixup": "none"},
    {"mixup": "none", "lam": 1.0},
    {"refinement": "uniform"},
    {"teacher": "online"},
    {"theta": "batch"},
    {"weights": "batch"},
    {"partner": "uniform", "kappa": 0.1},
    {"mu_start": 0.5, "mu_end": 10.0},
]


@pytest.mark.parametrize("options", SANE_OPTIONS, ids=str)
def test_sane_is_equation_9_by_hand(options):
    o = {
        "lam": 0.5,
        "p": True,
        "q": True,
        "sharpening": 0.8,
        "mixup": "momentum",
        "refinement": "self",
        "teacher": "key",
        "kappa": 2.0,
        "theta": "sample",
        "partner": "permutation",
        "weights": "sample",
        "mu_start": 0.0,
        "mu_end": 1.0,
        **options,
    }
    method = filled(SANE(DIM, queue=Q, temperature=0.3, **options))
    queue = method.queue.keys.clone()
    loss, online, slow, batch = run(method)

    x, x_tilde = batch.views
    with torch.no_grad():
        q, k = online(x), slow(x_tilde)
        keys = [*k, *queue]
        t = online(x_tilde) if o["teacher"] == "online" else k
        mu = confidence(o["mu_start"], o["mu_end"], 0.4)
        label = [slow_label(t[i], keys, i, 0.3, o["sharpening"], mu, o["p"], o["q"]) for i in range(S)]
        if o["weights"] == "batch":
            label = batch_weighted(t, keys, 0.3, o["sharpening"], mu)
        if o["refinement"] == "uniform":
            label = [
                torch.full((S + Q,), (1 - float(y[i])) / (S + Q - 1)).index_fill(0, torch.tensor([i]), float(y[i]))
                for i, y in enumerate(label)
            ]
        first = sum(softmax_loss(q[i], keys, one_hot(i, S + Q), 0.3) for i in range(S)) / S
        if o["mixup"] == "none":
            second = sum(softmax_loss(q[i], keys, label[i], 0.3) for i in range(S)) / S
        else:
            theta, partner = mixing.draw(
                S, o["kappa"], torch.Generator().manual_seed(9), scope=o["theta"], partner=o["partner"]
            )
            others = x if o["mixup"] == "vanilla" else x_tilde
            second = 0.0
            for i in range(S):
                mixed = theta[i] * x[i] + (1 - theta[i]) * others[partner[i]]
                y = theta[i] * label[i] + (1 - theta[i]) * label[int(partner[i])]
                second += softmax_loss(online(mixed[None])[0], keys, y, 0.3) / S
    assert float(loss.detach()) == pytest.approx((1 - o["lam"]) * first + o["lam"] * second, rel=1e-4)


def batch_weighted(t, keys, tau, sharpening, mu):
    """Labels with alpha and beta averaged over the batch."""
    parts = []
    for i in range(S):
        sigma = torch.tensor([math.exp(float(t[i] @ k) / tau / sharpening) for k in keys])
        p, q = sigma / sigma.sum(), sigma.clone()
        q[i] = 0
        q /= q.sum()
        z = 1 + mu * p.max() + mu * q.max()
        parts.append((p, q, mu * p.max() / z, mu * q.max() / z))
    a, b = (sum(part[j] for part in parts) / S for j in (2, 3))
    return [(1 - a - b) * torch.tensor(one_hot(i, S + Q)) + a * parts[i][0] + b * parts[i][1] for i in range(S)]


def test_lambda_0_is_moco():
    losses = [
        run(filled(method))[0]
        for method in (SANE(DIM, queue=Q, temperature=0.2, lam=0.0), MoCo(DIM, queue=Q, temperature=0.2, keys="batch"))
    ]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mix_strength": "strong"}, "query and fresh partner"),
        ({"mix_strength": "strong", "mixup": "vanilla"}, "fresh and fresh"),
        ({"mix_sizes": (8, 4)}, "small pairs"),
    ],
)
def test_which_views_are_mixed(options, expected):
    method = SANE(DIM, queue=Q, **options)
    _, _, batch = setting()
    x, x_tilde = batch.views
    fresh = [(x + 1, x + 2)] if options.get("mix_sizes") is None else [(x + 1, x + 2), (x + 3, x + 4)]
    batch.pairs = fresh
    pairs = method.pairs(x, x_tilde, batch)
    wanted = {"query and fresh partner": [(x, x + 2)], "fresh and fresh": [(x + 1, x + 1)], "small pairs": fresh}[
        expected
    ]
    assert len(pairs) == len(wanted)
    for mine, theirs in zip(pairs, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert method.mix_sizes == ((8, 4) if expected == "small pairs" else (0,))


def test_several_crops_are_averaged():
    """Two sizes: the mixup term is the mean of those of each size alone, with the draws that each would get."""
    _, _, batch = setting()
    pairs = [(torch.randn(S, 3, 2, 2), torch.randn(S, 3, 2, 2)) for _ in range(2)]
    method = filled(SANE(DIM, queue=Q, lam=1.0, mix_sizes=(4, 4)))
    online, slow, batch = setting()
    batch.pairs = pairs
    both = method(online, lambda x: slow(x).detach(), batch)
    batch.generator.manual_seed(9)
    alone = []
    for pair in pairs:
        single = filled(SANE(DIM, queue=Q, lam=1.0, mix_sizes=(4,)))
        batch.pairs = [pair]
        alone.append(single(online, lambda x: slow(x).detach(), batch))
    torch.testing.assert_close(both, sum(alone) / 2)


@pytest.mark.parametrize(
    "options", [{}, {"mixup": "vanilla", "lam": 0.3}, {"refinement": "uniform", "lam": 0.8}], ids=str
)
def test_either_term_has_equation_9_as_its_mean(options, monkeypatch):
    """Without batch normalisation: a loss for each mask.

    Those of every sample's chance lambda average to both terms.
    """
    lam = options.get("lam", 0.5)
    both = float(run(filled(SANE(DIM, queue=Q, **options)))[0].detach())

    def masked(*true):
        monkeypatch.setattr(mixing, "share", lambda *_: torch.tensor([i in true for i in range(S)]))
        return float(run(filled(SANE(DIM, queue=Q, terms="either", **options)))[0].detach())

    plain, mixed = masked(), masked(*range(S))
    assert (1 - lam) * plain + lam * mixed == pytest.approx(both, rel=1e-5)
    steps = [masked(i) - plain for i in range(S)]  # what each sample adds by changing its term
    assert sum(steps) == pytest.approx(mixed - plain, rel=1e-4)
    assert masked(1, 3) - plain == pytest.approx(steps[1] + steps[3], rel=1e-4)


def test_either_term_is_one_pass():
    calls = []
    online, slow, batch = setting()
    method = filled(SANE(DIM, queue=Q, terms="either"))
    method(lambda images: calls.append(len(images)) or online(images), lambda images: slow(images).detach(), batch)
    assert calls == [S]


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_either_term_where_there_is_one(lam):
    losses = [run(filled(SANE(DIM, queue=Q, lam=lam, terms=terms)))[0] for terms in ("both", "either")]
    torch.testing.assert_close(*losses)


def test_the_share_of_mixed_queries():
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([mixing.share(7, 0.3, generator) for _ in range(4000)])
    assert set(masks.sum(1).tolist()) == {2, 3}
    assert (masks.double().mean(0) - 0.3).abs().max() < 4 * math.sqrt(0.3 * 0.7 / 4000)
    assert not mixing.share(9, 0.0, generator).any()
    assert mixing.share(9, 1.0, generator).all()


def test_measures_with_and_without_truth():
    method = filled(SANE(DIM, queue=Q, mu_end=10.0))
    online, slow, batch = setting()
    batch.measure = True
    method(online, lambda x: slow(x).detach(), batch)
    assert {"one_hot_weight", "alpha", "beta", "own_mass", "p_max", "q_max"} == set(batch.measures)
    parts = batch.measures
    assert float(parts["one_hot_weight"] + parts["alpha"] + parts["beta"]) == pytest.approx(1)
    online, slow, batch = setting()
    batch.measure, batch.classes = True, torch.arange(7) % 3
    method(online, lambda x: slow(x).detach(), batch)
    found = batch.measures
    assert float(found["own_mass"] + found["same_mass"] + found["wrong_mass"]) == pytest.approx(1)
    assert {"tv_one_hot", "tv_refined", "tv_smoothed", "l2_one_hot", "l2_refined", "l2_smoothed", "q_same"} <= set(
        found
    )


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (MoCo, {"temperature": 0}, "method.temperature must be a finite number > 0, got 0"),
        (MoCo, {"momentum": 1.0}, "method.momentum"),
        (MoCo, {"keys": "all"}, "method.keys must be one of 'own', 'batch', got 'all'"),
        (MoCo, {"symmetric": "yes"}, "method.symmetric must be one of"),
        (MoCo, {"queue": 0}, "queue must be >= 1, got 0"),
        (SANE, {"lam": 1.5}, "method.lam"),
        (SANE, {"sharpening": 0}, "method.sharpening"),
        (SANE, {"kappa": -1}, "method.kappa must be a finite number > 0, got -1"),
        (SANE, {"mu_end": float("inf")}, "method.mu_end"),
        (SANE, {"mixup": "momentun"}, "Did you mean 'momentum'"),
        (SANE, {"mixup": "none", "mix_strength": "strong"}, "need method.mixup"),
        (SANE, {"mix_sizes": (2,)}, "method.mix_sizes must be >= 4, got 2"),
        (SANE, {"terms": "one"}, "method.terms must be one of 'both', 'either', got 'one'"),
        (SANE, {"terms": "either", "mixup": "none"}, "method.terms = 'either' needs queries and mixes of one size"),
        (SANE, {"terms": "either", "mix_sizes": (8,)}, "method.terms = 'either' needs queries and mixes of one size"),
    ],
)
def test_bad_options(cls, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        cls(DIM, **{"queue": Q, **options})


# ---- queue and networks ----------------------------------------------------------------------------------------------


def test_the_queue_is_first_in_first_out_and_wraps():
    queue = Queue(5, 2)
    assert queue.index.tolist() == [-1] * 5
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(5))
    for start in range(0, 12, 3):
        keys = torch.arange(start, start + 3).float()
        queue.push(torch.stack([keys, keys], 1), torch.arange(start, start + 3))
    assert sorted(queue.index.tolist()) == [7, 8, 9, 10, 11]
    assert queue.keys[:, 0].tolist() == [float(i) for i in queue.index.tolist()]
    with pytest.raises(InputError, match="at least one step's keys, 6, got 5"):
        queue.push(torch.zeros(6, 2), torch.arange(6))


def test_split_batch_norm_is_each_group_alone():
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3)
    nn.init.normal_(plain.weight)
    split = SplitBatchNorm(copy.deepcopy(plain), 4)
    images = torch.randn(8, 3, 5, 5) * 3 + 1
    found = split(images)
    centres = []
    for group in range(4):
        alone = copy.deepcopy(plain)
        torch.testing.assert_close(found[group::4], alone(images[group::4]))
        centres.append(alone.running_mean)
    torch.testing.assert_close(split.running_mean, torch.stack(centres).mean(0))
    split.eval()
    torch.testing.assert_close(
        split(images), nn.functional.batch_norm(images, split.running_mean, split.running_var, split.weight, split.bias)
    )
    with pytest.raises(InputError, match=r"training.splits must divide the number of samples in a batch, 6, got 4"):
        split.train()(images[:6])


def test_encoder_and_its_momentum_copy():
    torch.manual_seed(0)
    network = Encoder(nn.Sequential(nn.Flatten(), nn.Linear(12, 6)), 6, dim=5, layers=3, hidden=7, batch_norm=True)
    assert [type(part).__name__ for part in network.head] == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]
    images = torch.randn(8, 3, 2, 2)
    torch.testing.assert_close(network(images).norm(dim=1), torch.ones(8))
    slow = momentum_copy(split_batch_norm(network, 2))
    assert isinstance(slow.head[1], SplitBatchNorm)
    assert not any(p.requires_grad for p in slow.parameters())
    before = [p.clone() for p in slow.parameters()]
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1)
    buffers = [b.clone() for b in slow.buffers()]
    follow(slow, network, 0.9)
    for old, new, fast in zip(before, slow.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * fast)
    assert all(torch.equal(a, b) for a, b in zip(buffers, slow.buffers(), strict=True))
