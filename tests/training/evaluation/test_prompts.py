"""The kinds of prompt against one another, on tiny random networks: names, prompts, gains, order."""

import math

import pytest
import torch
from figura.people.boxes import Box
from figura.people.prompt_kinds import PROMPT_KINDS, ROI_BOX
from figura.people.prompts import draw_prompt
from figura.people.synthetic import render_people
from figura.tests.training.evaluation import test_phac as phac_tests
from figura.training.evaluation import command as reports
from figura.training.evaluation import phac as phac_evaluation
from figura.training.evaluation import prompts as evaluation
from figura.training.evaluation.prompts import prompt_rows
from figura.training.reports import tables as results

pytest.importorskip("cv2")
pytest.importorskip("skimage")


family = phac_tests.family
SEEDS = phac_tests.SEEDS
SIZE = phac_tests.tiny.SIZE
SETTINGS = phac_tests.SETTINGS


def with_kinds(family, *kinds: str):
    model = phac_tests.tiny.tiny_phac()
    for number, kind in enumerate(kinds):
        model.add_kind(
            kind, phac_tests.tiny.tiny_controlnet(model.unet), {"conv_out.bias": torch.ones(4) * number}
        )
    return phac_evaluation.Family(family.sam, family.detector, model.eval(), family.refiner)


def measured(family, seeds=SEEDS[:4], **options) -> dict[str, float]:
    return evaluation.evaluate_prompts(family, seeds, settings=SETTINGS, size=SIZE, **options)


def test_every_kind_has_its_figures(family) -> None:
    batches, done = [], []
    figures = measured(
        with_kinds(family, *list(PROMPT_KINDS)[1:]),
        batch_size=3,
        on_batch=batches.append,
        on_done=done.append,
    )
    names = [f"joint_err.{kind}" for kind in ("none", *PROMPT_KINDS)]
    names += [f"gain_per_point.{kind}" for kind in PROMPT_KINDS] + ["order.holds", "samples.hidden_joints"]
    assert set(names) <= set(figures) and all(math.isfinite(value) for value in figures.values())
    assert done == [3, 1] and figures["max_abs_diff_outside"] == 0
    rows = [row for batch in batches for row in prompt_rows(batch)]
    assert len(rows) == 4
    assert [name for name in rows[0].images if name in PROMPT_KINDS] == list(PROMPT_KINDS)
    assert figures["points.roi_box"] == figures["points.full_box"] == 2
    assert figures["points.pose_roi_box"] == pytest.approx(figures["points.pose"] + 2)


def test_kinds_that_the_model_lacks_are_left_out_with_a_notice(family, caplog) -> None:
    figures = measured(with_kinds(family, "full_box"), SEEDS[:2])
    assert {name for name in figures if name.startswith("gain_per_point.")} == {
        "gain_per_point.pose", "gain_per_point.full_box",
    }  # fmt: skip
    assert "order.all_below_none" in figures and "order.holds" not in figures
    lacking = ", ".join(kind for kind in PROMPT_KINDS if kind not in ("pose", "full_box"))
    assert f"no ControlNet for {lacking}: left out" in caplog.text


def test_none_and_pose_are_those_of_the_other_evaluation(family) -> None:
    here = measured(family, SEEDS[:2], batch_size=2)
    there = phac_evaluation.evaluate_phac(family, SEEDS[:2], settings=SETTINGS, size=SIZE, batch_size=2)
    for name in ("joint_err.none", "joint_err.pose", "joint_err.pose.coarse"):
        assert here[name] == pytest.approx(there[name], abs=1e-6)


def test_prompts_are_made_from_the_truth_as_a_careful_user_would() -> None:
    people = render_people(SEEDS)
    pose = phac_evaluation.user_prompts(people, SEEDS)
    for kind in [kind.name for kind in PROMPT_KINDS.values() if kind.boxes]:
        prompts = evaluation.prompts_of_kind(kind, people, SEEDS, pose)
        again = evaluation.prompts_of_kind(kind, people, SEEDS, pose)
        masks = people.invisible_mask if PROMPT_KINDS[kind].boxes[0] == ROI_BOX else people.amodal_mask
        for prompt, same, mask in zip(prompts, again, masks, strict=True):
            truth = Box.around_mask(mask[0])
            assert prompt.kind == kind and prompt.box == same.box
            assert max(abs(a - b) for a, b in zip(prompt.box, truth, strict=True)) <= 5
        assert draw_prompt(prompts, 128, 128).amax() == 1


def test_a_person_of_whom_nothing_is_hidden_has_no_roi_box() -> None:
    people = render_people(SEEDS[:1], occlusion=0.0)
    pose = phac_evaluation.user_prompts(people, SEEDS[:1])
    (prompt,) = evaluation.prompts_of_kind("roi_box", people, SEEDS[:1], pose)
    assert prompt.box is None and evaluation.points_given(prompt) == 0


def test_gains_and_order_are_the_papers() -> None:
    """The paper's own figures: a region box gains 2.86 a point, a whole box 0.75, and the order holds."""
    errors = {
        "none": 29.73, "pose": 23.33, "roi_box": 24.01, "full_box": 28.23, "pose_roi_box": 22.15,
        "pose_full_box": 21.96,
    }  # fmt: skip
    points = {"pose": 4.0, "roi_box": 2.0, "full_box": 2.0, "pose_roi_box": 6.0, "pose_full_box": 6.0}
    found = evaluation.gains(errors, points)
    assert found["gain_per_point.roi_box"] == pytest.approx(2.86)
    assert found["gain_per_point.full_box"] == pytest.approx(0.75)
    assert found["order.holds"] == 1 and found["order.roi_box_below_full_box"] == 1
    worse = evaluation.gains({**errors, "full_box": 31.0}, points)
    assert worse["order.holds"] == 0 and worse["order.full_box_below_none"] == 0
    assert worse["order.all_below_none"] == 0 and worse["order.pose_below_roi_box"] == 1


def test_the_table_explains_and_repeats_the_command() -> None:
    names = {f"joint_err.{kind}": 0.1 for kind in PROMPT_KINDS}
    report = {
        "name": "phac", "samples": 2, "seed": 10_000_000, "device": "cpu", "threads": 1,
        "metrics": {**names, "gain_per_point.roi_box": 0.01, "order.holds": 1.0},
    }  # fmt: skip
    assert results.command_of(report) == "figura eval phac --prompts --samples 2 --seed 10000000"
    assert "box of the hidden part" in results.meaning("gain_per_point.roi_box")
    assert "paper's order" in results.meaning("order.holds")


def test_prompts_are_for_phac_only() -> None:
    with pytest.raises(ValueError, match="--prompts compares"):
        reports.eval_command("synth", 1, 0, prompts=True)
