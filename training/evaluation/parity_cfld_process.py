"""CFLD's sampling, preprocessing and metrics beside a checkout of the authors' code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...models.cfld.pipeline import resized
from ...models.cfld.sampling import STEPS, Branch, Guided, Weights
from ...models.diffusion.networks import decode_latents
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import DDPM, scheduler_of, timesteps_of
from .metrics import psnr_region, ssim_region
from .parity import NETWORK_LIMIT, PIXEL_LIMIT, RELATIVE, Row, differing, relative
from .parity_checkouts import Anything, released_modules, stand_ins

OWN_PACKAGES = ("datasets", "defaults", "models", "utils")
"""Folders of the checkout that its scripts import as packages."""
PACKAGES = ("einops", "lpips", "pandas", "yacs", "cv2")
SEEDS = (11, 12)
BATCH, SIDE = 2, 8


def compare_process(folder: Path) -> Iterator[Row]:
    """Schedule, guidance and trajectory; autoencoder; pictures as they go in; PSNR and SSIM."""
    with stand_ins((*OWN_PACKAGES, *PACKAGES), even=OWN_PACKAGES):
        with released_modules(folder, "", "cfld_scripts") as module:
            yield from _sampling(module("pose_transfer_test"), folder)
    with stand_ins(PACKAGES), released_modules(folder, "models", "cfld_parts") as module:
        yield _autoencoder(module("vae"))
        yield from _metrics(module("metrics"))
    with stand_ins(PACKAGES), released_modules(folder, "datasets", "cfld_data") as module:
        yield _preprocessing(module("deepfashion"))


# Sampling


def _noise(latents: Tensor, t: Tensor, prompt: Tensor, pose: Tensor | float, bias: Tensor | float) -> Tensor:
    """Bends the latents by the time and all conditions, as smoothly as a network does."""
    looks = prompt.mean((1, 2))[:, None, None, None]
    return torch.tanh(0.9 * latents + looks + 0.3 * pose + 0.2 * bias + float(t) / 1000)


class _UNet:
    """In the place of our U-Net; called as `predict_noise` calls it."""

    up_blocks = (SimpleNamespace(attentions=(None,)),)

    @staticmethod
    def parameters() -> Iterator[Tensor]:
        return iter([torch.zeros(1)])

    def __call__(
        self,
        latents: Tensor,
        t: Tensor,
        prompt: Tensor,
        down_intrablock_additional_residuals: Sequence[Tensor] | None,
        cross_attention_kwargs: dict[str, Sequence[Tensor]] | None,
    ) -> SimpleNamespace:
        pose: Tensor | float = 0.0
        if down_intrablock_additional_residuals:
            pose = down_intrablock_additional_residuals[0]
        bias: Tensor | float = 0.0
        if cross_attention_kwargs:
            bias = cross_attention_kwargs["query_biases"][0]
        return SimpleNamespace(sample=_noise(latents, t, prompt, pose, bias))


def _sampling(code: ModuleType, folder: Path) -> Iterator[Row]:
    """Their `sample` with the released guidance, on a function in the place of the U-Net."""
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler.from_pretrained(str(folder / "pretrained_models" / "scheduler"))
    theirs.set_timesteps(STEPS)
    walked = timesteps_of(scheduler_of(DDPM, SEEDS), STEPS)
    unlike = float((walked != theirs.timesteps).float().mean())
    yield Row("schedule, time steps", unlike, 0.0, "of the steps")
    alphas = relative(theirs.alphas_cumprod, scheduler_of(DDPM, SEEDS).alphas_cumprod)
    yield Row("schedule, alphas", alphas, NETWORK_LIMIT, RELATIVE)
    generator = torch.Generator().manual_seed(9)
    noise, pose, bias = torch.randn(3, BATCH, 4, SIDE, SIDE, generator=generator)
    null, prompt = torch.randn(2, BATCH, 16, 6, generator=generator)
    made: list[Tensor] = []

    def unet(**given: Any) -> Tensor:
        down, up = given["down_block_additional_residuals"][0], given["up_block_additional_residuals"]["q"]
        return _noise(given["sample"], given["timestep"], given["encoder_hidden_states"], down, up)

    def kept(latents: Tensor) -> Tensor:
        made.append(latents)
        return latents

    vae = SimpleNamespace(decode=kept)
    guidance = SimpleNamespace(
        NUM_INFERENCE_STEPS=STEPS, GUIDANCE_TYPE="uc_down_full", DOWN_BLOCK_GUIDANCE_SCALE=2.0,
        FULL_GUIDANCE_SCALE=2.0,
    )  # fmt: skip
    code.sample(
        SimpleNamespace(TEST=guidance), torch.float32, SimpleNamespace(autocast=nullcontext),
        scheduler_of(DDPM, SEEDS), vae, unet, noise, torch.cat([null, prompt]), [pose], {"q": bias},
    )  # fmt: skip
    branches = Branch(null), Branch(null, [pose]), Branch(prompt, [pose], [bias])
    model: Any = SimpleNamespace(unet=_UNet())
    for part, weights in (
        ("trajectory of 50 steps, guidance 2 and 2", Weights()),
        ("the same with all three branches", Weights(2.0, 2.0 + 1e-6)),
    ):
        own = sample(Guided(model, branches, weights), noise, scheduler_of(DDPM, SEEDS), STEPS)
        yield Row(part, relative(made[0], own), NETWORK_LIMIT, RELATIVE)


# What goes in and comes out


def _autoencoder(code: ModuleType) -> Row:
    """Their wrapper round diffusers' autoencoder, which is ours as well."""
    from diffusers import AutoencoderKL

    torch.manual_seed(2)
    network = AutoencoderKL(latent_channels=4, block_out_channels=(32, 32), norm_num_groups=8).eval()
    network.scaling_factor = network.config.scaling_factor
    theirs = object.__new__(code.VariationalAutoencoder)
    nn.Module.__init__(theirs)
    theirs.model = network
    latents = torch.randn(1, 4, SIDE, SIDE)
    picture = (theirs.decode(latents) * 0.5 + 0.5).clamp(0, 1)
    return Row("autoencoder", relative(picture, decode_latents(network, latents)), NETWORK_LIMIT, RELATIVE)


