"""What mini's CFLD begins with: prompts that say what the text encoder says of the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.models.diffusion.text import load_text_encoder
from figura.training.data.people import open_split
from figura.training.recipes import load_recipe
from figura.training.recipes.cfld_prompt import worn
from figura.training.run.recipe import Split
from figura.training.run.trainer import train


@pytest.fixture(scope="module")
def split(toy_data: Path) -> Split:
    return open_split(toy_data)


@pytest.fixture(scope="module", params=["cfld_prompt", "cfld_clip_prompt"])
def started(request, toy_data: Path, toy_weights: Mapping[str, Path], tmp_path_factory) -> tuple[str, Path]:
    """The name of a recipe, and the file of one step of it."""
    recipe, folder = load_recipe(request.param), tmp_path_factory.mktemp("prompt")
    plan = replace(recipe.plan, minutes=None, steps=1, batch_size=2, device="cpu", checkpoint_seconds=1e9)
    out = folder / f"{request.param}.safetensors"
    scores = train(recipe, toy_data, toy_weights, out, folder / "work", plan)
    assert set(scores) == {"explained", "held_out_loss"} and scores["explained"] < 1
    return request.param, out


def test_the_pose_is_no_part_of_the_looks() -> None:
    text = "a man with no hair in a red dress, walking"
    assert worn(text) == "a man with no hair in a red dress, on a white background"


def test_targets_are_the_tokens_of_the_caption(split: Split, toy_weights: Mapping[str, Path]) -> None:
    recipe, text = load_recipe("cfld_prompt"), load_text_encoder(toy_weights["text"])
    recipe.build(toy_weights)
    batch = recipe.batch(split.train, 0, 0, 4)
    known = text.encode([worn(caption) for caption in split.train.captions])
    assert batch["images"].shape == (4, 3, 128, 128)
    for tokens in batch["tokens"]:
        assert float((known - tokens).abs().amax((1, 2)).min()) < 1e-6


def test_clips_is_the_token_at_the_end_of_the_caption(toy_weights: Mapping[str, Path]) -> None:
    recipe, text = load_recipe("cfld_clip_prompt"), load_text_encoder(toy_weights["text"])
    recipe.build(toy_weights)
    words, mask = text.tokenizer(["a red dress"])
    with torch.no_grad():
        end = text(words, mask)[1]
    torch.testing.assert_close(recipe.tokens(["a red dress"]), end[:, None])


def test_no_appearance_is_no_text_and_does_not_learn(toy_weights: Mapping[str, Path]) -> None:
    module = load_recipe("cfld_prompt").build(toy_weights)
    none = load_text_encoder(toy_weights["text"]).encode([""])
    torch.testing.assert_close(module.learnable_vector.detach(), none)
    assert not module.learnable_vector.requires_grad


def test_cfld_begins_with_it(started: tuple[str, Path], toy_weights: Mapping[str, Path]) -> None:
    name, file = started
    recipe = load_recipe(name.removesuffix("_prompt"))
    networks = recipe.build({**toy_weights, name: file}).networks.state_dict()
    learnt, _ = load_file(file)
    assert {key.partition(".")[0] for key in learnt} == {"backbone", "decoder", "learnable_vector"}
    for key, value in learnt.items():
        torch.testing.assert_close(networks[key], value.float())


def test_the_start_of_the_other_prompt_is_refused(
    started: tuple[str, Path], toy_weights: Mapping[str, Path]
) -> None:
    name, file = started
    other = "cfld_clip" if name == "cfld_prompt" else "cfld"
    with pytest.raises(ValueError, match=file.name):
        load_recipe(other).build({**toy_weights, name: file})
