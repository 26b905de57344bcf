"""Masks and pictures as people bring them: feathered, weak, made up by Load Image, of other layouts."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.nodes.common import prompted_batch, same_batch, warn_of_weak
from figura.nodes.crops import FiguraCompare, FiguraCropPerson, FiguraStitch
from figura.nodes.densepose import COLOUR_MAP, FiguraDensePose
from figura.nodes.phac_native import FiguraCoarsePrepare
from figura.nodes.refine import warn_of_empty
from figura.nodes.several_people import FiguraStitchPeople
from figura.people.boxes import Box
from figura.people.densepose import PARULA, VIRIDIS, paint_labels
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.people.prompts import PointPrompt
from figura.people.skeleton import draw_poses
from figura.people.synthetic import render_people
from figura.tests.models.humansd.tiny import standing
from torch.nn import functional as F

SIDE = 400
PEOPLE = render_people([3], 128, occlusion=0.0)


def picture() -> torch.Tensor:
    return torch.zeros(1, SIDE, SIDE, 3)


def feathered() -> torch.Tensor:
    """A square of 100 px, blurred twice by 81 px and stretched to 1."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 150:250, 150:250] = 1
    for _ in range(2):
        mask = F.avg_pool2d(mask, 81, stride=1, padding=40)
    return (mask / mask.max())[:, 0]


def crop(mask: torch.Tensor, image: torch.Tensor | None = None) -> Any:
    return FiguraCropPerson().run(picture() if image is None else image, 256, 256, 0.0, mask=mask)


def test_a_feathered_mask_is_stitched_without_a_rectangular_seam() -> None:
    mask = feathered()
    _, cropped, plans, _, _ = crop(mask)
    stitched, changed = FiguraStitch().run(picture(), torch.ones(1, 256, 256, 3), plans, cropped)
    steps = max(float(stitched.diff(dim=axis).abs().max()) for axis in (1, 2))
    soft = max(float(mask.diff(dim=axis).abs().max()) for axis in (1, 2))
    assert steps < 1.2 * soft < 0.05
    assert (changed - mask).abs().max() < 0.02


def test_a_weak_mask_is_cropped_round_and_not_taken_for_the_whole_picture() -> None:
    mask = 0.4 * (feathered() > 0.5).float()
    _, cropped, (plan,), _, _ = crop(mask)
    assert plan.box.width < SIDE / 2 and cropped.max() == pytest.approx(0.4)
    assert plan.box.union(Box.around_mask(mask[0] > 0)) == plan.box


def test_the_mask_that_load_image_makes_up_means_no_mask() -> None:
    made_up = torch.zeros(1, 64, 64)
    without = FiguraCropPerson().run(picture(), 256, 256, 0.0)
    with_it = crop(made_up)
    assert with_it[2] == without[2] and torch.equal(with_it[1], without[1])
    patch = torch.ones(1, 256, 256, 3)
    assert FiguraStitch().run(picture(), patch, without[2], made_up, made_up)[0].min() == 1
    assert FiguraCompare().run(picture(), picture(), 1.0, made_up)[0].startswith("all:")


def test_a_real_empty_mask_of_a_picture_of_that_size_stays_one() -> None:
    image = torch.zeros(1, 64, 64, 3)
    assert FiguraCompare().run(image, image, 1.0, torch.zeros(1, 64, 64))[0].startswith("inside: no pixels")


def test_where_a_mask_is_needed_the_made_up_one_is_named() -> None:
    from figura.nodes.guard import checked_inputs

    given = {"image": picture(), "visible_mask": torch.zeros(1, 64, 64)}
    with pytest.raises(ValueError, match="Coarse Prepare: visible_mask is the empty mask.*Load Image"):
        checked_inputs(FiguraCoarsePrepare, "Coarse Prepare", given)


def amodal(side: int, mask_side: int = 64, visible: float = 0.0, **said: Any) -> Any:
    """Amodal Mask of an even mask, with a pose of a picture of that side unless something else is said."""
    node = NODE_CLASS_MAPPINGS["FiguraAmodalMask"]()
    said = said or {"pose_keypoint": write_pose_keypoint([standing(width=side, height=side)])}
    return node.run(torch.full((1, mask_side, mask_side), visible), 0, 1, 0.0, **said)


def test_the_made_up_mask_is_named_where_a_pose_or_prompt_alone_tells_the_size() -> None:
    pose = standing(width=512, height=512)
    prompt = [PointPrompt("pose", 512, 512, pose.people[0].body, np.zeros(18, bool))]
    for said in ({}, {"prompt": prompt}):
        with pytest.raises(ValueError, match="Amodal Mask.*: visible_mask is the empty mask.*Load Image"):
            amodal(512, **said)