def _preprocessing(code: ModuleType) -> Row:
    """A photograph-like picture as the Swin Transformer sees it, 256 x 256."""
    dataset = code.PisTestDeepFashion
    dataset.process_dir = lambda *given: []
    code.pd.read_csv = lambda *given, **named: Anything()
    made = dataset("", [512, 512], [256, 256], [256, 256], [256, 176])
    rng = np.random.default_rng(10)
    coarse = Image.fromarray(rng.integers(0, 256, (86, 59, 3), dtype=np.uint8))
    image = coarse.resize((750, 1101), Image.Resampling.BICUBIC)
    theirs = made.transform_cond(image) / 2 + 0.5
    ours = resized(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255, 256, 256)[0]
    return Row("preprocessing, picture", differing(theirs, ours), PIXEL_LIMIT, "of the pixels")


def _metrics(code: ModuleType) -> Iterator[Row]:
    """PSNR and SSIM; FID and LPIPS need trained networks, which Figura's tables do not use."""
    judge = object.__new__(code.build_metric)
    nn.Module.__init__(judge)
    judge.forward_inception = lambda pictures: torch.zeros(len(pictures), 1)
    judge.lpips_model = lambda *given, **named: torch.zeros(1)
    generator = torch.Generator().manual_seed(12)
    truth = torch.rand(1, 3, 96, 64, generator=generator)
    made = (truth + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    made[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    _, _, psnr, _, ssim = judge(truth, made)
    whole = torch.ones(1, 1, 96, 64)
    ours = psnr_region(made, truth, whole)
    yield Row("PSNR", relative(psnr[0].double(), ours), NETWORK_LIMIT, RELATIVE)
    inside = torch.zeros_like(whole)
    inside[..., 5:-5, 5:-5] = 1
    yield Row(
        "SSIM at 256 px",
        relative(ssim[0].double(), ssim_region(made, truth, inside)),
        NETWORK_LIMIT,
        RELATIVE,
    )
