"""Random views move pictures, masks and joints alike."""

import torch
from figura.training.data.augmentation import (
    ViewRange,
    Views,
    exchange_sides,
    jitter_colours,
    move_joints,
    random_views,
)

SIZE = 64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spots(points: torch.Tensor) -> torch.Tensor:
    """Smooth spots (B,1,S,S) at points (B,2) px."""
    axis = torch.arange(SIZE) + 0.5
    dx, dy = axis - points[:, 0:1], axis - points[:, 1:2]
    return torch.exp(-(dy[:, :, None] ** 2 + dx[:, None, :] ** 2) / 8)[:, None]


def centre_of(images: torch.Tensor) -> torch.Tensor:
    axis = torch.arange(SIZE) + 0.5
    total = images.sum(dim=(1, 2, 3))
    x = (images.sum(dim=(1, 2)) * axis).sum(dim=1) / total
    y = (images.sum(dim=(1, 3)) * axis).sum(dim=1) / total
    return torch.stack([x, y], dim=1)


def test_points_go_where_the_pixels_go() -> None:
    points = torch.tensor([[30.0, 25.0], [36.0, 40.0], [28.0, 33.0], [35.0, 30.0]])
    views = random_views(4, SIZE, generator(), ViewRange(unchanged=0.0))
    moved = centre_of(views.warp(spots(points)))
    torch.testing.assert_close(moved, views.move(points[:, None])[:, 0], atol=0.05, rtol=0)


def test_unchanged_views_change_nothing() -> None:
    views = random_views(3, SIZE, generator(), ViewRange(unchanged=1.0, flip=0.0))
    image = torch.rand(3, 3, SIZE, SIZE)
    torch.testing.assert_close(views.warp(image), image, atol=1e-5, rtol=0)


def test_mirroring_exchanges_left_and_right() -> None:
    views = Views(torch.tensor([[[-1.0, 0], [0, 1]]]), torch.zeros(1, 2), torch.tensor([True]), SIZE)
    joints = torch.zeros(1, 18, 3)
    joints[0, 4] = torch.tensor([10.0, 20.0, 1.0])
    moved = move_joints(views, joints)
    assert moved[0, 7].tolist() == [54.0, 20.0, 1.0] and moved[0, 4, 2] == 0
    assert exchange_sides(views, torch.arange(18.0)[None])[0, 4] == 7


def test_joints_that_leave_the_picture_are_absent() -> None:
    views = Views(torch.eye(2)[None], torch.tensor([[60.0, 0.0]]), torch.tensor([False]), SIZE)
    joints = torch.full((1, 18, 3), 30.0)
    assert move_joints(views, joints)[..., 2].max() == 0


def test_what_comes_from_outside_has_the_fill_colour() -> None:
    views = Views(torch.eye(2)[None] * 0.5, torch.zeros(1, 2), torch.tensor([False]), SIZE)
    fill = torch.tensor([0.1, 0.2, 0.3])[None, :, None, None]
    moved = views.warp(torch.ones(1, 3, SIZE, SIZE), fill)
    torch.testing.assert_close(moved[..., 0, 0], fill[..., 0, 0])
    assert moved[..., 32, 32].min() == 1


def test_colours_stay_in_range_and_depend_on_the_seed_only() -> None:
    image = torch.rand(8, 3, 16, 16)
    first, second = (jitter_colours(image, generator(3)) for _ in range(2))
    assert torch.equal(first, second) and not torch.equal(first, image)
    assert 0 <= first.min() and first.max() <= 1
