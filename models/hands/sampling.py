"""The two stages of Giving a Hand to Diffusion Models (arXiv 2403.10731): a hand, then a body around it.

Everything here works at the model's own size S; other sizes are handled outside (pipeline.py).
Pictures are (B,3,S,S) float 0..1, masks (B,1,S,S) float 0..1, texts one string per picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.skeleton import draw_hand
from ..diffusion.compose import composite, feather_inside
from ..diffusion.guidance import cfg as guided
from ..diffusion.latent_model import LatentModel
from ..diffusion.mask_expansion import (
    CONSTANT,
    EXPANSIONS,
    OFF,
    SEQUENTIAL,
    MaskExpansion,
    ring_share,
    step_fraction,
)
from ..diffusion.networks import latent_mask
from ..diffusion.predict import (
    UNCONDITIONAL,
    Control,
    noise_predictor,
    predict_once,
    prompt_embedded_once,
)
from ..diffusion.sampling import (
    OnStep,
    PredictNoise,
    ddim_scheduler,
    draw_noise,
    keep_known,
    picture_seeds,
    sample,
)
from .masks import region_before_plain
from .networks import BodyOutpainter, HandGenerator

STANDARD_SIZE = 512
"""From this size on a hand skeleton is drawn as the public ControlNets know it."""
HAND_THICKNESS = 2.0
"""At most so much thicker in smaller pictures: the autoencoder's cells of 8 px lose thinner lines."""
PLAIN_SUFFIX = ", on a plain white background"
"""Behind the texts for a generator without a mask, so that the hand can be told from what is round it."""
FEATHER_SHARE = 0.006
"""Soft edge of a pasted hand, as a share of the shorter side: 3 px at 512."""


def skeleton_picture(joints: Tensor, size: int) -> Tensor:
    """The hand generator's condition: one hand on black, (B,3,size,size) in 0..1.

    joints: (B,21,3) x_px, y_px in that picture, confidence. At 128 px joints have a radius of 2 px, edges of
    1 px; from 512 px on it is the standard drawing.
    """
    thickness = min(max(STANDARD_SIZE / size, 1.0), HAND_THICKNESS)
    return draw_hand(joints, size, size, thickness)


# Stage 1: the hand


