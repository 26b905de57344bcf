"""Rendered hands on disk, their latents, and the recipes that learn from them, at toy size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.networks import encode_image, load_vae
from figura.models.hands.losses import MASK_WEIGHT
from figura.models.hands.sampling import skeleton_image
from figura.tests.training.toy_runs import file_of_an_exact_resume
from figura.training.data import hands
from figura.training.data.hands import build_hands_data, open_hands
from figura.training.data.people import rows
from figura.training.recipes import load_recipe
from figura.training.recipes.hand_detector import random_frames
from figura.training.run.recipe import Split


@pytest.fixture(scope="module")
def hands_root(toy_data: Path) -> Path:
    """The toy people, and toy hands beside them."""
    build_hands_data(toy_data, count=6, held_out=4, size=64, processes=1)
    return toy_data


@pytest.fixture(scope="module")
def split(hands_root: Path, toy_weights: Mapping[str, Path]) -> Split:
    return open_hands(hands_root, toy_weights["vae"])


def test_latents_are_those_of_the_pictures_and_skeletons(
    split: Split, toy_weights: Mapping[str, Path]
) -> None:
    close_ups, gestures = split.train
    assert len(close_ups) == len(gestures) == 6 and len(split.held_out.gestures) == 4
    vae, where = load_vae(toy_weights["vae"]), np.array([4])
    with torch.no_grad():
        image = encode_image(vae, rows(close_ups.images, where).float() / 255)
        skeleton = encode_image(vae, skeleton_image(rows(close_ups.joints, where), 64))
    torch.testing.assert_close(rows(close_ups.latents, where).float(), image, atol=0.05, rtol=0.05)
    torch.testing.assert_close(rows(close_ups.skeletons, where).float(), skeleton, atol=0.05, rtol=0.05)


def test_opening_twice_encodes_once(split: Split, hands_root: Path, toy_weights: Mapping[str, Path]) -> None:
    files = {path: path.stat().st_mtime_ns for path in hands_root.rglob("latents_*.npy")}
    again = open_hands(hands_root, toy_weights["vae"])
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert np.array_equal(again.train.close_ups.latents, split.train.close_ups.latents)


def test_what_another_process_encoded_meanwhile_is_left_as_it_is(
    tmp_path: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, lock = load_vae(toy_weights["vae"]), hands.only_one

    @contextlib.contextmanager
    def after_another(folder: Path, work: str) -> Iterator[None]:
        monkeypatch.setattr(hands, "only_one", lock)
        assert not list(folder.iterdir()), "nothing is made outside the lock"
        hands.encoded(folder, "latents", vae, 3, lambda where: torch.ones(len(where), 3, 64, 64))
        with lock(folder, work):
            yield

    monkeypatch.setattr(hands, "only_one", after_another)
    found = hands.encoded(tmp_path, "latents", vae, 3, lambda where: torch.zeros(len(where), 3, 64, 64))
    (tmp_path / "new").mkdir()
    wanted = hands.encoded(
        tmp_path / "new", "latents", vae, 3, lambda where: torch.ones(len(where), 3, 64, 64)
    )
    np.testing.assert_array_equal(found, wanted)


def test_data_that_was_not_rendered_is_missed_by_name(
    tmp_path: Path, toy_weights: Mapping[str, Path]
) -> None:
    with pytest.raises(FileNotFoundError, match="hands_data"):
        open_hands(tmp_path, toy_weights["vae"])


@pytest.mark.parametrize("name", ["hands", "hands_without_mask", "body", "base", "hand_detector"])
def test_a_recipe_makes_a_file_and_resumes_exactly(
    hands_root: Path, toy_weights: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    file_of_an_exact_resume(name, hands_root, toy_weights, tmp_path, batch_size=4)


def test_the_second_task_is_what_the_comparison_leaves_out(
    hands_root: Path, toy_weights: Mapping[str, Path]
) -> None:
    losses = {}
    for name in ("hands", "hands_without_mask"):
        recipe = load_recipe(name)
        batch = recipe.batch(recipe.prepare(hands_root, toy_weights).train, 0, 0, 4)
        module = recipe.build(toy_weights)
        total, parts = recipe.loss(module, batch, torch.Generator().manual_seed(0))
        losses[name] = float(total.detach()), float(parts["noise"].detach()), float(parts["mask"].detach())
    total, noise, mask = losses["hands"]
    assert total == pytest.approx(noise + MASK_WEIGHT * mask) and mask > 0
    assert losses["hands_without_mask"][0] == pytest.approx(losses["hands_without_mask"][1])
    # Before training the head says "no hand" everywhere.
    assert mask == pytest.approx(float(batch["masks"].square().mean()), rel=1e-5)


def test_random_views_of_hands_keep_left_and_right(split: Split) -> None:
    joints = rows(split.train.close_ups.joints, np.arange(6))
    left = rows(split.train.close_ups.left, np.arange(6))
    frames = random_frames(joints, left, torch.Generator().manual_seed(0))
    mirrored = torch.linalg.det(frames[:, :, :2]) < 0
    assert torch.equal(mirrored, left)
