"""The gradient that training descends, of every method, by differences of its loss with all state held still."""

import copy

import pytest
import torch

from sparseop.deep.labels.methods import METHODS, Setting, build
from sparseop.deep.labels.methods.hooks import RunsNetworks

N, K, B, STEP = 20, 4, 8, 1e-3
#: name -> options, an epoch in which every term of the loss takes part
CASES = {
    "ce": ({}, 0),
    "gce": ({}, 0),
    "sl": ({}, 0),
    "mixup": ({}, 0),
    "elr": ({"lam": 2.0, "beta": 0.3}, 5),
    "cores2": ({"beta": 2.0, "start": 0, "ramp": 4, "warmup": 2}, 3),
    "forward": ({"transition": "true"}, 5),
    "coteaching": ({"forget_rate": 0.4, "ramp": 1}, 5),
    "coteaching+": ({"forget_rate": 0.4, "ramp": 1, "warmup": 1}, 5),
    "sop": ({"lr_u": 3.0, "lr_v": 3.0, "init_std": 0.4}, 5),
    "sop+": ({"lr_u": 3.0, "lr_v": 3.0, "init_std": 0.4}, 5),
    "sop-rows": ({"lr": 1.0, "init": 0.2}, 5),
}


def prepared(name):
    """A method in training mode, in the middle of a run, and logits, labels and samples of a batch."""
    options, epoch = CASES[name]
    transition = torch.full((K, K), 0.1, dtype=torch.float64) + 0.6 * torch.eye(K, dtype=torch.float64)
    setting = Setting(N, K, B, (0.1,) * 10, transition)
    method = build(name, options, setting, seed=3).train()
    generator = torch.Generator().manual_seed(7)
    if name == "elr":
        method.targets.copy_(torch.rand(N, K, generator=generator) / K)
    if hasattr(method, "start_epoch"):
        method.start_epoch(epoch, 10)
    torch.manual_seed(11)
    if hasattr(method, "mix"):
        method.mix(torch.zeros(B, 1, 2, 2))
    stacked = [method.networks] if hasattr(method, "networks") else [2] if hasattr(method, "views") else []
    logits = 1.5 * torch.randn(*stacked, B, K, generator=generator)
    labels, index = torch.randint(K, (B,), generator=generator), torch.randperm(N, generator=generator)[:B]
    return method, logits, labels, index


def consistency(target, view):
    """The divergence of SOP+'s second view from a first that does not learn from it."""
    p = target.double().softmax(1)
    return float((p * (p.log() - view.double().log_softmax(1))).sum(1).mean())


@pytest.mark.parametrize("name", CASES)
def test_training_descends_the_loss_with_its_state_held_still(name):
    method, logits, labels, index = prepared(name)
    still = copy.deepcopy(method)
    leaf = logits.clone().requires_grad_()
    method(leaf, labels, index).backward()
    if name == "elr":  # its target is used after it has moved
        still = copy.deepcopy(method)
    still.train(name == "mixup")  # judged, it is cross-entropy
    wanted = torch.empty_like(logits)
    for place in range(logits.numel()):
        shift = torch.zeros(logits.numel())
        shift[place] = STEP
        ends = [logits + sign * shift.view_as(logits) for sign in (1, -1)]
        up, down = (float(copy.copy(still)(end, labels, index)) for end in ends)
        if name == "sop+":
            up, down = (
                value + method.lambda_C * (consistency(logits[0], end[1]) - consistency(end[0], end[1]))
                for value, end in zip((up, down), ends, strict=True)
            )
        wanted.view(-1)[place] = (up - down) / (2 * STEP)
    torch.testing.assert_close(leaf.grad, wanted, rtol=0, atol=4e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", CASES)
def test_state_moves_in_training_and_only_there(name):
    method, logits, labels, index = prepared(name)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    method.eval()(logits, labels, index)
    with torch.no_grad():
        method.train()(logits, labels, index)
    for key, value in method.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    method(logits, labels, index)
    others = torch.ones(N, dtype=torch.bool)
    others[index] = False
    for key, value in method.state_dict().items():
        if len(value) == N:
            assert not torch.equal(value, before[key]), key
            torch.testing.assert_close(value[others], before[key][others], rtol=0, atol=0)


def test_every_method_is_here():
    assert CASES.keys() == {name for name, cls in METHODS.items() if not issubclass(cls, RunsNetworks)}
