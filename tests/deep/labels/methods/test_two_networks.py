"""DivideMix and ELR+: a step of each against loops over samples, the division against the mixture's formula, runs."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import Beta

from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.methods import METHODS, DivideMix, ELRPlus
from sparseop.deep.labels.methods.hooks import RunsNetworks, Step, require_whole
from sparseop.errors import InputError
from tests.deep.runs import StopError, assert_same_state, state_of, stop_in

N, K, B = 30, 4, 6


class Flat(nn.Module):
    """A linear network, whose logits a loop can follow."""

    def __init__(self, seed):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(K, 12, generator=torch.Generator().manual_seed(seed)))

    def forward(self, images):
        return images.flatten(1) @ self.weight.T


def a_step(place=0.5):
    """Return a step whose views are two fixed batches in turn, and those batches."""
    generator = torch.Generator().manual_seed(5)
    views = [torch.randn(B, 3, 2, 2, generator=generator) for _ in range(2)]
    turn = iter(views * 2)
    labels = torch.randint(K, (B,), generator=generator)
    index = torch.randperm(N, generator=generator)[:B]
    networks = nn.ModuleList([Flat(1), Flat(2)])
    return Step(labels, index, place, lambda: next(turn), lambda network, seen: network(seen), networks), views


def softmax(logits):
    e = [math.exp(z - max(logits)) for z in logits]
    return [x / sum(e) for x in e]


def sharp(p, temperature):
    raised = [x ** (1 / temperature) for x in p]
    return [x / sum(raised) for x in raised]


def logits_of(network, image):
    return (network.weight @ image.flatten()).tolist()


def dividemix_by_loops(method, step, views, epochs):
    """Return both networks' losses, drawing what the method draws, in its order."""
    total = 0.0
    for k in range(2):
        own, other = step.networks[k], step.networks[1 - k]
        targets, labelled = [], []
        for b in range(B):
            p, q = np.zeros(K), np.zeros(K)
            for view in views:
                p += np.array(softmax(logits_of(own, view[b]))) / 2
                q += np.array(softmax(logits_of(other, view[b]))) / 2
            w = float(method.clean[1 - k, step.index[b]])
            y = np.eye(K)[int(step.labels[b])]
            labelled.append(w > method.threshold)
            targets.append(sharp(w * y + (1 - w) * p if labelled[-1] else (p + q) / 2, method.temperature))
        share = float(Beta(torch.tensor(method.alpha), torch.tensor(method.alpha)).sample())
        share = max(share, 1 - share)
        partner = torch.randperm(2 * B).tolist()
        images, targets, labelled = [*views[0], *views[1]], targets * 2, labelled * 2
        supervised, guessed, mean = [], [], np.zeros(K)
        for i in range(2 * B):
            image = share * images[i] + (1 - share) * images[partner[i]]
            target = share * np.array(targets[i]) + (1 - share) * np.array(targets[partner[i]])
            p = np.array(softmax(logits_of(own, image)))
            mean += p / (2 * B)
            if labelled[i]:
                supervised.append(-float(target @ np.log(p)))
            else:
                guessed.append(float(((p - target) ** 2).mean()))
        risen = min(max((step.place * epochs - method.warmup) / method.ramp, 0), 1)
        total += sum(supervised) / max(len(supervised), 1)
        total += method.lambda_u * risen * sum(guessed) / max(len(guessed), 1)
        total += sum(math.log(1 / K / m) / K for m in mean)
    return total


@pytest.mark.parametrize("labelled", ["some", "all", "none"])
def test_a_step_of_dividemix_is_algorithm_1(labelled):
    method = DivideMix(N, K, warmup=2, ramp=4, lambda_u=7.0).train()
    method.start_epoch(5, 10)
    chance = torch.rand(2, N, generator=torch.Generator().manual_seed(9))
    method.clean.copy_({"some": chance, "all": 0.6 + 0.3 * chance, "none": 0.3 * chance}[labelled])
    step, views = a_step()
    torch.manual_seed(4)
    with torch.no_grad():
        wanted = dividemix_by_loops(method, step, views, 10)
    torch.manual_seed(4)
    loss, logits = method.learn(step)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(logits, step.networks[0](views[0]))
    loss.backward()
    assert all(float(network.weight.grad.norm()) > 0 for network in step.networks)


