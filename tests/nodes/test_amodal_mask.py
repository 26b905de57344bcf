"""The node that completes a mask from silhouettes: what is kept, whose joints count, boxes, seeds, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.models.phac.amodal_mask import AmodalMaskNet
from figura.nodes import amodal_mask as module
from figura.nodes.amodal_mask import FiguraAmodalMask
from figura.people.boxes import Box
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.people.prompts import PointPrompt
from figura.people.synthetic import render_people

PEOPLE = render_people([10_000_003, 10_000_004])
VISIBLE = PEOPLE.visible_mask[:, 0].float()


@pytest.fixture(autouse=True)
def network(monkeypatch, tmp_path):
    """A random network, whose masks are neither empty nor full."""
    torch.manual_seed(0)
    net = AmodalMaskNet().eval()
    torch.nn.init.normal_(net.head.weight, std=3.0)
    monkeypatch.setattr(module, "load_amodal_mask", lambda path, operations: net)
    with use_host(PlainHost(models_dir=tmp_path, device="cpu")) as host:
        monkeypatch.setattr(type(host), "find_model", lambda self, file_kind, name: tmp_path)
        yield net


def run(visible=VISIBLE, seed: int = 0, count: int = 1, variety: float = 1.0, **others):
    return FiguraAmodalMask().run(visible, seed, count, variety, **others)


def pose_of(*bodies: np.ndarray, size: tuple[int, int] = (128, 128)) -> list[dict]:
    return write_pose_keypoint([Pose(tuple(Person(body) for body in bodies), size[1], size[0])])


def body(number: int = 0) -> np.ndarray:
    return PEOPLE.joints[number].numpy().copy()


def prompt(kind: str, **boxes) -> list[PointPrompt]:
    return [PointPrompt(kind, 128, 128, body(), ~PEOPLE.joint_visible[0].numpy(), **boxes)]


def test_what_is_seen_stays_and_the_rest_is_the_invisible_mask() -> None:
    amodal, invisible = run()
    assert amodal.shape == invisible.shape == VISIBLE.shape
    assert set(amodal.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(torch.maximum(amodal, VISIBLE), amodal)
    assert torch.equal(invisible, amodal * (1 - VISIBLE)) and invisible.sum() > 0


def test_candidates_have_seeds_of_their_own_and_follow_as_in_repeat_image_batch() -> None:
    amodal, _ = run(seed=7, count=2)
    third, _ = run(VISIBLE[:1], seed=9)
    assert len(amodal) == 4 and torch.equal(amodal[2], third[0]) and not torch.equal(amodal[0], amodal[2])


def test_without_variety_every_seed_gives_the_one_in_the_middle() -> None:
    assert torch.equal(run(seed=1, variety=0.0)[0], run(seed=2, variety=0.0)[0])


def test_of_several_people_the_one_on_the_mask_counts() -> None:
    alone, _ = run(VISIBLE[:1], pose_keypoint=pose_of(body(0)))
    other = body(1)
    other[other[:, 2] > 0, 0] -= 100
    both, _ = run(VISIBLE[:1], pose_keypoint=pose_of(other, body(0)))
    assert torch.equal(alone, both)
    assert not torch.equal(alone, run(VISIBLE[:1])[0])


def test_a_pose_of_another_size_is_brought_to_the_masks() -> None:
    twice = body() * np.array([2, 2, 1], np.float32)
    large, _ = run(VISIBLE[:1], pose_keypoint=pose_of(twice, size=(256, 256)))
    assert torch.equal(large, run(VISIBLE[:1], pose_keypoint=pose_of(body()))[0])


def test_the_region_box_limits_the_hidden_part() -> None:
    region = Box(0, 64.7, 128, 128)  # as in PHAC, a pixel that it touches is inside
    free, _ = run(VISIBLE[:1], prompt=prompt("pose"))
    amodal, invisible = run(VISIBLE[:1], prompt=prompt("pose_roi_box", roi_box=region))
    assert invisible[0, :64].sum() == 0
    assert torch.equal(invisible[0, 64:], (free * (1 - VISIBLE[:1]))[0, 64:])
    assert torch.equal(torch.maximum(amodal, VISIBLE[:1]), amodal)


def test_a_box_of_the_whole_person_says_the_same_by_either_way() -> None:
    box = Box.around_mask(PEOPLE.amodal_mask[0, 0])
    by_prompt, _ = run(VISIBLE[:1], prompt=prompt("pose_full_box", full_box=box))
    given = {"x": box.x0, "y": box.y0, "width": box.width, "height": box.height}
    by_box, _ = run(VISIBLE[:1], pose_keypoint=pose_of(body()), bounding_box=given)
    assert torch.equal(by_prompt, by_box)


def test_joints_alone_are_enough_and_nothing_at_all_is_not() -> None:
    nothing = torch.zeros(1, 128, 128)
    assert run(nothing, pose_keypoint=pose_of(body()))[0].sum() > 0
    with pytest.raises(ValueError, match="visible mask is empty"):
        run(nothing)


def test_any_size_and_shape_of_picture_will_do() -> None:
    wide = torch.zeros(1, 300, 700)
    wide[:, 100:200, 600:680] = 1
    amodal, _ = run(wide)
    assert amodal.shape == wide.shape and torch.equal(torch.maximum(amodal, wide), amodal)


def test_batches_that_do_not_match_are_named() -> None:
    with pytest.raises(ValueError, match="bounding_box has 3 entries"):
        run(bounding_box=[[0, 0, 9, 9]] * 3)


def test_the_empty_prompt_of_crop_person_is_no_prompt() -> None:
    assert torch.equal(run(prompt=[])[0], run()[0])


@pytest.mark.parametrize("place", [1e5, -1e5])
def test_a_joint_or_box_far_outside_is_refused_in_words(place: float) -> None:
    stray = body()
    stray[3] = [place, 10, 1]
    with pytest.raises(ValueError, match="too far outside"):
        run(pose_keypoint=pose_of(stray))
    with pytest.raises(ValueError, match="too far outside"):
        run(bounding_box=[place, 0, place + 50, 90])
