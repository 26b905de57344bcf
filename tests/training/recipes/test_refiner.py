"""The refiner learns from composites: what it is shown, the way it learns, and what it writes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import read_metadata, save_module
from figura.models.diffusion.networks import load_unet
from figura.models.phac.networks import InvisibleMaskUNet
from figura.training.data.coarse_outputs import CoarseOutputs, Sampling, build_part
from figura.training.recipes import load_recipe
from figura.training.recipes.refiner import RefinerRecipe
from figura.training.run.recipe import Split, random_generator
from figura.training.run.trainer import train

COUNT = 8


@pytest.fixture(scope="module")
def files(toy_data: Path, toy_weights: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict:
    torch.manual_seed(0)
    network = InvisibleMaskUNet(base=8, levels=3, size=64, prompt=True, guess=True)
    network.head.bias.data.fill_(0.2)
    path = tmp_path_factory.mktemp("mask") / "invisible_mask.safetensors"
    save_module(path, "invisible_mask", network.state_dict(), network.config)
    for part in ("train", "held_out"):
        build_part(toy_data / part, toy_weights, 3, Sampling(draws=2, steps=1, guided_every=2))
    return {**toy_weights, "invisible_mask": path}


@pytest.fixture(scope="module")
def prepared(toy_data: Path, files: dict) -> tuple[RefinerRecipe, Split]:
    task = load_recipe("refiner")
    return task, task.prepare(toy_data, files)


def test_outside_the_mask_the_composite_is_the_true_picture(prepared: tuple[RefinerRecipe, Split]) -> None:
    task, data = prepared
    batch = task.batch(data.train, 3, 0, COUNT)
    assert batch["base"].shape == (COUNT, 3, 64, 64) and batch["texts"].shape[0] == COUNT
    difference = (batch["base"] - batch["truth"]).abs().amax(1, keepdim=True)
    # One pixel round the mask is mixed with it when the crop is resampled.
    outside = 1 - torch.nn.functional.max_pool2d(batch["mask"], 5, 1, 2)
    assert (difference * outside).max() < 1e-5
    assert all(image.max() > 0.05 for image in difference * batch["mask"])


def test_a_batch_depends_on_seed_and_step_alone(prepared: tuple[RefinerRecipe, Split]) -> None:
    task, data = prepared
    first, again, other = (task.batch(data.train, step, 0, COUNT) for step in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["base"], other["base"])


def test_its_masks_are_made_as_the_nodes_make_them_from_the_prompt(
    prepared: tuple[RefinerRecipe, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data = prepared
    shown: list[torch.Tensor] = []
    guesses: list[torch.Tensor] = []
    forward = task.mask_net.forward

    def watched(*pictures: torch.Tensor) -> torch.Tensor:
        shown.append(pictures[3])
        guesses.append(pictures[4])
        return forward(*pictures)

    monkeypatch.setattr(task.mask_net, "forward", watched)
    for step in range(4):
        task.batch(data.train, step, 0, COUNT)
    prompts = torch.cat(shown)
    assert prompts.shape[1:] == (3, 64, 64) and prompts.flatten(1).amax(1).mean() > 0.5
    said = torch.cat(guesses)
    assert said.shape == (len(prompts), 1, 64, 64) and said.flatten(1).std(1).min() > 0


def test_everybody_may_have_coarse_outputs(prepared: tuple[RefinerRecipe, Split]) -> None:
    task, data = prepared
    people, images = data.train.people, data.train.images
    everybody = CoarseOutputs(people, np.resize(images, (len(people), *images.shape[1:])))
    assert everybody.first == 0
    batch = task.batch(everybody, 1, 0, COUNT)
    assert batch["base"].shape == (COUNT, 3, 64, 64) and len(batch["texts"]) == COUNT


def test_whoever_knows_the_true_picture_has_no_loss(prepared: tuple[RefinerRecipe, Split]) -> None:
    """The latent to denoise is the true picture's; the network is shown the mask and I_base beside it."""
    task, data = prepared
    batch = task.batch(data.train, 0, 0, COUNT)
    base, truth, cells = task._latents(batch)

    class Knows(torch.nn.Module):
        def forward(self, inputs: torch.Tensor, times: torch.Tensor, texts: torch.Tensor) -> object:
            assert torch.equal(inputs[:, 8:], torch.cat([cells, base], dim=1))
            abar = task.schedule.alphas_cumprod[times][:, None, None, None]
            noise = (inputs[:, :8] - abar.sqrt() * truth) / (1 - abar).sqrt()
            return type("Output", (), {"sample": noise})()

    losses = [task.loss(Knows(), batch, random_generator(1, number))[0] for number in range(4)]
    assert max(losses) < 1e-6


def test_it_trains_writes_and_loads(toy_data: Path, files: dict, tmp_path: Path) -> None:
    plan = replace(load_recipe("refiner").plan, steps=2, batch_size=4, device="cpu", warmup_steps=1)
    out = tmp_path / "refiner.safetensors"
    assert train(load_recipe("refiner"), toy_data, files, out, tmp_path, plan) is not None
    unet = load_unet(out, file_kind="refiner")
    assert unet.config.in_channels == 17
    assert set(read_metadata(out)["scores"]) == {"held_out_loss", "psnr_composite", "psnr_refined"}
