"""The trainers' steps as CUDA would run them, without CUDA.

No mixture of devices, no wait for the device, nothing it refuses.
"""

import dataclasses
import sys

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from sparseop.deep import networks
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.contrastive import run as contrastive_engine
from sparseop.deep.labels import data
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.methods import METHODS
from tests.deep.fake_cuda import CUDA, fake_cuda
from tests.deep.runs import StopError

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reaches into Linux's libraries"),
    pytest.mark.filterwarnings("ignore:[uv]_on = "),  # so few epochs
]
LABELS = [
    "network.width=4",
    "training.batch_size=64",
    "training.pad=1",
    "training.hole=3",
    "training.augment=weak",
    "training.clip=1.0",
]
#: parameters that a network holds fixed, so that they get no gradient: its whitening, and the scales of six norms
FIXED = {"fastnet": 7}
SHAPES = [
    "data.train=400",
    "data.test=100",
    "training.batch_size=64",
    "network.width=4",
    "method.queue=256",
    "evaluation.labels_every=1",
]


def faults_of_two_steps(run, stream):
    """Return what is wrong with the second and third step of an epoch; the first may still set up."""

    def watch(epoch, step, row):
        stream.watching = True
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        run._epoch(0, watch)
    stream.watching = False
    assert stream.seen > 500
    return stream.faults


class Lazy:
    """Images that are decoded when asked for, by threads that know of no fake device."""

    def __init__(self, images):
        self.shape, self.dtype = images.shape, images.dtype

    def __len__(self):
        return self.shape[0]

    def fetch(self, index):
        return torch.zeros((len(index), *self.shape[1:]), dtype=self.dtype)


# ---- the trainers ----------------------------------------------------------------------------------------------------


def labels_run(*changes):
    recipe = recipes.read("digits_sym40_sop", [*LABELS, *changes])
    return recipe, data.prepare(recipe, None)


@pytest.mark.parametrize("method", METHODS)
def test_methods_against_wrong_labels(monkeypatch, method):
    recipe, samples = labels_run(f"method.name={method}", "engine.precision=bfloat16")
    with fake_cuda(monkeypatch) as stream:
        run = engine._Run(recipe, samples, CUDA)
        assert not faults_of_two_steps(run, stream)


@pytest.mark.parametrize("change", ["method.name=forward", "method.update=epoch"])
def test_the_pass_after_an_epoch(monkeypatch, change):
    recipe, samples = labels_run(change, "engine.precision=bfloat16")
    with fake_cuda(monkeypatch) as stream:
        run = engine._Run(recipe, samples, CUDA)
        run._pass(run.method, 0.1)
        stream.watching = True
        run._pass(run.method, 0.1)
        assert stream.faults == ["_to_copy: cpu and cuda"]  # the indices, once


def test_images_decoded_ahead(monkeypatch):
    recipe, samples = labels_run()
    lazy = dataclasses.replace(
        samples, dataset=dataclasses.replace(samples.dataset, train_images=Lazy(samples.dataset.train_images))
    )
    with fake_cuda(monkeypatch) as stream:
        assert not faults_of_two_steps(engine._Run(recipe, lazy, CUDA), stream)


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ("moco", ["engine.precision=bfloat16", "method.symmetric=sum"]),
        ("sane", ["engine.precision=bfloat16", "training.optimiser=adamw"]),
        ("sane", ["method.mix_sizes=[8]", "training.splits=4", "training.clip=1.0"]),
        ("sane", ["method.terms=either", "method.partner=uniform"]),
        (
            "sane",
            [
                "method.mix_strength=weak",
                "method.mixup=vanilla",
                "method.teacher=online",
                "method.refinement=uniform",
                "method.weights=batch",
                "method.theta=batch",
                "method.partner=uniform",
            ],
        ),
    ],
)
def test_contrastive_methods(monkeypatch, base, changes):
    recipe = contrastive_recipes.read(f"shapes_{base}", [*SHAPES, *changes])
    samples = contrastive_engine.prepare(recipe, None)
    with fake_cuda(monkeypatch) as stream:
        assert not faults_of_two_steps(contrastive_engine._Run(recipe, samples, CUDA), stream)


@pytest.mark.parametrize("name", sorted(set(networks.NETWORKS) - {"timm", "torchvision", "object"}))
def test_networks_have_deterministic_gradients(monkeypatch, name, large_packages):
    needed = {"resnet50": "torchvision", "inception_resnet_v2": "timm"}.get(name)
    if needed and needed not in large_packages:
        pytest.skip(f"{needed} cannot be imported")
    options = {"stem": "large"} if name == "bottleneck_resnet50" else {}
    side = 80 if needed or options else 32
    with fake_cuda(monkeypatch) as stream:
        network = networks.build(name, 10, **options).to(CUDA, memory_format=torch.channels_last)
        stream.watching = True
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits = network(torch.zeros(4, 3, side, side, device=CUDA))
        torch.autograd.backward(logits.float().sum())
        assert not stream.faults
        without = [weight for weight in network.parameters() if weight.grad is None]
        assert len(without) == FIXED.get(name, 0)
        assert not any(weight.requires_grad for weight in without)


# ---- what finds faults finds them, and nothing else ------------------------------------------------------------------


def test_faults_are_noted(monkeypatch):
    faults = [
        (lambda x: torch.tensor([1.0, 2.0], device=x.device), "_to_copy: cpu and cuda"),
        (lambda x: x.cpu(), "_to_copy: cpu and cuda"),
        (lambda x: x[[0, 1]], "_to_copy: cpu and cuda"),
        (lambda x: x[torch.arange(2)], "index: cpu and cuda"),
        (lambda x: torch.rand(2, generator=torch.Generator(), device=x.device), "rand on cuda:0 by a generator on cpu"),
        (lambda x: x.cumsum(0), "cumsum is not deterministic"),
        (
            lambda x: torch.autograd.backward(adaptive_avg_pool2d(x[None, None], 2).sum()),
            "AdaptiveAvgPool2DBackward0 is not deterministic",
        ),
    ]
    with fake_cuda(monkeypatch) as stream:
        x = torch.zeros(4, 4, device=CUDA, requires_grad=True)
        stream.watching = True
        for fault, words in faults:
            fault(x)
            assert stream.faults == [words]
            stream.faults.clear()


def test_waiting_and_mixing_stop(monkeypatch):
    faults = [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.tolist(),
        torch.unique,
        lambda x: x + torch.zeros(4, 4),
    ]
    with fake_cuda(monkeypatch):
        for fault in faults:
            with pytest.raises(Exception, match=r"aten|same device"):
                fault(torch.zeros(4, 4, device=CUDA))


def test_nothing_else_is_noted(monkeypatch):
    with fake_cuda(monkeypatch) as stream:
        x = torch.zeros(4, 4, device=CUDA)
        stream.watching = True
        torch.where(x > 0, x, 0.0) + torch.tensor(2.0) + x.clamp(max=3)[:, None, 1:].long().cumsum(0).sum()
        torch.rand(2, generator=torch.Generator(x.device), device=x.device)
        torch.zeros(3).pin_memory().to(CUDA, non_blocking=True)
    assert stream.seen > 10
    assert not stream.faults
