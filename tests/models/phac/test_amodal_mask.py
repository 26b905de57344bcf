"""Silhouettes: what the network is shown, where its crop lies, and that results go back in place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.phac.amodal_mask import (
    CHANNELS,
    FILE_KIND,
    GRID,
    AmodalMaskNet,
    Known,
    complete_mask,
    draw_known,
    hidden_guess,
    known_in_crop,
    load_amodal_mask,
    plan_known,
)
from figura.models.phac.networks import NOT_SAID
from figura.people.boxes import Box
from figura.people.prompts import PointPrompt

NOBODY = torch.zeros(18, 3)


class Shown(torch.nn.Module):
    """Answers with one plane of what it is shown, as a mask."""

    def __init__(self, plane: int) -> None:
        super().__init__()
        self.config, self.plane = AmodalMaskNet().config, plane
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return features[:, self.plane : self.plane + 1] - 0.5


def joints(**places: tuple[float, float]) -> torch.Tensor:
    from figura.people.keypoints import BODY_18

    body = NOBODY.clone()
    for name, (x, y) in places.items():
        body[BODY_18.index(name)] = torch.tensor([x, y, 1.0])
    return body


def known(body: torch.Tensor, box: tuple[float, ...] | None = None) -> Known:
    plane = torch.zeros(1, 1, GRID, GRID)
    boxes = torch.tensor([box or (0.0, 0.0, 0.0, 0.0)])
    return Known(plane, plane + 1, body[None], boxes, torch.tensor([float(box is not None)]))


def test_a_joint_is_a_spot_on_a_plane_of_its_own() -> None:
    planes = draw_known(known(joints(nose=(20.5, 30.5), left_ankle=(70.5, 80.5))))
    assert planes.shape == (1, CHANNELS, GRID, GRID)
    spots = planes[0, 2:20]
    assert [int(plane.argmax()) for plane in spots[[0, 13]]] == [30 * GRID + 20, 80 * GRID + 70]
    assert spots[[0, 13]].amax((1, 2)).tolist() == [1, 1] and spots[1:13].max() == 0


def test_a_limb_is_drawn_when_both_ends_are_known() -> None:
    thigh = draw_known(known(joints(right_hip=(20, 20), right_knee=(20, 60))))[0, 20]
    assert thigh[40, 20] > 0.9 and thigh[40, 40] < 1e-3 and thigh[75, 20] < 1e-3
    assert draw_known(known(joints(right_hip=(20, 20))))[0, 20].max() == 0


def test_a_box_is_filled_to_its_edges() -> None:
    box = draw_known(known(NOBODY, (10.0, 20.0, 30.5, 40.0)))[0, 21]
    assert box[20:40, 10:30].min() == 1 and box[:, 30][20:40].unique().tolist() == [0.5]
    assert box.sum() == pytest.approx(20 * 20.5)
    assert draw_known(known(NOBODY, (10.0, 20.0, 30.5, 40.0)))[0, 22].min() == 1
    assert draw_known(known(NOBODY))[0, 21:23].max() == 0


@pytest.mark.parametrize("size", [(128, 128), (90, 300), (700, 401)])
def test_what_lies_in_the_crop_comes_back_in_its_place(size: tuple[int, int]) -> None:
    height, width = size
    visible = torch.zeros(size)
    visible[height // 4 : height // 2, width // 4 : width // 2] = 1
    box = Box(width * 0.2, height * 0.3, width * 0.7, height * 0.9)
    mask = complete_mask(Shown(21), visible, NOBODY, box)
    wanted = torch.zeros(size)
    wanted[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = 1
    wanted = torch.maximum(wanted, visible)
    overlap = (mask[0, 0] * wanted).sum() / torch.maximum(mask[0, 0], wanted).sum()
    assert mask.shape == (1, 1, *size) and overlap > 0.97


def test_the_crop_holds_what_is_known_and_is_closer_when_the_whole_person_is() -> None:
    visible = torch.zeros(400, 400)
    visible[150:250, 180:220] = 1
    far = joints(left_ankle=(190, 300))
    loose = plan_known((400, 400), visible, far, None)
    close = plan_known((400, 400), visible, far, Box(170, 140, 230, 310))
    for plan in (loose, close):
        assert plan.box.x0 <= 180 and plan.box.y0 <= 150 and plan.box.y1 >= 301 and plan.box.x1 >= 220
        assert plan.box.width == plan.box.height
    assert loose.box.height > 1.2 * close.box.height


def test_many_joints_tell_how_far_the_person_reaches_as_a_box_does() -> None:
    visible, body = torch.zeros(400, 400), torch.ones(18, 3) * 200
    body[0, :2], body[1, :2] = 150, 250
    body[:, 2] = (torch.arange(18) < 12).float()
    few = body.clone()
    few[11] = 0
    close, loose = (plan_known((400, 400), visible, each, None).box for each in (body, few))
    assert close.width < 1.5 * 101 < loose.width


def test_the_network_knows_where_the_picture_ends() -> None:
    visible = torch.zeros(100, 40)
    visible[10:90, 5:35] = 1
    plan = plan_known((100, 40), visible, NOBODY, None)
    inside = known_in_crop(visible, NOBODY, None, plan).inside[0, 0]
    assert inside[:, GRID // 2].max() == 1 and inside[:, 0].max() == 0 and inside[:, -1].max() == 0


def test_features_mirror_with_the_person() -> None:
    body = joints(nose=(20, 30), neck=(40, 50))
    mirrored = body.clone()
    mirrored[body[:, 2] > 0, 0] = GRID - body[body[:, 2] > 0, 0]
    first, second = draw_known(known(body)), draw_known(known(mirrored))
    assert torch.allclose(first, second.flip(-1), atol=1e-5)


def test_a_file_gives_the_same_network(tmp_path) -> None:
    torch.manual_seed(0)
    net = AmodalMaskNet().eval()
    path = save_module(
        tmp_path / "a.safetensors", FILE_KIND, net.state_dict(), config_to_metadata(net.config)
    )
    visible = torch.zeros(64, 64)
    visible[20:40, 20:40] = 1
    features = draw_known(known_in_crop(visible, NOBODY, None, plan_known((64, 64), visible, NOBODY, None)))
    latents = torch.ones(1, net.config.latents)
    with torch.no_grad():
        assert torch.allclose(load_amodal_mask(path)(features, latents), net(features, latents), atol=2e-2)


def test_the_middle_does_not_depend_on_the_seed_and_variety_widens() -> None:
    torch.manual_seed(0)
    net = AmodalMaskNet().eval()
    torch.nn.init.normal_(net.head.weight, std=3.0)
    visible = torch.zeros(64, 64)
    visible[10:40, 20:40] = 1
    middle, small, wide = (complete_mask(net, visible, NOBODY, None, range(6), v) for v in (0.0, 0.2, 1.0))
    assert bool((middle == middle[:1]).all())
    assert (small - middle).abs().sum() < (wide - middle).abs().sum()


def pose(body: torch.Tensor, kind: str = "pose", **boxes: Box) -> PointPrompt:
    return PointPrompt(kind, 128, 128, body.numpy(), np.zeros(18, bool), **boxes)


def test_the_guess_is_the_middle_mask_without_what_is_seen() -> None:
    torch.manual_seed(0)
    net = AmodalMaskNet().eval()
    body, box = joints(nose=(60, 20), left_ankle=(70, 110)), Box(30, 10, 90, 120)
    visible = torch.zeros(1, 1, 128, 128)
    visible[..., 10:50, 40:80] = 1
    guess = hidden_guess(net, visible, [pose(body, "pose_full_box", full_box=box)])
    whole = complete_mask(net, visible[0, 0], body, box)
    assert torch.equal(guess > 0.5, (whole > 0.5) & (visible < 0.5))
    assert 0 <= guess.min() and guess.max() <= 1 and guess[visible > 0].max() == 0


def test_a_guess_reads_what_the_kind_of_prompt_shows_and_no_more() -> None:
    torch.manual_seed(0)
    net, box = AmodalMaskNet().eval(), Box(30, 50, 90, 120)
    body = joints(nose=(60, 20), left_ankle=(70, 110))
    visible = torch.zeros(4, 1, 128, 128)
    visible[:3, :, 10:50, 40:80] = 1
    said = [
        pose(body, "roi_box", roi_box=box),
        pose(NOBODY, "roi_box", roi_box=box),
        pose(body),
        pose(NOBODY),
    ]
    guesses = hidden_guess(net, visible, said)
    assert torch.equal(guesses[0], guesses[1]) and not torch.equal(guesses[0], guesses[2])
    outside = torch.ones(128, 128, dtype=torch.bool)
    outside[50:120, 30:90] = False
    assert guesses[0, 0][outside].max() < 0.01  # the hidden part lies in its box
    assert (guesses[3] == NOT_SAID).all()  # nobody is seen, and nothing is said
    for row in range(4):
        alone = hidden_guess(net, visible[row : row + 1], said[row : row + 1])
        torch.testing.assert_close(alone[0], guesses[row], atol=1e-5, rtol=0)
