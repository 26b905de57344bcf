"""Several people in one picture: split, completed each, stitched together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from figura.headless.runner import Runner, all_node_classes
from figura.host.plain import PlainHost
from figura.nodes.several_people import FiguraSplitPeople, FiguraStitchPeople
from figura.people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from figura.tests.models.humansd.tiny import standing
from figura.workflows.forms import api_form
from figura.workflows.several_people import phac_several_people

SIDE = 64


def two_people() -> list[dict[str, Any]]:
    behind, front = standing(0.3, SIDE, SIDE, 0.5).people[0], standing(0.7, SIDE, SIDE).people[0]
    behind.body[:, 1] *= 0.8
    return write_pose_keypoint([Pose((behind, front), SIDE, SIDE)])


def test_everybody_gets_the_picture_and_a_pose_of_their_own_the_front_first() -> None:
    image = torch.rand(1, SIDE, SIDE, 3)
    pictures, poses, count = FiguraSplitPeople().run(image, two_people(), "lowest first")
    assert count == 2 and torch.equal(pictures, image.expand(2, -1, -1, -1))
    (front,), (behind,) = (pose.people for pose in read_pose_keypoint(poses))
    assert front.body[:, 0].mean() > behind.body[:, 0].mean()


def test_one_picture_at_a_time_and_somebody_in_it() -> None:
    with pytest.raises(ValueError, match="image has 2 pictures and pose_keypoint 1"):
        FiguraSplitPeople().run(torch.rand(2, SIDE, SIDE, 3), two_people(), "as given")
    with pytest.raises(ValueError, match="pose_keypoint shows nobody"):
        FiguraSplitPeople().run(
            torch.rand(1, SIDE, SIDE, 3), write_pose_keypoint([Pose((), 9, 9)]), "as given"
        )
    with pytest.raises(ValueError, match="not the batch that came out"):
        pair, mask = torch.rand(2, SIDE, SIDE, 3), torch.ones(2, SIDE, SIDE)
        FiguraStitchPeople().run(pair, pair, mask, mask, 0.0)


def test_pixels_outside_the_changed_mask_are_the_inputs() -> None:
    image, completed = torch.rand(1, SIDE, SIDE, 3), torch.rand(2, SIDE, SIDE, 3)
    changed, visible = torch.zeros(2, SIDE, SIDE), torch.zeros(2, SIDE, SIDE)
    changed[0, 30:50, 5:20] = changed[1, 20:40, 15:30] = 1
    visible[0, 20:30, 5:20] = visible[1, 5:20, 15:30] = 1
    done, mask = FiguraStitchPeople().run(image, completed, changed, visible, 0.0)
    assert torch.equal(done[mask == 0], image[mask == 0]) and (mask > 0).any()
    assert torch.equal(done[0, 30:40, 15:20], completed[0, 30:40, 15:20])  # the front before the back


@pytest.mark.slow
def test_the_graph_completes_both_people_of_one_picture(tmp_path: Path) -> None:
    graph = api_form(phac_several_people(all_node_classes()))
    ids = {node["class_type"]: key for key, node in graph.items()}
    graph[ids["FiguraPHACSampler"]]["inputs"]["steps"] = 2
    graph[ids["FiguraInpaintRefiner"]]["inputs"]["steps"] = 2
    runner = Runner(PlainHost(tmp_path, tmp_path / "out", device="cpu"))
    result = runner.run(graph)
    (before,), (after, mask) = (result.outputs[ids[name]] for name in ("ImageStitch", "FiguraStitchPeople"))
    assert before.shape == after.shape and len(result.files) == 1
    assert torch.equal(after[mask == 0], before[mask == 0])
    half = mask.shape[2] // 2
    assert mask[..., :half].any() and mask[..., half:].any()
