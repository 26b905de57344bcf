"""Amodal masks measured: what each prompt gives, who counts, and that the shipped network obeys joints."""

from __future__ import annotations

import pytest
import torch
from figura.models.phac.amodal_mask import AmodalMaskNet
from figura.models.store import MINI_DIR
from figura.people.synthetic import HELD_OUT_FIRST_SEED, render_people
from figura.training.evaluation import amodal_mask
from figura.training.evaluation.amodal_mask import (
    PROMPTS,
    amodal_scores,
    evaluate_amodal_masks,
    load_network,
    prompt_of,
)

PEOPLE = render_people(range(HELD_OUT_FIRST_SEED + 900, HELD_OUT_FIRST_SEED + 916))
TRUTH = PEOPLE.amodal_mask[:, 0] > 0.5


class Sees(torch.nn.Module):
    """Gives back the visible mask, or everything."""

    def __init__(self, everything: bool) -> None:
        super().__init__()
        self.config, self.everything = AmodalMaskNet().config, everything
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(features[:, :1]) if self.everything else features[:, :1] - 0.5


def scores(net: torch.nn.Module) -> dict[str, float]:
    fields = (PEOPLE.visible_mask, PEOPLE.amodal_mask, PEOPLE.joints, PEOPLE.joint_visible)
    return amodal_scores(net, *fields)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_gives_what_its_name_says(name: str) -> None:
    for index in range(len(TRUTH)):
        joints, seen = PEOPLE.joints[index], PEOPLE.joint_visible[index]
        given, box = prompt_of(name, joints, seen, TRUTH[index], index)
        there, known = joints[:, 2] > 0, given[:, 2] > 0
        assert torch.equal(given[known], joints[known]) and (box is not None) == name.endswith("box")
        every = int(there.sum())
        count = {"joints": every, "joints_box": every, "seen": int((there & seen).sum())}
        if name == "three_hidden":
            assert int(known.sum()) == min(3, int((there & ~seen).sum())) and not bool((known & seen).any())
        elif name == "three_any":
            assert int(known.sum()) == min(3, int(there.sum()))
        else:
            assert int(known.sum()) == count.get(name, 0)


def test_whoever_adds_nothing_or_everything_has_a_small_iou() -> None:
    nothing, everything = scores(Sees(False)), scores(Sees(True))
    # Resampled to the grid and back, the visible mask's edge spreads by less than a pixel.
    assert all(nothing[f"invisible_iou.{name}"] < 0.12 for name in PROMPTS)
    assert all(0 < everything[f"invisible_iou.{name}"] < 0.4 for name in PROMPTS)
    assert nothing["samples.measured"] == everything["samples.measured"] > 8


def test_the_shipped_network_goes_by_the_joints() -> None:
    found = scores(load_network(MINI_DIR))
    assert found["invisible_iou.joints"] > 0.7
    assert found["invisible_iou.joints"] > found["invisible_iou.three_hidden"] + 0.04
    assert found["invisible_iou.three_hidden"] > found["invisible_iou.none"] + 0.04


def test_batches_give_what_all_people_at_once_give_and_are_done_when_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three joints are drawn by a person's place among all."""
    seeds, told, net = range(HELD_OUT_FIRST_SEED + 900, HELD_OUT_FIRST_SEED + 920), [], Sees(False)
    shown: list[int] = []
    add = amodal_mask.add_person

    def counted(*args: object, number: int) -> None:
        shown.append(number)
        add(*args, number=number)

    monkeypatch.setattr(amodal_mask, "add_person", counted)
    found = evaluate_amodal_masks(net, seeds, on_done=lambda done: told.append((done, len(shown))))
    assert told == [(16, 16), (4, 20)]
    people = render_people(seeds)
    wanted = amodal_scores(net, people.visible_mask, people.amodal_mask, people.joints, people.joint_visible)
    assert found == pytest.approx(dict(wanted), abs=1e-6)
