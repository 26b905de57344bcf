"""Everybody is grown up and dressed, in every pose and view."""

import pytest
import torch
from figura.people.synthetic.choices import VIEWS, WHOLE
from figura.people.synthetic.draws import Draws
from figura.people.synthetic.gestures import raise_hands
from figura.people.synthetic.person import Person, make_person
from figura.people.synthetic.poses import sample_pose
from figura.people.synthetic.rasterize import Samples, rasterize
from figura.people.synthetic.shapes import YOUNGEST, body_at_rest
from figura.people.synthetic.views import frame_person

SEEDS = range(40)
TORSO, THIGHS = (1, 2), (7, 8, 9, 10)
MOST_BARE_TORSO = 0.4
"""Share of the torso without cloth: a wide neckline and bare shoulders of a top, seen close."""


def seen(seed: int, view: str) -> tuple[Person, Samples]:
    draws = Draws(seed, "pose")
    pose, raised = sample_pose(draws), None
    if view == VIEWS[1]:
        pose, raised = raise_hands(pose, draws)
    person = make_person(seed, pose)
    return person, rasterize(person.layers, frame_person(person, view, raised, Draws(seed, "camera"), 96))


@pytest.mark.parametrize("view", VIEWS)
def test_everybody_is_dressed(view: str) -> None:
    for seed in SEEDS:
        person, samples = seen(seed, view)
        bare = samples.layer == 0
        assert person.layers[0].name == "skin" and person.figure.shape.age >= YOUNGEST
        torso = (samples.part == TORSO[0]) | (samples.part == TORSO[1])
        if torso.sum() > 200:
            assert (bare & torso).sum() < MOST_BARE_TORSO * torso.sum(), seed
        assert not bool((bare & _pelvis(person, samples)).any()), seed
        assert not bool((bare & _chest(person, samples)).any()), seed


def _pelvis(person: Person, samples: Samples) -> torch.Tensor:
    """(P,) bool: on trunk or thighs, from the crotch to above the hips."""
    low, high = _height(person, "upperleg01.L", -0.12), _height(person, "spine05", 0.03)
    label = torch.isin(samples.part.long(), torch.tensor([*TORSO, *THIGHS]))
    return label & (samples.rest[:, 1] > low) & (samples.rest[:, 1] < high)


def _chest(person: Person, samples: Samples) -> torch.Tensor:
    """(P,) bool: on the front of the trunk, from below the bust to well below the collar bones."""
    low, high = _height(person, "spine02", 0.0), _height(person, "clavicle.L", -0.13)
    front = samples.part == TORSO[1]
    return front & (samples.rest[:, 1] > low) & (samples.rest[:, 1] < high)


def _height(person: Person, bone: str, above: float) -> float:
    """Height at rest of a bone's start, plus so many metres of a person of 1.7 m."""
    figure = person.figure
    joints = body_at_rest(figure.asset, figure.shape)[figure.asset.ranges["joints"]]
    return float(joints[figure.asset.bone(bone), 1]) + above * figure.height / 1.7


def test_clothes_are_marked_as_such() -> None:
    for seed in SEEDS:
        person, samples = seen(seed, WHOLE)
        cloth = torch.tensor([layer.cloth for layer in person.layers])
        assert cloth[samples.layer].float().mean() > 0.35, seed
        assert not any(layer.cloth for layer in person.layers if layer.name in ("skin", "eyes", "hair"))
