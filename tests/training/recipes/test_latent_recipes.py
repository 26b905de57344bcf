"""The recipes on latents at toy size: what they learn, what they leave alone, how they resume."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.tests.training.toy_runs import file_of_an_exact_resume, toy_plan
from figura.training import recipes
from figura.training.data.prompt_images import pose_prompt_images
from figura.training.recipes import load_recipe, recipe_names
from figura.training.run.command import find_init
from figura.training.run.trainer import train


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_what_they_are_called(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and set(recipe.needs) <= set(recipe_names())


def test_unknown_recipes_and_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known recipes: amodal_mask, base"):
        load_recipe("nothing")
    with pytest.raises(FileNotFoundError, match="recipe 'vae'"):
        find_init(["vae"], [], [tmp_path])


def test_given_weights_come_first(toy_weights: Mapping[str, Path]) -> None:
    folder = toy_weights["text"].parent
    found = find_init(["vae", "text"], [toy_weights["vae"]], [folder])
    assert found == {"vae": toy_weights["vae"], "text": folder / "text.safetensors"}


def test_the_coarse_stage_resumes_exactly_and_changes_only_its_part(
    toy_data: Path, toy_weights: Mapping[str, Path], tmp_path: Path
) -> None:
    whole = load_file(file_of_an_exact_resume("phac", toy_data, toy_weights, tmp_path), file_kind="phac")[0]
    assert all(name.startswith("controlnet.") or ".attn2." in name for name in whole)
    backbone = load_file(toy_weights["inpaint"])[0]
    learned = [name for name in whole if name.startswith("unet.")]
    assert any(not torch.equal(whole[name], backbone[name.removeprefix("unet.")]) for name in learned)


def test_the_inpainting_network_starts_as_the_base_network(
    toy_data: Path, toy_weights: Mapping[str, Path]
) -> None:
    recipe = load_recipe("inpaint")
    module = recipe.build(toy_weights)
    base = load_recipe("base").build(toy_weights)
    assert module.conv_in.in_channels == 17 and base.conv_in.in_channels == 8
    batch = recipe.batch(recipe.prepare(toy_data, toy_weights).train, 0, 0, 8)
    assert batch["latents"].shape[1:] == (8, 8, 8) and batch["condition"].shape[1:] == (9, 8, 8)
    assert torch.isfinite(recipe.loss(module, batch, torch.Generator().manual_seed(0))[0])


@pytest.mark.parametrize("kind", ["roi_box", "full_box", "pose_roi_box", "pose_full_box"])
def test_the_kinds_with_a_box_begin_with_the_pose_change_and_are_files_of_their_own(
    toy_data: Path, toy_weights: Mapping[str, Path], tmp_path: Path, kind: str
) -> None:
    recipe = load_recipe(f"phac_{kind}")
    out = tmp_path / f"phac_{kind}.safetensors"
    plan = replace(toy_plan(recipe, 1), learning_rate=0.0)
    assert train(recipe, toy_data, toy_weights, out, tmp_path / "work", plan, start=toy_weights["phac"])
    tensors, meta = load_file(out, file_kind="phac")
    assert meta["config"]["prompt"] == kind and meta["recipe"] == f"phac_{kind}"
    begun = load_file(toy_weights["phac"])[0]
    assert set(tensors) == set(begun)
    for name, value in begun.items():
        torch.testing.assert_close(tensors[name].float(), value.float(), atol=0.01, rtol=0.01)


def test_some_prompts_are_blank() -> None:
    joints = torch.full((40, 18, 3), 20.0)
    joints[..., 2] = 1
    images = pose_prompt_images(joints, 40, torch.Generator().manual_seed(0))
    blank = (images.flatten(1).amax(dim=1) == 0).float().mean()
    assert images.shape == (40, 3, 40, 40) and 0.02 < blank < 0.4


def test_every_recipe_of_every_file_is_known_by_its_name() -> None:
    names = [path.stem for path in Path(recipes.__file__).parent.glob("*.py") if path.stem != "__init__"]
    modules = {name: importlib.import_module(f"{recipes.__name__}.{name}") for name in names}
    found = {name: set(module.RECIPES) for name, module in modules.items() if hasattr(module, "RECIPES")}
    assert found == {file: set(names) for file, names in recipes.FILES.items()}
