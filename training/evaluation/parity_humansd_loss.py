"""HumanSD's losses beside the authors' code: plain, and guided by the heat maps of a pose estimator.

Their training step runs as it is, on their autoencoder. In the place of the U-Net, and of the estimator that
is no part of their code, stand functions, the same on both sides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from ...models.diffusion.networks import noise_schedule
from ...models.diffusion.schedulers import TRAINING_STEPS
from ...models.humansd.losses import OFFICIAL, THRESHOLD, WEIGHT, heatmap_guided_loss
from ...models.pocold.checkpoint import load_vae_file
from .parity import NETWORK_LIMIT, RELATIVE, Row, relative
from .parity_humansd_process import bent_noise

PLAIN = "plain"
GUIDED = "LatentPoseText2ImageDiffusion_HumanSD"
CLASSES = {PLAIN: f"{GUIDED}_originalloss", OFFICIAL: GUIDED}
"""Loss -> their class that trains with it."""
PARTS = {PLAIN: "plain loss", OFFICIAL: "heatmap-guided loss"}
JOINTS, SIDE, SEED = 17, 16, 12
SCALE = 0.18215


class Step(NamedTuple):
    """What a training step makes of a batch: the loss, and its gradient by the predicted noise (B,4,h,w)."""

    loss: Tensor
    gradient: Tensor


def compare_losses(module: Callable[[str], ModuleType], autoencoder: nn.Module) -> Iterator[Row]:
    """Loss and gradient of what the recipes `humansd` and `humansd_official` train with, on one batch.

    module gives modules of their checkout, autoencoder is theirs.
    """
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "vae.safetensors"
        save_file({name: value.contiguous() for name, value in autoencoder.state_dict().items()}, str(path))
        vae = load_vae_file(path).requires_grad_(False)
        for loss, part in PARTS.items():
            theirs = _their_step(module("ldm.models.diffusion.ddpm"), loss, autoencoder)
            ours = _our_step(loss, vae)
            yield Row(part, relative(theirs.loss, ours.loss), NETWORK_LIMIT, RELATIVE)
            yield Row(f"{part}, gradient", relative(theirs.gradient, ours.gradient), NETWORK_LIMIT, RELATIVE)


def _batch() -> dict[str, Tensor]:
    """Latents of two pictures and of their skeletons; in the place of the texts' states a map as large."""
    values = torch.randn(3, 2, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(11))
    return dict(zip(("latents", "skeleton", "texts"), values, strict=True))


class _UNet:
    """Bends what goes in as a network does, and keeps what it gave, for the gradient."""

    def __init__(self) -> None:
        self.made = torch.zeros(0)

    def __call__(self, inputs: Tensor, times: Tensor, texts: Tensor) -> SimpleNamespace:
        latents, pose = inputs.chunk(2, dim=1)
        self.made = bent_noise(latents, times, pose, texts).detach().requires_grad_()
        return SimpleNamespace(sample=self.made)


def _estimator() -> nn.Sequential:
    """Pictures (B,3,H,W) in 0..1 -> logits (B,17,H/4,W/4), of heat maps on both sides of the threshold."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        convolution = nn.Conv2d(3, JOINTS, 8, 4, 2)
        nn.init.normal_(convolution.weight, std=0.3)
        nn.init.constant_(convolution.bias, -3.0)  # type: ignore[arg-type]
    return nn.Sequential(convolution)


def _step(loss: Tensor, unet: _UNet) -> Step:
    (gradient,) = torch.autograd.grad(loss, unet.made)
    return Step(loss.detach(), gradient)


def _drawn() -> tuple[Tensor, Tensor, torch.Generator]:
    """The noise and the time steps of the batch, and what further numbers come from."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(_batch()["latents"].shape, generator=generator)
    return noise, torch.randint(0, TRAINING_STEPS, (len(noise),), generator=generator), generator


@torch.enable_grad()
def _our_step(loss: str, vae: Any) -> Step:
    batch, unet, (noise, times, generator) = _batch(), _UNet(), _drawn()
    noisy = noise_schedule().add_noise(batch["latents"], noise, times)
    made = unet(torch.cat([noisy, batch["skeleton"]], dim=1), times, batch["texts"]).sample
    if loss == PLAIN:
        return _step(functional.mse_loss(made, noise), unet)
    net = _estimator()
    value = heatmap_guided_loss(
        made, noise, vae, lambda images: net(images).sigmoid(), loss, generator=generator
    )
    return _step(value, unet)


@torch.enable_grad()
def _their_step(code: ModuleType, loss: str, autoencoder: nn.Module) -> Step:
    """With the same noise and times, and from the same numbers on."""
    batch, unet, (noise, times, generator) = _batch(), _UNet(), _drawn()

    def network(latents: Tensor, t: Tensor, c_concat: list[Tensor], c_crossattn: list[Tensor]) -> Tensor:
        given: Tensor = unet(torch.cat([latents, *c_concat], dim=1), t, *c_crossattn).sample
        return given

    trained = _their_model(code, getattr(code, CLASSES[loss]), autoencoder, network)
    condition = {"c_concat": [batch["skeleton"]], "c_crossattn": [batch["texts"]]}
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        value, _ = trained.p_losses(batch["latents"], condition, times, noise)
    return _step(value, unet)


def _their_model(code: ModuleType, kind: Any, autoencoder: nn.Module, network: Any) -> Any:
    """Their model of the released settings, without what its training step does not ask."""
    made = type("Trained", (kind,), {"device": torch.device("cpu"), "__init__": nn.Module.__init__})()
    settings = {
        "parameterization": "eps", "loss_type": "l2", "v_posterior": 0.0, "learn_logvar": False,
        "l_simple_weight": 1.0, "original_elbo_weight": 0.0, "scale_factor": SCALE,
        "logvar": torch.zeros(TRAINING_STEPS), "shorten_cond_schedule": False, "num_timesteps_cond": 1,
        "estimate_thresh": THRESHOLD,
        "pose_loss_weight": WEIGHT, "model": network, "first_stage_model": autoencoder,
    }  # fmt: skip
    for name, value in settings.items():
        setattr(made, name, value)
    made.register_schedule(linear_start=0.00085, linear_end=0.012)
    net = _estimator()
    made.mmpose_model = SimpleNamespace(
        backbone=net, keypoint_head=lambda logits: [logits.sigmoid()],
        test_cfg={"num_joints": JOINTS, "with_heatmaps": [True], "with_ae": [False], "project2image": False},
    )  # fmt: skip
    # Of mmpose: with maps of one stage and one scale there is nothing to split or to average.
    code.__dict__["split_ae_outputs"] = lambda outputs, *rest: (outputs, [])
    code.__dict__["aggregate_stage_flip"] = lambda maps, flipped, **how: maps
    code.__dict__["aggregate_scale"] = lambda maps, **how: maps[0]
    return made