def test_each_network_learns_by_the_division_of_the_other():
    method = DivideMix(N, K, warmup=1).train()
    method.start_epoch(3, 10)
    method.clean[0], method.clean[1] = 1.0, 0.0  # network 0 trusts all labels, network 1 none
    losses = {}
    for flipped in (False, True):
        step, views = a_step()
        labels = (step.labels + 1) % K if flipped else step.labels
        step = Step(labels, step.index, step.place, step.view, step.run, step.networks)
        torch.manual_seed(4)
        losses[flipped] = [method._one(step, k, views)[0].item() for k in range(2)]
    assert losses[True][0] == losses[False][0]  # it learns by network 1, for which no label counts
    assert losses[True][1] != losses[False][1]


def test_the_warm_up_is_cross_entropy():
    for penalty in (False, True):
        method = DivideMix(N, K, warmup=3, penalty=penalty).train()
        method.start_epoch(2, 10)
        step, views = a_step()
        wanted = 0.0
        for network in step.networks:
            for b in range(B):
                p = softmax(logits_of(network, views[0][b]))
                wanted -= math.log(p[int(step.labels[b])]) / B
                wanted += penalty * sum(x * math.log(x) for x in p) / B
        assert method.learn(step)[0].item() == pytest.approx(wanted, rel=1e-5)


def divided(memory=1, passes=1):
    """Return a method after passes in which ten samples have small losses, the others large; 25 is held out."""
    method = DivideMix(N, K, warmup=2, memory=memory)
    labels = torch.zeros(N, dtype=torch.int64)
    history = []
    for number in range(passes):
        generator = torch.Generator().manual_seed(number)
        margin = torch.where(torch.arange(N) < 10, 4.0, -4.0) + torch.randn(2, N, generator=generator)
        logits = torch.zeros(2, N, K)
        logits[:, :, 0] = margin
        seen = torch.arange(N) != 25
        for part in (torch.arange(N)[seen][:12], torch.arange(N)[seen][12:]):
            method.visit(logits[:, part], labels[part], part, 0.1)
        method.end_pass()
        losses = -logits.log_softmax(2)[:, seen, 0]
        low, high = losses.amin(1, keepdim=True), losses.amax(1, keepdim=True)
        history.append((losses - low) / (high - low))
    return method, history, seen


