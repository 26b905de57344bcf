"""Public Stable Diffusion layouts: full sizes read off tensors, pickles that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from figura.models.diffusion import layouts
from figura.tests.models.diffusion import ldm_layout


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "callback": print}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match="bad.ckpt"):
        layouts.read_weights(tmp_path / "bad.ckpt")


def test_a_pickle_with_nan_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([float("nan")])}, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match="NaN"):
        layouts.read_weights(tmp_path / "nan.pth")


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_scales_of_rows_are_those_of_rows_whatever_their_shape(shape: tuple[int, ...]) -> None:
    weight, scale = torch.ones(4, 4).to(torch.float8_e4m3fn), torch.tensor([1.0, 2.0, 3.0, 4.0])
    read = layouts.unscaled({"a.weight": weight, "a.weight_scale": scale.reshape(shape)})
    assert list(read) == ["a.weight"] and torch.equal(read["a.weight"][:, 0].float(), scale)
    with pytest.raises(ValueError, match=r"'a.weight_scale' has the shape \(4, 2\).*such as fp16"):
        layouts.unscaled({"a.weight": weight, "a.weight_scale": torch.ones(4, 2)})


def test_full_sizes_are_read_off_the_tensors() -> None:
    with torch.device("meta"):
        sd15 = UNet2DConditionModel(in_channels=9, cross_attention_dim=768)
    config = layouts.unet_config(layouts.unet_tensors_of(ldm_layout.unet_to_ldm(sd15.state_dict(), 2)))
    assert config["block_out_channels"] == (320, 640, 1280, 1280) and config["attention_head_dim"] == 8
    names = ("down_block_types", "up_block_types", "layers_per_block")
    assert {name: sd15.config[name] for name in names} == {name: config[name] for name in names}
    with torch.device("meta"):
        again = UNet2DConditionModel(**config)
    assert sum(p.numel() for p in again.parameters()) == 859_520_964 + 320 * 5 * 9


def test_full_size_sdxl_is_read_off_the_tensors() -> None:
    known = {
        "in_channels": 9, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), "layers_per_block": 2,
        "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }  # fmt: skip
    with torch.device("meta"):
        network = UNet2DConditionModel(**known)
    config = layouts.unet_config(network.state_dict())
    assert {name: config[name] for name in known} == known and layouts.family_of(config) == layouts.SDXL
