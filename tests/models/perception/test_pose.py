"""The pose detector: heatmaps there and back, views of pictures of any size, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.pose import (
    FILE_KIND,
    PoseDetector,
    View,
    decode_heatmaps,
    detect_joints,
    load_pose_detector,
    poses_from_joints,
    resample_view,
    search_views,
    second_view,
    target_heatmaps,
    whole_view,
)
from figura.people.keypoints import HFLIP_18
from figura.tests.people.strips import sizes_of_strips


class SpotDetector(PoseDetector):
    """Sees every joint where the picture is brightest."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        spot = images.mean(dim=1).flatten(1).argmax(dim=1)
        xy = torch.stack([spot % 128, spot // 128], dim=1) + 0.5
        joints = xy[:, None].expand(-1, 18, -1)
        return torch.logit(target_heatmaps(joints, torch.ones(len(images), 18), 128).clamp(1e-6, 1 - 1e-6))


def image_with_spot(height: int, width: int, x: int, y: int, radius: int) -> torch.Tensor:
    image = torch.zeros(1, 3, height, width)
    image[..., y - radius : y + radius, x - radius : x + radius] = 1
    return image


def test_the_network_makes_one_heatmap_per_joint() -> None:
    assert PoseDetector()(torch.rand(2, 3, 128, 128)).shape == (2, 18, 32, 32)


def test_heatmaps_decode_to_a_fraction_of_a_cell() -> None:
    joints = torch.rand(5, 18, 2, generator=torch.Generator().manual_seed(1)) * 104 + 12
    heat = target_heatmaps(joints, torch.ones(5, 18), 128)
    found = decode_heatmaps(torch.logit(heat.clamp(1e-6, 1 - 1e-6)))
    assert (found[..., :2] - joints).norm(dim=2).max() < 0.5
    assert found[..., 2].min() > 0.7


def test_joints_that_are_not_present_have_empty_heatmaps() -> None:
    heat = target_heatmaps(torch.full((1, 18, 2), 64.0), torch.zeros(1, 18), 128)
    assert heat.abs().max() == 0
    assert decode_heatmaps(torch.full((1, 18, 32, 32), -9.0))[..., 2].max() < 0.01


def test_a_picture_of_the_networks_size_is_not_resampled() -> None:
    image = torch.rand(1, 3, 128, 128)
    assert resample_view(image, View(0, 0, 128), 128) is image


@pytest.mark.parametrize("view", [View(-30, -40, 200), View(60, 10, 50), View(-5, -300, 900)])
def test_a_view_beyond_the_picture_is_grey_there(view):
    image = torch.rand(1, 3, 60, 90)
    left, top, side = view
    around = [900, 900 - 90 + side, 900, 900 - 60 + side]
    padded = torch.nn.functional.pad(image, around, value=0.5)[..., 900 + top :, 900 + left :]
    square = padded[..., :side, :side]
    wanted = torch.nn.functional.interpolate(square, (32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(resample_view(image, view, 32), wanted, rtol=0, atol=2e-7)


def test_a_panorama_is_looked_at_without_the_square_round_it(monkeypatch):
    sizes = sizes_of_strips(monkeypatch)
    resample_view(torch.rand(1, 3, 20, 2000), whole_view(20, 2000), 32)
    assert sizes and max(sizes) <= 3 * 32 * 2000


@pytest.mark.parametrize("size", [(1, 1), (128, 128), (90, 40), (333, 777)])
def test_any_size_gives_joints_in_its_own_pixels(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    joints = detect_joints(PoseDetector(), torch.rand(2, 3, *size))
    assert joints.shape == (2, 18, 3) and torch.isfinite(joints).all()


def test_left_is_right_in_the_mirror_image() -> None:
    torch.manual_seed(0)
    net, image = PoseDetector(), torch.rand(1, 3, 128, 128)
    found, turned = (detect_joints(net, each)[:, :, :] for each in (image, image.flip(-1)))
    expected = found[:, list(HFLIP_18)] * torch.tensor([-1.0, 1, 1]) + torch.tensor([128.0, 0, 0])
    torch.testing.assert_close(turned, expected)


def test_with_a_box_only_what_is_round_it_is_looked_at() -> None:
    image = 0.5 * image_with_spot(300, 500, 120, 200, 10)
    image[..., 20:60, 380:420] = 1  # somebody brighter
    joints = detect_joints(SpotDetector(), image, torch.tensor([[90.0, 150.0, 150.0, 260.0]]))
    assert (joints[0, :, :2] - torch.tensor([120.0, 200.0])).abs().max() < 15


def test_a_second_look_refines_a_small_person_in_a_large_picture() -> None:
    joints = detect_joints(SpotDetector(), image_with_spot(1500, 2000, 1203, 411, 20))
    assert (joints[0, :, :2] - torch.tensor([1203.0, 411.0])).abs().max() < 25


def test_the_second_view_is_only_taken_where_it_shows_more() -> None:
    joints = torch.zeros(18, 3)
    joints[:4] = torch.tensor([[600.0, 600, 1], [650, 700, 1], [640, 640, 1], [620, 660, 1]])
    assert second_view(joints, 1200, 128) == View(545, 570, 160)
    assert second_view(joints, 240, 128) is None
    assert second_view(joints * torch.tensor([1, 1, 0.01]), 1200, 128) is None


@pytest.mark.parametrize("size", [(512, 512), (300, 512), (512, 100), (256, 200)])
def test_search_views_cover_the_picture(size: tuple[int, int]) -> None:
    views = search_views(*size, 128)
    assert views[0] == whole_view(*size) and len(set(views)) == len(views) > 1
    for side in {view.side for view in views[1:]}:
        seen = torch.zeros(size, dtype=torch.bool)
        for view in views:
            if view.side == side:
                seen[view.top : view.top + side, view.left : view.left + side] = True
        assert seen.all()


def test_small_pictures_are_not_searched() -> None:
    assert search_views(128, 100, 128) == [View(-14, 0, 128)]


def test_weak_joints_and_empty_pictures_become_absent() -> None:
    joints = torch.zeros(2, 18, 3)
    joints[0, 3] = torch.tensor([10.0, 12.0, 0.9])
    joints[0, 4] = torch.tensor([10.0, 12.0, 0.1])
    joints[0, 5], joints[0, 6] = torch.tensor([[10.0, 60.0, 0.9], [60.0, 10.0, 0.9]])
    first, second = poses_from_joints(joints, 64, 48)
    assert (first.width, first.height) == (48, 64)
    assert np.flatnonzero(first.people[0].body[:, 2]).tolist() == [3, 5], "the sixth lies outside"
    assert second.people == ()


def test_the_weights_file_round_trips(tmp_path: Path) -> None:
    net = PoseDetector().eval()
    path = tmp_path / "pose_detector.safetensors"
    save_module(path, FILE_KIND, net.state_dict(), config_to_metadata(net.config), dtype=torch.float32)
    loaded = load_pose_detector(path)
    image = torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(net(image), loaded(image))
