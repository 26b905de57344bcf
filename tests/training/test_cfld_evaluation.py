"""CFLD measured: what is left out, what is compared, and the sheets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from figura.models.cfld.checkpoint import change_tensors
from figura.models.cfld.networks import POOLED, CFLDConfig, CFLDNetworks, config_to_metadata
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import save_module
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.models.perception.pose import config_to_metadata as detector_metadata
from figura.training import cfld_evaluation as evaluation
from figura.training.reports import eval_command

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
        detector_metadata(PoseConfig()),
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
    assert {"joint_err.truth", "order.ssim.full_clip", "order.joint_err.full_clip"} <= set(figures)
    assert figures["samples.people"] == 2
    (batch,) = batches
    assert list(batch.mixtures) == list(evaluation.MIXES) and len(batch.mixtures[0.5]) == 2
    assert torch.equal(batch.mixtures[0.0], batch.made["full"])


def test_the_order_compares_in_the_right_direction() -> None:
    figures = {"ssim.full": 0.6, "ssim.clip": 0.5, "joint_err.full": 0.03, "joint_err.no_appearance": 0.02}
    assert evaluation.order(figures) == {"order.ssim.full_clip": 1, "order.joint_err.full_no_appearance": 0}


def test_without_any_weights_it_says_what_to_train(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="figura train cfld makes it"):
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