@pytest.mark.parametrize(("side", "visible"), [(64, 0.0), (64, 1.0), (512, 1.0)])
def test_a_real_mask_of_that_size_is_completed(side: int, visible: float) -> None:
    assert amodal(side, visible=visible)[0].shape == (1, 64, 64)


def test_a_pose_that_does_not_say_its_size_is_of_the_masks() -> None:
    (frame,) = write_pose_keypoint([standing(width=64, height=64)])
    bare = {"people": frame["people"]}
    assert amodal(64, pose_keypoint=[bare])[0].any()


def test_a_mask_nowhere_above_a_half_is_said_to_be_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_empty(torch.stack([torch.full((1, 8, 8), 0.4), torch.ones(1, 8, 8)]))
    assert "invisible_mask (picture 1 of 2) is nowhere above 0.5 (its largest value is 0.40)" in caplog.text
    assert "picture 2" not in caplog.text


def test_every_weak_mask_is_said_to_count_as_empty(caplog: pytest.LogCaptureFixture) -> None:
    strong = (feathered() > 0.5).float()
    weak, patch, plans = 0.4 * strong, torch.ones(1, 256, 256, 3), crop(strong)[2]
    with caplog.at_level(logging.WARNING):
        same_batch(picture(), picture(), weak, weak, weak)
        FiguraStitch().run(picture(), patch, plans, None, weak)
        FiguraStitchPeople().run(picture(), picture(), strong, weak, 0.0)
    said = [each.getMessage().split()[0] for each in caplog.records]
    assert said == ["visible_mask", "exact_mask", "within", "visible_mask"]
    assert "is nowhere above 0.5 (its largest value is 0.40): it counts as empty" in caplog.text
    caplog.clear()
    warn_of_weak(known_mask=strong[:, None], within=torch.zeros(1, 1, 8, 8), other=None)
    assert not caplog.records


def test_a_prompt_of_a_picture_of_another_shape_is_stretched_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = np.full((18, 3), 200, np.float32)
    prompts = [PointPrompt("pose", width, SIDE, body, np.zeros(18, bool)) for width in (SIDE, 2 * SIDE)]
    with caplog.at_level(logging.WARNING):
        prompted_batch(picture(), feathered(), prompts[:1])
        assert not caplog.records
        prompted_batch(picture().expand(2, -1, -1, -1), feathered(), prompts)
    assert (
        "prompt (picture 2 of 2) is of a picture of 800 x 400 pixels, and image has 400 x 400" in caplog.text
    )


def test_a_weak_draw_mask_is_not_called_empty() -> None:
    draw, seen = torch.full((1, SIDE, SIDE), 0.4), (feathered() > 0.5).float()
    prompt = [PointPrompt("pose", SIDE, SIDE, np.full((18, 3), 200, np.float32), np.zeros(18, bool))]
    with pytest.raises(ValueError, match="draw_mask is nowhere above 0.5 .*nothing is left to be drawn"):
        FiguraCoarsePrepare().run(picture(), seen, prompt, 256, "white", "limits", draw)


@pytest.mark.parametrize("shape", [(1, 1, SIDE, SIDE), (1, SIDE, SIDE, 1), (SIDE, SIDE), (1, SIDE, SIDE)])
def test_masks_of_every_layout_are_the_same_mask(shape: tuple[int, ...]) -> None:
    assert crop(feathered().reshape(shape))[2] == crop(feathered())[2]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float16, torch.bfloat16, torch.float64])
def test_pictures_of_every_precision_are_taken(dtype: torch.dtype) -> None:
    image = torch.rand(1, SIDE, SIDE, 3).to(dtype)
    made, *_ = crop(feathered().to(dtype), image)
    assert made.dtype == torch.float32 and made.isfinite().all()


@pytest.mark.parametrize("colours", [VIRIDIS, PARULA])
@pytest.mark.parametrize("side", [128, 64, 32])
def test_a_small_person_in_a_large_colour_map_is_read(colours: str, side: int) -> None:
    small = F.interpolate(paint_labels(PEOPLE.densepose_i, colours), (side, side), mode="bilinear")
    ground = paint_labels(torch.zeros(1, 512, 512, dtype=torch.uint8), colours)
    ground[:, :, 100 : 100 + side, 200 : 200 + side] = small
    densepose, _, _ = FiguraDensePose().run(ground.permute(0, 2, 3, 1), COLOUR_MAP)
    inside = densepose.labels[0, 100 : 100 + side, 200 : 200 + side]
    assert int((densepose.labels > 0).sum()) == int((inside > 0).sum()) > 0


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_a_skeleton_is_no_colour_map_of_a_small_person(strength: float) -> None:
    small = Pose((Person(standing(width=128, height=128).people[0].body),), 512, 512)
    skeleton = draw_poses([small]) * strength
    with pytest.raises(ValueError, match="no DensePose colour map.*of what is not background"):
        FiguraDensePose().run(skeleton.permute(0, 2, 3, 1), COLOUR_MAP)