@torch.no_grad()
def generate_hands(
    model: HandGenerator,
    skeleton: Tensor,
    texts: Sequence[str],
    *,
    steps: int = 20,
    cfg: float = 2.0,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """Hands close up and their masks, denoised from pure noise: pictures (B,3,S,S) and masks (B,1,S,S).

    skeleton: of `skeleton_picture`. seed: one number (pictures count up from it) or one per picture. The mask
    is m_theta of the last step. A generator without a mask head paints on a plain background, and the mask is
    what stands out from it. Raises ValueError for sizes or batches that do not match, and for steps outside
    1..1000.
    """
    _check_inputs(model, texts, skeleton=(skeleton, 3))
    noise = draw_noise(picture_seeds(seed, len(skeleton)), model.latent_shape, model.device)
    if model.has_mask:
        predict = NoiseAndMask(model, skeleton, texts, cfg)
        pictures = model.decode(sample(predict, noise, ddim_scheduler(), steps, on_step=on_step))
        return pictures, upsampled_mask(predict.mask, pictures)
    described = [text + PLAIN_SUFFIX if text.strip() else text for text in texts]
    control = Control(model.controlnet, skeleton)
    with prompt_embedded_once(control.network):
        plain = noise_predictor(model, described, cfg, control=control)
        pictures = model.decode(sample(plain, noise, ddim_scheduler(), steps, on_step=on_step))
    return pictures, region_before_plain(pictures)


class NoiseAndMask:
    """eps(z_t, t) of a hand generator's U-Net under text guidance, which also predicts the hand's mask.

    Both branches see the latents of the skeleton picture. Afterwards `mask` is that of the conditional branch
    at the latest step, (B,1,h,w): guidance is for noise, it would push a mask beyond its range.
    """

    mask: Tensor

    def __init__(self, model: HandGenerator, skeleton: Tensor, texts: Sequence[str], scale: float) -> None:
        self.model, self.scale = model, scale
        self.condition = model.encode(skeleton)
        self.text = model.text_condition(texts)
        self.both = model.text_condition([UNCONDITIONAL] * len(texts)).followed_by(self.text)

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        channels = latents.shape[1]
        if self.scale == 1.0:
            predicted = predict_once(self.model, latents, t, self.text, self.condition)
            self.mask = predicted[:, channels:]
            return predicted[:, :channels]
        twice = latents.repeat(2, 1, 1, 1), self.condition.repeat(2, 1, 1, 1)
        unconditional, conditional = predict_once(self.model, twice[0], t, self.both, twice[1]).chunk(2)
        self.mask = conditional[:, channels:]
        return guided(unconditional[:, :channels], conditional[:, :channels], self.scale)


def upsampled_mask(mask: Tensor, pictures: Tensor) -> Tensor:
    """The predicted mask (B,1,h,w) at the size of the pictures (B,3,H,W), (B,1,H,W) in 0..1."""
    return F.interpolate(mask.clamp(0, 1), pictures.shape[-2:], mode="bilinear", align_corners=False)


# Stage 2: the body


@dataclass(frozen=True)
class Outpainted:
    """What `outpaint_body` gives, (B,3,S,S) and (B,1,S,S) float 0..1.

    image: `blended` with the canvas's own hands pasted over it by alpha; bit for bit the canvas where alpha
    is 1. blended: all that the model made.
    """

    image: Tensor
    blended: Tensor
    alpha: Tensor


@torch.no_grad()
def outpaint_body(
    model: BodyOutpainter,
    canvas: Tensor,
    known_mask: Tensor,
    skeleton: Tensor,
    texts: Sequence[str],
    *,
    expansion: str = SEQUENTIAL,
    ring: float | None = None,
    steps: int = 20,
    cfg: float = 2.0,
    seed: int | Sequence[int] = 0,
    control_strength: float = 1.0,
    control_in_uncond: bool | None = None,
    feather_px: float | None = None,
    on_step: OnStep | None = None,
) -> Outpainted:
    """A whole picture round what is known of it, denoised from pure noise by blended latents (eq. 11):

    z_{t-1} = m_t q(E(I_c), t-1) + (1 - m_t) z_{t-1}.

    canvas: I_c, the hands on a uniform background. known_mask: 1 on the hands. skeleton: the body with its
    hands. expansion: "sequential" starts with a ring of the background round the hands in m_t, which shrinks;
    "constant" has none; "off" fuses nothing, so that only the skeleton guides, and known_mask may be empty.
    ring: its largest width as a share of S; None is that of the paper (`ring_share`).
    control_in_uncond: see `Control`; None leaves the skeleton out of that branch for a ControlNet that was
    trained here and in it for a public one. feather_px: soft edge of the pasted hands, inside known_mask;
    None is 0.6 % of S. Raises ValueError for sizes, batches or values that do not match, an empty known_mask,
    and one that is full.
    """
    _check_inputs(model, texts, canvas=(canvas, 3), known_mask=(known_mask, 1), skeleton=(skeleton, 3))
    check_known(known_mask, expansion)
    canvas, known_mask = canvas.to(model.device), known_mask.to(model.device)
    attention = model.attention.tensors()
    in_uncond = not attention if control_in_uncond is None else control_in_uncond
    control = Control(model.controlnet, skeleton, control_strength, in_uncond, attention)
    with prompt_embedded_once(control.network):
        predict = noise_predictor(model, texts, cfg, control=control)
        latents = _fused(model, predict, canvas, known_mask, expansion, ring, steps, seed, on_step)
    blended = model.decode(latents)
    image, alpha = pasted(blended, canvas, known_mask, feather_px)
    return Outpainted(image, blended, alpha)


def _fused(
    model: BodyOutpainter,
    predict: PredictNoise,
    canvas: Tensor,
    known_mask: Tensor,
    expansion: str,
    ring: float | None,
    steps: int,
    seed: int | Sequence[int],
    on_step: OnStep | None,
) -> Tensor:
    scheduler, fuse = ddim_scheduler(), None
    noise = draw_noise(picture_seeds(seed, len(canvas)), model.latent_shape, model.device)
    if expansion != OFF:
        free = free_masks(known_mask, model.latent_shape[1:], steps, expansion, ring)
        fuse = keep_known(scheduler, model.encode(canvas), noise, free)
    return sample(predict, noise, scheduler, steps, fuse=fuse, on_step=on_step)


def known_cells(known_mask: Tensor, size: tuple[int, int]) -> Tensor:
    """The known mask at the latent size (h,w), (B,1,h,w) float 0 or 1: cells of which at least half is known.

    A picture without such a cell, whose hand is smaller than that, has every cell that is known at all.
    """
    share = latent_mask(known_mask, size)
    half = share >= 0.5
    none = ~half.flatten(1).any(dim=1)[:, None, None, None]
    return torch.where(none, share > 0, half).float()


def free_masks(
    known_mask: Tensor, size: tuple[int, int], steps: int, expansion: str, ring: float | None = None
) -> Callable[[int], Tensor]:
    """Step 0..steps -> what the model may change there, (B,1,h,w) 0 or 1; step `steps` is the clean end.

    The ring round known_mask (B,1,S,S) is measured in its pixels and only then brought to the latent size
    (h,w): in cells it would often be less than one. ring: its largest width as a share of S.
    """
    known = known_cells(known_mask, size)
    if expansion == CONSTANT:
        return lambda step: 1.0 - known
    width = (ring_share(steps) if ring is None else ring) * min(known_mask.shape[-2:])
    masks = MaskExpansion(1.0 - known_mask, width)

    def free(step: int) -> Tensor:
        # By eq. (11) step i begins with what step i-1 handed on, fused with the mask of that step.
        share = latent_mask(1.0 - masks.at(step_fraction(max(step - 1, 0), steps)), size)
        return 1.0 - torch.maximum(known, (share >= 0.5).float())

    return free


def pasted(
    blended: Tensor, canvas: Tensor, known_mask: Tensor, feather_px: float | None = None
) -> tuple[Tensor, Tensor]:
    """The canvas's known part over the picture, and by how much, (B,1,H,W): soft inside the mask's edge."""
    feather = FEATHER_SHARE * min(canvas.shape[-2:]) if feather_px is None else feather_px
    alpha = feather_inside(known_mask, feather)
    return composite(blended, canvas, alpha), alpha


def check_known(known_mask: Tensor, expansion: str) -> None:
    """ValueError for an unknown expansion and for known masks (B,1,H,W) that leave nothing to do."""
    if expansion not in EXPANSIONS:
        raise ValueError(f"expansion is {expansion!r}; it is one of {', '.join(EXPANSIONS)}")
    for index, mask in enumerate(known_mask):
        if (mask > 0.5).all():
            raise ValueError(
                f"known_mask of picture {index} is 1 everywhere: nothing is left to paint. Connect the mask "
                "of the hands (Hand Canvas), or invert it"
            )
        if expansion != OFF and not mask.any():
            raise ValueError(
                f"known_mask of picture {index} is empty: there is no hand to paint a body round. Connect "
                "the canvas and mask of Hand Canvas, or set expansion to off"
            )


def _check_inputs(model: LatentModel, texts: Sequence[str], **given: tuple[Tensor, int]) -> None:
    side, count = model.size, len(next(iter(given.values()))[0])
    for name, (tensor, channels) in given.items():
        if tuple(tensor.shape) != (count, channels, side, side):
            raise ValueError(
                f"{name} of shape {tuple(tensor.shape)}: {model.name} needs "
                f"({count},{channels},{side},{side})"
            )
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity: fix the picture that goes in")
    if isinstance(texts, str) or len(texts) != count:
        raise ValueError(f"{count} pictures came with {len(texts)} texts; one text per picture is needed")
