"""The methods beside SOP, each against its published formula written out sample by sample."""

import math

import pytest
import torch

from sparseop.deep.labels.methods import (
    CE,
    CORES2,
    ELR,
    GCE,
    METHODS,
    SL,
    CoTeaching,
    CoTeachingPlus,
    Forward,
    MixUp,
    Setting,
    build,
    hooks,
    resolve,
    signature,
)
from sparseop.errors import InputError

N, K, B = 20, 4, 8


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(B, K, generator=generator)
    return logits, torch.randint(0, K, (B,), generator=generator), torch.randperm(N, generator=generator)[:B]


def probabilities(logits):
    """Softmax by its definition, row by row, as lists."""
    rows = []
    for row in logits.tolist():
        total = sum(math.exp(z) for z in row)
        rows.append([math.exp(z) / total for z in row])
    return rows


def test_ce(batch):
    logits, labels, _ = batch
    p = probabilities(logits)
    wanted = sum(-math.log(p[i][y]) for i, y in enumerate(labels.tolist())) / B
    assert CE(N, K)(*batch).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_gce(batch, q):
    logits, labels, _ = batch
    p = probabilities(logits)
    wanted = sum((1 - p[i][y] ** q) / q for i, y in enumerate(labels.tolist())) / B
    assert GCE(N, K, q=q)(*batch).item() == pytest.approx(wanted, rel=1e-5)


def test_gce_tends_to_cross_entropy_and_stays_finite(batch):
    assert GCE(N, K, q=1e-3)(*batch).item() == pytest.approx(CE(N, K)(*batch).item(), rel=5e-3)
    logits = torch.tensor([[0.0, 300.0, 0.0, 0.0]], requires_grad=True)
    GCE(N, K)(logits, torch.tensor([0]), torch.tensor([0])).backward()
    assert logits.grad.isfinite().all()


def test_sl(batch):
    """Reverse cross-entropy -sum_k p_k log y_k with log 0 := A, term by term."""
    logits, labels, _ = batch
    p = probabilities(logits)
    alpha, beta, A = 0.3, 0.7, -5.0
    wanted = 0.0
    for i, y in enumerate(labels.tolist()):
        ce = -math.log(p[i][y])
        rce = -sum(p[i][k] * (0.0 if k == y else A) for k in range(K))
        wanted += (alpha * ce + beta * rce) / B
    assert SL(N, K, alpha=alpha, beta=beta, A=A)(*batch).item() == pytest.approx(wanted, rel=1e-5)


def test_mixup():
    method = MixUp(N, K, alpha=0.5)
    torch.manual_seed(3)
    images = torch.randn(B, 1, 2, 2)
    mixed = method.mix(images)
    lam, partner = method.lam.item(), method.partner.tolist()
    assert sorted(partner) == list(range(B))
    assert 0 <= lam <= 1
    for i in range(B):
        torch.testing.assert_close(mixed[i], lam * images[i] + (1 - lam) * images[partner[i]])
    logits, labels = torch.randn(B, K), torch.randint(0, K, (B,))
    p = probabilities(logits)
    wanted = (
        sum(-lam * math.log(p[i][labels[i]]) - (1 - lam) * math.log(p[i][labels[partner[i]]]) for i in range(B)) / B
    )
    assert method(logits, labels, torch.arange(B)).item() == pytest.approx(wanted, rel=1e-5)


def test_mixup_draws_from_beta():
    method, values = MixUp(N, K, alpha=0.4), []
    torch.manual_seed(0)
    for _ in range(2000):
        method.mix(torch.zeros(2, 1, 1, 1))
        values.append(method.lam.item())
    mean, variance = torch.tensor(values).mean().item(), torch.tensor(values).var().item()
    assert mean == pytest.approx(0.5, abs=0.03)
    assert variance == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.08)  # a b / ((a + b)^2 (a + b + 1))


def test_elr(batch):
    """Two visits of the same samples; the target is used after its update, as in the released code."""
    lam, beta = 3.0, 0.7
    method = ELR(N, K, lam=lam, beta=beta).train()
    logits, labels, index = batch
    target = [[0.0] * K for _ in range(B)]
    for scale in (1.0, -0.5, 30.0):  # at last clamped, where p sums to more than 1
        p = probabilities(scale * logits)
        wanted = 0.0
        for i, y in enumerate(labels.tolist()):
            c = [min(max(value, 1e-4), 1 - 1e-4) for value in p[i]]
            target[i] = [beta * t + (1 - beta) * value / sum(c) for t, value in zip(target[i], c, strict=True)]
            wanted += (
                -math.log(p[i][y]) + lam * math.log(1 - sum(a * t for a, t in zip(c, target[i], strict=True)))
            ) / B
        assert method(scale * logits, labels, index).item() == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(method.targets[index], torch.tensor(target))
    untouched = torch.ones(N, dtype=torch.bool)
    untouched[index] = False
    assert method.targets[untouched].abs().max() == 0


