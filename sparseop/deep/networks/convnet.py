"""A small convolutional network that a processor trains in minutes."""

import torch
from torch import Tensor, nn

from sparseop.errors import InputError, integer


def convnet(
    n_classes: int, in_channels: int = 3, *, width: int = 32, stride: int = 1, batch_norm: bool = True
) -> nn.Module:
    """Return three 3 x 3 convolutions of widths w, 2w, 4w, each with batch norm and ReLU, the first two max-pooled.

    For images of 4 x 4 pixels and more, 7 x 7 with ``stride`` 2, which in the first convolution quarters the work on 32
    x 32 images. Global pooling keeps mean and maximum apart, so that small images lose little. Without ``batch_norm``
    the convolutions have a bias of their own, and in training, too, an image's logits depend on that image alone.
    """
    integer("width", width, 1)
    integer("stride", stride, 1, 2)
    return _ConvNet(n_classes, in_channels, width, stride, batch_norm)


class _ConvNet(nn.Module):
    def __init__(self, n_classes: int, in_channels: int, width: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.stride = stride
        self.body = nn.Sequential(
            *_stage(in_channels, width, stride, batch_norm),
            nn.MaxPool2d(2),
            *_stage(width, 2 * width, 1, batch_norm),
            nn.MaxPool2d(2),
            *_stage(2 * width, 4 * width, 1, batch_norm),
        )
        self.head = nn.Linear(8 * width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        if min(images.shape[2:]) <= 3 * self.stride:  # less than 4 pixels a side behind the first convolution
            raise InputError(
                f"network 'convnet' takes images of {3 * self.stride + 1} x {3 * self.stride + 1} pixels and more, "
                f"got {images.shape[2]} x {images.shape[3]}."
            )
        x = self.body(images)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))  # type: ignore[no-any-return]


def _stage(wide_in: int, wide_out: int, stride: int, batch_norm: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(wide_in, wide_out, 3, stride, padding=1, bias=not batch_norm)
    return [convolution, *([nn.BatchNorm2d(wide_out)] if batch_norm else []), nn.ReLU(inplace=True)]
