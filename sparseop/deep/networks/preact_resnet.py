"""PreActResNet-18 for 32 x 32 images (He et al., Identity Mappings in Deep Residual Networks, arXiv:1603.05027)."""

from torch import Tensor, nn
from torch.nn import functional

from sparseop.errors import integer


def preact_resnet18(n_classes: int, in_channels: int = 3, *, width: int = 64, released: bool = False) -> nn.Module:
    """Return PreActResNet-18: 11,171,146 parameters for ten classes, 11,171,274 as released.

    A block that changes the shape takes its shortcut (1 x 1 convolution, no batch norm) from the normalised input; no
    batch norm follows the last block. ``released`` is the network in the code of SOP, whose stem has a batch norm and
    ReLU of its own and whose identity shortcuts carry relu(BN(x)) instead of x: the one that made the paper's numbers,
    while its title and the literature mean the other.
    """
    return PreActResNet([2, 2, 2, 2], n_classes, in_channels, integer("width", width, 1), released)


class PreActResNet(nn.Module):
    """A 3 x 3 convolution, four stages of pre-activation blocks, mean pooling."""

    def __init__(self, blocks: list[int], n_classes: int, in_channels: int, width: int, released: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1, bias=False)]
        if released:
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        wide_in = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            for block in range(count):
                layers.append(PreActBlock(wide_in, wide, 2 if stage and block == 0 else 1, released))
                wide_in = wide
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide_in, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.body(images).mean((2, 3)))  # type: ignore[no-any-return]


class PreActBlock(nn.Module):
    """With a = relu(BN(x)): conv relu BN conv a, plus x, or conv1x1 a where the shape changes; plus a as released."""

    def __init__(self, wide_in: int, wide: int, stride: int, released: bool) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(wide_in)
        self.residual = nn.Sequential(
            nn.Conv2d(wide_in, wide, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        )
        same = stride == 1 and wide_in == wide
        self.shortcut = None if same else nn.Conv2d(wide_in, wide, 1, stride, bias=False)
        self.released = released

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, wide, H / stride, W / stride)."""
        activated = functional.relu(self.normalise(x), inplace=True)
        if self.shortcut is not None:
            return self.residual(activated) + self.shortcut(activated)  # type: ignore[no-any-return]
        return self.residual(activated) + (activated if self.released else x)  # type: ignore[no-any-return]