def test_elr_gradient_treats_the_target_as_constant(batch):
    logits, labels, index = batch
    logits.requires_grad_()
    method = ELR(N, K, lam=1.0, beta=0.5)
    method.targets.uniform_(0, 0.3)
    target = method.targets[index].clone()
    (gradient,) = torch.autograd.grad(method.eval()(logits, labels, index), logits)
    p = logits.softmax(1)
    by_hand = (p - torch.nn.functional.one_hot(labels, K)) / B
    inner = (target * p).sum(1, keepdim=True)
    by_hand = by_hand - p * (target - inner) / (1 - inner) / B
    torch.testing.assert_close(gradient, by_hand)


def test_forward(batch):
    logits, labels, _ = batch
    T = torch.tensor([[0.7, 0.3, 0, 0], [0, 0.9, 0.1, 0], [0.2, 0.2, 0.5, 0.1], [0, 0, 0, 1.0]])
    p = probabilities(logits)
    wanted = sum(-math.log(sum(T[k][y].item() * p[i][k] for k in range(K))) for i, y in enumerate(labels.tolist())) / B
    assert Forward(N, K, transition="true", matrix=T)(*batch).item() == pytest.approx(wanted, rel=1e-5)


def test_forward_estimates_from_the_most_typical_samples():
    method = Forward(N, K, transition="estimate", warmup=2)
    method.start_epoch(0, 5)
    assert not method.needs_pass
    torch.testing.assert_close(method.T, torch.eye(K))
    method.start_epoch(1, 5)
    assert method.needs_pass
    logits = 3 * torch.randn(N, K)
    for part in torch.arange(N).split(7):
        method.visit(logits[part], part % K, part, 0.1)
    method.end_pass()
    p = probabilities(logits)
    for k in range(K):
        best = max(range(N), key=lambda i: p[i][k])
        assert method.T[k].tolist() == pytest.approx(p[best], rel=1e-5)
    torch.testing.assert_close(method.T.sum(1), torch.ones(K))


def test_forward_stays_finite_where_a_class_is_never_given(batch):
    logits, _, index = batch
    method = Forward(N, K)
    method.start_epoch(0, 20)
    method.T.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 1.0, 0]]))
    logits = logits.clone().requires_grad_()
    loss = method(logits, torch.full((B,), 3), index)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-7), rel=1e-4)
    assert logits.grad.isfinite().all()


def test_forward_without_a_matrix_is_cross_entropy_until_it_is_known(batch):
    method = Forward(N, K)
    method.start_epoch(0, 20)
    torch.testing.assert_close(method(*batch), CE(N, K)(*batch))


def coteaching_by_hand(logits, labels, keep, candidates):
    losses = [[-math.log(probabilities(net)[i][y]) for i, y in enumerate(labels.tolist())] for net in logits]
    total = 0.0
    for me, other in ((0, 1), (1, 0)):
        ranked = sorted(candidates, key=lambda i: losses[other][i])
        picked = ranked[: math.floor(keep * len(candidates))]
        total += sum(losses[me][i] for i in picked) / max(len(picked), 1)
    return total


@pytest.mark.parametrize(("epoch", "keep"), [(0, 0.92), (4, 0.6), (30, 0.6)])
def test_coteaching(batch, epoch, keep):
    _, labels, index = batch
    torch.manual_seed(0)
    logits = torch.randn(2, B, K)
    method = CoTeaching(N, K, forget_rate=0.4, ramp=5)
    method.start_epoch(epoch, 50)
    assert method(logits, labels, index).item() == pytest.approx(
        coteaching_by_hand(logits, labels, keep, range(B)), rel=1e-5
    )


def test_coteaching_plus_learns_where_the_networks_differ(batch):
    _, labels, index = batch
    torch.manual_seed(0)
    logits = torch.randn(2, B, K)
    method = CoTeachingPlus(N, K, forget_rate=0.25, ramp=1, warmup=3)
    method.start_epoch(2, 50)
    assert method(logits, labels, index).item() == pytest.approx(
        coteaching_by_hand(logits, labels, 0.75, range(B)), rel=1e-5
    )
    method.start_epoch(3, 50)
    differ = [i for i in range(B) if logits[0, i].argmax() != logits[1, i].argmax()]
    assert 0 < len(differ) < B
    assert method(logits, labels, index).item() == pytest.approx(
        coteaching_by_hand(logits, labels, 0.75, differ), rel=1e-5
    )
    same = logits[:1].expand(2, -1, -1)
    torch.testing.assert_close(method(same, labels, index), 2 * CE(N, K)(logits[0], labels, index))


