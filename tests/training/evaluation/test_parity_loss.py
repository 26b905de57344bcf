"""The comparison of HumanSD's losses: a step written from formulas agrees, another weight does not."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from figura.models.humansd.losses import OFFICIAL
from figura.tests.models.humansd import tiny
from figura.training.evaluation import parity_humansd_loss as losses
from figura.training.evaluation.parity import NETWORK_LIMIT, relative
from torch import nn
from torch.nn import functional


class Coder(nn.Module):
    """A small autoencoder behind the names of the older code; its posterior has no spread."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.vae = tiny.phac.tiny_vae().eval()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.vae.decode(latents).sample

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.vae.encode(images).latent_dist.sample(torch.default_generator)


class Trained(nn.Module):
    """One training step, written from the formulas."""

    weighs = 1.0

    def register_schedule(self, linear_start: float, linear_end: float) -> None:
        betas = torch.linspace(linear_start**0.5, linear_end**0.5, 1000) ** 2
        self.alphas = torch.cumprod(1 - betas, 0)

    def predicted(
        self, z: torch.Tensor, condition: Any, t: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        alpha = self.alphas[t].view(-1, 1, 1, 1)
        return self.model(alpha.sqrt() * z + (1 - alpha).sqrt() * noise, t, **condition)


class Plain(Trained):
    def p_losses(self, z, condition, t, noise):
        return (self.predicted(z, condition, t, noise) - noise).square().mean(), {}


class Guided(Trained):
    def p_losses(self, z, condition, t, noise):
        error = self.predicted(z, condition, t, noise) - noise
        with torch.no_grad():
            picture = (self.first_stage_model.decode(error / self.scale_factor) / 2 + 0.5).clamp(0, 1)
            maps = self.mmpose_model.keypoint_head(self.mmpose_model.backbone(picture))[0]
            count = (maps <= self.estimate_thresh).float().sum(1, keepdim=True).repeat(1, 3, 1, 1)
            count = functional.interpolate(count, picture.shape[2:], mode="bicubic", align_corners=False)
            weight = self.weighs * self.scale_factor * self.first_stage_model.encode(count)
        return (error.square() * (1 + self.pose_loss_weight * weight)).mean(), {}


@pytest.fixture
def code() -> ModuleType:
    made: Any = ModuleType("ddpm")
    names = losses.CLASSES
    made.__dict__.update({names[losses.PLAIN]: Plain, names[OFFICIAL]: Guided})
    return made


@pytest.fixture(autouse=True)
def scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "SCALE", Coder().vae.config.scaling_factor)


@pytest.mark.parametrize("loss", losses.PARTS)
def test_our_step_is_the_formula(loss: str, code: ModuleType) -> None:
    coder = Coder()
    theirs, ours = losses._their_step(code, loss, coder), losses._our_step(loss, coder.vae)
    assert relative(theirs.loss, ours.loss) < NETWORK_LIMIT
    assert relative(theirs.gradient, ours.gradient) < NETWORK_LIMIT


def test_a_step_that_weighs_otherwise_is_found(code: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    coder = Coder()
    ours = losses._our_step(OFFICIAL, coder.vae)
    assert (
        relative(losses._their_step(code, losses.PLAIN, coder).gradient, ours.gradient) > 100 * NETWORK_LIMIT
    )
    monkeypatch.setattr(Guided, "weighs", 1.01)
    assert relative(losses._their_step(code, OFFICIAL, coder).gradient, ours.gradient) > NETWORK_LIMIT


def test_the_estimator_of_the_comparison_sees_joints_here_and_not_there() -> None:
    pictures = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    seen = losses._estimator()(pictures).sigmoid() > losses.THRESHOLD
    assert seen.shape == (2, losses.JOINTS, 32, 32) and 0.1 < float(seen.float().mean()) < 0.9


def test_the_network_of_the_comparison_reads_all_that_goes_in() -> None:
    batch = losses._batch()
    inputs, times = torch.cat([batch["latents"], batch["skeleton"]], 1), torch.tensor([3, 700])

    def made(inputs: torch.Tensor, times: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        answer: SimpleNamespace = losses._UNet()(inputs, times, texts)
        return answer.sample

    first = made(inputs, times, batch["texts"])
    for other in (
        made(inputs + 0.1, times, batch["texts"]), made(inputs, times + 9, batch["texts"]),
        made(inputs, times, 2 * batch["texts"]),
    ):  # fmt: skip
        assert not torch.allclose(first, other)
