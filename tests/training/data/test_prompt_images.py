"""Prompt pictures for training: what they show, how far they are off, how many are blank."""

from pathlib import Path

import numpy as np
import pytest
import torch
from figura.people.boxes import EMPTY, Box
from figura.people.prompt_kinds import PROMPT_KINDS
from figura.training.data.people import PeopleDataset, open_split
from figura.training.data.prompt_images import moved_edges, prompt_images, user_boxes
from figura.training.run.recipe import random_generator
from hypothesis import given
from hypothesis import strategies as st

EVERYBODY = np.arange(10)


@pytest.fixture(scope="module")
def people(toy_data: Path) -> PeopleDataset:
    return open_split(toy_data).train


def drawn(kind: str, people: PeopleDataset, number: int = 0) -> torch.Tensor:
    return prompt_images(kind, people, EVERYBODY, random_generator(number))


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_prompts_depend_on_the_generator_only(people: PeopleDataset, kind: str) -> None:
    first, same, other = (drawn(kind, people, number) for number in (1, 1, 2))
    assert first.shape == (10, 3, people.size, people.size) and 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, same) and not torch.equal(first, other)


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_some_prompts_are_blank_whatever_the_kind(people: PeopleDataset, kind: str) -> None:
    images = torch.cat([drawn(kind, people, number) for number in range(12)])
    blank = (images.flatten(1).amax(dim=1) == 0).float().mean()
    assert 0.05 < blank < 0.3


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_only_kinds_with_joints_have_colours_and_only_kinds_with_a_box_white(
    people: PeopleDataset, kind: str
) -> None:
    images = drawn(kind, people)
    coloured = (images.amax(1) - images.amin(1)).amax() > 0.5
    white = (images.amin(1) > 0.99).any()
    assert bool(coloured) == PROMPT_KINDS[kind].joints and bool(white) == bool(PROMPT_KINDS[kind].boxes)


def test_the_full_box_is_round_the_whole_person_and_the_roi_box_holds_the_hidden_part(
    people: PeopleDataset,
) -> None:
    amodal, visible = (people.images(name, EVERYBODY) > 0.5 for name in ("amodal_mask", "visible_mask"))
    hidden = amodal & ~visible
    for name, masks, widest in (("full_box", amodal, 10), ("roi_box", hidden, 18)):
        for number in range(4):
            boxes = user_boxes(name, amodal, visible, random_generator(number))
            for mask, box in zip(masks, boxes, strict=True):
                truth = Box.around_mask(mask[0].float())
                assert (box is None) == truth.is_empty
                if box is not None:
                    assert max(abs(a - b) for a, b in zip(box, truth, strict=True)) < widest


def test_nobody_hidden_gives_no_box(people: PeopleDataset) -> None:
    whole = PeopleDataset(**{**vars(people), "visible_mask": people.amodal_mask})
    amodal = people.images("amodal_mask", EVERYBODY)
    assert user_boxes("roi_box", amodal, amodal, random_generator(0)) == [None] * 10
    assert drawn("roi_box", whole).max() == 0


sides = st.floats(0, 64)


@given(x=sides, y=sides, shifts=st.lists(st.floats(-9, 9), min_size=4, max_size=4), margin=st.floats(0, 8))
def test_moved_edges_stay_in_the_picture_and_in_order(x, y, shifts, margin) -> None:
    box = moved_edges(Box(x, y, x + 1, y + 1), margin, shifts, 64)
    assert box.is_empty or (0 <= box.x0 < box.x1 <= 64 and 0 <= box.y0 < box.y1 <= 64)
    assert moved_edges(EMPTY, margin, shifts, 64) == EMPTY
