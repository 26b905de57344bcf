"""Recipe pocold: a person in another pose by pose-constrained latent diffusion (Han et al., ICCV 2023).

L = L_mse + lambda * sum over the attention modules of the pose constraint (eq. 8). U-Net, source encoder and
label mapper learn on pairs of the same person. With one of Stable Diffusion's autoencoders they have the
released sizes and begin from nothing, as in the authors' script; with mini's they are mini and
begin from its base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.diffusion.networks import LATENT_CHANNELS, load_unet
from ...models.pocold.attention import PAPER, RELEASED, CrossAttention
from ...models.pocold.checkpoint import FILE_KIND, load_vae_file
from ...models.pocold.losses import MASS, MEAN, SUM, Constraint
from ...models.pocold.networks import (
    SPARSE,
    VANILLA,
    PoCoLDConfig,
    PoCoLDNetworks,
    released_config,
)
from ...models.pocold.sampling import latent_labels
from ..data.pairs import DENSEPOSE, Pairs, drawn_pairs, open_pairs
from ..data.people import sample_indices
from ..run.recipe import BF16_COPY, Batch, Export, Split, TrainingPlan, random_generator
from .latent import LatentRecipe, Predict

EVERYTHING, NO_POSE, NO_SOURCE, NEITHER = range(4)


@dataclass(frozen=True)
class Switches:
    """What the paper and the released code do differently, and what the comparisons leave out.

    attention, scale_mode: of the networks. penalty_weight: lambda, which the paper does not give; 1 in the
    code, for means. include_unmatched: count rows whose part the source lacks (the code does). reduction:
    "sum" (eq. 8), "rows" or "mean" (the code) of the penalty. A sum is about 1 for even attention at every
    size, so that all modules count alike; a mean is next to nothing in the large ones.
    no_pose, no_source: shares of batches without them, for the guidance: 0.1 in the paper, 0.15 in the code.
    neither: share without both, which guidance asks for, too. penalise_dropped: the code has no penalty in
    batches without pose; without source there is no attention.
    """

    attention: str = SPARSE
    scale_mode: str = PAPER
    penalty_weight: float = 0.03
    include_unmatched: bool = False
    reduction: str = SUM
    no_pose: float = 0.1
    no_source: float = 0.1
    neither: float = 0.05
    penalise_dropped: bool = False


class PoCoLDRecipe(LatentRecipe):
    """Predict the noise of a person's latents from the pose's labels and another picture of the person."""

    needs: tuple[str, ...] = ("vae", "base")
    leaves_out = True
    settings = ("weight_limit", "penalty_weight", "no_pose", "no_source", "neither")
    plan = TrainingPlan(steps=20_000, batch_size=32, learning_rate=6e-4, mixed_precision=BF16_COPY)

    def __init__(self, name: str = "pocold", switches: Switches = Switches()) -> None:
        super().__init__()
        self.name, self.switches = name, switches

    authors = TrainingPlan(
        steps=600_000, batch_size=32, learning_rate=5e-5, final_rate=1.0, warmup_steps=1000,
        weight_decay=0.01, betas=(0.9, 0.999), ema_decay=0.0, mixed_precision="bf16",
    )  # fmt: skip
    """The paper's, and as many steps as the released script has."""

    def at_full_size(self) -> None:
        """Also what the released code does otherwise than the paper, but for what a comparison changes."""
        super().at_full_size()
        self.needs = ("vae",)
        weight, reduction = self.switches.penalty_weight, self.switches.reduction
        if reduction == SUM:  # 1 for means in the code, and as many times that as it is ours
            weight, reduction = weight / Switches.penalty_weight, MEAN
        self.switches = replace(
            self.switches, scale_mode=RELEASED, penalty_weight=weight, include_unmatched=True,
            reduction=reduction, no_pose=0.15, no_source=0.15, neither=0.0,
        )  # fmt: skip

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the pairs once for this autoencoder."""
        self.prepare_networks(init)
        return open_pairs(data_root, self.vae, needs=DENSEPOSE)

    def prepare_networks(self, init: Mapping[str, Path]) -> None:
        """Load what stays as it is."""
        self.vae = self.placed(load_vae_file(init["vae"]))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """Networks of the size that goes with the autoencoder."""
        mini = load_vae_file(init["vae"]).config.latent_channels == LATENT_CHANNELS
        switches, config = self.switches, PoCoLDConfig() if mini else released_config()
        config = replace(config, attention=switches.attention, scale_mode=switches.scale_mode)
        networks = PoCoLDNetworks(config)
        if mini:
            start_from_base(networks, load_unet(init["base"]))
        return networks

    def batch(self, data: Pairs, step: int, seed: int, batch_size: int) -> Batch:
        """Latents of target and source (B,C,h,w), labels of both at their size (B,h,w), and what the batch
        leaves out (a scalar).
        """
        generator = random_generator(seed, step, 37)
        indices = sample_indices(len(data), step, seed, batch_size)
        drawn = drawn_pairs(data, indices, torch.rand(batch_size, generator=generator) < 0.5)
        size = drawn["target_latents"].shape[-2:]
        return {
            "latents": drawn["target_latents"],
            "source": drawn["source_latents"],
            "labels": latent_labels(drawn["target_densepose"], size),
            "source_labels": latent_labels(drawn["source_densepose"], size),
            "dropped": torch.tensor(self.dropped(float(torch.rand((), generator=generator)))),
        }

    def dropped(self, number: float) -> int:
        """What a batch leaves out, by a number drawn from 0..1."""
        switches = self.switches
        for which, share in (
            (NO_POSE, switches.no_pose), (NO_SOURCE, switches.no_source), (NEITHER, switches.neither),
        ):  # fmt: skip
            if number < share:
                return which
            number -= share
        return EVERYTHING

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss and lambda times the penalty."""
        dropped = int(batch["dropped"])
        labels = None if dropped in (NO_POSE, NEITHER) else batch["labels"]
        source = None if dropped in (NO_SOURCE, NEITHER) else batch["source"]
        constraint = self.constraint(batch, dropped)
        noise = self.noise_loss(
            lambda z, t: module(z, t, labels, source, constraint), batch["latents"], generator
        )
        if constraint is None:
            return noise, {"noise": noise.detach()}
        penalty = constraint.total()
        return noise + self.switches.penalty_weight * penalty, {
            "noise": noise.detach(),
            "penalty": penalty.detach(),
        }

    def constraint(self, batch: Batch, dropped: int) -> Constraint | None:
        """What collects the penalty of a batch; None where there is none to pay."""
        switches = self.switches
        allowed = (EVERYTHING, NO_POSE) if switches.penalise_dropped else (EVERYTHING,)
        if switches.penalty_weight == 0 or dropped not in allowed:
            return None
        return Constraint(
            batch["labels"], batch["source_labels"], switches.include_unmatched, switches.reduction
        )

    def predictor(self, module: Any, batch: Batch) -> Predict:
        """What predicts the noise from the pose's labels and the source, without guidance."""
        return lambda z, t: module(z, t, batch["labels"], batch["source"])

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """Sources and truths."""
        return [self.decode(batch["source"]), *super().shown(batch)]

    def export(self, module: Any, held_out: Pairs) -> Export:
        """All networks."""
        return Export(
            FILE_KIND, module.state_dict(), config_to_metadata(module.config), int8=not self.full_size
        )


