"""Looks follow from seeds; clothes cover, hang and end straight; captions name what is seen."""

from dataclasses import replace

import pytest
import torch
from figura.people.synthetic.captions import describe, named, sleeve_words
from figura.people.synthetic.draws import Draws
from figura.people.synthetic.hair import Strands
from figura.people.synthetic.layers import Layer
from figura.people.synthetic.looks import Look, sample_look
from figura.people.synthetic.person import Person, make_person
from figura.people.synthetic.poses import sample_pose
from figura.people.synthetic.shapes import sample_shape

CROTCH_Y = 0.05
"""Height of the crotch of the mean body at rest."""


def look_of(seed: int) -> Look:
    return sample_look(seed, sample_shape(Draws(seed, "body")))


def person_of(seed: int, pose_seed: int) -> Person:
    return make_person(seed, sample_pose(Draws(pose_seed, "pose")))


def layer_of(person: Person, name: str) -> Layer:
    return next(layer for layer in person.layers if layer.name == name)


def test_the_same_seed_gives_the_same_look() -> None:
    assert [look_of(seed) for seed in range(20)] == [look_of(seed) for seed in range(20)]


def test_everybody_wears_something_above_and_below() -> None:
    for seed in range(2000):
        look = look_of(seed)
        assert look.bottom.hem < CROTCH_Y - 0.06
        assert look.bottom.garment == "dress" if look.top is None else look.top.hem < 0.2


def test_the_same_clothes_are_woven_alike_in_another_pose() -> None:
    for seed in range(6):
        one, other = person_of(seed, seed), person_of(seed, seed + 50)
        for a, b in zip(one.layers, other.layers, strict=True):
            if a.cloth and a.name not in ("shoes", "collar"):
                assert a.name == b.name and torch.allclose(a.rest, b.rest, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_legs_end_on_one_line(seed: int) -> None:
    person = person_of(seed, 3)
    look, layer = person.look, layer_of(person, "bottom")
    weave = layer.material[1]
    rim = (weave.edge.abs() < 1e-4) & (weave.sheet[:, 1] < 0.1)
    assert int(rim.sum()) > 20
    assert float((weave.sheet[rim, 1] - look.bottom.hem).abs().amax()) < 2e-3


def test_captions_name_what_is_worn() -> None:
    for seed in range(200):
        look = look_of(seed)
        text = describe(look)
        assert text.startswith("a woman with" if look.woman else "a man with")
        assert named(look.bottom) in text
        hidden = look.outer is not None and not look.outer.open
        assert look.top is None or hidden or named(look.top) in text
        assert look.outer is None or named(look.outer) in text
        assert (look.things.hat is not None) == (" cap" in text or " beanie" in text)
        assert (look.things.bag is not None) == ("backpack" in text)


def test_a_closed_coat_hides_what_is_under_it() -> None:
    look = next(look for look in map(look_of, range(400)) if look.outer and look.top)
    under = named(look.top) if look.top else ""
    assert look.outer is not None
    assert under not in describe(replace(look, outer=replace(look.outer, open=False)))
    assert under in describe(replace(look, outer=replace(look.outer, open=True)))


def test_sleeves_are_named_where_they_reach_the_wrist() -> None:
    for seed in range(100):
        look = look_of(seed)
        top = look.outer or look.top or look.bottom
        assert ("sleeve" in sleeve_words(look)) == (top.sleeve > 0.42)


def test_what_paints_a_surface_has_a_row_for_each_of_its_vertices() -> None:
    seen = set()
    for seed in range(40):
        person = person_of(seed, seed)
        for layer in person.layers:
            rows = None
            if isinstance(layer.material, Strands):
                rows = layer.material.strand
            elif isinstance(layer.material, tuple):
                rows = layer.material[1].table()
            if rows is not None:
                seen.add(layer.name)
                assert len(rows) == len(layer.vertices), layer.name
    assert {"hair", "hat", "top", "bottom", "shoes", "collar"} <= seen


def test_hair_stays_on_the_head() -> None:
    for seed in range(12):
        person = person_of(seed, seed)
        for layer in person.layers:
            if layer.name in ("hair", "hat", "glasses"):
                away = (layer.vertices - person.figure.head_centre).norm(dim=1)
                assert float(away.amin()) < 0.16 and float(away.amax()) < 0.75
