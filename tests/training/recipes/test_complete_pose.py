"""The recipe of the pose completion: what is hidden, what is known, and that it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.perception.pose_completion import load_pose_completion
from figura.people.boxes import Box
from figura.training.data.people import build_split, open_split
from figura.training.data.pose_patterns import boxes_of, hidden_joints, mask_boxes, random_poses
from figura.training.evaluation.complete_pose import completion_scores
from figura.training.recipes import load_recipe
from figura.training.run.recipe import random_generator
from figura.training.run.trainer import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poses")
    build_split(folder, count=48, held_out=16, size=64, processes=1)
    return folder


@pytest.fixture(scope="module")
def recipe(root: Path):
    made = load_recipe("complete_pose")
    made.split = made.prepare(root, {})
    return made


def test_boxes_are_those_of_the_masks(root: Path, recipe) -> None:
    people = open_split(root).train
    truth = torch.tensor([Box.around_mask(mask[0]) for mask in people.images("amodal_mask", range(48))])
    poses = recipe.split.train
    torch.testing.assert_close(boxes_of(poses.joints, poses.margins), truth)
    assert mask_boxes(np.zeros((1, 4, 6), np.uint8)).tolist() == [[0, 0, 6, 4]]


def test_turned_people_keep_their_shape_and_mirrored_ones_exchange_sides(recipe) -> None:
    poses = recipe.split.train
    indices = np.arange(48)
    joints, visible, boxes = random_poses(poses, indices, random_generator(1))
    arm = [(3, 4), (6, 7)]
    before = torch.stack([(poses.joints[:, a, :2] - poses.joints[:, b, :2]).norm(dim=1) for a, b in arm], 1)
    after = torch.stack([(joints[:, a, :2] - joints[:, b, :2]).norm(dim=1) for a, b in arm], 1)
    scale = after.sum(1) / before.sum(1)
    same, swapped = (before * scale[:, None] - after), (before.flip(1) * scale[:, None] - after)
    best = torch.minimum(same.abs().amax(1), swapped.abs().amax(1))
    assert best.max() < 0.02 * 64 and not torch.equal(joints, poses.joints)
    assert (visible.sum(1) == poses.visible.sum(1)).all()
    assert (boxes[:, 0] <= joints[..., 0].amin(1) + 6).all() and (boxes[:, 2] > boxes[:, 0]).all()


def test_held_out_people_are_not_turned(recipe) -> None:
    poses = recipe.split.held_out
    joints, visible, _ = random_poses(poses, np.arange(4), random_generator(1))
    assert torch.equal(joints, poses.joints[:4]) and torch.equal(visible, poses.visible[:4])


def test_all_manner_of_joints_are_hidden(recipe) -> None:
    poses = recipe.split.train
    hidden = torch.cat([
        hidden_joints(poses.joints, poses.visible, random_generator(number)) for number in range(20)
    ])  # fmt: skip
    share = hidden.float().mean(0)
    assert 0.15 < share.min() and share.max() < 0.8
    counts = hidden.sum(1)
    assert counts.min() <= 2 and counts.max() > 12
    whole_leg = hidden[:, 9] & hidden[:, 10] & ~hidden[:, 12]
    assert whole_leg.any()


def test_batches_are_functions_of_step_and_seed_and_never_empty_handed(recipe) -> None:
    data = recipe.split.train
    first, same, other = (recipe.batch(data, step, 1, 32) for step in (5, 5, 6))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["points"], other["points"])
    assert ((first["joints"].sum(1) > 0) | (first["has_box"] > 0)).all()
    assert (first["joints"] <= (first["truth"][..., 2] > 0)).all()


def test_it_learns_to_do_better_than_the_mean_pose(recipe) -> None:
    torch.manual_seed(0)
    net = recipe.build({})
    data = replace(recipe.split.train, augment=False)
    boxes = boxes_of(data.joints, data.margins)
    before = completion_scores(net, data.joints, data.visible, boxes, 64)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for step in range(250):
        loss, _ = recipe.loss(net, recipe.batch(data, step, 0, 48), random_generator(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = completion_scores(net, data.joints, data.visible, boxes, 64)
    assert after["joint_err"] < before["joint_err"]
    for name in ("joint_err", "joint_err.box"):
        assert after[name] < 0.85 * after[f"{name}.mean_pose"]
        assert after[f"{name}.best_of_8"] <= after[f"{name}.sample"]
    assert after["limb_err"] < after["limb_err.mean_pose"]
    assert before["joint_err"] == pytest.approx(before["joint_err.mean_pose"], abs=1e-6)


def test_training_exports_a_file_that_loads(root: Path, tmp_path: Path) -> None:
    recipe = load_recipe("complete_pose")
    plan = replace(recipe.plan, steps=3, minutes=None, batch_size=8)
    out = tmp_path / "complete_pose.safetensors"
    scores = train(recipe, root, {}, out, tmp_path / "work", plan)
    assert {"joint_err", "joint_err.mean_pose", "joint_err.box.best_of_8", "limb_err"} <= set(scores)
    assert out.stat().st_size < 1_000_000
    assert load_pose_completion(out).mean_pose.abs().max() > 0.1


def test_the_recipe_needs_its_data_first() -> None:
    with pytest.raises(ValueError, match="prepare its data"):
        load_recipe("complete_pose").build({})