@torch.no_grad()
def start_from_base(networks: PoCoLDNetworks, base: Any) -> None:
    """Give the networks what a text-to-image U-Net of the same levels has learnt, apart from its attention.

    Attention and the pose's channels add nothing at first.
    """
    unet, encoder = networks.unet, networks.encoder
    _copy_first_channels(base.conv_in, unet.conv_in)
    _copy_first_channels(base.conv_in, encoder.conv_in)
    pairs = [
        (base.time_embedding, unet.time), (base.mid_block.resnets[0], unet.mid_first),
        (base.mid_block.resnets[1], unet.mid_last), (base.conv_norm_out, unet.norm_out),
        (base.conv_out, unet.conv_out),
    ]  # fmt: skip
    for block, level, own in zip(base.down_blocks, unet.down, encoder.resnets, strict=True):
        pairs += [*zip(block.resnets, level.resnets, strict=True), (block.resnets[0], own)]
    for block, level in zip(base.up_blocks, unet.up, strict=True):
        pairs += zip(block.resnets, level.resnets, strict=True)
    pairs += [(b.downsamplers[0].conv, own.conv) for b, own in zip(base.down_blocks, unet.downsamplers)]
    pairs += [(b.upsamplers[0], own) for b, own in zip(base.up_blocks, unet.upsamplers)]
    for learnt, own in pairs:
        wanted = own.state_dict().keys()  # the encoder's resnets have no part for the time
        own.load_state_dict({name: value for name, value in learnt.state_dict().items() if name in wanted})
    for module in unet.modules():
        if isinstance(module, CrossAttention):
            torch.nn.init.zeros_(module.to_out.weight)
            torch.nn.init.zeros_(module.to_out.bias)


def _copy_first_channels(learnt: torch.nn.Conv2d, own: torch.nn.Conv2d) -> None:
    """Of a convolution whose first input channels are `learnt`'s; further ones count nothing at first."""
    own.weight.zero_()
    own.weight[:, : learnt.in_channels] = learnt.weight
    own.load_state_dict({"weight": own.weight, "bias": learnt.bias})


RECIPES = {
    "pocold": PoCoLDRecipe,
    "pocold_strong": partial(PoCoLDRecipe, "pocold_strong", Switches(penalty_weight=0.3)),
    "pocold_mass": partial(PoCoLDRecipe, "pocold_mass", Switches(penalty_weight=0.2, reduction=MASS)),
    "pocold_sparse": partial(PoCoLDRecipe, "pocold_sparse", Switches(penalty_weight=0.0)),
    "pocold_vanilla": partial(
        PoCoLDRecipe, "pocold_vanilla", Switches(attention=VANILLA, penalty_weight=0.0)
    ),
}
"""The method; and for the comparison: with ten times the constraint, with one on the share of attention that
goes astray, without the pose constraint (B2), with cross-attention in place of its own (B1)."""
