"""AutoAugment's policy for CIFAR-10, batched."""

from torch import Generator, Tensor


def autoaugment(images: Tensor, generator: Generator) -> Tensor:
    """Return the images as they are (the policy lands next)."""
    del generator
    return images
