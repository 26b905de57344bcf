"""The evaluation of PHAC on tiny random networks: names, counts, determinism, what holds for any weights."""

import math

import pytest
import torch
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.models.perception.sam_networks import MINI, build_sam
from figura.people.prompts import draw_prompt
from figura.people.synthetic import render_people
from figura.tests.models.phac import tiny
from figura.training.evaluation import phac as evaluation
from figura.training.evaluation.phac import phac_rows

pytest.importorskip("cv2")
pytest.importorskip("skimage")


FIRST = 10_000_000
SEEDS = range(FIRST, FIRST + 6)
SETTINGS = evaluation.Settings(steps=2)
NAMES = (
    "visible_iou", "visible_iou.detected", "invisible_iou", "joint_err.pose", "joint_err.none",
    "joint_err.truth", "psnr_region", "psnr_region.telea", "psnr_region.none", "psnr_region.composite",
    "ssim_region", "ssim_region.telea", "ssim_region.none", "ssim_region.composite", "seam_err",
    "seam_err.composite", "max_abs_diff_outside",
    *(f"{metric}_region.s{s}" for metric in ("psnr", "ssim") for s in (0.1, 0.3, 0.5, 0.7, 0.9)),
)  # fmt: skip


def disc(sam: object, image: torch.Tensor, points: torch.Tensor, labels: torch.Tensor):
    """Stands in for an untrained segmenter, which finds nothing: the pixels within 4 px of a point."""
    line = torch.arange(image.shape[-1]) + 0.5
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    return ((grid[None] - points[:, None, None]).norm(dim=-1).amin(0) < 4).float(), 1.0


@pytest.fixture(scope="module")
def family():
    torch.manual_seed(1)
    detector = PoseDetector(PoseConfig(image_size=32, channels=(8, 8, 8, 8), blocks=(1, 1)))
    torch.nn.init.constant_(detector.head.bias, 1.0)  # finds every joint, somewhere
    family = evaluation.Family(build_sam(MINI).eval(), detector.eval(), tiny.tiny_phac(), tiny.tiny_refiner())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "visible_mask", disc)
        yield family


def measured(family, seeds=SEEDS, **options) -> dict[str, float]:
    return evaluation.evaluate_phac(family, seeds, settings=SETTINGS, size=tiny.SIZE, **options)


@pytest.fixture(scope="module")
def figures(family) -> dict[str, float]:
    return measured(family, batch_size=4)


def test_every_name_of_the_metrics_is_there(figures) -> None:
    assert set(NAMES) <= set(figures)
    assert all(math.isfinite(value) for value in figures.values())


def test_outside_the_mask_nothing_changes_whatever_the_weights(figures) -> None:
    assert figures["max_abs_diff_outside"] == 0.0


def test_counts_say_how_much_was_measured(figures) -> None:
    assert figures["samples.people"] == figures["samples.completed"] == len(SEEDS)
    assert figures["samples.curve"] == 2
    people = render_people(SEEDS, size=tiny.SIZE)
    hidden = (people.joints[..., 2] > 0) & ~people.joint_visible
    assert figures["samples.hidden_joints"] == hidden.sum()
    shares = people.invisible_mask.flatten(1).mean(1)
    assert figures["samples.invisible_iou"] == (shares >= 0.02).sum()


def test_batches_do_not_matter_and_runs_repeat(family, figures) -> None:
    again = measured(family, batch_size=6)
    assert again == pytest.approx(figures, abs=2e-3, rel=1e-3)


def test_progress_counts_people_and_batches_carry_the_stages(family) -> None:
    done, batches = [], []
    measured(family, SEEDS[:3], batch_size=2, on_done=done.append, on_batch=batches.append)
    assert done == [2, 1]
    rows = [row for batch in batches for row in phac_rows(batch)]
    assert len(rows) == 3
    assert list(rows[0].images)[:2] == ["occluded", "prompt"] and len(rows[0].images) == 9


def test_people_without_a_visible_mask_are_counted_and_left_out(family, monkeypatch) -> None:
    def blind(sam, image, points, labels):
        mask, score = disc(sam, image, points, labels)
        return mask * float(image.mean() < 0.5), score

    monkeypatch.setattr(evaluation, "visible_mask", blind)
    people = render_people(SEEDS, size=tiny.SIZE)
    seen = int((people.occluded.flatten(1).mean(1) < 0.5).sum())
    assert 0 < seen < len(SEEDS)
    figures = measured(family)
    assert figures["samples.completed"] == seen and figures["samples.people"] == len(SEEDS)


def test_the_curve_at_the_usual_strength_is_the_usual_result(family) -> None:
    figures = measured(family, SEEDS[:2], batch_size=2)
    person = measured(family, SEEDS[:1], batch_size=1)
    assert figures["ssim_region.s0.5"] == pytest.approx(person["ssim_region"], abs=1e-3)


def test_prompts_hold_all_joints_within_a_pixel_and_repeat() -> None:
    people = render_people(SEEDS)
    prompts = evaluation.user_prompts(people, SEEDS)
    for index, prompt in enumerate(prompts):
        joints = torch.from_numpy(prompt.joints)
        present = people.joints[index, :, 2] > 0
        assert torch.equal(joints[:, 2] > 0, present)
        distance = (joints[:, :2] - people.joints[index, :, :2]).norm(dim=1)[present]
        assert 0 < distance.max() <= 1 + 1e-4
        hidden = torch.from_numpy(prompt.given)
        assert torch.equal(hidden, present & ~people.joint_visible[index])
        assert len(prompt.visible_joints) == people.joint_visible[index].sum()
    again = evaluation.user_prompts(people, SEEDS)
    assert (again[2].joints == prompts[2].joints).all()


def test_a_withheld_prompt_is_a_black_picture() -> None:
    prompts = evaluation.user_prompts(render_people(SEEDS[:2]), SEEDS[:2])
    assert draw_prompt(prompts, 128, 128).max() > 0.5
    assert draw_prompt([evaluation.withheld(prompt) for prompt in prompts], 128, 128).max() == 0
