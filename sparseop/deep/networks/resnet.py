"""ResNet-18 and ResNet-34 for 32 x 32 images (He et al. 2016, arXiv:1512.03385, with the stem that CIFAR calls for)."""

from torch import Tensor, nn
from torch.nn import functional

from sparseop.errors import integer


def resnet18(n_classes: int, in_channels: int = 3, *, width: int = 64) -> nn.Module:
    """Return ResNet-18 with a 3 x 3 stem and no max pooling: 11,173,962 parameters for ten classes."""
    return ResNet([2, 2, 2, 2], n_classes, in_channels, integer("width", width, 1))


def resnet34(n_classes: int, in_channels: int = 3, *, width: int = 64) -> nn.Module:
    """Return ResNet-34 with a 3 x 3 stem and no max pooling: 21,282,122 parameters for ten classes."""
    return ResNet([3, 4, 6, 3], n_classes, in_channels, integer("width", width, 1))


class ResNet(nn.Module):
    """A stem, four stages of basic blocks of widths w, 2w, 4w, 8w (each but the first halves the image), mean pooling."""

    def __init__(self, blocks: list[int], n_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        wide_in = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            for block in range(count):
                layers.append(BasicBlock(wide_in, wide, stride=2 if stage and block == 0 else 1))
                wide_in = wide
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide_in, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.body(images).mean((2, 3)))  # type: ignore[no-any-return]


class BasicBlock(nn.Module):
    """relu(x + BN conv relu BN conv x); where the shape changes, x passes a 1 x 1 convolution with BN."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(wide_in, wide, 3, stride, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide),
        )
        same = stride == 1 and wide_in == wide
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, wide, H / stride, W / stride)."""
        return functional.relu(self.residual(x) + self.shortcut(x), inplace=True)
