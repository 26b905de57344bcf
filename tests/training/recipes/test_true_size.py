"""Training at the true sizes from random public-layout files: two steps, resumed once, loaded by the node.

FIGURA_TRUE_SIZE=1 runs them: each takes minutes and gigabytes, and is skipped where there is less memory.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from figura.models.cfld.config import released_config as cfld_config
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.checkpoint import load_file
from figura.tests.models.diffusion import full_size as makers
from figura.training.data.hands import build_hands_data
from figura.training.data.pairs import build_pairs
from figura.training.data.people import build_split
from figura.training.run import command
from transformers import CLIPTextConfig, CLIPTextModel

SAMPLES, SIZE = 16, 512
NEEDED_GIB = {"pocold": 6, "hands": 20, "body": 16, "phac": 16, "cfld": 16, "humansd": 22}
"""Free memory that a run in float32 on a CPU wants."""
FILES: dict[str, tuple[str, ...]] = {
    "phac": ("inpaint", "control"), "hands": ("sd15",), "body": ("sd15", "control"), "humansd": ("sd21",),
    "cfld": ("sd15", "swin"), "pocold": ("vae",),
}  # fmt: skip


def free_gib() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) / 2**20 if found else 0.0


def sd15_unet(channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(in_channels=channels, cross_attention_dim=768)


def sd21_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
    )


def true_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip


def text_model(width: int, activation: str) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=258,
            hidden_size=width,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=width // 64,
            projection_dim=width,
            hidden_act=activation,
            bos_token_id=256,
            eos_token_id=257,
            pad_token_id=257,
        )  # fmt: skip
    )


def written(name: str, folder: Path) -> Path:
    """A file of the public layout, float16, of the true sizes but for the text encoders' depth."""
    torch.manual_seed(0)
    ldm = makers.ldm
    if name == "swin":
        tensors = CFLDNetworks(cfld_config()).backbone.state_dict()
    elif name == "vae":
        tensors = true_vae().state_dict()
    elif name == "control":
        tensors = ldm.controlnet_to_ldm(ControlNetModel.from_unet(sd15_unet(4)).state_dict(), 2)
    else:
        unet = sd21_unet() if name == "sd21" else sd15_unet(9 if name == "inpaint" else 4)
        tensors = ldm.unet_to_ldm(unet.state_dict(), 2) | ldm.vae_to_ldm(true_vae().state_dict(), 4)
        if name == "sd21":
            text = text_model(1024, "gelu").state_dict()
            named = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in text.items()}
            named |= {"text_projection.weight": torch.eye(1024)}
            tensors |= ldm.big_clip_to_ldm(named, "cond_stage_model.model.")
        else:
            tensors |= ldm.clip_to_ldm(text_model(768, "quick_gelu").state_dict())
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    return makers.write(folder / f"{name}.safetensors", half)


def data_for(recipe: str, folder: Path) -> Path:
    """SAMPLES pictures of 512 px, 512 x 384 being left to the import's own tests."""
    if recipe in ("cfld", "pocold"):
        build_pairs(folder, SAMPLES, 2, SIZE, processes=1)
    elif recipe in ("hands", "body"):
        build_hands_data(folder, SAMPLES, 2, SIZE, processes=1)
    else:
        build_split(folder, SAMPLES, 2, SIZE, processes=1)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("FIGURA_TRUE_SIZE") != "1", reason="FIGURA_TRUE_SIZE=1 runs it, for minutes"
)
@pytest.mark.parametrize("recipe", FILES)
def test_two_steps_at_the_true_size(recipe: str, tmp_path: Path, record_property: Any) -> None:
    if free_gib() < NEEDED_GIB[recipe]:
        pytest.skip(f"{recipe} needs {NEEDED_GIB[recipe]} GiB of free memory, {free_gib():.0f} are there")
    public: Mapping[str, Path] = {name: written(name, tmp_path) for name in FILES[recipe]}
    makers.write_tokenizer(tmp_path)
    out, data = tmp_path / "out.safetensors", data_for(recipe, tmp_path / "data")
    words = [
        recipe, "--base", *(str(path) for path in public.values()), "--data", str(data), "--out", str(out),
        "--tokenizer", str(tmp_path), "--device", "cpu", "--batch", "1", "--accumulation", "1",
    ]  # fmt: skip
    assert command.main([*words, "--steps", "1"]) == 0
    assert command.main([*words, "--steps", "2"]) == 0
    tensors, meta = load_file(out)
    assert meta["steps"] == 2 and all(value.isfinite().all() for value in tensors.values())
    record_property("parameters", sum(value.numel() for value in tensors.values()))
    record_property("peak_gib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


@pytest.mark.parametrize(
    ("channels", "learning"), [(4, 43_962_560 + 361_279_120), (9, 43_962_560 + 361_279_120)]
)
def test_cross_attention_and_a_public_controlnet_learn_at_the_true_size(channels: int, learning: int) -> None:
    from figura.training.recipes.controlled import ControlledUNet

    with torch.device("meta"):
        module = ControlledUNet(sd15_unet(channels), True, ControlNetModel.from_unet(sd15_unet(4)))
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    assert trained == learning


def test_all_of_humansd_learns_at_the_true_size() -> None:
    from figura.models.humansd.networks import pose_unet

    with torch.device("meta"):
        unet = pose_unet(sd21_unet())
    assert sum(parameter.numel() for parameter in unet.parameters()) == 865_910_724 + 11_520


def test_names_of_a_checkpoint_come_back_at_the_true_size() -> None:
    from figura.models.diffusion.layouts import LDM_UNET
    from figura.training.recipes.public import original_names

    for unet in (sd15_unet, lambda _: sd21_unet()):
        with torch.device("meta"):
            network = unet(4)
        original = makers.ldm.unet_to_ldm(network.state_dict(), 2)
        names = original_names(original)
        assert set(names) == set(network.state_dict())
        assert set(names.values()) == {key for key in original if key.startswith(LDM_UNET)}
        shapes = network.state_dict()
        assert all(original[own].numel() == shapes[name].numel() for name, own in names.items())
