"""Hands on the canvas: in the right place, without anything of their background, refused when nonsense."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models.hands.canvas import Placement, alignment, make_canvas
from figura.people.hands import Hand, Similarity
from hypothesis import given, settings
from hypothesis import strategies as st

SIDE = 48
RED, SKIN = (1.0, 0.0, 0.0), (0.9, 0.7, 0.3)
HAND_CENTRE = (20.0, 26.0)


def close_up_hand(present: int = 21) -> Hand:
    """Joints on a spiral in the hand's disc."""
    turn = np.linspace(0, 5, 21)
    joints = np.stack([HAND_CENTRE[0] + 2 * turn * np.cos(turn), HAND_CENTRE[1] + 2 * turn * np.sin(turn)])
    joints = np.concatenate([joints.T, np.ones((21, 1))], axis=1).astype(np.float32)
    joints[present:] = 0
    return Hand("right", joints)


def disc(radius: float = 14.0) -> torch.Tensor:
    """(1,1,SIDE,SIDE) mask of the hand."""
    x = torch.arange(SIDE) + 0.5
    far = ((x[None, :] - HAND_CENTRE[0]) ** 2 + (x[:, None] - HAND_CENTRE[1]) ** 2).sqrt()
    return (far < radius).float()[None, None]


def plain(colour: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, SIDE, SIDE).clone()


def on_red(colour: tuple[float, float, float] = SKIN) -> torch.Tensor:
    return torch.where(disc() > 0.5, plain(colour), plain(RED))


def placed(similarity: Similarity, image: int = 0, hand: Hand | None = None) -> Placement:
    hand = hand or close_up_hand()
    return Placement(image, hand, similarity.moved(hand), image + 1)


def centroid(mask: torch.Tensor) -> np.ndarray:
    rows, columns = (torch.arange(size) + 0.5 for size in mask.shape[-2:])
    total = mask.sum()
    return np.array([(mask[0, 0] * columns).sum() / total, (mask[0, 0] * rows[:, None]).sum() / total])


def test_a_hand_in_its_own_place_is_its_close_up_cut_out():
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    canvas, known = make_canvas(image, disc(), [placed(Similarity(1.0, 0.0, (0.0, 0.0)))], 1, SIDE, SIDE)
    torch.testing.assert_close(known, disc(), atol=1e-4, rtol=0)
    torch.testing.assert_close(canvas, torch.where(disc() > 0.5, image, 0.5), atol=1e-4, rtol=0)


