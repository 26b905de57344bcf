"""People who show their hands, and hands close up: the pictures and the truth belong together."""

import pytest
import torch
from figura.people.synthetic import HANDS_RAISED, HELD_OUT_FIRST_SEED, SyntheticPeople, render_people
from figura.people.synthetic.closeups import SyntheticHands, render_hands

SEEDS = tuple(range(HELD_OUT_FIRST_SEED + 500, HELD_OUT_FIRST_SEED + 516))
RIGHT_LABEL, LEFT_LABEL = 3, 4


@pytest.fixture(scope="module")
def people() -> SyntheticPeople:
    return render_people(SEEDS, view=HANDS_RAISED, occlusion=0.0)


@pytest.fixture(scope="module")
def hands() -> SyntheticHands:
    return render_hands(SEEDS)


def at(image: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    size = image.shape[-1]
    x, y = (joints[..., axis].long().clamp(0, size - 1) for axis in (0, 1))
    return image.flatten(1).gather(1, y * size + x)


def test_shown_hands_are_where_their_joints_are_and_large_enough(people: SyntheticPeople) -> None:
    shown = people.hands[..., 2].amin(2) > 0
    assert (shown.sum(1) >= 1).float().mean() > 0.9
    for side, label in enumerate((RIGHT_LABEL, LEFT_LABEL)):
        joints = people.hands[shown[:, side], side]
        labels = at(people.densepose_i[shown[:, side]].float(), joints)
        assert (labels == label).float().mean() > 0.9
        box = joints[..., :2].amax(1) - joints[..., :2].amin(1)
        assert (box.amax(1) > 15).all() and box.amax(1).median() > 23  # the smallest are fists


def test_the_frame_goes_from_the_head_to_the_hips(people: SyntheticPeople) -> None:
    nose, hips = people.joints[:, 0], people.joints[:, [8, 11]]
    assert (nose[:, 1] < 76).all() and nose[:, 1].median() < 60 and (nose[:, 1] > 0).all()
    assert (hips[..., 1].mean(1) > 84).all() and (people.joints[:, [10, 13], 2] == 0).all()


def test_captions_say_how_many_hands_are_up(people: SyntheticPeople) -> None:
    assert all(text.endswith((", hand up", ", hands up")) for text in people.captions)
    both = torch.tensor([text.endswith("hands up") for text in people.captions])
    assert not (people.hands[~both][..., 2].amax(2).sum(1) > 1).any()


def test_the_same_person_is_seen_in_both_views() -> None:
    whole = render_people(SEEDS[:4])
    raised = render_people(SEEDS[:4], view=HANDS_RAISED)
    told = [text.rpartition(",")[0] for text in whole.captions]
    assert told == [text.rpartition(",")[0] for text in raised.captions]


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(ValueError, match="hands raised"):
        render_people(SEEDS[:1], view="from above")


def test_close_ups_show_one_hand_in_the_middle(hands: SyntheticHands) -> None:
    assert hands.images.shape == (16, 3, 128, 128) and hands.images.min() >= 0
    assert hands.images.max() <= 1 + 1e-5 and hands.joints[..., 2].min() == 1
    inside = at(hands.masks, hands.joints)
    assert inside.mean() > 0.85
    box = hands.joints[..., :2].amax(1) - hands.joints[..., :2].amin(1)
    assert ((box.amax(1) / 128 > 0.5) & (box.amax(1) / 128 < 0.8)).all()
    assert {text.split()[1] for text in hands.captions} == {"left", "right"}
    assert [text.split()[1] == "left" for text in hands.captions] == hands.left.tolist()


def test_networks_may_learn_from_the_close_ups(hands: SyntheticHands) -> None:
    assert not any(getattr(hands, name).is_inference() for name in ("images", "masks", "joints", "left"))


def test_a_close_up_depends_on_its_seed_alone(hands: SyntheticHands) -> None:
    some = render_hands([SEEDS[9], SEEDS[2]])
    for name in ("images", "masks", "joints", "left"):
        assert torch.equal(getattr(some, name), getattr(hands, name)[[9, 2]]), name
    assert some.captions == [hands.captions[9], hands.captions[2]]