@pytest.mark.parametrize(("memory", "passes"), [(1, 1), (1, 3), (3, 2), (2, 3)])
def test_the_division_is_that_of_the_mixture(memory, passes):
    method, history, seen = divided(memory, passes)
    mean = torch.stack(history[-memory:]).mean(0).double()
    for network in range(2):
        x = mean[network][:, None].numpy()
        fitted = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(x)
        order = fitted.means_[:, 0].argsort()
        m, v, share = (getattr(fitted, name).reshape(2)[order] for name in ("means_", "covariances_", "weights_"))
        density = share * np.exp(-((x - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
        wanted = density[:, 0] / density.sum(1)
        np.testing.assert_allclose(method.clean[network][seen].numpy(), wanted, atol=1e-4)
    suspicion = method.suspicion(torch.zeros(N, dtype=torch.int64))
    assert suspicion[:10].max() < 0.5 < suspicion[10:25].min()
    assert suspicion[25] == 0  # held out: nothing is known of it


def test_when_it_divides():
    method = DivideMix(N, K, warmup=3)
    wants = []
    for epoch in range(5):
        method.start_epoch(epoch, 5)
        wants.append(method.needs_pass)
    assert wants == [False, False, True, True, True]


def elr_plus_by_loops(method, step, images, before, hundred=False):
    total, after = 0.0, before.clone()
    for k in range(2):
        judged = [softmax(logits_of(method.averages[1 - k], images[b])) for b in range(B)]
        rows = []
        for b in range(B):
            old = before[k, step.index[b]].tolist()
            rows.append([method.beta * t + (1 - method.beta) * p for t, p in zip(old, judged[b], strict=True)])
            after[k, step.index[b]] = torch.tensor(rows[-1])
        share = float(Beta(torch.tensor(method.alpha), torch.tensor(method.alpha)).sample())
        share = max(share, 1 - share)
        partner = torch.randperm(B).tolist()
        for b in range(B):
            j = partner[b]
            image = share * images[b] + (1 - share) * images[j]
            label = share * np.eye(K)[int(step.labels[b])] + (1 - share) * np.eye(K)[int(step.labels[j])]
            target = share * np.array(rows[b]) + (1 - share) * np.array(rows[j])
            if hundred:
                label = label * target / sum(label * target)
            p = np.array(softmax(logits_of(step.networks[k], image)))
            total += (-float(label @ np.log(p)) + method.lam * math.log(1 - float(target @ p))) / B
    return total, after


@pytest.mark.parametrize("hundred", [False, True])
def test_a_step_of_elr_plus(hundred, monkeypatch):
    if hundred:
        monkeypatch.setattr("sparseop.deep.labels.methods.elr_plus.HUNDRED", K)
    method = ELRPlus(N, K, beta=0.6).train()
    step, views = a_step()
    method.attach(nn.ModuleList([Flat(7), Flat(8)]))  # averages that are not the networks
    before = torch.rand(2, N, K, generator=torch.Generator().manual_seed(3)) / K
    method.targets.copy_(before)
    torch.manual_seed(4)
    with torch.no_grad():
        wanted, after = elr_plus_by_loops(method, step, views[0], before, hundred)
    torch.manual_seed(4)
    loss, _ = method.learn(step)
    assert loss.item() == pytest.approx(wanted, rel=1e-4)
    torch.testing.assert_close(method.targets, after)
    loss.backward()
    assert all(parameter.grad is None for parameter in method.averages.parameters())


def test_the_averages_follow_slower_and_slower():
    method = ELRPlus(N, K, momentum=0.9, rise=0.5)
    for place, momentum in ((0.0, 0.9 * math.exp(-5)), (0.25, 0.9 * math.exp(-1.25)), (0.5, 0.9), (0.9, 0.9)):
        step, _ = a_step(place)
        method.attach(nn.ModuleList([Flat(7), Flat(8)]))
        old = [average.weight.clone() for average in method.averages]
        method.moved(step)
        for average, was, network in zip(method.averages, old, step.networks, strict=True):
            torch.testing.assert_close(average.weight, momentum * was + (1 - momentum) * network.weight)
    assert not any(parameter.requires_grad for parameter in method.averages.parameters())


RECIPE = """
[data]
name = "shapes"
train = 240
test = 60
[noise]
kind = "symmetric"
rate = 0.3
[network]
name = "fastnet"
width = 4
[training]
epochs = 4
batch_size = 40
augment = "weak"
pad = 1
"""


@pytest.mark.parametrize("name", ["dividemix", "elr+"])
def test_resume_is_bit_exact(name, tmp_path):
    torch.set_num_threads(1)
    warm = ["method.warmup=2"] if name == "dividemix" else []
    recipe = recipes.parse(RECIPE, name="tiny", overrides=[f"method.name={name}", *warm])
    summary = engine.train(recipe, tmp_path / "whole")
    with pytest.raises(StopError):
        engine.train(recipe, tmp_path / "halves", watch=stop_in(3))
    engine.resume(tmp_path / "halves")
    assert_same_state(state_of(tmp_path / "whole"), state_of(tmp_path / "halves"))
    assert 0 <= summary["detection"]["auroc"] <= 1


def test_the_run_is_judged_by_both():
    recipe = recipes.parse(RECIPE, name="tiny", overrides=["method.name=elr+"])
    run = engine._Run(recipe, engine.prepare(recipe, None), torch.device("cpu"))
    with torch.no_grad():
        for parameter in run.method.averages.parameters():
            parameter.mul_(1.5)
    images = run.samples.dataset.test_images
    averages = copy.deepcopy(run.method.averages).eval()
    with torch.no_grad():
        plain = run.plain(images, torch.Generator())
        wanted = (averages[0](plain) + averages[1](plain)) / 2
        torch.testing.assert_close(run._plain_logits(images), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dividemix", "elr+"])
def test_refused(name):
    method = METHODS[name](N, K)
    assert isinstance(method, RunsNetworks)
    require_whole(method)
    with pytest.raises(InputError, match="runs its networks itself: call learn"):
        method(torch.zeros(B, K), torch.zeros(B, dtype=torch.int64), torch.arange(B))


def test_out_of_range():
    for options in (
        {"warmup": 0},
        {"threshold": 1.0},
        {"temperature": 0.0},
        {"alpha": -1.0},
        {"ramp": 0},
        {"memory": 0},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            DivideMix(N, K, **options)
    for options in ({"beta": 1.0}, {"momentum": 1.0}, {"rise": 0.0}, {"alpha": 0.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            ELRPlus(N, K, **options)
    method = DivideMix(N, K).train()
    with pytest.raises(InputError, match="start_epoch"):
        method.learn(a_step()[0])


def test_dividemix_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(InputError, match="needs scikit-learn"):
        DivideMix(N, K)
