"""pix2gestalt's released layout: tensors in their places, the same numbers, refused where it does not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from figura.models.diffusion import clip_image, layouts, single_file
from figura.models.diffusion.checkpoint import save_module
from figura.models.phac.checkpoint import load_phac, load_refiner
from figura.models.phac.networks import InvisibleMaskUNet
from figura.models.pix2gestalt.networks import Pix2Gestalt
from figura.tests.models.diffusion import full_size
from figura.tests.models.pix2gestalt import released
from transformers import CLIPVisionModelWithProjection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pix2gestalt")
    mask_net = InvisibleMaskUNet(base=8, levels=2, size=32)
    save_module(made / "mask.safetensors", "invisible_mask", mask_net.state_dict(), mask_net.config)
    return made


@pytest.fixture(scope="module")
def file(folder: Path) -> tuple[Path, UNet2DConditionModel, released.Visual]:
    torch.manual_seed(0)
    tensors, unet, visual = released.small()
    torch.save({"state_dict": tensors, "epoch": 5, "global_step": 9}, folder / "epoch=000005.ckpt")
    return folder / "epoch=000005.ckpt", unet.eval(), visual.eval()


@pytest.fixture(scope="module")
def model(folder: Path, file: Any) -> Pix2Gestalt:
    loaded = load_phac(file[0], None, folder / "mask.safetensors", folder)
    assert isinstance(loaded, Pix2Gestalt)
    return loaded


def test_it_loads_without_a_prompt_network_or_a_tokenizer_and_says_its_licence(
    folder: Path, file: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = load_phac(file[0], None, folder / "mask.safetensors", folder)
    assert made.size == 256 and made.latent_shape == (4, 32, 32) and not made.training
    assert "epoch=000005.ckpt is pix2gestalt: CC BY-NC 4.0, not for commercial use" in caplog.text


def test_the_running_average_is_used_and_computes_what_the_original_does(
    model: Pix2Gestalt, file: Any
) -> None:
    latents, text = torch.randn(2, 12, 16, 16), torch.randn(2, 1, 64)
    with torch.no_grad():
        ours, theirs = (net(latents, 321, text).sample for net in (model.unet, file[1]))
    assert float((ours - theirs).abs().max()) <= 1e-5


def test_the_image_encoder_gives_what_openais_gives(model: Pix2Gestalt, file: Any) -> None:
    images = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    small = torch.nn.functional.interpolate(images * 2 - 1, (224, 224), mode="bicubic", align_corners=True)
    mean, std = (torch.tensor(each)[:, None, None] for each in (clip_image.MEAN, clip_image.STD))
    with torch.no_grad():
        embedded = file[2](((small + 1) / 2 - mean) / std)
    expected = (0.5 * embedded + 0.1)[:, None]
    states = model.picture_states(images).states
    assert states.shape == (3, 1, 64) and float((states - expected).abs().max()) <= 1e-5


def test_a_file_without_averages_is_taken_as_it_is() -> None:
    tensors = released.small()[0]
    plain = {key: value for key, value in tensors.items() if not key.startswith("model_ema.")}
    assert all(torch.equal(value, plain[key]) for key, value in layouts.averaged(plain).items())
    assert not torch.equal(
        layouts.averaged(tensors)["model.diffusion_model.out.2.weight"],
        plain["model.diffusion_model.out.2.weight"],
    )


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("cond_stage_model.model.visual.", "no CLIP image encoder"),
        ("cc_projection.", "no tensors cc_projection"),
        ("first_stage_model.", "no autoencoder"),
        ("cond_stage_model.model.visual.ln_post.bias", "1 tensors are missing.*post_layernorm.bias"),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path: Path, lacking: str, message: str) -> None:
    tensors = {key: value for key, value in released.small()[0].items() if not key.startswith(lacking)}
    path = full_size.write(tmp_path / "half.safetensors", tensors)
    with pytest.raises(ValueError, match=f"half.safetensors.*{message}"):
        single_file.load_stack(path, tmp_path, pix2gestalt=True)


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (load_refiner, "9-channel inpainting"),
        (lambda path, words: single_file.load_stack(path, words, channels=4), "4-channel text-to-image"),
        (lambda path, words: single_file.load_stack(path, words, channels=8), "8-channel checkpoint"),
        (lambda path, words: single_file.load_controlnet(path), "a ControlNet"),
    ],
)
def test_other_loaders_refuse_it_by_name(
    file: Any, folder: Path, load: Callable[[Path, Path], Any], wanted: str
) -> None:
    with pytest.raises(ValueError, match=f"pix2gestalt .*not for commercial use.*Load PHAC.*{wanted}"):
        load(file[0], folder)


def test_another_checkpoint_still_needs_a_prompt_network(folder: Path) -> None:
    path = full_size.write(folder / "inpaint.safetensors", full_size.sd15_tensors(full_size.unet()))
    words = full_size.write_tokenizer(folder)
    with pytest.raises(ValueError, match="prompt_network: choose an OpenPose ControlNet"):
        load_phac(path, None, folder / "mask.safetensors", words)


def test_the_published_sizes_fill_the_networks_exactly() -> None:
    """On no memory: as many tensors as the authors' classes register, each of its network's shape."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=12, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        tensors = released.state_dict(unet, vae, released.Visual(1024, 24, 768), 2)
    counts = [
        sum(key.startswith(prefix) for key in tensors)
        for prefix in ("model.", "model_ema.", "first_stage_model.", "cond_stage_model.", "cc_projection.")
    ]
    assert counts == [686, 688, 248, 302, 2]
    named = layouts.unet_tensors_of(layouts.averaged(tensors))
    config = layouts.unet_config(named or {})
    assert layouts.family_of(config) == layouts.PIX2GESTALT and config["in_channels"] == 12
    own = clip_image.vision_tensors(tensors)
    with torch.device("meta"):
        rebuilt = UNet2DConditionModel(**config)
        visual = CLIPVisionModelWithProjection(clip_image.vision_config(own))
    for network, given in ((rebuilt, named), (visual, own)):
        shapes = {key: value.shape for key, value in network.state_dict().items()}
        assert shapes == {key: value.shape for key, value in (given or {}).items()}
