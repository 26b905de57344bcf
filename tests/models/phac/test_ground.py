"""The person of a coarse picture told from its ground."""

from __future__ import annotations

import pytest
import torch
from figura.models.phac.ground import _without_holes, split_ground
from scipy import ndimage
from torch import Tensor

SIDE = 32


def person_mask() -> Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 8:SIDE, 10:20] = 1  # it reaches the lower border
    return mask


def on_ground(colour: tuple[float, ...]) -> Tensor:
    """Somebody in red and green stripes, on that colour."""
    stripes = torch.tensor([0.8, 0.1, 0.3])[:, None, None].expand(3, SIDE, SIDE).clone()
    stripes[:, ::4] = torch.tensor([0.1, 0.7, 0.5])[:, None, None]
    ground = torch.tensor(colour)[:, None, None].expand(3, SIDE, SIDE)
    return torch.where(person_mask() > 0, stripes, ground)


@pytest.mark.parametrize("level", [0.0, 0.02, 0.3, 0.5, 0.75, 0.89, 0.95, 1.0])
def test_on_every_grey_the_person_is_the_same(level: float) -> None:
    drawn = split_ground(on_ground((level,) * 3))
    assert torch.equal(drawn.person, person_mask()) and torch.equal(drawn.area, person_mask())
    inside = person_mask().expand(-1, 3, -1, -1) > 0
    assert torch.equal(drawn.image[inside], on_ground((1.0, 1.0, 1.0))[inside])
    assert (drawn.image[~inside] >= 0.9).all()


def test_a_coloured_ground_with_some_noise_is_one() -> None:
    noise = 0.04 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    drawn = split_ground(on_ground((0.1, 0.9, 0.9)) + noise)
    assert torch.equal(drawn.person, person_mask())


def test_what_the_person_encloses_is_the_person() -> None:
    coarse = on_ground((0.0, 0.0, 0.0))
    coarse[..., 14:18, 13:17] = 0.0
    assert torch.equal(split_ground(coarse).person, person_mask())


def test_alpha_counts_before_every_ground() -> None:
    colours = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    drawn = split_ground(torch.cat([colours, person_mask()], dim=1))
    assert torch.equal(drawn.person, person_mask())
    assert torch.equal(drawn.image, torch.where(person_mask() > 0, colours, 1.0))


def test_without_a_plain_ground_or_transparency_everything_counts() -> None:
    scene = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for coarse in (
        scene,
        torch.cat([scene, torch.ones(1, 1, SIDE, SIDE)], dim=1),
        torch.full_like(scene, 0.4),
    ):
        drawn = split_ground(coarse)
        assert drawn.person.all() and not drawn.area.any() and torch.equal(drawn.image, coarse[:, :3])


def test_every_picture_of_a_batch_has_a_ground_of_its_own() -> None:
    batch = torch.cat([on_ground((0.0, 0.0, 0.0)), on_ground((0.6, 0.6, 0.6)), on_ground((1.0, 1.0, 1.0))])
    assert torch.equal(split_ground(batch).person, person_mask().expand(3, -1, -1, -1))


def test_a_transparent_picture_says_nothing_of_its_neighbours_in_the_batch() -> None:
    opaque = torch.cat([on_ground((1.0, 1.0, 1.0)), torch.ones(1, 1, SIDE, SIDE)], dim=1)
    transparent = torch.cat([on_ground((0.6, 0.6, 0.6)), person_mask()], dim=1)
    drawn = split_ground(torch.cat([opaque, transparent]))
    for row, alone in enumerate((opaque, transparent)):
        for batch, single in zip(drawn, split_ground(alone), strict=True):
            assert torch.equal(batch[row], single[0])
    assert torch.equal(drawn.person, person_mask().expand(2, -1, -1, -1))


def test_holes_are_sought_in_the_box_round_the_person_alone(monkeypatch) -> None:
    sizes, fill = [], ndimage.binary_fill_holes
    monkeypatch.setattr(ndimage, "binary_fill_holes", lambda x: sizes.append(x.size) or fill(x))
    for seed in range(20):
        mask = torch.rand(1, 9, 12, generator=torch.Generator().manual_seed(seed)) > 0.4
        mask = torch.nn.functional.pad(mask, (0, 40, 0, 30))  # touches the picture's border, which is no edge
        assert torch.equal(_without_holes(mask) > 0.5, torch.from_numpy(fill(mask[0].numpy()))[None])
    assert max(sizes) <= 10 * 13
    assert not _without_holes(torch.zeros(1, 5, 5, dtype=torch.bool)).any()
