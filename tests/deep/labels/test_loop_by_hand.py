"""The label engine beside a loop written out in torch: the same weights, the same state of the method, the same record.

The loop below is what a run does, line by line, for one network on one device: whatever the engine leaves out, freezes,
draws twice or takes in another order shows in the weights or in the method's state.
"""

import csv

import pytest
import torch
from torch import nn

from sparseop.deep import augment, networks
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.data import prepare
from sparseop.deep.labels.methods import Setting, build, resolve
from sparseop.deep.training.schedule import rates
from sparseop.deep.training.seeds import generator, seed_for
from tests.deep.runs import state_of

#: the plain layout, or sums are taken in another order, which the ties of the maxima double with each step
TINY = (
    "network.width=4",
    "training.epochs=2",
    "training.batch_size=200",
    "training.lr=0.05",
    "engine.channels_last=false",
)
SMALL = ("training.pad=1", "training.hole=3")
STEEP = ("training.schedule=step", "training.milestones=[1]", "training.gamma=0.5")


pytestmark = pytest.mark.filterwarnings("ignore:[uv]_on = ")  # short runs, which "auto" rates warn of


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def by_hand(recipe):
    """Train as the recipe says; return the networks, the method and the rows of the record."""
    training, seed, samples = recipe.training, recipe.seed, prepare(recipe, None)
    dataset, given = samples.dataset, samples.labels.given
    n, k, taus = len(given), dataset.n_classes, rates(training)
    setting = Setting(n, k, training.batch_size, taus, samples.labels.transition)
    name = recipe.method.name
    method = build(name, resolve(name, recipe.method.options, setting), setting, seed=seed_for(seed, "method"))
    torch.manual_seed(seed_for(seed, "network"))
    models = nn.ModuleList(networks.build("convnet", k, 1, width=4) for _ in range(getattr(method, "networks", 1)))
    optimiser = torch.optim.SGD(
        models.parameters(),
        lr=training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        fused=True,
    )
    views = [
        augment.build(name, mean=dataset.mean, std=dataset.std, pad=training.pad, hole=training.hole)
        for name in (training.augment, *getattr(method, "views", ()))
    ]
    plain = (dataset.train_images.float() / 255 - dataset.mean[0]) / dataset.std[0]
    rows = []
    for epoch in range(training.epochs):
        shuffle = torch.Generator().manual_seed(seed_for(seed, "order", epoch))
        order = samples.train[torch.randperm(len(samples.train), generator=shuffle)]
        torch.manual_seed(seed_for(seed, "torch", epoch, 0))
        draws = [generator("cpu", seed, "augment", view, epoch, 0) for view in range(len(views))]
        optimiser.param_groups[0]["lr"] = taus[epoch]
        if hasattr(method, "start_epoch"):
            method.start_epoch(epoch, training.epochs)
        method.train()
        models.train()
        predicted, losses = torch.full((n,), -1), []
        for index in order.split(training.batch_size):
            if training.drop_last and len(index) < training.batch_size:
                break
            images = dataset.train_images[index]
            seen = [view(images, draw) for view, draw in zip(views, draws, strict=True)]
            if hasattr(method, "mix"):
                seen[0] = method.mix(seen[0])
            seen = torch.cat(seen)
            outputs = [model(seen) for model in models]
            logits = outputs[0] if len(models) == 1 else torch.stack(outputs)
            if len(views) > 1:
                logits = logits.view(len(views), len(index), k)
            loss = method(logits, given[index], index)
            optimiser.zero_grad()
            loss.backward()
            if training.clip:
                nn.utils.clip_grad_norm_(models.parameters(), training.clip)
            optimiser.step()
            first = logits if logits.ndim == 2 else logits[0]
            predicted[index] = first.detach().argmax(1)
            losses.append(float(loss.detach()))
        if getattr(method, "needs_pass", False):
            models.eval()
            with torch.no_grad():
                for index in samples.train.split(recipe.engine.test_batch):
                    method.visit(models[0](plain[index]), given[index], index, taus[epoch])
            method.end_pass()
        seen_ones = predicted >= 0
        rows.append(
            (sum(losses) / len(losses), taus[epoch], 100 * float((predicted == given)[seen_ones].double().mean()))
        )
    return models, method, rows


