"""What the evaluations of re-posing share."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.training.data.pairs import render_pairs
from figura.training.data.people import HELD_OUT_SEED
from figura.training.evaluation import reposing
from figura.training.evaluation.loop import PerPerson


def test_the_order_compares_in_the_right_direction() -> None:
    figures = {
        "ssim.full": 0.6, "ssim.clip": 0.5, "joint_err.full": 0.03, "joint_err.clip": 0.02, "psnr.full": 20.0,
    }  # fmt: skip
    assert reposing.order(figures, [("full", "clip"), ("full", "other")]) == {
        "order.ssim.full_clip": 1,
        "order.joint_err.full_clip": 0,
    }


def test_what_is_missing_is_left_out_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.safetensors").touch()
    with caplog.at_level(logging.WARNING):
        found = reposing.there(tmp_path, {"full": "a.safetensors", "less": "a_less.safetensors"})
    assert found == {"full": "a.safetensors"}
    assert "'less' is left out" in caplog.text and "figura train a_less makes it" in caplog.text


def test_joint_errors_are_shares_of_the_side_over_joints_found() -> None:
    truth = torch.zeros(2, 18, 3)
    truth[0, :3] = torch.tensor([10.0, 10.0, 1.0])
    found = truth.clone()
    found[0, 0] = torch.tensor([13.0, 14.0, 0.9])
    found[0, 1, 2] = 0.0
    errors = reposing.joint_errors(found, truth, 100)
    assert float(errors[0]) == pytest.approx(0.05 / 2) and bool(errors[1].isnan())
    missing = reposing.joints_missing(found, truth)
    assert float(missing[0]) == pytest.approx(1 / 3) and bool(missing[1].isnan())


def test_the_truth_has_perfect_metrics_and_the_detectors_own_error() -> None:
    torch.manual_seed(0)
    detector = PoseDetector(PoseConfig(64, (8, 8, 8, 8), (1, 1)))
    pairs = render_pairs([HELD_OUT_SEED], 64)
    measured = PerPerson()
    with torch.no_grad():
        for _ in range(2):
            plain = reposing.plain_targets([HELD_OUT_SEED], 64)
            reposing.measure(measured, pairs, {"made": pairs.target}, pairs.target, detector, plain)
    result = reposing.summary(measured, [], 2)
    assert result["ssim.made"] == result["ssim_body.autoencoder"] == pytest.approx(1)
    assert result["ssim.source"] < result["ssim.made"] and result["psnr.source"] < result["psnr.made"]
    assert result["joint_missing.made"] == result["joint_missing.truth"]
    assert all(torch.cat(parts).shape == (2,) for parts in measured.values.values())


def test_plain_targets_are_the_targets_without_their_patterns() -> None:
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 12)
    targets, plain = render_pairs(seeds, 64).target, reposing.plain_targets(seeds, 64)
    changed = (targets - plain).abs().flatten(1).amax(1) > 0.02
    assert 2 <= int(changed.sum()) <= 10
    assert torch.equal(targets[~changed], plain[~changed])
