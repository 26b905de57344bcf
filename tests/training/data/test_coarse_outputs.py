"""Coarse outputs are drawn once, shard by shard, and the mask network learns from them."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import read_metadata
from figura.models.phac.checkpoint import load_mask_net
from figura.people.prompts import draw_prompt
from figura.training.data import coarse_outputs
from figura.training.data.coarse_outputs import CoarseOutputs, Sampling, build_part, model_name, open_outputs
from figura.training.recipes import load_recipe
from figura.training.recipes.invisible_mask import WIDTHS, mask_iou, random_prompts
from figura.training.run.recipe import random_generator
from figura.training.run.trainer import train

DRAWS = Sampling(draws=2, steps=1, guided_every=2)


@pytest.fixture(scope="module")
def drawn_data(toy_data: Path, toy_weights: Mapping[str, Path]) -> Path:
    for part in ("train", "held_out"):
        build_part(toy_data / part, toy_weights, 3, DRAWS)
    return toy_data


def test_outputs_belong_to_the_last_people(drawn_data: Path, toy_weights: Mapping[str, Path]) -> None:
    data = open_outputs(drawn_data, toy_weights).train
    assert len(data) == 3 and data.first == len(data.people) - 3
    assert data.images.shape == (3, 2, 3, data.people.size, data.people.size)
    assert data.images.std() > 0 and not np.array_equal(data.images[0, 0], data.images[0, 1])


def test_an_unfinished_shard_is_missed_and_drawn_again(
    drawn_data: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = drawn_data / "train" / f"coarse_{model_name(toy_weights)}"
    before = np.load(folder / "images.npy").copy()
    next(folder.glob("done_*")).unlink()
    np.load(folder / "images.npy", mmap_mode="r+")[:] = 0
    with pytest.raises(FileNotFoundError, match="figura train coarse_outputs"):
        open_outputs(drawn_data, toy_weights)
    build_part(drawn_data / "train", toy_weights, 3, DRAWS)
    np.testing.assert_array_equal(np.load(folder / "images.npy"), before)
    monkeypatch.setattr(coarse_outputs, "_draw_shard", None)
    build_part(drawn_data / "train", toy_weights, 3, DRAWS)


def test_what_another_process_drew_meanwhile_is_left_as_it_is(
    drawn_data: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lock = drawn_data / "train" / "coarse_raced", coarse_outputs.only_one

    @contextlib.contextmanager
    def after_another(where: Path, work: str) -> Iterator[None]:
        monkeypatch.setattr(coarse_outputs, "only_one", lock)
        assert not (folder / "images.npy").exists(), "nothing is made outside the lock"
        build_part(drawn_data / "train", toy_weights, 3, DRAWS)
        monkeypatch.setattr(coarse_outputs, "_draw_shard", None)
        with lock(where, work):
            yield

    monkeypatch.setattr(coarse_outputs, "only_one", after_another)
    monkeypatch.setattr(coarse_outputs, "model_name", lambda _: "raced")
    build_part(drawn_data / "train", toy_weights, 3, DRAWS)
    assert np.load(folder / "images.npy").any()


def test_other_settings_do_not_mix(drawn_data: Path, toy_weights: Mapping[str, Path]) -> None:
    with pytest.raises(ValueError, match="was begun with"):
        build_part(drawn_data / "train", toy_weights, 3, replace(DRAWS, steps=2))


def test_the_mask_network_learns_and_loads(
    drawn_data: Path, toy_weights: Mapping[str, Path], tmp_path: Path
) -> None:
    plan = replace(load_recipe("invisible_mask").plan, steps=2, batch_size=2, device="cpu", warmup_steps=1)
    out = tmp_path / "invisible_mask.safetensors"
    assert train(load_recipe("invisible_mask"), drawn_data, toy_weights, out, tmp_path, plan) is not None
    network = load_mask_net(out)
    assert network.config["size"] == 64 and network.sees_prompt and network.sees_guess
    assert network.config["widths"] == list(WIDTHS)
    assert sum(p.numel() for p in network.parameters()) < 0.75e6
    scores = read_metadata(out)["scores"]
    assert 0 <= scores["invisible_iou"] <= 1 and 0 <= scores["invisible_iou.none"] <= 1


def test_every_step_draws_one_of_the_outputs(drawn_data: Path, toy_weights: Mapping[str, Path]) -> None:
    task = load_recipe("invisible_mask")
    data = task.prepare(drawn_data, toy_weights).train
    first, again = (task.batch(data, 4, 0, 4) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert set(first["target"].unique().tolist()) <= {0.0, 1.0}
    assert isinstance(data, CoarseOutputs) and first["coarse"].shape == (4, 3, 64, 64)


def test_the_mask_network_learns_from_prompts_of_all_kinds_and_from_none() -> None:
    joints = torch.cat([8 + 48 * torch.rand(300, 18, 2), torch.ones(300, 18, 1)], dim=2)
    amodal, visible = torch.zeros(2, 300, 1, 64, 64)
    amodal[..., 8:56, 16:48], visible[..., 8:30, 16:48] = 1, 1
    images, again = (
        draw_prompt(random_prompts(joints, amodal, visible, random_generator(3)), 64, 64) for _ in range(2)
    )
    assert torch.equal(images, again) and images.shape == (300, 3, 64, 64)
    blank = images.flatten(1).amax(1) == 0
    coloured = (images.amax(1) - images.amin(1)).flatten(1).amax(1) > 0.5
    boxed = (images.amin(1) > 0.99).flatten(1).any(1)
    shares = {
        "blank": blank, "joints": coloured & ~boxed, "box": boxed & ~coloured, "both": coloured & boxed
    }  # fmt: skip
    for name, (least, most) in {
        "blank": (0.15, 0.33), "joints": (0.2, 0.42), "box": (0.15, 0.33), "both": (0.15, 0.33)
    }.items():  # fmt: skip
        assert least < float(shares[name].float().mean()) < most, name
    lit = (images[shares["joints"]].amax(1) > 0.2).flatten(1).float().mean(1)
    assert lit.min() < 0.5 * lit.median()  # some have few joints


def test_overlap_of_empty_masks_is_whole() -> None:
    empty, full = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    half = full.clone()
    half[..., :2] = 0
    assert mask_iou(empty, empty) == 1 and mask_iou(full, empty) == 0 and mask_iou(full, half) == 0.5
