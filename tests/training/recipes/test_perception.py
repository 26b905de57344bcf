"""The recipes of the perception models: batches, losses that fall, weights that load."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.diffusion.networks import mini_vae, plain_config
from figura.models.perception.densepose import DensePoseNet, estimate_labels, load_densepose_net
from figura.models.perception.pose import FILE_KIND as POSE
from figura.models.perception.pose import PoseDetector, detect_joints, load_pose_detector
from figura.models.perception.sam import NEGATIVE, POSITIVE, UNUSED, build_mini_sam, visible_mask
from figura.models.perception.sam_networks import load_sam
from figura.tests.training.toy_runs import losses_on
from figura.training.data.people import HELD_OUT_SEED, build_people
from figura.training.data.perception import SOURCES, Drawn, PerceptionData
from figura.training.recipes import load_recipe
from figura.training.recipes.pose_detector import joints_of
from figura.training.recipes.sam import (
    BOXED,
    PROMPTS,
    intersection_over_union,
    mask_loss,
    negative_points,
    pixels_where,
    random_boxes,
    random_points,
    stem_from_detector,
)
from figura.training.run.trainer import Split, random_generator, train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_people(folder / "perception", 8)
    build_people(folder / "held_out", 4, HELD_OUT_SEED)
    return folder


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(1)
    folder, net, vae = tmp_path_factory.mktemp("init"), PoseDetector(), mini_vae()
    detector = folder / "pose_detector.safetensors"
    return {
        "pose_detector": save_module(detector, POSE, net.state_dict(), config_to_metadata(net.config)),
        "vae": save_module(folder / "vae.safetensors", "vae", vae.state_dict(), plain_config(vae)),
    }


@pytest.fixture(scope="module")
def pose_split(root: Path, init: dict[str, Path]) -> Split:
    return load_recipe("pose_detector").prepare(root, init)


@pytest.fixture(scope="module")
def sam_split(root: Path) -> Split:
    return load_recipe("sam").prepare(root, {})


@pytest.mark.parametrize("name", ["pose_detector", "sam", "densepose"])
def test_batches_depend_on_step_and_seed_only(name: str, root: Path, init: dict[str, Path]) -> None:
    recipe = load_recipe(name)
    data = recipe.prepare(root, init).train
    first, same, other = (recipe.batch(data, step, 1, 4) for step in (5, 5, 6))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first["images"], other["images"])


def test_covered_joints_do_not_count_in_occluded_pictures(pose_split: Split) -> None:
    people = pose_split.train.people
    everyone = np.arange(len(people))
    joints, occluded = joints_of(people, everyone, "occluded")
    _, complete = joints_of(people, everyone, "complete")
    assert occluded.sum() < complete.sum() and torch.equal(complete, (joints[..., 2] > 0).float())


def test_held_out_pictures_are_not_changed(pose_split: Split) -> None:
    batch = load_recipe("pose_detector").batch(pose_split.held_out, 0, 0, 4)
    people = pose_split.held_out.people
    stored = torch.cat([people.images(name, np.arange(len(people))) for name in SOURCES])
    assert isinstance(pose_split.held_out, PerceptionData) and not pose_split.held_out.augment
    assert all((stored == image).flatten(1).all(1).any() for image in batch["images"])


def test_some_pictures_are_shown_to_the_detector_as_the_autoencoder_leaves_them(
    root: Path, init: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("pose_detector")
    data = recipe.prepare(root, init).train
    batch = recipe.batch(data, 3, 0, 16)
    monkeypatch.setattr(recipe, "decoded", lambda images: images)
    plain = recipe.batch(data, 3, 0, 16)
    changed = (batch["images"] != plain["images"]).flatten(1).any(1)
    assert changed.tolist() == [True] * 2 + [False] * 14
    assert all(torch.equal(batch[name], plain[name]) for name in ("joints", "present", "labels"))


def test_points_lie_where_their_labels_say(sam_split: Split) -> None:
    batch = load_recipe("sam").batch(sam_split.held_out, 0, 0, 4)
    masks, points, labels = batch["masks"], batch["points"], batch["labels"]
    x, y = points[..., 0].long(), points[..., 1].long()
    under = masks[torch.arange(4)[:, None, None], 0, y, x]
    assert under[labels == NEGATIVE].sum() == 0
    assert under[labels == POSITIVE].mean() > 0.7
    assert (labels == POSITIVE).any(dim=2)[4 // BOXED :].all()


def test_clicks_and_points_beside_avoid_the_wrong_side() -> None:
    masks = torch.zeros(2, 1, 32, 32)
    masks[:, :, 8:20, 10:16] = 1
    inside = pixels_where(masks, 20, random_generator(1)).long()
    assert masks[torch.arange(2)[:, None], 0, inside[..., 1], inside[..., 0]].min() == 1
    beside, labels = negative_points(masks, torch.zeros_like(masks), random_generator(2))
    where = beside.long()
    assert masks[torch.arange(2)[:, None, None], 0, where[..., 1], where[..., 0]].max() == 0
    assert set(labels.unique().tolist()) <= {NEGATIVE, UNUSED}


def test_points_beside_lie_most_often_on_a_neighbour() -> None:
    masks, others = torch.zeros(32, 1, 32, 32), torch.zeros(32, 1, 32, 32)
    masks[:, :, 8:20, 10:16], others[:, :, 4:8, 24:28] = 1, 1
    beside, _ = negative_points(masks, others, random_generator(2))
    where = beside[:, 0].long()
    on_neighbour = others[torch.arange(32)[:, None], 0, where[..., 1], where[..., 0]]
    assert 0.4 < on_neighbour.mean() < 0.8


def test_boxes_hold_the_mask_up_to_three_pixels() -> None:
    masks = torch.zeros(2, 1, 64, 64)
    masks[0, :, 10:30, 20:25] = 1
    boxes = random_boxes(masks, random_generator(3))
    assert (boxes[0] - torch.tensor([20.0, 10, 25, 30])).abs().max() <= 3
    assert (boxes[1] - torch.tensor([0.0, 0, 64, 64])).abs().max() <= 3


def test_only_visible_joints_become_points() -> None:
    masks, joints, seen = torch.ones(1, 1, 32, 32), torch.full((1, 18, 3), 8.0), torch.zeros(1, 18)
    seen[0, 5], joints[0, 5, :2] = 1, 24.0
    nothing = torch.zeros_like(masks)
    drawn = Drawn(nothing.expand(-1, 3, -1, -1), masks, nothing, joints, seen, nothing)
    for number in range(12):
        points, labels = random_points(drawn, random_generator(number))
        assert labels.shape[:2] == (1, PROMPTS) and points.shape == (*labels.shape, 2)
        near_hidden = (points[..., :1, :] - 8).abs().amax(dim=3) < 1e-6
        assert not (near_hidden & (labels[..., :1] == POSITIVE)).any()


def test_the_mask_loss_is_small_for_the_truth_and_large_for_its_inverse() -> None:
    masks = torch.zeros(1, 1, 32, 32)
    masks[..., 8:24, 8:24] = 1
    logits = (masks * 2 - 1) * 12
    assert mask_loss(logits, masks) < 0.01 < 2 < mask_loss(-logits, masks)


def test_iou_of_boolean_masks() -> None:
    truth = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    truth[..., :2] = True
    found = torch.stack([truth[0], ~truth[0], truth[0] | True], dim=1)
    assert intersection_over_union(found, truth).tolist() == [[1.0, 0.0, 0.5]]
    assert intersection_over_union(truth & False, truth & False).item() == 1


def test_pose_training_runs_exports_and_loads(root: Path, init: dict[str, Path], tmp_path: Path) -> None:
    recipe = load_recipe("pose_detector")
    plan = replace(recipe.plan, steps=2, minutes=None, batch_size=2, mixed_precision="no")
    out = tmp_path / "pose_detector.safetensors"
    scores = train(recipe, root, init, out, tmp_path / "work", plan)
    assert scores is not None and {"joint_err.complete", "joint_err.decoded", "false_alarm.occluded"} <= set(
        scores
    )
    assert detect_joints(load_pose_detector(out), torch.rand(1, 3, 128, 128)).shape == (1, 18, 3)


def test_sam_training_runs_exports_and_loads(root: Path, init: dict[str, Path], tmp_path: Path) -> None:
    recipe = load_recipe("sam")
    plan = replace(recipe.plan, steps=2, minutes=None, batch_size=4, mixed_precision="no")
    out = tmp_path / "sam.safetensors"
    scores = train(recipe, root, init, out, tmp_path / "work", plan)
    assert scores is not None and 0 <= scores["visible_iou"] <= 1
    mask, _ = visible_mask(
        load_sam(out), torch.rand(3, 128, 128), torch.tensor([[64.0, 64.0]]), torch.ones(1)
    )
    assert mask.shape == (128, 128)


def test_the_sam_loss_falls(sam_split: Split, init: dict[str, Path]) -> None:
    recipe = load_recipe("sam")
    torch.manual_seed(0)
    module = recipe.build(init)
    batch = recipe.batch(PerceptionData(sam_split.train.people, None, False), 0, 0, 4)
    losses = losses_on(recipe, module, batch, steps=8, rate=2e-3)
    _, scalars = recipe.loss(module, batch, random_generator(1))
    assert losses[-1] < losses[0] and 0 <= scalars["iou"] <= 1


def test_the_stem_sees_what_the_pose_detector_sees_without_its_last_block(init: dict[str, Path]) -> None:
    detector, sam = load_pose_detector(init["pose_detector"]), build_mini_sam()
    last = detector.blocks16[2].conv2
    torch.nn.init.zeros_(last.weight), torch.nn.init.zeros_(last.bias)
    stem_from_detector(sam, detector)
    stem = sam.image_encoder.patch_embed
    torch.nn.init.zeros_(stem.proj.weight), torch.nn.init.zeros_(stem.proj.bias)
    # All that the stem adds to the features is a linear layer: made to hand them on, it shows them.
    torch.nn.init.dirac_(stem.out.weight), torch.nn.init.zeros_(stem.out.bias)
    images = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        seen = stem(sam.preprocess(images * 255)).permute(0, 3, 1, 2)
        known = detector.features(images)[1]
    # Near the border the padding is black to one and grey to the other.
    inner = (..., slice(12, 20), slice(12, 20))
    difference = (seen[:, : known.shape[1]] - known)[inner].abs().mean()
    assert difference < 0.05 * known[inner].abs().mean()


def test_a_detector_of_another_shape_is_refused(init: dict[str, Path]) -> None:
    small = PoseDetector(replace(PoseDetector().config, blocks=(1, 1)))
    with pytest.raises(ValueError, match="train it again"):
        stem_from_detector(build_mini_sam(), small)


def test_the_labels_are_learned_beside_the_joints_and_left_out_of_the_file(pose_split: Split) -> None:
    recipe = load_recipe("pose_detector")
    module = recipe.build({})
    batch = recipe.batch(pose_split.held_out, 0, 0, 2)
    assert batch["labels"].shape == (2, 32, 32)
    recipe.loss(module, batch, random_generator(0))[0].backward()
    assert module.parts.weight.grad.abs().sum() > 0
    exported = recipe.export(module, pose_split.held_out)
    assert set(exported.tensors) == set(PoseDetector().state_dict())


def test_densepose_begins_with_the_pose_detector(root: Path, init: dict[str, Path], tmp_path: Path) -> None:
    recipe = load_recipe("densepose")
    detector, net = load_pose_detector(init["pose_detector"]), recipe.build(init)
    assert torch.equal(net.blocks16[1].conv2.weight, detector.blocks16[1].conv2.weight)
    assert net.head.weight.shape == DensePoseNet().head.weight.shape
    plan = replace(recipe.plan, steps=2, minutes=None, batch_size=2, mixed_precision="no")
    out = tmp_path / "densepose.safetensors"
    scores = train(recipe, root, init, out, tmp_path / "work", plan)
    assert scores is not None and 0 <= scores["iou.unoccluded"] <= 1
    assert estimate_labels(load_densepose_net(out), torch.rand(1, 3, 100, 60)).shape == (1, 100, 60)
