"""The tangent kernel against the explicit Jacobian of torch.func, its blocks, its file, and what it refuses."""

import json

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional

from sparseop.deep import networks
from sparseop.deep.tangent import derivatives, tangent_kernel
from sparseop.errors import InputError


def explicit(network, first, second=None):
    """Return all pairs of classes, (K, K, N, M), from the whole Jacobian."""
    network.eval()
    parameters = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}

    def jacobian(images):
        found = jacrev(lambda p: functional_call(network, p, (images,)))(parameters)
        return torch.cat([part.flatten(2) for part in found.values()], 2)

    J = jacobian(first)
    return torch.einsum("iap,jbp->abij", J, J if second is None else jacobian(second))


def relative(found, wanted):
    """Return the largest difference, relative to the largest entry."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def images(*shape, seed=0, dtype=torch.float32):
    """Return random images."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Odd(nn.Module):
    """Grouped and biased convolutions, group norm, a layer used twice, its own scale, work in place, dense rows."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.7, 1.3]))
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.grouped = nn.Conv2d(4, 4, 3, groups=2, padding="same")
        self.norm = nn.GroupNorm(2, 4)
        self.again = nn.Conv2d(4, 4, 1, bias=False)
        self.row = nn.Linear(5, 3)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        """Return logits (B, 3)."""
        x = functional.relu(self.first(x * self.scale[:, None, None]), inplace=True)
        x = functional.relu(self.norm(self.grouped(x)), inplace=True)
        x = functional.gelu(self.again(x))
        x = x + self.again(x)
        return self.head(self.row(x.amax(2)).flatten(1))


NETWORKS = {
    "convnet": lambda: (networks.build("convnet", 3, 2, width=4), images(9, 2, 8, 8)),
    "without batch norm": lambda: (networks.build("convnet", 3, 1, width=4, batch_norm=False), images(9, 1, 8, 8)),
    "preactivation": lambda: (networks.build("preact_resnet18", 3, 2, width=2), images(5, 2, 8, 8)),
    "odd": lambda: (Odd(), images(7, 2, 5, 5)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernel_is_that_of_the_explicit_jacobian(name, dtype):
    """Exact for all pairs of classes, and shared, between images and others; the network is left as it was."""
    torch.manual_seed(1)
    network, x = NETWORKS[name]()
    with torch.no_grad():
        network.train()(x)  # running statistics of their own
    network, x, more = network.to(dtype), x.to(dtype), images(3, *x.shape[1:], seed=5, dtype=dtype)
    next(network.children()).eval()
    before = [module.training for module in network.modules()]
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    exact, shared, cross = (
        tangent_kernel(network, x, classes=(0, 2)),
        tangent_kernel(network, x),
        tangent_kernel(network, more, x),
    )
    assert [module.training for module in network.modules()] == before
    whole = explicit(network, x)
    mean = torch.einsum("aaij->ij", whole) / 3
    assert relative(exact.values, whole[[0, 2]][:, [0, 2]]) < tolerance
    assert relative(shared.values, mean) < tolerance
    assert relative(cross.values, torch.einsum("aaij->ij", explicit(network, more, x)) / 3) < tolerance
    assert max(exact.error, shared.error, cross.error) < tolerance
    left = whole - torch.eye(3, dtype=dtype)[:, :, None, None] * mean
    assert shared.missed == pytest.approx(float(left.norm() / whole.norm()), rel=1e-4)
    assert shared.missed_on == len(x)


def test_both_forms_of_a_layer_occur_and_agree():
    """Convolutions of few positions are kept as factors, those of many as gradients; the products are the same."""
    torch.manual_seed(0)
    network, x = networks.build("convnet", 3, 2, width=8).double().eval(), images(4, 2, 8, 8, dtype=torch.float64)
    parts = derivatives.derivatives(network, x, torch.eye(3, dtype=torch.float64), shared=True)
    factored = [part for part in parts if isinstance(part, derivatives.Factors)]
    assert 0 < len(factored) < len(parts)
    for part in factored:
        inputs, outputs = part.tensors
        gradient = derivatives.Gradients((torch.einsum("bato,btq->baoq", outputs, inputs).flatten(2),))
        for shared in (True, False):
            found, wanted = (p.product(p, shared=shared) for p in (part, gradient))
            assert relative(found, wanted) < 1e-13


@pytest.mark.parametrize("classes", [None, (0, 1)])
def test_blocks_and_interruptions_change_nothing(tmp_path, classes):
    """Many blocks, as with little memory; an interrupted run goes on where it was and computes no row again."""
    torch.manual_seed(0)
    network, x = networks.build("convnet", 3, 1, width=4), images(23, 1, 8, 8)
    whole = tangent_kernel(network, x, classes=classes)
    memory = 5e-5
    rows = []

    def stop(done, n):
        rows.append(done)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tangent_kernel(network, x, classes=classes, memory=memory, file=tmp_path / "k.npy", watch=stop)
    assert rows[1] < 23
    seen = []
    found = tangent_kernel(
        network, x, classes=classes, memory=memory, file=tmp_path / "k.npy", watch=lambda *at: seen.append(at[0])
    )
    assert seen[0] > rows[1]
    assert seen[-1] == 23
    assert relative(found.values, whole.values) < 1e-6
    again = tangent_kernel(network, x, classes=classes, file=tmp_path / "k.npy", watch=seen.append)
    assert torch.equal(again.values, found.values)
    cross = tangent_kernel(network, x, x.flip(0), classes=classes, memory=memory)
    assert relative(cross.values, whole.values.flip(-1)) < 1e-6
    with pytest.raises(InputError, match=r"is not this kernel's"):
        tangent_kernel(network, x * 2, classes=classes, file=tmp_path / "k.npy")
    (tmp_path / "k.json").write_text(json.dumps({"rows_finished": 3}))
    with pytest.raises(InputError, match=r"is not this kernel's"):
        tangent_kernel(network, x, classes=classes, file=tmp_path / "k.npy")


def test_directions_are_an_unbiased_share():
    """All K directions give the shared kernel whatever their rotation; one alone costs less and misses more."""
    torch.manual_seed(0)
    network, x = networks.build("convnet", 4, 1, width=4).double(), images(9, 1, 8, 8, dtype=torch.float64)
    shared, rotated, one = (tangent_kernel(network, x, directions=n) for n in (None, 4, 1))
    assert relative(rotated.values, shared.values) < 1e-12
    assert rotated.missed == pytest.approx(shared.missed)
    assert one.missed > shared.missed
    assert one.error < 1e-12


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x):
        """Return logits."""
        return self.b(torch.tanh(self.a(x)))


def test_what_cannot_be_had_image_by_image_is_refused():
    """Tied parameters, images that act on each other, chance in evaluation: told by comparison with plain gradients."""
    acting = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2))

    class Chance(nn.Linear):
        def forward(self, x):
            return functional.dropout(super().forward(x), 0.5, training=True)

    torch.manual_seed(0)
    for network in (Tied(), Chance(4, 3)):
        with pytest.raises(InputError, match="cannot be had layer by layer"):
            tangent_kernel(network, images(6, 4))
    with pytest.raises(InputError, match="must take one image of shape"):
        tangent_kernel(acting, images(6, 4))


def test_bad_arguments_are_told_in_a_sentence(tmp_path):
    """Network, images, classes, directions, memory, file."""
    network, x = nn.Linear(4, 3), images(6, 4)
    frozen = nn.Linear(4, 3).requires_grad_(False)
    bad = x.clone()
    bad[2, 1] = float("nan")
    for arguments, options, message in [
        (("net", x), {}, "network must be a Module"),
        ((frozen, x), {}, "trainable parameters"),
        ((network, x.numpy()), {}, "images must be a Tensor"),
        ((network, x[:0]), {}, "images must be a tensor"),
        ((network, x.int()), {}, "images must be a tensor"),
        ((network, bad), {}, "images must be finite"),
        ((network, x, bad), {}, "other must be finite"),
        ((network, x), {"classes": (0, 3)}, "classes must be"),
        ((network, x), {"classes": ()}, "classes must not be empty"),
        ((network, x), {"classes": (0,), "directions": 1}, "directions must be None"),
        ((network, x), {"directions": 4}, "directions must be"),
        ((network, x), {"memory": 0}, "memory must be"),
        ((network, x), {"memory": 1e-12}, "memory must be at least"),
        ((network, x), {"file": tmp_path / "k.txt"}, "must end in .npy"),
        ((nn.Flatten(0), x), {}, "trainable parameters"),
        ((nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), x), {}, "logits"),
    ]:
        with pytest.raises(InputError, match=message):
            tangent_kernel(*arguments, **options)


def test_a_result_that_memory_cannot_hold_is_refused_before_the_work(monkeypatch):
    """Ten classes, all pairs, a million images."""
    monkeypatch.setattr("sparseop.memory.free", lambda: 2**20)
    with pytest.raises(InputError, match=r"a tangent kernel of 3 x 3 x 400 x 400 would take"):
        tangent_kernel(nn.Linear(4, 3), images(400, 4), classes=range(3))
