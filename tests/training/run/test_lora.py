"""Low-rank training: the network begins as it is, its files have the old names, stock nodes read the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from figura.tests.models.diffusion import full_size as makers
from figura.training.run.lora import factors, lower, write_lora
from safetensors.torch import load_file
from torch import Tensor, nn


@pytest.fixture
def unet() -> nn.Module:
    torch.manual_seed(0)
    return makers.unet(4)


def made(unet: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents, texts = (torch.randn(shape, generator=generator) for shape in ((1, 4, 16, 16), (1, 5, 64)))
    return unet(latents, torch.tensor([7]), texts).sample


def changed(unet: nn.Module) -> None:
    """As if it had learned."""
    generator = torch.Generator().manual_seed(2)
    for pair in factors(unet).values():
        pair.up.data = 0.1 * torch.randn(pair.up.shape, generator=generator)


def test_it_begins_with_the_network_as_it_is(unet: nn.Module) -> None:
    before, names = made(unet), set(unet.state_dict())
    lower(unet, 2)
    assert torch.equal(made(unet), before) and set(unet.state_dict()) == names


def test_thin_matrices_learn_and_the_convolution_that_was_widened(unet: nn.Module) -> None:
    chosen = lower(unet, 2)
    assert all(".attn" in name for name in chosen) and len(chosen) % 8 == 0
    learning = {name for name, parameter in unet.named_parameters() if parameter.requires_grad}
    rest = {name for name in learning if not name.endswith((".up", ".down"))}
    assert rest == {"conv_in.weight", "conv_in.bias", "conv_out.weight", "conv_out.bias"}
    made(unet).sum().backward()
    assert all(pair.up.grad is not None for pair in factors(unet).values())


def test_what_was_frozen_stays_so(unet: nn.Module) -> None:
    unet.requires_grad_(False)
    with pytest.raises(ValueError, match="no attention of a U-Net learns"):
        lower(unet, 2)
    with pytest.raises(ValueError, match="rank is 0"):
        lower(unet, 0)


def test_files_hold_the_sum_and_make_the_same_noise(unet: nn.Module) -> None:
    lower(unet, 2)
    changed(unet)
    plain = makers.unet(4)
    plain.load_state_dict(unet.state_dict())
    torch.testing.assert_close(made(plain), made(unet))


def test_the_lora_file_is_the_difference_to_the_base(unet: nn.Module, tmp_path: Path) -> None:
    base = {name: value.clone() for name, value in unet.state_dict().items()}
    assert write_lora(tmp_path / "x.safetensors", unet) is None
    chosen = lower(unet, 2)
    changed(unet)
    path = write_lora(tmp_path / "x.safetensors", unet)
    assert path is not None and path.name == "x_lora.safetensors"
    tensors, after = load_file(path), unet.state_dict()
    assert len(tensors) == 3 * len(chosen)
    for name in chosen:
        key = "lora_unet_" + name.replace(".", "_")
        up, down = (tensors[f"{key}.lora_{side}.weight"].float() for side in ("up", "down"))
        scale = float(tensors[f"{key}.alpha"]) / len(down)
        torch.testing.assert_close(
            base[f"{name}.weight"] + scale * up @ down, after[f"{name}.weight"], atol=1e-3, rtol=1e-2
        )


def test_stock_loaders_find_the_layers_of_the_file(unet: nn.Module, tmp_path: Path) -> None:
    layers = {name for name, part in unet.named_modules() if isinstance(part, nn.Linear)}
    chosen = lower(unet, 2)
    path = write_lora(tmp_path / "x.safetensors", unet)
    assert path is not None
    read, alphas = StableDiffusionPipeline.lora_state_dict(str(path))
    found = {re.sub(r"^unet\.|processor\.|_lora|\.(down|up)\.weight$", "", name) for name in read}
    assert {name.replace("to_out", "to_out.0") for name in found} == set(chosen) <= layers
    assert len(read) == 2 * len(chosen) and set(alphas.values()) == {2.0}
