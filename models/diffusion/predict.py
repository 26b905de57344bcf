"""What a U-Net predicts under guidance by text, and with a ControlNet beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .controlnet import ReplacedTensors
from .guidance import cfg as guided
from .latent_model import LatentModel, TextStates
from .remembered import Remembered
from .sampling import PredictNoise

UNCONDITIONAL = ""


@dataclass(frozen=True)
class Control:
    """Phi_CN with the prompt image I_p (B,3,S,S): adds c_pr to the U-Net. strength 0 switches it off.

    in_uncond: whether the unconditional branch of the guidance sees the prompt too; then guidance acts on
    text only. Otherwise it sees a black prompt image, and guidance acts on text and prompt. attention: the
    U-Net tensors that were trained with this ControlNet; None: there are none.
    """

    network: Any
    image: Tensor
    strength: float = 1.0
    in_uncond: bool = True
    attention: ReplacedTensors | None = None


def noise_predictor(
    model: LatentModel,
    texts: Sequence[str],
    scale: float,
    *,
    condition: Tensor | None = None,
    control: Control | None = None,
    negative: str = UNCONDITIONAL,
) -> PredictNoise:
    """eps(z_t, t) of a U-Net under text guidance: e_u + w (e_c - e_u).

    Args:
        model: U-Net with its text encoder.
        texts: one for each picture.
        scale: w; 1 is no guidance and half the work.
        condition: further input channels of the U-Net, (B,c,h,w), the same in both branches.
        control: a ControlNet and what it sees.
        negative: the text of e_u; see `negative_condition`.

    Returns:
        A function for `sampling.sample`.
    """
    text = model.text_condition(texts)
    if scale == 1.0:
        return lambda latents, t: predict_once(model, latents, t, text, condition, control)
    both = negative_condition(model, negative, text).followed_by(text)
    twice = None if condition is None else condition.repeat(2, 1, 1, 1)

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        predicted = predict_once(model, latents.repeat(2, 1, 1, 1), t, both, twice, control)
        unconditional, conditional = predicted.chunk(2)
        return guided(unconditional, conditional, scale)

    return predict


def negative_condition(model: LatentModel, negative: str, like: TextStates) -> TextStates:
    """What e_u sees of text, as many rows as `like` has: the negative text.

    Without one SDXL sees zeros, as in its training and its own pipelines; others see the empty text.
    """
    if negative or like.pooled is None:
        return model.text_condition([negative] * len(like.states))
    return TextStates(torch.zeros_like(like.states), torch.zeros_like(like.pooled), like.sides)


def predict_once(
    model: LatentModel,
    latents: Tensor,
    t: Tensor,
    text: TextStates,
    condition: Tensor | None = None,
    control: Control | None = None,
) -> Tensor:
    """One call of the U-Net on [z_t, condition], with the ControlNet's residuals.

    Args:
        model: U-Net with its networks.
        latents: z_t, (B,C,h,w).
        t: the time step, a scalar.
        text: what cross-attention sees, of B texts.
        condition: further input channels, (B,c,h,w).
        control: a ControlNet and what it sees.

    Returns:
        The predicted noise, float32 (B,C',h,w).
    """
    model.use(*model.drawing)
    inputs = latents if condition is None else torch.cat([latents, condition], dim=1)
    inputs = inputs.to(next(model.unet.parameters()).dtype)
    text_inputs = text.for_network(inputs)
    if control is None:
        return model.unet(inputs, t, **text_inputs).sample.float()
    named = {**text_inputs, **control_residuals(control, inputs, t, text_inputs)}
    if not control.attention:
        return model.unet(inputs, t, **named).sample.float()
    return functional_call(model.unet, control.attention.tensors(), (inputs, t), named).sample.float()


def control_residuals(
    control: Control, inputs: Tensor, t: Tensor, text_inputs: dict[str, Any]
) -> dict[str, Any]:
    """c_pr = strength * Phi_CN(z_t, t, c_te, I_p), per block of the U-Net.

    Args:
        control: the ControlNet, its prompt pictures and strength.
        inputs: the U-Net's input channels, (B,C+c,h,w); the ControlNet gets as many as it has: all of them
            when it was trained with this U-Net, only z_t when it is a public one. A batch twice that of the
            prompt is [unconditional, conditional].
        t: the time step, a scalar.
        text_inputs: the text's states and, for SDXL, its added embeddings, by the names of diffusers.

    Returns:
        Arguments of the U-Net's call.
    """
    if control.strength == 0.0:
        return {}
    copies = len(inputs) // len(control.image)
    prompt = control.image.to(inputs).repeat(copies, 1, 1, 1)
    if copies == 2 and not control.in_uncond:
        prompt[: len(control.image)] = 0.0
    seen = inputs[:, : control.network.config.in_channels]
    down, middle = control.network(seen, t, **text_inputs, controlnet_cond=prompt, return_dict=False)
    return {
        "down_block_additional_residuals": [control.strength * residual for residual in down],
        "mid_block_additional_residual": control.strength * middle,
    }


class RememberedEmbedding(nn.Module):
    """The part of a ControlNet that reads the prompt image; works only when it gets another one than before.

    Its convolutions run at the size of the picture, the rest of the network at the size of the latents.
    """

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.remembered = _embedded.setdefault(embedding, Remembered())

    def forward(self, prompt: Tensor) -> Tensor:
        made: Tensor = self.remembered(self.embedding, (prompt,), lambda: self.embedding(prompt))
        return made


_embedded: WeakKeyDictionary[nn.Module, Remembered] = WeakKeyDictionary()
"""What was made of prompt images, also by earlier runs."""


@contextmanager
def prompt_embedded_once(network: Any) -> Iterator[None]:
    """Inside, the ControlNet reads an unchanged prompt image once and not in every step."""
    embedding = network.controlnet_cond_embedding
    network.controlnet_cond_embedding = RememberedEmbedding(embedding)
    try:
        yield
    finally:
        network.controlnet_cond_embedding = embedding
