"""Random numbers that depend on a picture's seed alone, on any device."""

from __future__ import annotations

import hashlib

import torch


def cpu_generator(seed: int, salt: int = 0) -> torch.Generator:
    """A generator on the CPU for a seed of 64 bits. salt: another number gives other noise of the same seed.

    PyTorch's generator looks at 32 bits only, so that 0 and 2**32 would be one picture: what lies above them
    is mixed in first. Seeds below 2**32 are taken as they are.

    >>> cpu_generator(7).initial_seed()
    7
    >>> cpu_generator(2**32).initial_seed() == cpu_generator(0).initial_seed()
    False
    """
    seed = int(seed) % 2**64
    if seed >= 2**32:
        digest = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=4).digest()
        seed = int.from_bytes(digest, "little")
    return torch.Generator("cpu").manual_seed((seed ^ salt) % 2**32)
