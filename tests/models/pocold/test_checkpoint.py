"""Files of PoCoLD: what comes back, and what is told about others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.pocold.checkpoint import FILE_KIND, load_mini_pocold, load_networks, load_pocold
from figura.models.pocold.networks import PoCoLDConfig, PoCoLDNetworks
from figura.tests.models.pocold import tiny


def write(path: Path, config: PoCoLDConfig) -> PoCoLDNetworks:
    torch.manual_seed(0)
    made = PoCoLDNetworks(config)
    save_module(path, FILE_KIND, made.state_dict(), config_to_metadata(config), dtype=torch.float32)
    return made


@pytest.mark.parametrize("attention", ["sparse", "vanilla"])
def test_a_file_gives_the_same_networks_again(tmp_path, attention):
    config = tiny.tiny_config(attention, "released" if attention == "sparse" else "paper")
    made, loaded = write(tmp_path / "net.safetensors", config), load_networks(tmp_path / "net.safetensors")
    assert loaded.config == config
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in made.state_dict().items())


def test_a_trained_file_runs_in_half_precision(tmp_path):
    write(tmp_path / "net.safetensors", tiny.tiny_config())
    model = load_pocold(tmp_path / "net.safetensors", tiny.tiny_vae(), torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    images = model.decode(model.encode(torch.rand(1, 3, 32, 32)))
    assert images.dtype == torch.float32 and not model.training


def test_mini_is_read_from_its_folder(tmp_path):
    vae = networks.mini_vae()
    save_module(tmp_path / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    with pytest.raises(FileNotFoundError, match="pocold.safetensors"):
        load_mini_pocold(tmp_path)
    write(tmp_path / "pocold.safetensors", PoCoLDConfig(channels=(16, 16), heads=2, filters=4))
    assert load_mini_pocold(tmp_path).factor == 8


def test_another_kind_is_told(tmp_path):
    save_module(tmp_path / "other.safetensors", "hands", {"a": torch.zeros(1)}, {})
    with pytest.raises(ValueError, match="other.safetensors holds 'hands' weights, but 'pocold'"):
        load_networks(tmp_path / "other.safetensors")
