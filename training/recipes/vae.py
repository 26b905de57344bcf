"""Recipe vae: the mini autoencoder, on crops round the person; after a while a patch critic joins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ...models.diffusion.networks import decode_latents, encode_image, fold_of, mini_vae, plain_config
from ...people.skeleton_coco import draw_coco_bodies
from ..data.people import IMAGES, PeopleDataset, open_split, rows, sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator
from .image_losses import PatchCritic, balanced, judged, psnr_of, reconstruction_loss

CROP = 64
LATENT_NOISE = 0.1
LATENT_PENALTY = 1e-4
PERSON_WEIGHT = 3.0
SKELETON = "skeleton"
WEIGHTS = {"occluded": 0.3, "unoccluded": 0.1, "complete": 0.3, "cutout": 0.26, SKELETON: 0.04}
"""Shares of the kinds of picture. HumanSD and Giving a Hand encode skeletons, too."""
SHARP_AFTER, CRITIC_AFTER = 5_000, 16_000
"""Pictures seen until absolute error and SSIM count wholly, and until the critic, which learns from the
start, is listened to."""
CRITIC_SHARE = 0.15
"""Of the reconstruction's pull on a picture, what the critic's is. More looks crisper and is less true."""


class AutoencoderTraining(torch.nn.Module):
    """Encode, disturb a little, decode; and the critic, which the weights file leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.vae = mini_vae()
        self.critic = PatchCritic()

    def forward(
        self, images: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction (B,3,H,W), latents (B,8,h,w), and the two losses of `judged`.

        images: (B,3,H,W) in -1..1. noise: of the latents' shape. The posterior has one small fixed width: a
        learned one starts wide and drowns the colours for thousands of steps.
        """
        fold = fold_of(self.vae)
        latents = self.vae.encode(functional.pixel_unshuffle(images, fold)).latent_dist.mode()
        folded = self.vae.decode(latents + LATENT_NOISE * noise).sample
        output = functional.pixel_shuffle(folded, fold).float()
        return output, latents.float(), *judged(self.critic, output, images)


class VAERecipe(BaseRecipe):
    """AutoencoderKL with 8 channels at a factor of 8; the exported latents have mean 0 and variance 1."""

    name = "vae"
    plan = TrainingPlan(
        steps=12_000,
        batch_size=8,
        learning_rate=1.5e-3,
        mixed_precision="bf16",
        ema_decay=0.995,
        final_rate=0.01,
    )

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The pictures themselves."""
        return open_split(data_root)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh autoencoder."""
        return AutoencoderTraining()

    def batch(self, data: PeopleDataset, step: int, seed: int, batch_size: int) -> Batch:
        """Crops (B,3,64,64) in -1..1 of all kinds of pictures, most of them round a point of the person."""
        generator = random_generator(seed, step, 11)
        indices = sample_indices(len(data), step, seed, batch_size)
        names = list(WEIGHTS)
        targets = torch.multinomial(
            torch.tensor(list(WEIGHTS.values())), batch_size, True, generator=generator
        )
        crops = [
            self._crop(data, names[int(k)], int(i), generator) for k, i in zip(targets, indices, strict=True)
        ]
        images, masks = zip(*crops, strict=True)
        progress = torch.tensor(step * batch_size)
        return {"pictures": torch.stack(images) * 2 - 1, "masks": torch.stack(masks), "seen": progress}

    def _crop(
        self, data: PeopleDataset, target: str, index: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        room = data.size - CROP
        draw = torch.rand(3, generator=generator)
        mask = np.asarray(data.amodal_mask[index, 0])
        corner = (draw[:2] * (room + 1)).long().clamp(max=room)
        if draw[2] < 0.85 and mask.any():
            ys, xs = np.nonzero(mask)
            pick = int(draw[0] * (len(ys) - 1))
            jitter = ((draw[1] - 0.5) * CROP * 0.5).long()
            corner = (torch.tensor([ys[pick], xs[pick]]) - CROP // 2 + jitter).clamp(0, room)
        y, x = int(corner[0]), int(corner[1])
        crop = image_of(data, target, index)[:, y : y + CROP, x : x + CROP]
        flip = bool(torch.rand(1, generator=generator) < 0.5)
        inside = np.array(mask[None, y : y + CROP, x : x + CROP])
        pair = crop, torch.from_numpy(inside).float() / 255
        return (pair[0].flip(-1), pair[1].flip(-1)) if flip else pair

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The reconstruction's loss, the critic's on both sides, and a very small pull on the latents."""
        images, weight = batch["pictures"], 1 + (PERSON_WEIGHT - 1) * batch["masks"]
        shape = (len(images), 8, images.shape[-2] // 8, images.shape[-1] // 8)
        noise = torch.randn(shape, generator=generator).to(images)
        seen = float(batch["seen"])
        output, latents, hinge, adversarial = module(images, noise)
        with torch.autocast(images.device.type, enabled=False):
            loss = reconstruction_loss(output, images, weight, min(1.0, seen / SHARP_AFTER))
        if seen >= CRITIC_AFTER:
            loss = loss + balanced(loss, adversarial, output, CRITIC_SHARE)
        psnr, size = psnr_of((output - images).detach()), latents.detach().std()
        scalars = {"psnr": psnr, "size": size, "critic": hinge.detach()}
        return loss + hinge + LATENT_PENALTY * latents.square().mean(), scalars

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Crops above their reconstructions."""
        images = batch["pictures"] / 2 + 0.5
        return image_grid([images, decode_latents(module.vae, encode_image(module.vae, images))])

    def evaluate(self, module: Any, held_out: PeopleDataset) -> dict[str, float]:
        """PSNR in dB on whole held-out pictures by kind, and inside the person."""
        return reconstruction_scores(module.vae, held_out)

    def export(self, module: Any, held_out: PeopleDataset) -> Export:
        """The autoencoder with its latents brought to mean 0 and variance 1."""
        normalise_latents(module.vae, held_out)
        return Export("vae", module.vae.state_dict(), plain_config(module.vae), int8=True)


def reconstruction_scores(vae: Any, held_out: PeopleDataset) -> dict[str, float]:
    """Mean PSNR in dB of encoded and decoded held-out pictures: psnr.KIND, and psnr.person inside cutouts."""
    indices = np.arange(min(64, len(held_out)))
    scores: dict[str, float] = {}
    for target in IMAGES:
        images = held_out.images(target, indices)
        error = (decode_latents(vae, encode_image(vae, images.to(vae.device))).cpu() - images).square()
        scores[f"psnr.{target}"] = float(-10 * torch.log10(error.mean(dim=(1, 2, 3))).mean())
        if target == "cutout":
            mask = held_out.images("amodal_mask", indices).expand_as(error) > 0.5
            scores["psnr.person"] = float(-10 * torch.log10(error[mask].mean()))
    return scores


def image_of(data: PeopleDataset, target: str, index: int) -> torch.Tensor:
    """One picture (3,S,S) in 0..1; `skeleton` is drawn from the person's joints."""
    if target == SKELETON:
        return draw_coco_bodies(rows(data.joints, [index]), data.size, data.size)[0]
    return data.images(target, [index])[0]


@torch.no_grad()
def normalise_latents(vae: Any, held_out: PeopleDataset) -> None:
    """Fold the latents' mean and deviation per channel into quant_conv and post_quant_conv (in place)."""
    indices = np.arange(min(64, len(held_out)))
    images = torch.cat([held_out.images(target, indices) for target in IMAGES]).to(vae.device)
    latents = torch.cat([encode_image(vae, part) for part in images.split(32)])
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3)).clamp(min=1e-4)
    channels = len(mean)
    first, last = vae.quant_conv, vae.post_quant_conv
    first.weight[:channels] /= deviation[:, None, None, None]
    first.bias[:channels] = (first.bias[:channels] - mean) / deviation
    first.weight[channels:] = 0
    first.bias[channels:] = 2 * (LATENT_NOISE / deviation).log()
    last.bias += last.weight[:, :, 0, 0] @ mean
    last.weight *= deviation[None, :, None, None]


RECIPES = {"vae": VAERecipe}
