"""Skeleton pictures."""

import pytest
import torch
from figura.people.keypoints import HAND_EDGES, LIMBS
from figura.people.skeleton import PALETTE_18, draw_hand, draw_skeleton


def standing(size: int) -> torch.Tensor:
    """A stick person (1, 18, 3) that fills a square picture."""
    xy = [
        (50, 15), (50, 25), (40, 25), (35, 40), (33, 53), (60, 25), (65, 40), (67, 53), (44, 55), (43, 72),
        (42, 92), (56, 55), (57, 72), (58, 92), (48, 13), (52, 13), (45, 14), (55, 14),
    ]  # fmt: skip
    joints = torch.ones(1, 18, 3)
    joints[0, :, :2] = torch.tensor(xy, dtype=torch.float32) * size / 100
    return joints


def test_every_joint_has_its_colour():
    joints = torch.zeros(18, 18, 3)
    for index in range(18):
        joints[index, index] = torch.tensor([256.5, 256.5, 1.0])
    drawn = draw_skeleton(joints, 512, 512)
    for index, colour in enumerate(PALETTE_18):
        assert (drawn[index, :, 256, 256] * 255).round().int().tolist() == list(colour)
        area = drawn[index].amax(0).sum().item()
        assert area == pytest.approx(3.1416 * 16, rel=0.03)


def test_every_limb_has_its_darker_colour_and_thickness():
    for index, (start, end) in enumerate(LIMBS):
        joints = torch.zeros(1, 18, 3)
        joints[0, start] = torch.tensor([100.5, 200.5, 1.0])
        joints[0, end] = torch.tensor([400.5, 200.5, 1.0])
        drawn = draw_skeleton(joints, 512, 512)[0]
        middle = drawn[:, :, 250]
        assert (middle[:, 200] * 255).round().int().tolist() == [int(0.6 * c) for c in PALETTE_18[index]]
        thickness = (middle.amax(0) / middle.max()).sum().item()
        assert thickness == pytest.approx(8.0, abs=0.1)


def test_absent_joints_and_their_limbs_are_not_drawn():
    joints = standing(128)
    joints[:, 1:, 2] = 0
    only_nose = draw_skeleton(joints, 128, 128)
    assert set(only_nose.flatten(2).amax(2)[0].tolist()) == {1.0, 0.0}
    assert not draw_skeleton(torch.zeros(2, 18, 3), 64, 48).any()


def test_a_batch_draws_what_its_pictures_draw_alone():
    joints = torch.cat([standing(96), standing(60) + torch.tensor([20.0, -15.0, 0.0]), torch.zeros(1, 18, 3)])
    together = draw_skeleton(joints, 96, 80)
    alone = torch.cat([draw_skeleton(joints[i : i + 1], 96, 80) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_points_outside_and_tiny_pictures():
    assert torch.isfinite(draw_skeleton(standing(128) * 3 - 100, 128, 128)).all()
    assert draw_skeleton(standing(1), 1, 1).shape == (1, 3, 1, 1)
    far = torch.tensor([1e7, -1e7, 1.0]).expand(1, 18, 3)
    assert not draw_skeleton(far, 32, 32).any()
    crossing = torch.zeros(1, 18, 3)
    crossing[0, 2], crossing[0, 3] = torch.tensor([-500.0, 16.5, 1]), torch.tensor([532.0, 16.5, 1])
    assert draw_skeleton(crossing, 32, 32)[0, :, 16].amax(0).min() > 0.5


def test_joints_at_one_place_are_finite():
    joints = torch.full((1, 18, 3), 16.0)
    drawn = draw_skeleton(joints, 32, 32, hands=torch.full((1, 2, 21, 3), 16.0))
    assert torch.isfinite(drawn).all() and 0 <= drawn.min() and drawn.max() <= 1


def test_hands_and_background():
    hands = torch.zeros(1, 2, 21, 3)
    hands[0, 0, 0] = torch.tensor([20.5, 20.5, 1.0])
    grey = torch.full((1, 3, 64, 64), 0.5)
    drawn = draw_skeleton(torch.zeros(1, 18, 3), 64, 64, hands=hands, onto=grey)
    assert drawn[0, :, 20, 20].tolist() == pytest.approx([0.0, 0.0, 1.0], abs=0.3)
    assert torch.equal(drawn[..., 30:], grey[..., 30:]) and grey.min() == 0.5


def test_a_hand_alone_is_drawn_as_with_its_body():
    hand = torch.rand(2, 21, 3, generator=torch.Generator().manual_seed(1)) * 200
    hand[0, 3:7, 2] = 0
    pair = torch.stack([hand, torch.zeros_like(hand)], dim=1)
    whole = draw_skeleton(torch.zeros(2, 18, 3), 160, 240, hands=pair)
    assert torch.equal(draw_hand(hand, 160, 240), whole)


def test_thickness_widens_edges_and_joints_alike():
    hand = torch.zeros(1, 21, 3)
    hand[0, 0], hand[0, 1] = torch.tensor([[100.5, 256.5, 1.0], [400.5, 256.5, 1.0]])
    for thickness in (1.0, 2.0, 3.5):
        drawn = draw_hand(hand, 512, 512, thickness)[0]
        assert drawn[0, :, 250].sum().item() == pytest.approx(2 * thickness, rel=0.05)
        assert drawn[2].sum().item() == pytest.approx(2 * torch.pi * (4 * thickness) ** 2, rel=0.05)


# Edge -> colour of a hand, as the annotators of public ControlNets paint it: 20 steps round the hue circle.
HAND_COLOURS = (
    (255, 0, 0), (255, 76, 0), (255, 153, 0), (255, 229, 0), (203, 255, 0), (127, 255, 0), (51, 255, 0),
    (0, 255, 25), (0, 255, 102), (0, 255, 178), (0, 255, 255), (0, 178, 255), (0, 102, 255), (0, 25, 255),
    (50, 0, 255), (127, 0, 255), (204, 0, 255), (255, 0, 229), (255, 0, 152), (255, 0, 76),
)  # fmt: skip


def test_every_edge_of_a_hand_has_its_colour():
    for (start, end), colour in zip(HAND_EDGES, HAND_COLOURS, strict=True):
        hand = torch.zeros(1, 21, 3)
        hand[0, start], hand[0, end] = torch.tensor([[100.5, 256.5, 1.0], [400.5, 256.5, 1.0]])
        drawn = draw_hand(hand, 512, 512)[0, :, 256, 250] * 255
        assert (drawn - torch.tensor(colour)).abs().max() <= 1


def test_it_draws_onto_pictures_of_any_order_in_memory():
    image = torch.rand(2, 40, 60, 3)
    joints = standing(40).expand(2, 18, 3)
    drawn = draw_skeleton(joints, 40, 60, onto=image.permute(0, 3, 1, 2))
    assert torch.equal(drawn, draw_skeleton(joints, 40, 60, onto=image.permute(0, 3, 1, 2).contiguous()))
