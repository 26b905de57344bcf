"""Batches that are frames of a video: in order, a prompt for each or one for all, some without anybody."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from figura.nodes.amodal_mask import FiguraAmodalMask
from figura.nodes.people import FiguraPointPrompt
from figura.nodes.phac import FiguraInvisibleMask, FiguraPHACSampler
from figura.nodes.refine import FiguraInpaintRefiner
from figura.nodes.visible import FiguraVisibleMask
from figura.people.keypoints import write_pose_keypoint
from figura.tests.fuzz.good_calls import network
from figura.tests.models.humansd.tiny import standing

SIDE = 64
EMPTY = {"people": [], "canvas_width": SIDE, "canvas_height": SIDE}


def frames(count: int = 3) -> torch.Tensor:
    return torch.rand(count, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))


def poses(*places: float | None) -> list[dict[str, Any]]:
    """One frame for each place of a person; None is a frame without anybody."""
    found = [
        EMPTY if place is None else write_pose_keypoint([standing(place, SIDE, SIDE)])[0] for place in places
    ]
    return found


def prompt(image: torch.Tensor, pose: Any, points: str = "") -> Any:
    return FiguraPointPrompt().run(image, "pose", points, pose)["result"]


def masks(*places: float | None) -> torch.Tensor:
    made = torch.zeros(len(places), SIDE, SIDE)
    for row, place in enumerate(places):
        if place is not None:
            made[row, 8:40, int(place * SIDE) - 8 : int(place * SIDE) + 8] = 1
    return made


def complete(image: torch.Tensor, visible: torch.Tensor, prompts: Any, seed: int = 5) -> Any:
    return FiguraPHACSampler().run(
        network("FIGURA_PHAC"), image, visible, prompts, "a person", 1, 1.0, seed, 1.0
    )


def test_a_frame_without_anybody_gets_an_empty_prompt_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        drawn, prompts, *_ = prompt(frames(), poses(0.3, None, 0.6))
    assert [bool(each.present.any()) for each in prompts] == [True, False, True]
    assert drawn[0].any() and not drawn[1].any() and drawn[2].any()
    assert "nobody in picture 2 of 3" in caplog.text


def test_an_empty_visible_mask_comes_back_for_it(caplog: pytest.LogCaptureFixture) -> None:
    sam, pose = network("FIGURA_SAM"), poses(0.3, None, 0.6)
    with caplog.at_level(logging.WARNING):
        by_pose, _ = FiguraVisibleMask().run(sam, frames(), pose_keypoint=pose)
        by_prompt, score = FiguraVisibleMask().run(sam, frames(), prompt=prompt(frames(), pose)[1])
    assert by_pose.shape == by_prompt.shape == (3, SIDE, SIDE) and -1 < score
    assert not by_pose[1].any() and not by_prompt[1].any()
    assert "nobody in picture 2 of 3: its mask is empty" in caplog.text


def test_who_has_walked_out_of_a_frame_is_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    sam, pose = network("FIGURA_SAM"), poses(0.3, 4.0, 0.6)
    by_pose, _ = FiguraVisibleMask().run(sam, frames(), pose_keypoint=pose)
    by_prompt, _ = FiguraVisibleMask().run(sam, frames(), prompt=prompt(frames(), pose)[1])
    for found in (by_pose, by_prompt):
        assert not found[1].any()
    assert caplog.text.count("nobody in picture 2 of 3: its mask is empty") == 2
    with pytest.raises(ValueError, match="nothing says where the person is"):
        FiguraVisibleMask().run(sam, frames(1), pose_keypoint=poses(4.0))


EMPTIED = (
    '{"version": 1, "width": 64, "height": 64, "active": 0, "people": [{"joints": {}}], "roi_box": null, '
    '"full_box": null, "positive": [], "negative": []}'
)


@pytest.mark.parametrize("text", ["", " ", EMPTIED, "{}", '{"negative": [[2, 2]]}'])
def test_a_text_that_says_nothing_is_as_good_as_none(text: str) -> None:
    pose = poses(0.3, None, 0.6)
    drawn, prompts, *_ = prompt(frames(), pose, text)
    assert [each.says_nothing for each in prompts] == [False, True, False] and not drawn[1].any()
    found, _ = FiguraVisibleMask().run(network("FIGURA_SAM"), frames(), pose_keypoint=pose, points=text)
    assert not found[1].any()


def test_an_empty_list_of_points_says_nothing_either() -> None:
    sam, pose = network("FIGURA_SAM"), poses(0.3, None)
    found, _ = FiguraVisibleMask().run(sam, frames(2), pose_keypoint=pose, points="[]")
    assert not found[1].any()


def test_a_box_names_somebody_whatever_else_is_silent() -> None:
    sam, boxes = network("FIGURA_SAM"), [[[8, 4, 50, 60]], [[8, 4, 50, 60]]]
    pose = poses(0.3, None)
    alone, _ = FiguraVisibleMask().run(sam, frames(2)[1:], bounding_box=boxes[:1])
    assert alone.any()
    for said in ({"prompt": prompt(frames(2), pose)[1]}, {"pose_keypoint": pose}):
        found, _ = FiguraVisibleMask().run(sam, frames(2), bounding_box=boxes, **said)
        assert torch.allclose(found[1], alone[0])
    found, _ = FiguraVisibleMask().run(sam, frames(2), bounding_box=[boxes[0], []])
    assert not found[1].any()


@pytest.mark.parametrize("places", [(None,), (None, None)])
def test_where_nobody_is_anywhere_it_is_said(places: tuple[None, ...]) -> None:
    with pytest.raises(ValueError, match="needs joints"):
        prompt(frames(len(places)), poses(*places))
    with pytest.raises(ValueError):
        FiguraVisibleMask().run(network("FIGURA_SAM"), frames(len(places)), pose_keypoint=poses(*places))


def test_a_whole_video_goes_through_in_order_and_the_empty_frame_stays_itself() -> None:
    image, visible = frames(), masks(0.3, None, 0.6)
    prompts = prompt(image, poses(0.3, None, 0.6))[1]
    coarse, latent = complete(image, visible, prompts)
    assert (coarse[1] == 1).all() and not latent["samples"][1].any() and len(latent["samples"]) == 3
    for row in (0, 2):
        alone = complete(image[row : row + 1], visible[row : row + 1], prompts[row : row + 1], 5 + row)[0]
        assert torch.allclose(coarse[row], alone[0], atol=1e-4)
    hidden, exact = FiguraInvisibleMask().run(
        network("FIGURA_PHAC"), image, coarse, visible, 0.5, -1, prompts
    )
    assert not hidden[1].any() and not exact[1].any()
    hidden[0, 40:60, 10:30] = hidden[2, 40:60, 30:50] = 1
    done = FiguraInpaintRefiner().run(
        network("FIGURA_REFINER"), image, coarse, visible, hidden, "a person", 0.5, 1, 1.0, 0
    )
    assert torch.equal(done[0][1], image[1]) and not done[2][1].any()
    assert (done[2][0] > 0).any() and (done[2][2] > 0).any()


def test_one_prompt_serves_all_frames_and_one_for_each_is_used_in_order() -> None:
    image, visible = frames(2), masks(0.4, 0.4)
    left, right = prompt(image[:1], poses(0.4))[1], prompt(image[:1], poses(0.6))[1]
    same = complete(image, visible, left)[0]
    each = complete(image, visible, [*left, *right])[0]
    assert torch.allclose(same[0], each[0], atol=1e-4)
    assert not torch.allclose(same[1], each[1], atol=1e-4)


def test_a_mistake_in_one_frame_names_it() -> None:
    far = write_pose_keypoint([standing(0.4, SIDE, SIDE)])[0]
    box = [[[0, 0, 20, 60]], [[0, 0, 20, 60]]]
    with pytest.raises(ValueError, match="picture 2 of 2: person 1 was asked for"):
        FiguraPointPrompt().run(frames(2), "pose", "", [{**far, "people": far["people"] * 2}, far], box, 1)


def test_an_empty_frame_has_no_amodal_mask() -> None:
    amodal, hidden = FiguraAmodalMask().run(masks(0.3, None), 0, 2, 0.5, poses(0.3, None))
    assert amodal.shape == (4, SIDE, SIDE) and amodal[0].any() and amodal[2].any()
    assert not amodal[[1, 3]].any() and not hidden[[1, 3]].any()


def test_a_frame_in_which_no_box_was_found_is_as_good_as_without_one() -> None:
    pose, far = poses(0.4), write_pose_keypoint([standing(0.05, SIDE, SIDE)])[0]["people"][0]
    far["pose_keypoints_2d"][9:] = [0.0] * 45
    both = [{**pose[0], "people": [far, *pose[0]["people"]]}]
    plain = FiguraPointPrompt().run(frames(1), "pose", "", both)
    boxed = FiguraPointPrompt().run(frames(1), "pose", "", both, [[]])
    assert boxed["result"][2] == plain["result"][2]
    assert boxed["ui"]["figura_poses"] == plain["ui"]["figura_poses"]
    with pytest.raises(ValueError, match="needs a box"):
        FiguraPointPrompt().run(frames(1), "pose_full_box", "", pose, [[]])
    alone, _ = FiguraAmodalMask().run(masks(0.4), 0, 1, 0.0, pose)
    same, _ = FiguraAmodalMask().run(masks(0.4), 0, 1, 0.0, pose, bounding_box=[[]])
    assert torch.equal(same, alone)
