"""ResNets (He et al. 2016, arXiv:1512.03385), with the stem that 32 x 32 images call for, or the one for 224 x 224."""

from torch import Tensor, nn
from torch.nn import functional

from sparseop.errors import choice, integer


def resnet8(n_classes: int, in_channels: int = 3, *, width: int = 16) -> nn.Module:
    """Return the smallest ResNet: a 3 x 3 stem and three blocks of widths w, 2w, 4w, for images of 16 x 16.

    A processor's own.
    """
    return ResNet([1, 1, 1], n_classes, in_channels, integer("width", width, 1))


def resnet18(n_classes: int, in_channels: int = 3, *, width: int = 64) -> nn.Module:
    """Return ResNet-18 with a 3 x 3 stem and no max pooling: 11,173,962 parameters for ten classes."""
    return ResNet([2, 2, 2, 2], n_classes, in_channels, integer("width", width, 1))


def resnet34(n_classes: int, in_channels: int = 3, *, width: int = 64) -> nn.Module:
    """Return ResNet-34 with a 3 x 3 stem and no max pooling: 21,282,122 parameters for ten classes."""
    return ResNet([3, 4, 6, 3], n_classes, in_channels, integer("width", width, 1))


def bottleneck_resnet50(n_classes: int, in_channels: int = 3, *, width: int = 64, stem: str = "small") -> nn.Module:
    """Return ResNet-50: 23,520,842 parameters for ten classes with the "small" stem.

    ``stem`` is "small", a 3 x 3 convolution, for images of 32 x 32, or "large", a 7 x 7 convolution with stride 2 and
    max pooling, for 224 x 224: then layer for layer torchvision's ResNet-50 (the stride of a block is in its 3 x 3
    convolution).
    """
    large = choice("stem", stem, ("small", "large")) == "large"
    return ResNet([3, 4, 6, 3], n_classes, in_channels, integer("width", width, 1), block=Bottleneck, large=large)


class ResNet(nn.Module):
    """A stem, stages of blocks of widths w, 2w, 4w, 8w (each but the first halves the image), mean pooling."""

    def __init__(
        self,
        blocks: list[int],
        n_classes: int,
        in_channels: int,
        width: int,
        *,
        block: "type[BasicBlock | Bottleneck] | None" = None,
        large: bool = False,
    ) -> None:
        super().__init__()
        kind = block or BasicBlock
        first = (
            nn.Conv2d(in_channels, width, 7, 2, padding=3, bias=False)
            if large
            else nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        )
        layers: list[nn.Module] = [first, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(3, 2, padding=1)] if large else []
        wide_in = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            for number in range(count):
                layers.append(kind(wide_in, wide, stride=2 if stage and number == 0 else 1))
                wide_in = kind.expansion * wide
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide_in, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.body(images).mean((2, 3)))  # type: ignore[no-any-return]


class BasicBlock(nn.Module):
    """relu(x + BN conv relu BN conv x); where the shape changes, x passes a 1 x 1 convolution with BN."""

    expansion = 1

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(wide_in, wide, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.shortcut = _shortcut(wide_in, wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, wide, H / stride, W / stride)."""
        return functional.relu(self.residual(x) + self.shortcut(x), inplace=True)


class Bottleneck(nn.Module):
    """As ``BasicBlock``, with a 1 x 1 convolution to ``wide`` channels, a 3 x 3 one and a 1 x 1 one to 4 ``wide``."""

    expansion = 4

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(wide_in, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, 4 * wide, 1, bias=False),
            nn.BatchNorm2d(4 * wide),
        )
        self.shortcut = _shortcut(wide_in, 4 * wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 4 wide, H / stride, W / stride)."""
        return functional.relu(self.residual(x) + self.shortcut(x), inplace=True)


def _shortcut(wide_in: int, wide: int, stride: int) -> nn.Module:
    if stride == 1 and wide_in == wide:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
