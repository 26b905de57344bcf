"""Recipe refiner: Phi_RF of PHAC's stage C, on composites of coarse outputs drawn before.

The paper refines with a ready-made SDXL inpainting model: I_base with noise of strength s, denoised. What
comes out is as good as that model is, and a mini one has to be taught. It learns as every inpainting model
does, from the true picture with noise of all levels; but it sees all of I_base where a ready-made one sees it
without the part to be made: at 128 px the noise leaves little of a limb, which is one or two latents wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.diffusion.compose import composite, dilate
from ...models.diffusion.networks import encode_image, latent_mask, load_unet, load_vae
from ...models.diffusion.sampling import (
    keep_known,
    noised,
    sample,
    schedule_for,
)
from ...models.diffusion.schedulers import DDIM, scheduler_of, timesteps_of
from ...models.diffusion.text import load_text_encoder
from ...models.phac.amodal_mask import AmodalMaskNet, hidden_guess
from ...models.phac.base_picture import joined_person
from ...models.phac.checkpoint import load_mask_nets
from ...models.phac.networks import GUESS_COUNTS, InvisibleMaskUNet
from ...models.phac.sampling import (
    completed_part,
    exact_invisible_mask,
    predict_invisible,
)
from ...people.boxes import Box
from ...people.crops import CropPlan, crop_all, plan_crop
from ...people.prompts import draw_prompt
from ..data.augmentation import ViewRange, random_views
from ..data.coarse_outputs import CoarseOutputs, open_outputs
from ..data.masks import disturbed
from ..data.people import rows, sample_indices
from ..data.prompt_images import pose_prompts
from ..run.progress import image_grid
from ..run.recipe import BF16_COPY, Batch, Split, TrainingPlan, random_generator
from .invisible_mask import SEGMENTER_REACH_PX, stage_inputs
from .latent import LatentRecipe

DRAWN = 0.6
"""Share of composites with real coarse outputs; in the others the true person, moved a little, is drawn."""
MOVED = ViewRange(scale=(0.93, 1.07), degrees=6.0, shift=0.03, flip=0.0, unchanged=0.1)
COLOUR_SPREAD = 0.15
DILATION_PX = (3.0, 6.0)
ZOOMS = (1.6, 3.2)
NOISE_LIMIT, WEIGHT_LIMIT = 950, 5.0
"""No noise above that is ever refined; most that the loss of a very noisy latent may count."""
OUTSIDE_WEIGHT = 0.1
STRENGTH, STEPS = 0.5, 10


class RefinerRecipe(LatentRecipe):
    """Learn to make a pasted, coarsely drawn part fit the picture."""

    name = "refiner"
    needs = ("vae", "text", "inpaint", "phac", "invisible_mask", "amodal_mask")
    empty_text = 0.15
    file_kind = "refiner"
    plan = TrainingPlan(steps=8_000, batch_size=16, learning_rate=3e-4, mixed_precision=BF16_COPY)

    def __init__(self) -> None:
        super().__init__()
        self.mask_net: InvisibleMaskUNet | None = None
        self.amodal_net: AmodalMaskNet | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The coarse outputs of the model in `init`, made by `figura train coarse_outputs`."""
        self.vae = load_vae(init["vae"]).to(memory_format=torch.channels_last)
        self.text = load_text_encoder(init["text"])
        self.mask_net, self.amodal_net = load_mask_nets(init["invisible_mask"], init["amodal_mask"])
        return open_outputs(data_root, init)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The inpainting U-Net."""
        return load_unet(init["inpaint"])

    def batch(self, data: CoarseOutputs, step: int, seed: int, batch_size: int) -> Batch:
        """Crops: I_base and the true picture (B,3,S,S), the dilated mask (B,1,S,S); texts (B,28,96)."""
        generator = random_generator(seed, step, 23)
        count = round(DRAWN * batch_size) if data.first else batch_size  # 0: everybody has coarse outputs
        indices, others = sample_indices(len(data), step, seed, count), np.zeros(0, np.int64)
        parts = [self.drawn_composites(data, indices, generator)]
        if data.first:
            others = sample_indices(data.first, step, seed, batch_size - count)
            parts.append(moved_composites(data, others, generator))
        base, truth, mask = (torch.cat(pair) for pair in zip(*parts, strict=True))
        people = [*(data.first + indices), *others]
        views = [close_view(m, generator) for m in mask]
        captions = [data.people.captions[index] for index in people]
        return {
            "base": crop_all(base, views),
            "truth": crop_all(truth, views),
            "mask": (crop_all(mask, views) > 0.5).float(),
            "texts": self.encode_texts(captions, generator),
        }

    @torch.no_grad()
    def drawn_composites(
        self, data: CoarseOutputs, indices: np.ndarray, generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        """I_base, the picture it should be, and the dilated mask, as the coarse stage and U_iv make them."""
        draws = torch.randint(data.images.shape[1], (len(indices),), generator=generator).numpy()
        values = stage_inputs(data, indices, draws)
        visible = disturbed(values["visible"], generator, SEGMENTER_REACH_PX)
        if self.mask_net is None:
            raise ValueError("recipe refiner must prepare its data before batches are drawn")
        joints = rows(data.people.joints, data.first + indices)
        size = data.people.size
        prompts = pose_prompts(joints, size, generator)
        guess = None if self.amodal_net is None else hidden_guess(self.amodal_net, visible, prompts)
        pictures = (values["occluded"], values["coarse"], visible, draw_prompt(prompts, size, size), guess)
        with torch.autocast("cpu", torch.bfloat16):
            probability = predict_invisible(self.mask_net, *pictures, GUESS_COUNTS)
        exact = exact_invisible_mask(probability.float())
        complete = data.people.images("complete", data.first + indices)
        return joined(values["occluded"], values["coarse"], complete, visible, exact, generator)

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """||eps - predicted||^2 with the weight 1/abar_t, at most 5, mostly inside the mask."""
        base, truth, cells = self._latents(batch)
        times = torch.randint(0, NOISE_LIMIT, (len(base),), generator=generator)
        noise = torch.randn(base.shape, generator=generator).to(base)
        weight = (1 + 1 / self.snr[times]).clamp(max=WEIGHT_LIMIT).to(base)[:, None, None, None]
        weight = weight * torch.where(cells > 0, 1.0, OUTSIDE_WEIGHT)
        times = times.to(base.device)
        latents = self.schedule.add_noise(truth, noise, times)
        inputs = torch.cat([latents, cells, base], dim=1)
        error = module(inputs, times, batch["texts"]).sample.float() - noise
        return (weight * error.square()).mean(), {}

    @torch.no_grad()
    def refine(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Pictures refined from strength 0.5 without guidance (B,3,S,S)."""
        base, _, cells = self._latents(batch)
        scheduler, (total, first) = scheduler_of(DDIM), schedule_for(STEPS, STRENGTH)
        noise = torch.randn(base.shape, generator=random_generator(5)).to(base)
        made = sample(
            lambda z, t: module(torch.cat([z, cells, base], dim=1), t.expand(len(z)), batch["texts"]).sample,
            noised(scheduler, base, noise, int(timesteps_of(scheduler, total)[first])), scheduler, total,
            start_step=first, fuse=keep_known(scheduler, base, noise, (cells > 0).float()),
        )  # fmt: skip
        return composite(batch["base"], self.decode(made), batch["mask"])

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """The true pictures, I_base, the masks, and the refined pictures."""
        mask = batch["mask"].expand(-1, 3, -1, -1)
        return image_grid([batch["truth"], batch["base"], mask, self.refine(module, batch)])

    def evaluate(self, module: Any, held_out: CoarseOutputs) -> dict[str, float]:
        """PSNR inside the mask in dB, of I_base and of the refined picture."""
        errors = []
        for step in range(4):
            batch = self.batch(held_out, step, 0, 16)
            batch = {name: value.to(next(module.parameters()).device) for name, value in batch.items()}
            for made in (batch["base"], self.refine(module, batch)):
                squared = (made - batch["truth"]).square().mean(1, keepdim=True) * batch["mask"]
                errors.append(squared.flatten(1).sum(1) / batch["mask"].flatten(1).sum(1).clamp(min=1))
        psnr = [-10 * torch.cat(errors[which::2]).clamp(min=1e-6).log10().mean().item() for which in (0, 1)]
        return {"psnr_composite": psnr[0], "psnr_refined": psnr[1]}

    @torch.no_grad()
    def _latents(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents (B,8,h,w) of I_base and of the true picture, and the part of each to be made (B,1,h,w)."""
        images = torch.cat([batch["base"], batch["truth"]])
        vae = self.vae.to(images.device)
        with torch.autocast(images.device.type, torch.bfloat16):
            latents = encode_image(vae, images).float()
        base, truth = latents.chunk(2)
        return base, truth, latent_mask(batch["mask"], base.shape[-2:])


def moved_composites(
    data: CoarseOutputs, indices: np.ndarray, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """The same for people without coarse outputs: drawn is the person itself, moved, in other colours."""
    people = data.people
    images = {name: people.images(name, indices) for name in ("occluded", "complete")}
    masks = {name: (people.images(f"{name}_mask", indices) > 0.5).float() for name in ("visible", "amodal")}
    views = random_views(len(indices), people.size, generator, MOVED)
    tint = 1 + COLOUR_SPREAD * (2 * torch.rand(len(indices), 3, 1, 1, generator=generator) - 1)
    drawn = (views.warp(images["complete"]) * tint).clamp(0, 1)
    hidden = (views.warp(masks["amodal"]) > 0.5).float() * (1 - masks["visible"])
    return joined(images["occluded"], drawn, images["complete"], masks["visible"], hidden, generator)


def joined(
    occluded: torch.Tensor,
    drawn: torch.Tensor,
    complete: torch.Tensor,
    visible: torch.Tensor,
    exact: torch.Tensor,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """I_base, the picture it should be, and the dilated mask: what `refine_images` makes of these.

    Args:
        occluded: I_ic (B,3,S,S) in 0..1.
        drawn: I_cc (B,3,S,S), the person as the coarse stage drew it.
        complete: (B,3,S,S), the true person in the same place.
        visible: M_v (B,1,S,S).
        exact: M_iv (B,1,S,S) before it is dilated.
        generator: draws by how much it is.
    """
    low, high = DILATION_PX
    radii = (low + (high - low) * torch.rand(len(exact), generator=generator)).tolist()
    changed = torch.cat([dilate(mask[None], radius) for mask, radius in zip(exact, radii, strict=True)])
    shown = exact * completed_part(drawn, changed, visible)
    part = joined_person(visible, shown, changed) * (1 - visible)
    return composite(occluded, drawn, part), composite(occluded, complete, changed), changed


def close_view(mask: torch.Tensor, generator: torch.Generator) -> CropPlan:
    """A part of the picture as large as the refiner shows it, round some pixel of the mask (1,S,S)."""
    size = mask.shape[-1]
    draw = torch.rand(2, generator=generator).tolist()
    inside = mask[0].nonzero()
    y, x = inside[int(draw[0] * len(inside))].tolist() if len(inside) else (size // 2, size // 2)
    half = size / (ZOOMS[0] + (ZOOMS[1] - ZOOMS[0]) * draw[1]) / 2
    part = Box(x - half, y - half, x + half, y + half)
    return plan_crop(part, (size, size), (size, size), margin=0.0, whole_at_model_size=False)


RECIPES = {"refiner": RefinerRecipe}
