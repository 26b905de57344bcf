"""The decoder goes on alone: its encoder, and with it every cached latent, stays as it was."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file, read_metadata
from figura.models.diffusion.networks import load_vae
from figura.training.data.latents import encoder_name
from figura.training.recipes import load_recipe
from figura.training.run.command import find_init
from figura.training.run.trainer import train


@pytest.fixture(scope="module")
def continued(
    toy_data: Path, toy_weights: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("decoder")
    plan = replace(load_recipe("vae_decoder").plan, steps=3, batch_size=2, device="cpu", warmup_steps=1)
    recipe, out = load_recipe("vae_decoder"), folder / "vae.safetensors"
    assert train(recipe, toy_data, toy_weights, out, folder, plan) is not None
    return folder / "vae.safetensors"


def test_only_the_decoder_changes(continued: Path, toy_weights: Mapping[str, Path]) -> None:
    before, after = load_file(toy_weights["vae"])[0], load_file(continued, file_kind="vae")[0]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after)
    assert changed and all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)


def test_the_latents_stay_valid(continued: Path, toy_weights: Mapping[str, Path]) -> None:
    assert encoder_name(load_vae(continued)) == encoder_name(load_vae(toy_weights["vae"]))


def test_the_file_takes_the_place_of_the_autoencoder(continued: Path) -> None:
    assert find_init(["vae"], [continued]) == {"vae": continued}
    scores = read_metadata(continued)["scores"]
    assert scores["psnr.cutout.disturbed"] > 0
