"""Losses in a plain loop: what one needs and does not get is named, and nothing moves outside of training."""

import copy

import pytest
import torch
from torch import nn

from sparseop.deep.labels.methods import (
    CORES2,
    ELR,
    SOP,
    CoTeaching,
    CoTeachingPlus,
    Forward,
    MixUp,
    Setting,
    SOPPlus,
    hooks,
)
from sparseop.errors import InputError

N, K, B = 12, 4, 6


def data():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(N, 5, generator=generator), torch.arange(N) % K


def plain_loop(loss, epochs, *, mix=False, start=False, visit=False, end=False):
    """Train as one does with cross-entropy, with those hooks that are asked for; return the losses."""
    images, labels = data()
    torch.manual_seed(0)
    network = nn.Linear(5, K)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    found = []
    for epoch in range(epochs):
        if start:
            loss.start_epoch(epoch, epochs)
        for index in torch.randperm(N).split(B):
            seen = loss.mix(images[index]) if mix else images[index]
            value = loss(network(seen), labels[index], index)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            found.append(value.item())
        if getattr(loss, "needs_pass", False):
            for index in torch.arange(N).split(B):
                if visit:
                    loss.visit(network(images[index]).detach(), labels[index], index, 0.1)
            if end:
                loss.end_pass()
    return found


WHOLE_PASS = {"visit": True, "end": True}


@pytest.mark.parametrize(
    ("build", "given", "words"),
    [
        (lambda: MixUp(N, K), {}, r"call mix\(images\) on the images of each step.*nothing was mixed"),
        (lambda: Forward(N, K, warmup=1), {}, r"Forward counts epochs.*call start_epoch\(epoch, epochs\)"),
        (lambda: Forward(N, K, warmup=1), {"start": True}, "call visit for every batch of samples and then end_pass"),
        (
            lambda: Forward(N, K, warmup=1),
            {"start": True, "end": True},
            "what visit was shown, and it was shown nothing",
        ),
        (lambda: Forward(N, K, warmup=1), {"start": True, "visit": True}, "and then end_pass"),
        (lambda: SOP(N, K, update="epoch"), {}, "call visit for every batch of samples and then end_pass"),
        (lambda: SOP(N, K, update="epoch"), {"visit": True}, "and then end_pass"),
        (lambda: SOP(N, K, update="epoch"), {"end": True}, "what visit is shown, and it was shown nothing"),
        (lambda: CORES2(N, K), {}, r"CORES2 changes with the epoch: call start_epoch\(epoch, epochs\)"),
        (lambda: CoTeaching(N, K), {"start": True}, r"takes logits of shape \(2, 6, K\), one table a network"),
        (lambda: CoTeachingPlus(N, K), {}, r"CoTeachingPlus takes logits of shape \(2, 6, K\)"),
        (lambda: SOPPlus(N, K), {}, r"SOPPlus takes logits of shape \(2, 6, K\), one table a view"),
    ],
)
def test_a_hook_that_is_needed_and_not_called_is_named(build, given, words):
    with pytest.raises(InputError, match=words):
        plain_loop(build(), 3, **given)


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (lambda: MixUp(N, K), {"mix": True}),
        (lambda: Forward(N, K, warmup=1), {"start": True, **WHOLE_PASS}),
        (lambda: SOP(N, K, update="epoch"), WHOLE_PASS),
        (lambda: CORES2(N, K), {"start": True}),
        (lambda: SOP(N, K), {}),
        (lambda: ELR(N, K), {}),
    ],
)
def test_with_its_hooks_a_plain_loop_trains(build, given):
    losses = plain_loop(build(), 3, **given)
    assert len(losses) == 3 * N // B
    assert torch.tensor(losses).isfinite().all()


def test_each_step_mixes_anew():
    loss, (images, labels) = MixUp(N, K), data()
    index = torch.arange(B)
    loss.mix(images[index])
    loss(torch.randn(B, K), labels[index], index)
    with pytest.raises(InputError, match="nothing was mixed before this batch of 6"):
        loss(torch.randn(B, K), labels[index], index)
    loss.mix(images[:4])
    with pytest.raises(InputError, match="a batch of 4 was mixed before this batch of 6"):
        loss(torch.randn(B, K), labels[index], index)


