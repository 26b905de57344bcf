"""A latent diffusion model as the methods hold it: autoencoder, U-Net and text encoder together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .networks import (
    MINI_SIZE,
    decode_latents,
    encode_image,
    fold_of,
    image_posterior,
    load_vae,
    sampled_latents,
)
from .placement import Placement, coded
from .remembered import Remembered
from .text import load_text_encoder


class TextStates(NamedTuple):
    """Text as a U-Net takes it: states (B,L,D); for SDXL also pooled (B,P) and picture sides (B,6)."""

    states: Tensor
    pooled: Tensor | None = None
    sides: Tensor | None = None

    def for_network(self, like: Tensor) -> dict[str, Any]:
        """Keyword arguments of a diffusers U-Net or ControlNet, in the dtype and on the device of `like`."""
        if self.pooled is None or self.sides is None:
            return {"encoder_hidden_states": self.states.to(like)}
        added = {"text_embeds": self.pooled.to(like), "time_ids": self.sides.to(like)}
        return {"encoder_hidden_states": self.states.to(like), "added_cond_kwargs": added}

    def followed_by(self, other: TextStates) -> TextStates:
        """Both batches in one, this one first."""
        if self.pooled is None or self.sides is None or other.pooled is None or other.sides is None:
            return TextStates(torch.cat([self.states, other.states]))
        pairs = ((self.states, other.states), (self.pooled, other.pooled), (self.sides, other.sides))
        return TextStates(*(torch.cat(pair) for pair in pairs))


class LatentNetworks(NamedTuple):
    """What a latent diffusion model is made of.

    vae: AutoencoderKL. unet: UNet2DConditionModel. text: a module with `encode` (text.py), and `pooled` for
    U-Nets such as SDXL's. size: side in pixels of the square pictures they work on.
    """

    vae: Any
    unet: Any
    text: Any
    size: int


def mini_networks(folder: str | Path, unet: Any, size: int = MINI_SIZE) -> LatentNetworks:
    """A U-Net with the shipped autoencoder and text encoder, `vae` and `text`, of `folder`.

    Raises FileNotFoundError for a missing file and ValueError for an unusable one, both naming it.
    """
    folder = Path(folder)
    vae, text = load_vae(folder / "vae.safetensors"), load_text_encoder(folder / "text.safetensors")
    return LatentNetworks(vae, unet, text, size)


BY_THEMSELVES = ("vae", "text", "mask_net", "amodal_net")
"""Networks that work while none of the others does; the others draw together."""


class LatentModel(nn.Module):
    """A U-Net with its autoencoder and its text encoder. name: what to call it in messages.

    placement: who brings its networks where is computed, one after the other; None: they are there.
    """

    placement: Placement | None = None

    def __init__(self, networks: LatentNetworks, name: str) -> None:
        super().__init__()
        self.vae, self.unet, self.text, self.size = networks
        self.name = name
        self.remembered = Remembered()

    @property
    def device(self) -> torch.device:
        """Where is computed."""
        if self.placement is not None:
            return self.placement.device
        return next(self.unet.parameters()).device

    def use(self, *networks: nn.Module) -> None:
        """Have these networks on the device; others may have to go."""
        if self.placement is not None:
            self.placement.bring(networks)

    @property
    def drawing(self) -> list[nn.Module]:
        """All that a step of the sampling needs."""
        return [network for name, network in self.named_children() if name not in BY_THEMSELVES]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C,h,w) of the latents of one picture."""
        side = self.size // (fold_of(self.vae) * 2 ** (len(self.vae.config.block_out_channels) - 1))
        return self.vae.config.latent_channels, side, side

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B,3,S,S) in 0..1 -> scaled latents (B,C,h,w), float32 on the model's device."""
        return self.remembered(
            self.vae,
            ("latents", images, self.device),
            lambda: coded(self.vae, self._for_vae(images), partial(encode_image, self.vae)).float(),
        )

    def sample_latents(self, images: Tensor, seeds: Sequence[int], salt: int = 0) -> Tensor:
        """`encode`, but a sample of the posterior in place of its mean; row i depends on seeds[i] alone.

        Args:
            images: (B,3,S,S) in 0..1.
            seeds: one for each picture.
            salt: another number draws other samples of the same seeds.

        Returns:
            (B,C,h,w), float32 on the model's device.
        """
        moments = coded(
            self.vae, self._for_vae(images), lambda some: image_posterior(self.vae, some).parameters
        )
        return sampled_latents(self.vae, moments, seeds, salt)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B,C,h,w) -> pictures (B,3,S,S) in 0..1, float32."""
        return coded(self.vae, self._for_vae(latents), lambda some: decode_latents(self.vae, some)).float()

    def text_condition(self, texts: Sequence[str]) -> TextStates:
        """Texts -> what the U-Net's cross-attention needs, and for SDXL its added embeddings."""
        return self.remembered(self.text, (tuple(texts), self.device), lambda: self._text_condition(texts))

    def _text_condition(self, texts: Sequence[str]) -> TextStates:
        self.use(self.text)
        states = self.text.encode(texts)
        if self.unet.config.addition_embed_type != "text_time":
            return TextStates(states)
        sides = [self.size, self.size, 0, 0, self.size, self.size]
        return TextStates(states, self.text.pooled(texts), states.new_tensor([sides] * len(texts)))

    def _for_vae(self, images: Tensor) -> Tensor:
        self.use(self.vae)
        return images.to(self.device, next(self.vae.parameters()).dtype)


def check_inputs(model: LatentModel, texts: Sequence[str] | None, **given: tuple[Tensor, int]) -> None:
    """ValueError, naming the input, unless all have the model's size, hold numbers, and have a text each.

    Args:
        model: of side S.
        texts: one for each picture; None for a model that reads none.
        given: pictures and masks (B,C,S,S) and their C, by the names of the inputs.
    """
    side, count = model.size, len(next(iter(given.values()))[0])
    for name, (tensor, channels) in given.items():
        if tuple(tensor.shape) != (count, channels, side, side):
            raise ValueError(
                f"{name} of shape {tuple(tensor.shape)}: {model.name} needs "
                f"({count},{channels},{side},{side})"
            )
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity: fix the picture that goes in")
    if texts is not None and (isinstance(texts, str) or len(texts) != count):
        raise ValueError(f"{count} pictures came with {len(texts)} texts; one text per picture is needed")
