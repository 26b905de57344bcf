"""A checkpoint as pix2gestalt's authors' trainer writes it: every name of its state_dict, small or true."""

from __future__ import annotations

from collections import OrderedDict

import torch
from diffusers import UNet2DConditionModel
from figura.tests.models.diffusion import full_size
from figura.tests.models.diffusion import ldm_layout as ldm
from torch import Tensor, nn

SCHEDULE = (
    "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
    "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2",
)  # fmt: skip
CLIP = "cond_stage_model.model."
PATCH, SIDE, WORDS = 14, 224, 49408


class Block(nn.Module):
    """One layer of OpenAI's CLIP, written anew on torch's own attention, whose names the file has."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        named = [("c_fc", nn.Linear(width, 4 * width)), ("c_proj", nn.Linear(4 * width, width))]
        self.mlp = nn.ModuleDict(OrderedDict(named))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        wide = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](wide * torch.sigmoid(1.702 * wide))


class Visual(nn.Module):
    """The image encoder: pixels (B,3,224,224) as CLIP takes them -> embeddings (B,out)."""

    def __init__(self, width: int, layers: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, PATCH, stride=PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn((SIDE // PATCH) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleDict(
            {"resblocks": nn.ModuleList(Block(width, width // 64) for _ in range(layers))}
        )
        self.proj = nn.Parameter(torch.randn(width, out) / width**0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        for block in self.transformer["resblocks"]:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


def state_dict(
    unet: UNet2DConditionModel, vae: nn.Module, visual: Visual, layers: int = 1
) -> dict[str, Tensor]:
    """All tensors of the file: the U-Net is its running average, the last weights are others.

    layers: residual blocks a level of the U-Net.
    """
    averaged = ldm.unet_to_ldm(unet.state_dict(), layers, "diffusion_model.")
    out = visual.proj.shape[1]
    tensors = {f"model.{key}": value + 1 for key, value in averaged.items()}
    tensors |= {f"model_ema.{key.replace('.', '')}": value for key, value in averaged.items()}
    tensors |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(9)}
    tensors |= ldm.vae_to_ldm(vae.state_dict(), 4)
    tensors |= {f"{CLIP}visual.{key}": value for key, value in visual.state_dict().items()}
    tensors |= {f"{CLIP}{key}": torch.zeros(shape) for key, shape in _rest_of_clip(out).items()}
    tensors |= {"cc_projection.weight": torch.eye(out) * 0.5, "cc_projection.bias": torch.full((out,), 0.1)}
    return tensors | {name: torch.linspace(0, 1, 1000) for name in SCHEDULE}


def _rest_of_clip(out: int) -> dict[str, tuple[int, ...]]:
    """What is left of its text encoder, whose layers the authors take away."""
    words = WORDS if out == 768 else 9
    return {
        "positional_embedding": (77, out), "text_projection": (out, out), "logit_scale": (),
        "token_embedding.weight": (words, out), "ln_final.weight": (out,), "ln_final.bias": (out,),
    }  # fmt: skip


def small() -> tuple[dict[str, Tensor], UNet2DConditionModel, Visual]:
    """A small file with random weights, and the networks in it."""
    unet, visual = full_size.unet(12), Visual(64, 2, 64)
    return state_dict(unet, full_size.vae(), visual), unet, visual
