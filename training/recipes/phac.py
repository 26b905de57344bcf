"""Recipe phac: the coarse stage of Promptable Human Amodal Completion for pose prompts.

L = E||eps - eps_cig(z_t, t, c_te, c_pr)||^2; only the U-Net's cross-attention and the ControlNet learn,
at 1:10. The other kinds of prompt (recipes phac_roi_box ...) are the same with other prompt pictures; begun
with the weights of this one (--from), they need a fraction of its steps.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ...people.prompt_kinds import POSE, PROMPT_KINDS
from ..data.latents import LatentCache
from ..data.people import sample_indices
from ..data.prompt_images import prompt_images
from ..run.recipe import BF16_COPY, Batch, Export, TrainingPlan, random_generator
from .controlled import ControlledRecipe
from .inpaint import visible_condition
from .latent import latents_of, target_caption

BOX_STEPS = 5_000
"""Steps of the kinds with a box: they go on from the weights of the kind pose (--from)."""


class CoarseRecipe(ControlledRecipe):
    """Learn to complete the person, alone on white, as prompts of one kind ask for."""

    name = "phac"
    backbone = "inpaint"
    needs = ("vae", "text", backbone)
    empty_text = 0.12
    encodes = ("cutout", "visible_masked", "visible_mask")
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=1e-4, mixed_precision=BF16_COPY)
    authors = TrainingPlan(
        steps=60_000, batch_size=14, learning_rate=5e-6, final_rate=1.0, weight_decay=0.01,
        betas=(0.9, 0.999), mixed_precision="bf16", gradient_checkpointing=True, half_frozen=True,
    )  # fmt: skip
    """Rates and batch are the paper's; 1750 epochs of its some 500 subjects are about as many steps."""

    def __init__(self, kind: str = POSE) -> None:
        super().__init__()
        self.kind = kind
        self.name = PROMPT_KINDS[kind].recipe
        if kind != POSE:
            self.plan = replace(self.plan, steps=BOX_STEPS)

    def batch(self, data: LatentCache, step: int, seed: int, batch_size: int) -> Batch:
        """Cutout latents, the condition, texts and prompt images (B,3,8h,8w)."""
        generator = random_generator(seed, step, 15)
        indices = sample_indices(len(data), step, seed, batch_size)
        captions = [target_caption(data.people.captions[index], "cutout") for index in indices]
        return {
            "latents": latents_of(data, ["cutout"] * batch_size, indices),
            "condition": visible_condition(data, indices),
            "texts": self.encode_texts(captions, generator),
            "prompt": prompt_images(self.kind, data.people, indices, generator),
        }

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """Targets, what was visible, and prompts."""
        target, prompt = super().shown(batch)
        return [target, self.decode(batch["condition"][:, 1:]), prompt]

    def export(self, module: Any, held_out: LatentCache) -> Export:
        """The trained cross-attention (`unet.*`, in place of the backbone's) and the `controlnet.*`."""
        tensors, config = module.change(self.backbone)
        return Export("phac", tensors, {"prompt": self.kind, **config}, int8=not self.full_size)


RECIPES = {kind.recipe: partial(CoarseRecipe, kind.name) for kind in PROMPT_KINDS.values()}
"""One for each kind of prompt."""
