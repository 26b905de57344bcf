"""Giving a Hand measured: what the figures mean, and that everything is measured the same way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.hand_pose import FILE_KIND, HAND_CONFIG
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.tests.nodes import hands_helpers as helpers
from figura.training.evaluation import hands as evaluation

SEEDS = [10_000_500, 10_000_501]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random mini family with its judges; the masks of the hand generator are never empty."""
    torch.manual_seed(0)
    folder = helpers.write_mini_family(tmp_path_factory.mktemp("mini"))
    for name, kind, config in (
        ("hand_detector", FILE_KIND, HAND_CONFIG),
        ("pose_detector", "pose_detector", PoseConfig()),
    ):
        net = PoseDetector(config)
        save_module(folder / f"{name}.safetensors", kind, net.state_dict(), config_to_metadata(config))
    return folder


def test_every_figure_is_measured_and_the_comparison_is_optional(folder: Path) -> None:
    batches = []
    family = evaluation.load_family(folder)
    figures = evaluation.evaluate_hands(family, SEEDS, steps=1, on_batch=batches.append)
    for metric in ("hand_joint_err", "body_joint_err"):
        names = ("truth", "autoencoder", "one_stage", "two_stage")
        assert {f"{metric}.{name}" for name in names} <= set(figures)
    assert "close_up_joint_err.autoencoder" in figures
    assert {f"seam_err.{name}" for name in ("truth", "hard", "constant", "sequential")} <= set(figures)
    assert 0 <= figures["mask_iou"] <= 1 and "close_up_joint_err.without_mask" not in figures
    assert figures["samples.people"] == 2 and figures["samples.hands"] >= 2
    assert len(figures.people["hand_joint_err.truth"].values) == 2  # an interval draws people, not hands
    made = batches[0].made
    pasted = batches[0].canvas[:, 3:] >= 1
    core = torch.nn.functional.max_pool2d(1 - pasted.float(), 3, 1, 1) == 0
    for name in ("hard", "constant", "sequential"):
        assert torch.equal((made[name] * core), (batches[0].canvas[:, :3] * core)), name


def test_hand_error_is_relative_to_the_hand() -> None:
    truth = torch.rand(2, 21, 3) * 20
    truth[..., 2] = 1
    found = truth.clone()
    found[1, :, 0] += 4.0
    boxes = torch.tensor([[0.0, 0, 20, 10], [0.0, 0, 16, 8]])
    torch.testing.assert_close(evaluation.hand_error(found, truth, boxes), torch.tensor([0.0, 0.25]))


def test_seam_energy_is_what_is_at_the_outline() -> None:
    known = torch.zeros(1, 1, 32, 32)
    known[..., 8:24, 8:24] = 1
    smooth, seam, far = (torch.full((1, 3, 32, 32), 0.5) for _ in range(3))
    seam[..., 8:24, 8:24] = 1.0
    far[..., :2, :] = 1.0
    values = [float(evaluation.seam_energy(image, known)) for image in (smooth, seam, far)]
    assert values[0] == 0 and values[1] > 0 and values[2] == 0


def test_bodies_are_found_in_the_pictures_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def at_the_brightest(detector: object, images: torch.Tensor) -> torch.Tensor:
        seen["shape"] = images.shape
        place = int(images[0].sum(0).flatten().argmax())
        x, y = place % 128 + 0.5, place // 128 + 0.5
        return torch.tensor([x, y, 1.0]).expand(1, 18, 3).clone()

    monkeypatch.setattr(evaluation, "detect_joints", at_the_brightest)
    image = torch.full((1, 3, 128, 128), 0.5)
    image[..., 40:44, 90:94] = 1.0
    found = evaluation.find_bodies(PoseDetector(PoseConfig()), image)
    assert seen["shape"] == image.shape
    assert (found[0, 0, :2] - torch.tensor([92.0, 42.0])).abs().max() <= 2
