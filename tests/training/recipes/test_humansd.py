"""HumanSD's recipes at toy size: the same data for every peer, neutral start, exact resume, the losses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, load_file, save_module
from figura.models.diffusion.networks import encode_image, load_unet, load_vae
from figura.models.humansd.losses import heatmap_guided_loss
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.tests.training.toy_runs import file_of_an_exact_resume
from figura.training.recipes import load_recipe
from figura.training.recipes.humansd import FINE, HumanSDRecipe
from figura.training.run.recipe import Split

LOSSES = ("humansd", "humansd_paper", "humansd_official")
NAMES = (*LOSSES, "humansd_attention", "humansd_plain", "humansd_controlnet_attention", "humansd_controlnet")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, toy_weights: Mapping[str, Path]) -> dict[str, Path]:
    """A detector beside the others that sees joints everywhere, a little."""
    torch.manual_seed(0)
    net = PoseDetector()
    torch.nn.init.constant_(net.head.bias, -1.0)
    path = tmp_path_factory.mktemp("detector") / "pose_detector.safetensors"
    save_module(path, "pose_detector", net.state_dict(), config_to_metadata(PoseConfig()))
    return {**toy_weights, "pose_detector": path}


@pytest.fixture(scope="module")
def split(toy_data: Path, weights: dict[str, Path]) -> Split:
    return load_recipe("humansd").prepare(toy_data, weights)


def test_skeletons_are_encoded_once(toy_data: Path, weights: dict[str, Path], split: Split) -> None:
    people, where = split.train, np.array([3])
    with torch.no_grad():
        expected = encode_image(load_vae(weights["vae"]), people.draw(where))
    made = torch.from_numpy(people.skeletons[where].astype(np.float32))
    torch.testing.assert_close(made, expected, atol=0.05, rtol=0.05)
    files = {path: path.stat().st_mtime_ns for path in toy_data.rglob("coco_skeletons*.npy")}
    assert len(files) == 2
    load_recipe("humansd_controlnet").prepare(toy_data, weights)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_every_peer_sees_the_same_people_texts_and_gaps(
    toy_data: Path, weights: dict[str, Path], split: Split
) -> None:
    batches = []
    for name in NAMES:
        recipe = load_recipe(name)
        recipe.prepare_networks(weights)
        batches.append(recipe.batch(split.train, 5, 0, 40))
        assert recipe.plan.steps == load_recipe("humansd").plan.steps and "base" in recipe.needs
    first = batches[0]
    for other in batches[1:]:
        assert torch.equal(other["latents"], first["latents"]) and torch.equal(other["texts"], first["texts"])
    nobody = (first["skeleton"] == split.train.nobody).flatten(1).all(1)
    black = ~batches[-1]["prompt"].flatten(1).any(1)
    assert torch.equal(nobody, black) and 0 < black.sum() < 10


@torch.no_grad()
def test_training_starts_from_the_base_exactly(split: Split, weights: dict[str, Path]) -> None:
    recipe = load_recipe("humansd")
    recipe.prepare_networks(weights)
    batch = recipe.batch(split.train, 0, 0, 2)
    module, base = recipe.build(weights).eval(), load_unet(weights["base"])
    times = torch.tensor([10, 700])
    made = module(torch.cat([batch["latents"], batch["skeleton"]], 1), times, batch["texts"]).sample
    assert torch.equal(made, base(batch["latents"], times, batch["texts"]).sample)


def test_the_loss_alone_tells_the_recipes_apart(split: Split, weights: dict[str, Path]) -> None:
    losses = {}
    for name in LOSSES:
        recipe = load_recipe(name)
        recipe.prepare_networks(weights)
        module, batch = recipe.build(weights), recipe.batch(split.train, 0, 0, 2)
        total, _ = recipe.loss(module, batch, torch.Generator().manual_seed(0))
        total.backward()
        assert module.conv_in.weight.grad.any()
        losses[name] = float(total.detach())
        if recipe.detector is not None:
            assert all(each.grad is None for each in recipe.detector.parameters())
    assert losses["humansd_paper"] > losses["humansd"] and len(set(losses.values())) == 3


def test_with_attention_alone_the_other_convolutions_stay_the_bases(weights: dict[str, Path]) -> None:
    module = load_recipe("humansd_attention").build(weights)
    learns = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    parts = {".".join(name.split(".")[:3]) for name in learns}
    assert {"conv_in.weight", "conv_in.bias"} <= learns and "mid_block.attentions.0" in parts
    assert not any("resnets" in name or "samplers" in name or "time" in name for name in learns)
    assert all(p.requires_grad for p in load_recipe("humansd").build(weights).parameters())


@pytest.mark.parametrize("mode", ["paper", "official"])
def test_the_guided_recipes_train_with_the_guided_loss(
    split: Split, weights: dict[str, Path], mode: str
) -> None:
    """The loss that `figura check parity` compares with the released code's."""
    recipe = load_recipe(f"humansd_{mode}")
    recipe.prepare_networks(weights)
    recipe.change("weight_limit", 1.0)
    module, batch = recipe.build(weights).eval(), recipe.batch(split.train, 0, 0, 2)
    generator, latents = torch.Generator().manual_seed(4), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(0, 1000, (2,), generator=generator)
    noisy = torch.cat([recipe.schedule.add_noise(latents, noise, times), batch["skeleton"]], 1)
    expected = heatmap_guided_loss(
        module(noisy, times, batch["texts"]).sample, noise, recipe.vae,
        lambda images: recipe.detector(images).sigmoid(), mode, generator=generator,
    )  # fmt: skip
    made, _ = recipe.loss(module, batch, torch.Generator().manual_seed(4))
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-6)