def test_coteaching_networks_learn_from_each_others_choice(batch):
    """The gradient of network 1 lives on the samples of smallest loss of network 2."""
    _, labels, index = batch
    logits = torch.randn(2, B, K, requires_grad=True)
    method = CoTeaching(N, K, forget_rate=0.5, ramp=1)
    method.start_epoch(0, 10)
    (gradient,) = torch.autograd.grad(method(logits, labels, index), logits)
    second = -logits[1].log_softmax(1).gather(1, labels[:, None]).squeeze(1)
    moved = set(gradient[0].abs().sum(1).nonzero().flatten().tolist())
    assert moved == set(second.argsort()[: B // 2].tolist())


@pytest.mark.parametrize(
    ("epoch", "beta_t", "sieve"),
    [
        (0, 0.0, False),
        (10, 0.0, False),
        (25, 30 / 29, False),
        (30, 40 / 29, False),
        (31, 42 / 29, True),
        (38, 56 / 29, True),
        (39, 2.0, True),
        (60, 2.0, True),
    ],
)
def test_cores2(batch, epoch, beta_t, sieve):
    logits, labels, index = batch
    method = CORES2(N, K, beta=2.0, start=10, ramp=30, warmup=30).train()
    method.start_epoch(epoch, 100)
    p = probabilities(logits)
    total, kept = 0.0, []
    for i, y in enumerate(labels.tolist()):
        average = sum(-math.log(value) for value in p[i]) / K
        kept.append(-math.log(p[i][y]) <= average)
        if kept[i] or not sieve:
            total += -math.log(p[i][y]) - beta_t * average
    wanted = total / (sum(kept) if sieve else B)
    assert method(logits, labels, index).item() == pytest.approx(wanted, rel=1e-5)
    assert method.kept[index].tolist() == kept
    assert method.suspicion(torch.zeros(N)).sum().item() == B - sum(kept)


# ---- what all of them share ------------------------------------------------------------------------------------------

#: those that run their networks themselves are in test_two_networks
CALLED = [name for name, cls in METHODS.items() if not issubclass(cls, hooks.RunsNetworks)]


@pytest.mark.parametrize("name", CALLED)
def test_every_method_is_a_module_that_any_loop_can_use(name, batch):
    """Finite loss, finite gradient, no gradient into the labels' state, a state that survives saving."""
    _, labels, index = batch
    setting = Setting(n_samples=N, n_classes=K, batch_size=B, rates=(0.1,) * 20, transition=torch.eye(K))
    options = {key: p.default for key, p in signature(name).parameters.items()}
    options = resolve(name, options, setting)
    method = build(name, options, setting, seed=0)
    if isinstance(method, hooks.CountsEpochs):
        method.start_epoch(0, 20)
    method.train()
    stacked = getattr(method, "networks", 1) * (1 + len(getattr(method, "views", ())))
    logits = torch.randn(stacked, B, K) if stacked > 1 else torch.randn(B, K)
    logits.requires_grad_()
    if isinstance(method, hooks.MixesInputs):
        method.mix(torch.randn(B, 1, 8, 8))
    loss = method(logits, labels, index)
    loss.backward()
    assert loss.ndim == 0
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert not list(method.parameters())  # nothing that the network's optimiser would decay
    other = build(name, options, setting, seed=1)
    other.load_state_dict(method.state_dict())
    for key, value in method.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    for hook in ("suspicion", "proposed"):
        assert not hasattr(method, hook) or getattr(method, hook)(torch.zeros(N, dtype=torch.int64)).shape == (N,)


@pytest.mark.parametrize("name", [name for name in CALLED if name not in ("coteaching", "coteaching+", "sop+")])
def test_half_precision_logits_give_a_float32_loss(name, batch):
    logits, labels, index = batch
    setting = Setting(n_samples=N, n_classes=K, batch_size=B, rates=(0.1,) * 20, transition=torch.eye(K))
    options = {key: p.default for key, p in signature(name).parameters.items()}
    method = build(name, resolve(name, options, setting), setting, seed=0).eval()
    assert method(logits.bfloat16(), labels, index).dtype == torch.float32


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GCE(N, K, q=0.0), "q must lie in"),
        (lambda: SL(N, K, A=1.0), "A must be a finite number < 0"),
        (lambda: ELR(N, K, beta=1.0), "beta must lie in"),
        (lambda: ELR(10**12, 10), "the table of ELR for 1000000000000 samples"),
        (lambda: MixUp(N, K, alpha=0.0), "alpha must be a finite number > 0"),
        (lambda: CoTeaching(N, K, forget_rate=1.0), "forget_rate must lie in"),
        (lambda: Forward(N, K, transition="guess"), "transition must be one of"),
        (lambda: Forward(N, K, transition="true"), "use transition = 'estimate'"),
        (lambda: Forward(N, K, matrix=torch.eye(3)), r"matrix must have shape \(4, 4\)"),
        (lambda: Forward(N, K, matrix=torch.full((4, 4), 0.5)), "rows that sum to 1"),
        (lambda: Forward(N, K, warmup=10).start_epoch(0, 10), "warmup must be < the number of epochs 10"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(InputError, match=message):
        build()
