"""CFLD measured: what is left out, what is compared, and the sheets."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import pytest
import torch
from figura.models.cfld.checkpoint import change_tensors
from figura.models.cfld.config import POOLED, CFLDConfig
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.training.evaluation import cfld as evaluation
from figura.training.evaluation.command import eval_command
from figura.training.reports.tables import meaning, table

SEEDS = [10_000_500, 10_000_501]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random mini family, without the file of `no_appearance` and without PoCoLD."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mini")
    vae, base, detector = networks.mini_vae(), networks.mini_unet(), PoseDetector(PoseConfig())
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(folder / "base.safetensors", "unet", base.state_dict(), networks.plain_config(base))
    save_module(
        folder / "pose_detector.safetensors", "pose_detector", detector.state_dict(),
        config_to_metadata(PoseConfig()),
    )  # fmt: skip
    for name, config in (("cfld", CFLDConfig()), ("cfld_clip", CFLDConfig(prompt=POOLED, appearance=False))):
        tensors = change_tensors(CFLDNetworks(config), base.state_dict())
        save_module(folder / f"{name}.safetensors", "cfld", tensors, {"cfld": config_to_metadata(config)})
    return folder


def test_what_has_weights_is_measured_and_the_rest_is_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        family = evaluation.load_family(folder)
    assert (
        "no cfld_no_appearance.safetensors" in caplog.text and "figura train pocold makes it" in caplog.text
    )
    batches = []
    figures = evaluation.evaluate_cfld(family, SEEDS, steps=1, on_batch=batches.append)
    for metric in ("ssim", "psnr", "ssim_body", "psnr_body"):
        measured = {f"{metric}.{name}" for name in ("full", "clip", "source", "autoencoder")}
        assert {name for name in figures if name.split(".")[0] == metric} == measured
    for metric in ("joint_err", "joint_missing"):
        assert {f"{metric}.{name}" for name in ("full", "clip", "truth", "autoencoder")} <= set(figures)
    assert {"order.ssim.full_clip", "order.joint_err.full_clip"} <= set(figures)
    assert all(meaning(name, "cfld") for name in figures)
    assert figures["samples.people"] == 2
    (batch,) = batches
    assert list(batch.mixtures) == list(evaluation.MIXES) and len(batch.mixtures[0.5]) == 2
    assert torch.equal(batch.mixtures[0.0], batch.made["full"])


def test_without_any_weights_it_says_what_to_train(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"copy it there from where `.*figura train cfld` writes it, data.weights"
    ):
        evaluation.load_family(tmp_path)


def test_the_command_writes_both_sheets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "STEPS", 1)
    monkeypatch.setattr(
        evaluation.evaluate_cfld, "__kwdefaults__", {**evaluation.evaluate_cfld.__kwdefaults__, "steps": 1}
    )
    report = eval_command("cfld", samples=2, weights=folder, sheet=tmp_path / "cfld.png")
    assert report["name"] == "cfld" and {"cfld.png", "cfld_mixtures.png"} == {
        p.name for p in tmp_path.iterdir()
    }


def test_the_table_has_cfld_and_pocold_side_by_side() -> None:
    metrics = {"ssim.full": 0.9, "ssim.pocold": 0.875, "joint_err.pocold": 0.03, "joint_err.truth": 0.0125}
    report = {
        "name": "cfld", "samples": 8, "seed": 10_000_000, "device": "cpu", "threads": 1, "metrics": metrics,
    }  # fmt: skip
    text = table(report, "a machine", date(2024, 5, 6))
    assert "| | CFLD | PoCoLD | the truth |" in text
    assert "| ssim | 0.9 | 0.875 |  |" in text and "| joint_err |  | 0.03 | 0.0125 |" in text
    assert "Side by side" not in table({**report, "name": "pocold"}, "a machine", date(2024, 5, 6))
