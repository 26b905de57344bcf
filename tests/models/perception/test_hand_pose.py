"""Looking at hands of known place: what is shown to the network, and where its joints lie in the picture."""

import torch
from figura.models.perception.hand_pose import (
    HAND_CONFIG,
    detect_hands,
    hand_frames,
    joint_boxes,
    look_at,
    to_image,
    to_view,
)
from figura.models.perception.pose import PoseDetector, target_heatmaps

SIZE = HAND_CONFIG.image_size


def joints_in(box: tuple[float, float, float, float], count: int = 2) -> torch.Tensor:
    points = torch.rand(count, 21, 2, generator=torch.Generator().manual_seed(0))
    low, high = torch.tensor(box[:2]), torch.tensor(box[2:])
    return torch.cat([low + points * (high - low), torch.ones(count, 21, 1)], 2)


def test_a_left_hand_is_shown_mirrored() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[20.0, 10.0, 44.0, 40.0]])
    right = look_at(image, hand_frames(boxes, torch.tensor([False]), SIZE), SIZE)
    left = look_at(image, hand_frames(boxes, torch.tensor([True]), SIZE), SIZE)
    torch.testing.assert_close(left, right.flip(-1), atol=1e-5, rtol=1e-5)


def test_points_go_to_the_view_and_back() -> None:
    joints = joints_in((20.0, 10.0, 44.0, 40.0))
    frames = hand_frames(joint_boxes(joints), torch.tensor([False, True]), SIZE)
    views = to_view(frames, joints[..., :2])
    assert (views > 0).all() and (views < SIZE).all()
    torch.testing.assert_close(to_image(frames, views), joints[..., :2], atol=1e-4, rtol=1e-4)


def test_absent_joints_do_not_count_in_the_box() -> None:
    joints = joints_in((20.0, 10.0, 44.0, 40.0), 1)
    joints[:, 3] = 0
    assert (joint_boxes(joints)[0, :2] >= torch.tensor([20.0, 10.0])).all()


def test_what_the_network_finds_comes_back_in_the_pictures_pixels() -> None:
    class Oracle(PoseDetector):
        """Marks the joints where they are in the view."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            heat = target_heatmaps(self.points, torch.ones(len(images), 21), SIZE)
            return torch.logit(heat.clamp(1e-6, 1 - 1e-6))

    joints = joints_in((30.0, 30.0, 60.0, 66.0))
    left, boxes = torch.tensor([False, True]), joint_boxes(joints)
    net = Oracle(HAND_CONFIG)
    net.points = to_view(hand_frames(boxes, left, SIZE), joints[..., :2])
    found = detect_hands(net, torch.rand(2, 3, 96, 96), boxes, left)
    assert (found[..., :2] - joints[..., :2]).norm(dim=-1).max() < 0.5
