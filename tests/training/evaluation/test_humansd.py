"""HumanSD measured: every figure is there, peers draw from the same noise, missing weights are left out."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.people.keypoints import body18_from_coco17, coco17_from_body18
from figura.tests.models.humansd import tiny
from figura.training.evaluation import humansd as evaluation
from figura.training.evaluation.humansd import humansd_rows
from figura.training.recipes.controlled import ControlledUNet
from figura.training.reports.sheets import Sheet

SEEDS = [10_000_500, 10_000_501, 10_000_502, 10_000_503]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of all but one of the models, and a detector that sees people in anything."""
    names = ("humansd", "humansd_plain", "humansd_paper")
    folder = tiny.write_mini_family(tmp_path_factory.mktemp("mini"), *names)
    for name, with_attention in (("humansd_controlnet", False), ("humansd_controlnet_attention", True)):
        torch.manual_seed(0)
        controlled = ControlledUNet(networks.load_unet(folder / "base.safetensors"), with_attention)
        tensors, config = controlled.change("base")
        save_module(folder / f"{name}.safetensors", name, tensors, config)
    net = PoseDetector()
    torch.nn.init.constant_(net.head.bias, 1.0)
    path = folder / "pose_detector.safetensors"
    save_module(path, "pose_detector", net.state_dict(), config_to_metadata(PoseConfig()))
    return folder


@pytest.fixture(scope="module")
def family(folder: Path) -> evaluation.Family:
    return evaluation.load_family(folder, steps=1)


def test_every_figure_of_the_weights_that_are_there(family: evaluation.Family) -> None:
    batches: list[evaluation.Batch] = []
    done: list[int] = []
    figures = evaluation.evaluate_humansd(
        family, SEEDS, batch_size=3, on_batch=batches.append, on_done=done.append
    )
    names = ("base", "controlnet", "controlnet_attention", "humansd", "loss_plain", "loss_paper", "truth",
             "base.three", "controlnet.three", "humansd.three")  # fmt: skip
    for metric in ("ap", "cap", "cap_released", "pce"):
        assert {name for name in figures if name.startswith(f"{metric}.")} == {f"{metric}.{n}" for n in names}
    assert figures["samples.people"] == 4 and figures["samples.threes"] == 1 and done == [3, 1]
    assert len(batches) == 1, "fewer than three people fill no row"
    sheet = Sheet(3)
    sheet.add(humansd_rows(batches[0]))
    assert set(batches[0].shown) == {"one each", "three", "lying"}
    assert sheet.rows[0].images["humansd"].shape == (3, 128, 384)
    width, height = sheet.image().size
    assert width > 5 * 384 and 3 * 128 < height < 4 * 128


def test_missing_weights_are_left_out_with_a_word(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in folder.glob("*.safetensors"):
        if path.stem not in ("base", "humansd_plain", "humansd_paper"):
            (tmp_path / path.name).symlink_to(path)
    with caplog.at_level(logging.WARNING):
        assert set(evaluation.load_family(tmp_path).draws) == {"humansd"}
    for words in ("no base.safetensors in", "controlnet is left out", "loss_official is left out"):
        assert words in caplog.text
    (tmp_path / "humansd.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="figura train humansd"):
        evaluation.load_family(tmp_path)


def test_the_skeleton_counts_for_all_but_the_base(family: evaluation.Family) -> None:
    skeletons, texts = torch.rand(2, 3, 128, 128), ["a man", "a woman"]
    for name, draw in family.draws.items():
        one, other = draw(skeletons, texts, 3), draw(skeletons.flip(-1), texts, 3)
        assert one.shape == (2, 3, 128, 128)
        # A ControlNet starts with zeros at its end and changes nothing before it is trained.
        assert torch.equal(one, other) == (name == "base" or name in evaluation.WITH_CONTROLNET)


def test_an_untrained_controlnet_is_the_base(family: evaluation.Family) -> None:
    skeletons, texts = torch.rand(1, 3, 128, 128), ["a man"]
    base = family.draws["base"](skeletons, texts, 4)
    for name in evaluation.WITH_CONTROLNET:
        torch.testing.assert_close(family.draws[name](skeletons, texts, 4), base, atol=1e-4, rtol=0)


def sees_people_in(*bright: float) -> torch.nn.Module:
    """A detector that finds all joints in the middle of pictures of these mean values, in others nothing."""

    class Fixed(torch.nn.Module):
        config = PoseConfig()

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(images), 18, 32, 32), -9.0)
            for index, image in enumerate(images):
                # In two columns, because the detector looks at the mirror image as well.
                logits[index, :, 16, 15:17] = 4.0 if float(image.mean()) in bright else -4.0
            return logits

    return Fixed()


def test_each_part_of_a_wide_picture_is_looked_at_alone() -> None:
    images = torch.zeros(1, 3, 128, 384)
    images[..., 256:] = 1.0
    (found,) = evaluation.detect(sees_people_in(1.0), images)
    assert len(found) == 1 and found[0].score == pytest.approx(0.982, abs=1e-3)
    np.testing.assert_allclose(found[0].joints[:, :2], np.tile([256 + 64, 66], (17, 1)), atol=1.0)


def test_side_by_side_keeps_order_and_drops_the_rest() -> None:
    images = torch.arange(7.0).reshape(7, 1, 1, 1).expand(7, 3, 4, 4)
    rows = evaluation.side_by_side(images)
    assert rows.shape == (2, 3, 4, 12)
    assert rows[1, 0, 0].tolist() == [3.0] * 4 + [4.0] * 4 + [5.0] * 4


def test_poses_lie_down_inside_the_picture() -> None:
    joints = torch.tensor([[[64.0, 10.0, 1.0], [30.0, 120.0, 0.5]]])
    assert evaluation.turned(joints).tolist() == [[[10.0, 64.0, 1.0], [120.0, 98.0, 0.5]]]


def test_coco_joints_survive_the_way_through_the_body() -> None:
    joints = np.random.default_rng(0).uniform(1, 9, (17, 3)).astype(np.float32)
    np.testing.assert_array_equal(coco17_from_body18(body18_from_coco17(joints)), joints)