@settings(max_examples=25)
@given(st.floats(0.1, 0.99), st.floats(-3, 3), st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
def test_area_and_centre_follow_the_similarity(scale, angle, offset):
    turned = Similarity(scale, angle, (0.0, 0.0))
    x, y = np.array([30.0, 40.0]) + offset - turned.apply(np.array([HAND_CENTRE]))[0]
    similarity = Similarity(scale, angle, (float(x), float(y)))
    _, known = make_canvas(on_red(), disc(), [placed(similarity)], 1, 81, 63)
    assert float(known.sum()) == pytest.approx(float(disc().sum()) * scale**2, rel=0.03, abs=0.05)
    expected = similarity.apply(centroid(disc())[None])[0]
    assert np.abs(centroid(known) - expected).max() < 0.1


@pytest.mark.parametrize("scale", [0.07, 0.31, 0.5, 0.83, 1.0])
@pytest.mark.parametrize("background", [0.0, 0.5, 1.0])
def test_nothing_of_the_close_ups_background_arrives(scale, background):
    similarity = Similarity(scale, 0.6, (22.0, 9.0))
    canvas, known = make_canvas(on_red(), disc(), [placed(similarity)], 1, 60, 60, background)
    skin = torch.tensor(SKIN)
    inside = canvas.movedim(1, -1)[known[:, 0] >= 0.5]
    assert len(inside) > 2
    torch.testing.assert_close(inside, skin.expand_as(inside), atol=1e-4, rtol=0)
    assert bool((canvas.movedim(1, -1)[known[:, 0] == 0] == background).all())
    share = (canvas - background) / (skin - background)[None, :, None, None]
    assert share.min() > -1e-4 and share.max() < 1 + 1e-4 and (share.amax(1) - share.amin(1)).max() < 1e-3


def test_fine_stripes_turn_to_their_mean_when_the_hand_shrinks():
    stripes = (torch.arange(SIDE) % 2).float().expand(1, 3, SIDE, SIDE).contiguous()
    canvas, known = make_canvas(
        stripes, disc(20.0), [placed(Similarity(0.125, 0.4, (10.0, 10.0)))], 1, 30, 30, 0.0
    )
    core = canvas.movedim(1, -1)[known[:, 0] > 0.99]
    assert len(core) > 4 and (core - 0.5).abs().max() < 0.1


def test_of_overlapping_hands_the_later_lies_in_front():
    images = torch.cat([plain((0.0, 1.0, 0.0)), plain((0.0, 0.0, 1.0))])
    places = [placed(Similarity(0.8, 0.0, (x, 5.0))) for x in (5.0, 12.0)]
    canvas, known = make_canvas(images, disc().expand(2, -1, -1, -1), places, 1, SIDE, SIDE)
    alone = [make_canvas(p[None], disc(), [place], 1, SIDE, SIDE)[1] for p, place in zip(images, places)]
    assert torch.equal(canvas[0, 2][alone[1][0, 0] >= 0.5], torch.ones(int((alone[1] >= 0.5).sum())))
    behind = (alone[0] > 0.99) & (alone[1] == 0)
    assert bool((canvas[:, 1:2][behind] == 1).all())
    torch.testing.assert_close(known, 1 - (1 - alone[0]) * (1 - alone[1]))


def test_pictures_of_a_batch_are_independent():
    places = [
        placed(Similarity(0.5, 0.3, (5.0, 5.0)), 1),
        placed(Similarity(0.7, -1.0, (9.0, 20.0)), 0),
        placed(Similarity(0.4, 2.0, (40.0, 30.0)), 1),
    ]
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    canvas, known = make_canvas(images, disc().expand(3, -1, -1, -1), places, 2, 50, 70)
    for row, chosen in ((0, [1]), (1, [0, 2])):
        own = [Placement(0, places[index].close_up, places[index].target) for index in chosen]
        alone = make_canvas(images[chosen], disc().expand(len(chosen), -1, -1, -1), own, 1, 50, 70)
        assert torch.equal(canvas[row], alone[0][0]) and torch.equal(known[row], alone[1][0])


def test_a_hand_may_reach_out_of_the_picture():
    place = placed(Similarity(1.0, 0.0, (-12.0, 0.0)))
    canvas, known = make_canvas(on_red(), disc(), [place], 1, SIDE, SIDE)
    torch.testing.assert_close(known[..., : SIDE - 12], disc()[..., 12:], atol=1e-4, rtol=0)
    assert known.shape == (1, 1, SIDE, SIDE) and bool(torch.isfinite(canvas).all())


def test_joints_that_one_frame_lacks_do_not_count():
    exact = placed(Similarity(0.5, 0.2, (3.0, 4.0)))
    close_up, target = exact.close_up.joints.copy(), exact.target.joints.copy()
    close_up[:4], target[10:13] = 0, 0
    found = alignment(Placement(0, Hand("left", close_up), Hand("left", target)), SIDE, SIDE)
    assert found.scale == pytest.approx(0.5, abs=1e-4) and found.angle == pytest.approx(0.2, abs=1e-4)


def hands_sharing(count: int) -> Placement:
    place = placed(Similarity(0.5, 0.0, (5.0, 5.0)), 3)
    joints = place.target.joints.copy()
    joints[count:] = 0
    return Placement(3, place.close_up, Hand("right", joints), 4)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            hands_sharing(2),
            r"the right hand \(picture 4 of 4\) shares 2 joints with its close-up; at least 3",
        ),
        (placed(Similarity(1.2, 0.0, (0.0, 0.0)), 3), "would be enlarged 1.20 times: make .*close-up larger"),
        (placed(Similarity(0.5, 0.0, (90.0, 0.0)), 3), "lies outside: 0 of its joints are inside.*48 x 48"),
        (placed(Similarity(0.5, 0.0, (-11.3, 0.0)), 3), "lies outside: 1 of its joints"),
        (
            placed(Similarity(1e-9, 0.0, (9.0, 9.0)), 3),
            r"hand \(picture 4 of 4\) cannot be aligned.*in one place",
        ),
    ],
)
def test_places_that_are_nonsense_are_refused_by_name(place, message):
    with pytest.raises(ValueError, match=message):
        make_canvas(on_red(), disc(), [place], 4, SIDE, SIDE)


@pytest.mark.parametrize(("value", "message"), [(0.0, "is empty.*Lower"), (1.0, "covers its whole.*Raise")])
def test_masks_that_cut_nothing_out_are_refused(value, message):
    place = placed(Similarity(0.5, 0.0, (5.0, 5.0)))
    with pytest.raises(ValueError, match=f"the mask of the right hand {message}"):
        make_canvas(on_red(), torch.full_like(disc(), value), [place], 1, SIDE, SIDE)


def test_as_many_masks_and_places_as_pictures_are_needed():
    place = placed(Similarity(0.5, 0.0, (5.0, 5.0)))
    with pytest.raises(ValueError, match="2 hand pictures, 1 masks and 1 places"):
        make_canvas(on_red().expand(2, -1, -1, -1), disc(), [place], 1, SIDE, SIDE)