def test_the_finer_peer_differs_in_the_skeletons_latents_alone(
    toy_data: Path, weights: dict[str, Path], split: Split
) -> None:
    coarse, fine = load_recipe("humansd"), load_recipe("humansd_fine")
    coarse.prepare_networks(weights)
    other = fine.prepare(toy_data, weights)
    large = torch.nn.functional.interpolate(
        other.train.draw(np.array([3])), scale_factor=FINE, mode="bilinear"
    )
    with torch.no_grad():
        expected = encode_image(load_vae(weights["vae"]), large)
    made = torch.from_numpy(other.train.skeletons[[3]].astype(np.float32))
    torch.testing.assert_close(made, expected, atol=0.05, rtol=0.05)
    less, seen = (recipe.batch(each.train, 2, 0, 4) for recipe, each in ((coarse, split), (fine, other)))
    assert torch.equal(seen["latents"], less["latents"]) and torch.equal(seen["texts"], less["texts"])
    channels = less["skeleton"].shape[1]
    assert seen["skeleton"].shape[1] == FINE**2 * channels and coarse.pose_scale == 1
    assert coarse.build(weights).config.in_channels == 2 * channels
    assert fine.build(weights).config.in_channels == channels * (1 + FINE**2)


def test_the_plain_peer_is_humansd_itself(split: Split, weights: dict[str, Path]) -> None:
    assert load_recipe("humansd_plain").loss_mode == load_recipe("humansd").loss_mode == "plain"


@pytest.mark.parametrize("with_attention", [False, True])
def test_of_the_controlled_base_nothing_or_its_cross_attention_learns(
    split: Split, weights: dict[str, Path], with_attention: bool
) -> None:
    recipe = load_recipe("humansd_controlnet_attention" if with_attention else "humansd_controlnet")
    recipe.prepare_networks(weights)
    module = recipe.build(weights)
    recipe.loss(module, recipe.batch(split.train, 0, 0, 2), torch.Generator().manual_seed(0))[0].backward()
    learning = {name for name, p in module.unet.named_parameters() if p.grad is not None}
    assert all(".attn2." in name for name in learning) and bool(learning) == with_attention
    assert len(recipe.parameter_groups(module, 1e-4)) == 1 + with_attention
    exported = recipe.export(module, split.held_out)
    assert any(name.startswith("unet.") for name in exported.tensors) == with_attention
    assert exported.file_kind == recipe.name and any(
        p.grad is not None for p in module.controlnet.parameters()
    )


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ValueError, match="one of plain, paper, official"):
        HumanSDRecipe(loss="pose")


@pytest.mark.parametrize("name", ["humansd_official", "humansd_controlnet"])
def test_a_recipe_makes_a_file_and_resumes_exactly(
    toy_data: Path, weights: dict[str, Path], tmp_path: Path, name: str
) -> None:
    _, meta = load_file(file_of_an_exact_resume(name, toy_data, weights, tmp_path))
    assert meta["kind"] == ("humansd" if name != "humansd_controlnet" else name)