def test_mixup_judges_by_plain_cross_entropy():
    logits, labels = torch.randn(B, K), torch.arange(B) % K
    wanted = nn.functional.cross_entropy(logits, labels)
    assert torch.equal(MixUp(N, K).eval()(logits, labels, torch.arange(B)), wanted)
    with torch.no_grad():
        assert torch.equal(MixUp(N, K)(logits, labels, torch.arange(B)), wanted)


def test_two_networks_need_their_epoch():
    with pytest.raises(InputError, match="CoTeaching changes with the epoch: call start_epoch"):
        CoTeaching(N, K)(torch.randn(2, B, K), torch.arange(B) % K, torch.arange(B))


def test_an_estimate_goes_on_from_a_checkpoint():
    loss = Forward(N, K, warmup=1)
    plain_loop(loss, 2, start=True, **WHOLE_PASS)
    again = Forward(N, K, warmup=1)
    again.load_state_dict(copy.deepcopy(loss.state_dict()))
    again.start_epoch(1, 3)
    assert not again.needs_pass
    assert torch.equal(again.T, loss.T)
    before = Forward(N, K, warmup=2)  # stopped within its warm-up: the pass is still to come
    before.load_state_dict(Forward(N, K, warmup=2).state_dict())
    before.start_epoch(1, 3)
    assert before.needs_pass
    with pytest.raises(InputError, match="visit"):
        before.start_epoch(2, 3)


@pytest.mark.parametrize("how", ["evaluation mode", "no gradients"])
@pytest.mark.parametrize("cls", [SOP, SOPPlus, ELR, CORES2])
def test_nothing_moves_outside_of_training(cls, how):
    """Validation labels in particular must leave no trace."""
    loss = cls(N, K)
    if hasattr(loss, "start_epoch"):
        loss.start_epoch(0, 1)
    if cls in (SOP, SOPPlus):
        loss.variables.u.fill_(0.3)
        loss.variables.v.fill_(0.3)
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    logits = 3 * torch.randn(2, B, K) if cls is SOPPlus else 3 * torch.randn(B, K)
    arguments = logits, torch.arange(B) % K, torch.arange(B)
    with torch.set_grad_enabled(how == "evaluation mode"):
        loss.train(how != "evaluation mode")(*arguments)
    assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())
    loss.train()(*arguments)
    assert not all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())


def test_auto_rates_fill_in_the_other_options():
    setting = Setting(n_samples=N, n_classes=K, batch_size=B, rates=(0.1,) * 30)
    for cls in (SOP, SOPPlus):
        options = cls.resolve({"lr_u": "auto", "lr_v": "auto"}, setting)
        assert 0 < options["lr_u"] < options["lr_v"] * 1e3
        assert options == cls.resolve(options, setting)
        assert cls(N, K, **options).lr_u == options["lr_u"]


def test_a_hook_by_half_is_refused():
    class Half(nn.Module):
        needs_pass = True

        def visit(self, logits, labels, index, rate):
            pass

    with pytest.raises(InputError, match="Half has needs_pass, visit and no end_pass; WantsPass is all of them"):
        hooks.require_whole(Half())
    hooks.require_whole(nn.CrossEntropyLoss())


def test_a_single_disagreement_is_learnt():
    """Of one sample no share of 1 - forget_rate is left; the released code of Co-teaching+ then takes it whole."""
    loss = CoTeachingPlus(N, K, forget_rate=0.4, ramp=1, warmup=0)
    loss.start_epoch(5, 10)
    logits = torch.randn(B, K).expand(2, B, K).clone()
    logits[1, 2] = logits[0, 2].roll(1)
    labels = torch.arange(B) % K
    wanted = sum(nn.functional.cross_entropy(network[2:3], labels[2:3]) for network in logits)
    torch.testing.assert_close(loss(logits, labels, torch.arange(B)), wanted)
