"""Recipe cfld: a person in another pose by coarse-to-fine latent diffusion (Lu et al., CVPR 2024).

L = L_rec + L_mse: the noise of the source's own latents and of the target's is predicted from the same coarse
prompt and query biases, each with its own pose. The networks beside the base U-Net and the keys and values
of its upward cross-attention learn. With mini's base they are mini, with a Stable Diffusion 1.5 checkpoint
(--init base=FILE vae=FILE) they have the released sizes; swin=FILE starts H_S from a published Swin-B, a
file of the recipe cfld_prompt (of cfld_clip_prompt for `cfld_clip`) mini's H_S and H_D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...models.cfld.attention import key_value_names, predict_noise, take_query_biases
from ...models.cfld.checkpoint import FILE_KIND, change_tensors
from ...models.cfld.config import DECODER, POOLED, TOKENS, CFLDConfig, released_config
from ...models.cfld.networks import CFLDNetworks
from ...models.cfld.pipeline import pose_image, resized
from ...models.cfld.swin import start_from
from ...models.diffusion.checkpoint import config_to_metadata
from ...models.diffusion.schedulers import TRAINING_STEPS
from ...models.diffusion.single_file import TEXT_CHANNELS, read_weights
from ...models.pocold.checkpoint import load_vae_file
from ..data.pairs import JOINTS, Pairs, drawn_pairs, open_pairs
from ..data.people import rows, sample_indices
from ..run.progress import image_grid
from ..run.recipe import BF16_COPY, STEP, Batch, Export, Split, TrainingPlan, random_generator
from .cfld_prompt import start_with_prompt
from .latent import LatentRecipe
from .public import BASE, SWIN, is_own, open_unet


@dataclass(frozen=True)
class Switches:
    """The paper's choices, and what the comparisons leave out.

    prompt, appearance: see `CFLDConfig`. no_prompt: share of the samples with the learnt prompt of no
    appearance in place of the coarse one, for the guidance; pose and biases stay. mirrored: share of the
    source pictures that the encoder sees mirrored. heaviest: most that the loss of a very noisy latent may
    count for its picture's own error; 1 is the paper's plain mean, which leaves mini's pictures tinted.
    """

    prompt: str = DECODER
    appearance: bool = True
    no_prompt: float = 0.2
    mirrored: float = 0.5
    heaviest: float = 5.0


class Reposer(torch.nn.Module):
    """CFLD as it learns: the networks, and a U-Net frozen but for its keys and values on the way up."""

    def __init__(self, unet: Any, networks: CFLDNetworks) -> None:
        super().__init__()
        self.unet, self.networks = unet, networks
        take_query_biases(unet)
        trained = set(key_value_names([name for name, _ in unet.named_parameters()]))
        for name, parameter in unet.named_parameters():
            parameter.requires_grad_(name in trained)

    def forward(
        self,
        latents: torch.Tensor,
        times: torch.Tensor,
        pose: torch.Tensor,
        source: torch.Tensor,
        dropped: torch.Tensor,
    ) -> torch.Tensor:
        """The noise (n*B,C,h,w) in latents, with a pose each, of people who are shown once.

        Args:
            latents: (n*B,C,h,w), noisy.
            times: (n*B,), time steps.
            pose: pose pictures (n*B,21,P,P).
            source: pictures of the people, (B,3,S,S) in 0..1.
            dropped: (B,) bool; where it is set the prompt is the learnt one.
        """
        copies = len(latents) // len(source)
        looks = self.networks.appearance(source)
        null = self.networks.null_prompt(len(source))
        prompt = torch.where(dropped[:, None, None], null, looks.prompt).repeat(copies, 1, 1)
        biases = [bias.repeat(copies, 1, 1, 1) for bias in looks.biases]
        return predict_noise(self.unet, latents, times, prompt, self.networks.pose(pose), biases)


class CFLDRecipe(LatentRecipe):
    """Predict the noise of a person's latents in two poses from one picture of the person."""

    needs: tuple[str, ...] = ("vae", BASE)
    settings = ("no_prompt", "mirrored", "heaviest")
    plan = TrainingPlan(steps=15_000, batch_size=16, learning_rate=4e-4, mixed_precision=BF16_COPY)

    def __init__(self, name: str = "cfld", switches: Switches | None = None) -> None:
        super().__init__()
        self.name, self.switches = name, switches or Switches()
        self.config = CFLDConfig()

    authors = TrainingPlan(
        steps=45_500, batch_size=56, accumulation=4, learning_rate=1e-4, final_rate=0.1, falls=STEP,
        warmup_steps=1000, betas=(0.9, 0.999), mixed_precision="bf16", gradient_checkpointing=True,
        half_frozen=True,
    )  # fmt: skip
    """The released code's: 100 epochs of 101 966 pairs in batches of 224, at the end a tenth of the rate."""

    def at_full_size(self) -> None:
        """Also the plain loss, and a published Swin Transformer to begin with."""
        super().at_full_size()
        self.switches = replace(self.switches, heaviest=1.0)
        self.needs = (*CFLDRecipe.needs, SWIN)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the pairs once for this autoencoder."""
        self.prepare_networks(init)
        return open_pairs(data_root, self.vae, needs=JOINTS)

    def prepare_networks(self, init: Mapping[str, Path]) -> None:
        """Load what stays as it is, and choose the sizes."""
        self.vae = self.placed(load_vae_file(init["vae"]))
        config = CFLDConfig() if is_own(init[BASE]) else released_config()
        self.config = replace(config, prompt=self.switches.prompt, appearance=self.switches.appearance)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net with fresh networks."""
        self.prepare_networks(init)
        unet = open_unet(init[BASE], TEXT_CHANNELS)
        networks = CFLDNetworks(self.config)
        if SWIN in init:
            start_from(networks.backbone, read_weights(init[SWIN]), str(init[SWIN]))
        for name in {"cfld_prompt", "cfld_clip_prompt"} & set(init):
            start_with_prompt(networks, init[name])
        return Reposer(unet, networks)

    def batch(self, data: Pairs, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (2B,C,h,w) and pose pictures (2B,21,P,P) of sources, then of targets; the source pictures
        (B,3,S,S); which prompts are dropped (B,).
        """
        generator = random_generator(seed, step, 39)
        indices = sample_indices(len(data), step, seed, batch_size)
        swap, mirror, drop = torch.rand(3, batch_size, generator=generator)
        drawn = drawn_pairs(data, indices, swap < 0.5)
        first, second = (rows(getattr(data, side), indices) for side in ("source", "target"))
        images = torch.where((swap < 0.5)[:, None, None, None], second, first).float() / 255
        height, width = images.shape[-2:]
        joints = torch.cat([drawn["source_joints"], drawn["target_joints"]]).float()
        side = self.config.pose_size
        scaled = joints * joints.new_tensor([side / width, side / height, 1.0])
        images = resized(images, self.config.source_size, self.config.source_size)
        flip = (mirror < self.switches.mirrored)[:, None, None, None]
        return {
            "latents": torch.cat([drawn["source_latents"], drawn["target_latents"]]),
            "pose": pose_image(scaled, side),
            "source": torch.where(flip, images.flip(-1), images),
            "dropped": drop < self.switches.no_prompt,
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean ||eps - eps_theta||^2 of both, at times drawn by the cubic rule."""
        latents = batch["latents"]
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        times = cubic_times(len(latents), generator)
        weight = (1 + 1 / self.snr[times]).clamp(max=self.switches.heaviest).to(latents)
        times = times.to(latents.device)
        noisy = self.schedule.add_noise(latents, noise, times)
        made = module(noisy, times, batch["pose"], batch["source"], batch["dropped"]).float()
        errors = weight * (made - noise).square().mean(dim=(1, 2, 3))
        reconstruction, target = errors.chunk(2)
        parts = {"reconstruction": reconstruction.mean().detach(), "target": target.mean().detach()}
        return errors.mean(), parts

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Sources as the encoder sees them, skeletons, truths, and what is made, without guidance."""
        count = len(batch["source"])
        pose, truth = batch["pose"][count:], batch["latents"][count:]
        none = torch.zeros(count, dtype=torch.bool, device=truth.device)
        made = self.generate(lambda z, t: module(z, t, pose, batch["source"], none), truth)
        height, width = made.shape[-2:]
        shown = [resized(each, height, width) for each in (batch["source"], pose[:, :3])]
        return image_grid([*shown, self.decode(truth), made])

    def export(self, module: Any, held_out: Pairs) -> Export:
        """The networks and the trained matrices."""
        config = {"backbone": BASE, FILE_KIND: config_to_metadata(self.config)}
        return Export(
            FILE_KIND,
            change_tensors(module.networks, module.unet.state_dict()),
            config,
            int8=not self.full_size,
        )


def cubic_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """t = floor((1 - u^3) 1000), u uniform: (count,) int64 in 0..999, more of them noisy."""
    u = torch.rand(count, generator=generator)
    return ((1 - u**3) * TRAINING_STEPS).long().clamp(max=TRAINING_STEPS - 1)


RECIPES = {
    "cfld": CFLDRecipe,
    "cfld_no_appearance": partial(CFLDRecipe, "cfld_no_appearance", Switches(appearance=False)),
    "cfld_clip": partial(CFLDRecipe, "cfld_clip", Switches(prompt=POOLED, appearance=False)),
    "cfld_swin": partial(CFLDRecipe, "cfld_swin", Switches(prompt=TOKENS, appearance=False)),
}
"""The method; and for the comparison: without the query biases (H_A); prompted as by a CLIP image encoder,
one token of the whole picture; and by the tokens of the Swin Transformer's last map, without H_D. There is
no mini CLIP image encoder: in its part stands the same Swin Transformer, its last map averaged to one
token, learnt on the pairs."""
