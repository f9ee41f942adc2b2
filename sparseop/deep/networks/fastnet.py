"""A network that a processor core trains on CIFAR-10 in minutes, after the speed records of arXiv:2404.00498.

An image of 32 x 32 costs 66 MFLOP forward at width 32, a thirty-fifth of ResNet-34. Why it learns fast:

1.  the first convolution is fixed and whitens patches of 2 x 2 pixels, so that no later layer has to undo the
    correlation of neighbouring pixels; ``FastNet.whiten`` makes it from training images;
2.  the other convolutions start as partial identities, so that at the start images travel through all of them;
3.  pooling comes right behind the first convolution of each group, where it saves most;
4.  batch norm learns an offset but no scale, which the next layer could undo anyway, and its statistics follow quickly.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparseop.errors import InputError, between, integer

SMALLEST = 9  # pixels a side: one less by whitening, then three times half
EPS = 5e-4  # added to the variance of a direction: those that hold little but rounding are not blown up


def fastnet(
    n_classes: int,
    in_channels: int = 3,
    *,
    width: int = 32,
    whiten: bool = True,
    identity: bool = True,
    norm_momentum: float = 0.4,
    norm_scale: bool = False,
) -> nn.Module:
    """Return a whitening convolution, six of 3 x 3 pixels (widths w, w, 4w, ...), a global maximum, a linear layer.

    Parameters
    ----------
    width : w. 32: 0.50 M parameters for ten classes; 64: 2.0 M.
    whiten : fix the first convolution by ``FastNet.whiten``; else it learns, from a random start, as the others do.
    identity : start the 3 x 3 convolutions as partial identities.
    norm_momentum : share of a batch in the running statistics of batch norm, as torch counts it (the speed record's 0.6
        counts the other way round).
    norm_scale : let batch norm learn scales too.
    """
    integer("width", width, 1)
    between("norm_momentum", norm_momentum, 0, 1, ends="(]")
    return FastNet(n_classes, in_channels, width, whiten, identity, norm_momentum, norm_scale)


class FastNet(nn.Module):
    """See ``fastnet``; for images of 9 x 9 pixels and more."""

    def __init__(
        self,
        n_classes: int,
        in_channels: int,
        width: int,
        whiten: bool,
        identity: bool,
        norm_momentum: float,
        norm_scale: bool,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 2 * 4 * in_channels, 2)
        self.fixed = whiten
        if whiten:
            self.first.weight.requires_grad_(False)
            nn.init.zeros_(self.first.bias)  # type: ignore[arg-type]
        layers: list[nn.Module] = []
        wide_in = self.first.out_channels
        for wide in (width, 4 * width, 4 * width):
            for pool in (True, False):
                convolution = nn.Conv2d(wide_in, wide, 3, padding=1, bias=False)
                if identity:
                    nn.init.dirac_(convolution.weight.detach()[:wide_in])
                norm = nn.BatchNorm2d(wide, momentum=norm_momentum)
                norm.weight.requires_grad_(norm_scale)
                layers += [convolution, *([nn.MaxPool2d(2)] if pool else []), norm, nn.ReLU(inplace=True)]
                wide_in = wide
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide_in, n_classes, bias=False)
        # logits start small, as of unit weights divided by the width; to divide logits instead would change rates alone
        nn.init.normal_(self.head.weight, std=1 / wide_in)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Fix the first convolution by normalised ``images`` (N, C, H, W): see ``whitening``."""
        self.first.weight.copy_(whitening(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        if min(images.shape[2:]) < SMALLEST:
            raise InputError(
                f"network 'fastnet' takes images of {SMALLEST} x {SMALLEST} pixels and more, "
                f"got {images.shape[2]} x {images.shape[3]}."
            )
        features = self.body(functional.relu(self.first(images), inplace=True)).amax((2, 3))
        return self.head(features)  # type: ignore[no-any-return]


def whitening(images: Tensor, eps: float = EPS) -> Tensor:
    r"""Return filters (8C, C, 2, 2) that whiten the 2 x 2 patches of ``images`` (N, C, H, W), and their negatives.

    With M = mean of x x^T over all patches x in R^{4C} and M = sum_k l_k e_k e_k^T, filter k is e_k / sqrt(l_k + eps):
    its responses have second moment l_k / (l_k + eps), about 1, and those of two filters are uncorrelated. Both signs,
    because ReLU keeps only one. e_k has its largest entry positive.

    Raises
    ------
    InputError : images that have no 2 x 2 patch, or are not finite.
    """
    if images.ndim != 4 or min(images.shape[2:]) < 2 or not len(images):
        raise InputError(f"images must be (N, C, H, W) of 2 x 2 pixels and more, got {tuple(images.shape)}.")
    if not bool(images.isfinite().all()):
        raise InputError("images must be finite.")
    channels = images.shape[1]
    moment = torch.zeros(4 * channels, 4 * channels, dtype=torch.float64, device=images.device)
    for part in torch.split(images, 250):  # all patches at once would take 48 times the room of the images
        patches = functional.unfold(part.double(), 2).transpose(0, 1).reshape(4 * channels, -1)
        moment += patches @ patches.T
    values, vectors = torch.linalg.eigh(moment / (len(images) * (images.shape[2] - 1) * (images.shape[3] - 1)))
    vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    filters = (vectors / (values.clamp(min=0) + eps).sqrt()).T.reshape(-1, channels, 2, 2).to(images.dtype)
    return torch.cat([filters, -filters])
