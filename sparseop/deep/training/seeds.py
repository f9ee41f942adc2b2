"""One seed, many independent draws: each has a key of its own, so that none depends on what else was drawn."""

import zlib

import torch


def seed_for(*key: int | str) -> int:
    """Return a seed that belongs to ``key``, such as ``seed_for(recipe.seed, "order", epoch)``."""
    state = 0x243F6A8885A308D3
    for part in key:
        word = zlib.crc32(part.encode()) if isinstance(part, str) else part
        state = ((state ^ word) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64
        state ^= state >> 29
    return state >> 1  # torch wants at most 63 bits


def generator(device: str | torch.device, *key: int | str) -> torch.Generator:
    """Return the random generator that belongs to ``key``, such as (seed, "augment", epoch)."""
    return torch.Generator(device).manual_seed(seed_for(*key))
