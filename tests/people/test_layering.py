"""People laid over each other: the front stays in front, the rest of the picture stays itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.people import layering
from figura.people.keypoints import Person
from figura.people.layering import (
    AS_GIVEN,
    LARGEST_FIRST,
    LARGEST_SHIFT,
    LOWEST_FIRST,
    front_to_back,
    lay_over,
)

SIDE = 40


def person(top: float, bottom: float) -> Person:
    body = np.zeros((18, 3), np.float32)
    body[0], body[10] = (10, top, 1), (10, bottom, 1)
    return Person(body)


def region(x0: int, x1: int, y0: int = 0, y1: int = SIDE) -> torch.Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., y0:y1, x0:x1] = 1
    return mask


def picture(value: float) -> torch.Tensor:
    return torch.full((1, 3, SIDE, SIDE), value)


def test_who_is_in_front() -> None:
    people = [person(0, 50), person(30, 60), person(1, 55), Person(np.zeros((18, 3), np.float32))]
    assert front_to_back(people, LOWEST_FIRST) == [1, 2, 0]
    assert front_to_back(people, LARGEST_FIRST) == [2, 0, 1]
    assert front_to_back(people, AS_GIVEN) == [0, 1, 2]
    assert front_to_back([], AS_GIVEN) == []
    with pytest.raises(ValueError, match="order is 'nearest'; it is one of lowest first"):
        front_to_back(people, "nearest")


def test_the_front_stays_in_front_and_the_rest_is_the_input() -> None:
    image = torch.rand(1, 3, SIDE, SIDE)
    visible = torch.cat([region(10, 20, 0, 20), region(0, 10)])  # the front's upper half; the back's left
    changed = torch.cat([region(10, 20, 20, 40), region(5, 30)])  # the back's goes on behind the front
    done, amount = lay_over(image, torch.cat([picture(0.2), picture(0.8)]), changed, visible)
    front_seen, back_seen = visible > 0.5
    assert torch.equal(done[:, :, front_seen[0]], image[:, :, front_seen[0]])
    assert torch.equal(done[:, :, back_seen[0]], image[:, :, back_seen[0]])
    assert (done[..., 20:, 10:20] == 0.2).all()  # completed, before the other's completion
    assert (done[..., 20:30] == 0.8).all()
    assert torch.equal(done[..., 30:], image[..., 30:])
    assert not amount[0][front_seen | back_seen].any()
    untouched = (amount == 0).expand(-1, 3, -1, -1)
    assert torch.equal(done[untouched], image[untouched])


def test_soft_masks_blend() -> None:
    done, amount = lay_over(picture(0.0), picture(1.0), 0.25 * region(0, 9), torch.zeros(1, 1, SIDE, SIDE))
    assert torch.allclose(done[..., :9], torch.tensor(0.25)) and not done[..., 9:].any()
    assert amount.max() == 0.25


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.4), (0.5, 0.45), (1.0, 0.5)])
def test_colours_meet_at_the_seam(strength: float, expected: float) -> None:
    seen, drawn = region(0, 20), region(20, 40)
    done, _ = lay_over(picture(0.5), picture(0.4), drawn, seen, strength)
    assert torch.allclose(done[..., 20:], torch.tensor(expected), atol=1e-6)
    assert (done[..., :20] == 0.5).all()


def test_each_colour_meets_its_own_at_the_seam() -> None:
    image, drawn = picture(0.5) * torch.tensor([1.0, 0.8, 1.2])[:, None, None], picture(0.4)
    done, _ = lay_over(image, drawn, region(20, 40), region(0, 20), 1.0)
    assert torch.allclose(done, image, atol=1e-6)


def test_colours_are_moved_only_so_far_and_not_without_a_seam() -> None:
    done, _ = lay_over(picture(1.0), picture(0.0), region(20, 40), region(0, 20), 1.0)
    assert torch.allclose(done[..., 20:], torch.tensor(LARGEST_SHIFT))
    apart, _ = lay_over(picture(1.0), picture(0.0), region(39, 40), region(0, 2), 1.0)
    assert (apart[..., 39:] == 0).all()


def test_of_a_photograph_only_what_the_masks_hold_is_worked_on(monkeypatch) -> None:
    sizes, pool = [], layering.F.max_pool2d
    monkeypatch.setattr(
        layering.F, "max_pool2d", lambda x, *size, **more: sizes.append(x.numel()) or pool(x, *size, **more)
    )
    image, drawn = torch.rand(1, 3, 300, 400), torch.rand(1, 3, 300, 400)
    changed, seen = torch.zeros(2, 1, 1, 300, 400)
    changed[..., 280:, 390:], seen[..., 270:280, 390:] = 1, 1
    done, amount = lay_over(image, drawn, changed, seen, 0.5)
    assert sizes and max(sizes) == 30 * 10
    assert torch.equal(amount, changed) and torch.equal(done[..., :390], image[..., :390])
    nothing = torch.zeros(1, 1, 300, 400)
    assert torch.equal(lay_over(image, drawn, nothing, nothing, 0.5)[0], image)
