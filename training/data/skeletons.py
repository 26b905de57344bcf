"""What HumanSD and its peers learn from: whole people, with the latents of their skeleton pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ...models.diffusion.networks import encode_image
from ...models.humansd.networks import enlarged
from ...people.keypoints import Person, Pose
from ...people.skeleton_coco import draw_coco_bodies, draw_coco_poses
from ..run.recipe import Split
from .hands import encoded
from .latents import LatentCache
from .people import rows

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

SKELETONS = "coco_skeletons"
PARTS = ("train", "held_out")


class PosedPeople(NamedTuple):
    """One part of the data. skeletons: latents (N,8,s*h,s*w) of the pictures of `draw`, enlarged s times.
    nobody: those of a black picture, (8,s*h,s*w).
    """

    cache: LatentCache
    skeletons: np.ndarray
    nobody: torch.Tensor

    @property
    def captions(self) -> list[str]:
        """A text for each person."""
        return self.cache.people.captions

    def draw(self, indices: np.ndarray) -> torch.Tensor:
        """Skeleton pictures (n,3,S,S) in 0..1."""
        return skeletons_of(self.cache, indices)


def skeletons_of(cache: LatentCache, indices: np.ndarray) -> torch.Tensor:
    """Skeleton pictures of these people, and of all others in their pictures where those are known."""
    people = cache.people
    if not len(people.everybody):
        return draw_coco_bodies(rows(people.joints, indices), people.size, people.size)
    bodies = people.everybody[np.asarray(indices)]
    poses = [Pose(tuple(map(Person, each)), people.size, people.size) for each in bodies]
    return draw_coco_poses(poses)


def with_skeletons(split: Split, data_root: Path, vae: AutoencoderKL, pose_scale: int = 1) -> Split:
    """Latent caches of both parts with the skeletons' latents, which are encoded when they are missing.

    Args:
        split: latents of the people.
        data_root: folder of both parts.
        vae: the autoencoder.
        pose_scale: how much larger than the people's pictures the skeletons are encoded.
    """
    caches = zip(PARTS, split, strict=True)
    return Split(*(_posed(cache, Path(data_root) / part, vae, pose_scale) for part, cache in caches))


@torch.no_grad()
def _posed(cache: LatentCache, folder: Path, vae: AutoencoderKL, scale: int) -> PosedPeople:
    name = SKELETONS if scale == 1 else f"{SKELETONS}_{scale}x"

    def images(where: np.ndarray) -> torch.Tensor:
        return enlarged(skeletons_of(cache, where), scale)

    latents = encoded(folder, name, vae, len(cache), images)
    black = torch.zeros(1, 3, cache.people.size, cache.people.size, device=next(vae.parameters()).device)
    return PosedPeople(cache, latents, encode_image(vae, enlarged(black, scale))[0].cpu())