@pytest.mark.parametrize(
    "overrides",
    [
        ("method.name=ce", "training.augment=weak", "training.nesterov=true", *STEEP),
        (
            "method.name=ce",
            "training.augment=strong",
            "training.clip=0.5",
            "training.momentum=0.5",
            "training.drop_last=true",
        ),
        ("method.name=sop", "method.lr_u=auto", "method.lr_v=auto", "training.augment=weak"),
        ("method.name=sop", "method.update=epoch", "method.constraint=project", "method.lr_u=3.0", *STEEP),
        ("method.name=sop+", "training.augment=weak", "method.lr_u=10.0"),
        ("method.name=elr", "training.augment=weak"),
        ("method.name=cores2", "method.start=0", "method.warmup=1", "method.ramp=1"),
        ("method.name=coteaching", "method.ramp=2", "training.augment=flip"),
        ("method.name=coteaching+", "method.warmup=1", "training.augment=flip"),
        ("method.name=mixup",),
        ("method.name=forward", "method.warmup=1"),
        ("method.name=forward", 'method.transition="true"'),
        ("method.name=gce", "training.weight_decay=0.01"),
        ("method.name=sl", "training.validation=100"),
    ],
    ids=lambda given: "-".join(word.partition("=")[2] for word in given[:2]),
)
def test_the_engine_is_the_loop_by_hand(overrides, tmp_path):
    recipe = recipes.read("digits_sym40_ce", [*TINY, *SMALL, *overrides])
    engine.train(recipe, tmp_path / "run")
    models, method, rows = by_hand(recipe)
    state = state_of(tmp_path / "run")
    for name, wanted in models.state_dict().items():
        torch.testing.assert_close(
            state["networks"][name], wanted, rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )
    assert state["method"].keys() == method.state_dict().keys()
    for name, wanted in method.state_dict().items():
        torch.testing.assert_close(state["method"][name], wanted, rtol=1e-4, atol=1e-8)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        found = [tuple(float(row[key]) for key in ("loss", "lr", "train_given")) for row in csv.DictReader(file)]
    assert found == [pytest.approx(row, rel=1e-4) for row in rows]


@pytest.mark.parametrize(
    ("name", "buffer", "options"),
    [
        ("sop", "variables.u", ("method.lr_u=auto", "method.lr_v=auto")),
        ("sop", "variables.v", ("method.lr_u=auto", "method.lr_v=auto")),
        ("sop+", "variables.u", ()),
        ("elr", "targets", ()),
        ("cores2", "kept", ("method.start=0", "method.warmup=0")),
        ("forward", "T", ("method.warmup=1",)),
    ],
)
def test_a_run_moves_the_state_of_its_method(name, buffer, options, tmp_path):
    """Training with a frozen method would still train a network: at seen samples its state has to leave its start."""
    recipe = recipes.read(
        "digits_sym40_ce", [*TINY, *SMALL, f"method.name={name}", *options, "training.validation=100"]
    )
    samples = prepare(recipe, None)
    run = engine._Run(recipe, samples, torch.device("cpu"))
    first = run.method.state_dict()[buffer].clone()
    for epoch in range(2):
        run._epoch(epoch, None)
    moved = run.method.state_dict()[buffer] != first
    if len(moved) == len(samples.labels.given):
        rows = moved.flatten(1).any(1) if moved.ndim > 1 else moved
        assert not rows[samples.validation].any()
        moved = rows[samples.train]
    assert moved.double().mean() > (0.1 if buffer == "kept" else 0.5)
