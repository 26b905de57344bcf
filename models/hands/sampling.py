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

from ...people.naming import in_picture
from ...people.skeleton import draw_hand
from ...people.skeleton_mediapipe import draw_mediapipe_hand
from ...people.skeleton_openpose import draw_openpose
from ..diffusion.compose import composite, feather_inside
from ..diffusion.guidance import cfg as guided
from ..diffusion.latent_model import check_inputs
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
    draw_noise,
    image_seeds,
    keep_known,
    sample,
)
from ..diffusion.schedulers import DDIM, scheduler_of
from ..diffusion.text import with_suffix
from .masks import region_before_plain
from .networks import MEDIAPIPE, BodyOutpainter, HandGenerator

STANDARD_SIZE = 512
"""From this size on a hand skeleton is drawn as the public ControlNets know it."""
HAND_THICKNESS = 2.0
"""At most so much thicker in smaller pictures: the autoencoder's cells of 8 px lose thinner lines."""
PLAIN_SUFFIX = ", on a plain white background"
"""Behind the texts for a generator without a mask, so that the hand can be told from what is round it."""
FEATHER_SHARE = 0.006
"""Soft edge of a pasted hand, as a share of the shorter side: 3 px at 512."""


def skeleton_image(joints: Tensor, size: int) -> Tensor:
    """The hand generator's condition: one hand on black, (B,3,size,size) in 0..1.

    joints: (B,21,3) x_px, y_px in that picture, confidence. At 128 px joints have a radius of 2 px, edges of
    1 px; from 512 px on it is the standard drawing.
    """
    thickness = min(max(STANDARD_SIZE / size, 1.0), HAND_THICKNESS)
    return draw_hand(joints, size, size, thickness)


def condition_image(model: HandGenerator, joints: Tensor) -> Tensor:
    """The drawing of hands that a generator was trained with, (B,3,S,S) in 0..1.

    It is `skeleton_image` for those that are trained here, and what a public ControlNet reads for that.

    joints: (B,21,3) x_px, y_px in that picture, confidence.
    """
    size = model.size
    if model.has_mask:
        return skeleton_image(joints, size)
    if model.hand_drawing == MEDIAPIPE:
        return draw_mediapipe_hand(joints, size, size)
    body, hands = joints.new_zeros(len(joints), 18, 3), torch.stack([torch.zeros_like(joints), joints], dim=1)
    return draw_openpose(body, size, size, hands)


# Stage 1: the hand


@torch.no_grad()
def generate_hands(
    model: HandGenerator,
    skeleton: Tensor,
    texts: Sequence[str],
    *,
    steps: int = 20,
    cfg: float = 2.0,
    scheduler: str = DDIM,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """Hands close up and their masks, denoised from pure noise.

    A generator without a mask head paints on a plain background, and the mask is what stands out from it.

    Args:
        model: the hand generator, of side S.
        skeleton: of `condition_image`, (B,3,S,S) in 0..1.
        texts: one for each picture.
        steps: 1 to 1000.
        cfg: guidance by the text; 1 is none.
        scheduler: a name of `schedulers.SCHEDULERS`.
        seed: one number (picture i is made with seed + i), or one for each picture.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        Pictures (B,3,S,S) and masks (B,1,S,S) in 0..1: m_theta, the mean of the second half of the steps.

    Raises:
        ValueError: for sizes or batches that do not match, an unknown scheduler, and too many steps for it.
    """
    check_inputs(model, texts, skeleton=(skeleton, 3))
    seeds = image_seeds(seed, len(skeleton))
    noise, steps_of = draw_noise(seeds, model.latent_shape, model.device), scheduler_of(scheduler, seeds)
    if model.has_mask:
        predict = NoiseAndMask(model, skeleton, texts, cfg)
        images = model.decode(sample(predict, noise, steps_of, steps, on_step=on_step))
        return images, upsampled_mask(predict.mask, images)
    described = [with_suffix(model.text, text, PLAIN_SUFFIX) for text in texts]
    control = Control(model.controlnet, skeleton)
    with prompt_embedded_once(control.network):
        plain = noise_predictor(model, described, cfg, control=control)
        images = model.decode(sample(plain, noise, steps_of, steps, on_step=on_step))
    return images, region_before_plain(images)


class NoiseAndMask:
    """eps(z_t, t) of a hand generator's U-Net under text guidance, which also predicts the hand's mask.

    Both branches see the latents of the skeleton picture. `masks` are those of the conditional branch, one a
    step so far, (B,1,h,w) each: guidance is for noise, it would push a mask beyond its range.
    """

    def __init__(self, model: HandGenerator, skeleton: Tensor, texts: Sequence[str], scale: float) -> None:
        self.model, self.scale = model, scale
        self.masks: list[Tensor] = []
        self.condition = model.encode(skeleton)
        self.text = model.text_condition(texts)
        self.both = model.text_condition([UNCONDITIONAL] * len(texts)).followed_by(self.text)

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        channels = latents.shape[1]
        if self.scale == 1.0:
            predicted = predict_once(self.model, latents, t, self.text, self.condition)
            self.masks.append(predicted[:, channels:])
            return predicted[:, :channels]
        twice = latents.repeat(2, 1, 1, 1), self.condition.repeat(2, 1, 1, 1)
        unconditional, conditional = predict_once(self.model, twice[0], t, self.both, twice[1]).chunk(2)
        self.masks.append(conditional[:, channels:])
        return guided(unconditional[:, :channels], conditional[:, :channels], self.scale)

    @property
    def mask(self) -> Tensor:
        """The mean of the second half of the masks, (B,1,h,w) in 0..1: single ones are noisier."""
        return torch.stack([mask.clamp(0, 1) for mask in self.masks[len(self.masks) // 2 :]]).mean(0)


def upsampled_mask(mask: Tensor, images: Tensor) -> Tensor:
    """The predicted mask (B,1,h,w) at the size of the pictures (B,3,H,W), (B,1,H,W) in 0..1.

    Bicubic: outlines drawn from cells by it are nearer to the true ones than by bilinear interpolation.
    """
    grown = F.interpolate(mask.clamp(0, 1), images.shape[-2:], mode="bicubic", align_corners=False)
    return grown.clamp(0, 1)


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
    scheduler: str = DDIM,
    on_step: OnStep | None = None,
) -> Outpainted:
    """A picture round what is known of it by blended latents, z = m_t q(E(I_c), t) + (1 - m_t) z (eq. 11).

    Args:
        model: the body outpainter, of side S.
        canvas: I_c, the hands on a uniform background, (B,3,S,S) in 0..1.
        known_mask: (B,1,S,S), 1 on the hands.
        skeleton: the body with its hands, (B,3,S,S) in 0..1.
        texts: one for each picture.
        expansion: "sequential" has a ring of background round the hands in m_t at first, which shrinks;
            "constant" has none; "off" fuses nothing, and known_mask may be empty.
        ring: its largest width as a share of S; None follows the number of steps (`ring_share`).
        steps, cfg: 1 to 1000; guidance by the text, 1 is none.
        seed: one number (picture i is made with seed + i), or one for each picture.
        control_strength: factor on the ControlNet's residuals.
        control_in_uncond: see `Control`; None leaves the skeleton out of that branch for a ControlNet that
            was trained here and in it for a public one.
        feather_px: soft edge of the pasted hands, inside known_mask; None is 0.6 % of S.
        scheduler: a name of `schedulers.SCHEDULERS`.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        The picture with the hands pasted, the picture as it was made, and by how much was pasted.

    Raises:
        ValueError: for sizes, batches or values that do not match, an empty known_mask, and one that is full.
    """
    check_inputs(model, texts, canvas=(canvas, 3), known_mask=(known_mask, 1), skeleton=(skeleton, 3))
    check_known(known_mask, expansion)
    canvas, known_mask = canvas.to(model.device), known_mask.to(model.device)
    control = _control(model, skeleton, control_strength, control_in_uncond)
    with prompt_embedded_once(control.network):
        predict = noise_predictor(model, texts, cfg, control=control)
        seeds = image_seeds(seed, len(canvas))
        steps_of, noise = scheduler_of(scheduler, seeds), draw_noise(seeds, model.latent_shape, model.device)
        fuse = None
        if expansion != OFF:
            free = free_masks(known_mask, model.latent_shape[1:], steps, expansion, ring)
            fuse = keep_known(steps_of, model.encode(canvas), noise, free)
        latents = sample(predict, noise, steps_of, steps, fuse=fuse, on_step=on_step)
    blended = model.decode(latents)
    image, alpha = pasted(blended, canvas, known_mask, feather_px)
    return Outpainted(image, blended, alpha)


def _control(model: BodyOutpainter, skeleton: Tensor, strength: float, in_uncond: bool | None) -> Control:
    """The skeleton as the model's ControlNet reads it, see `outpaint_body`."""
    given = not model.attention if in_uncond is None else in_uncond
    return Control(model.controlnet, skeleton, strength, given, model.attention)


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
    """What the model may change at every step, by eq. (11).

    The ring round what is known is measured in pixels and only then brought to the latent size: in cells it
    would often be less than one.

    Args:
        known_mask: (B,1,S,S), 1 on what is known.
        size: (h,w) of the latents.
        steps: of the schedule.
        expansion: "sequential" or "constant".
        ring: its largest width as a share of S; None follows the number of steps.

    Returns:
        Step 0..steps -> (B,1,h,w) 0 or 1; step `steps` is the clean end.
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
    """The canvas's known part over the pictures.

    Args:
        blended: pictures (B,3,H,W) in 0..1.
        canvas: (B,3,H,W) in 0..1.
        known_mask: (B,1,H,W) in 0..1.
        feather_px: width of the soft edge inside the mask; None is 0.6 % of the shorter side.

    Returns:
        Pictures (B,3,H,W), and by how much was pasted, (B,1,H,W).
    """
    feather = FEATHER_SHARE * min(canvas.shape[-2:]) if feather_px is None else feather_px
    alpha = feather_inside(known_mask, feather)
    return composite(blended, canvas, alpha), alpha


def check_known(known_mask: Tensor, expansion: str) -> None:
    """ValueError for an unknown expansion and for known masks (B,1,H,W) that leave nothing to do."""
    if expansion not in EXPANSIONS:
        raise ValueError(f"expansion is {expansion!r}; it is one of {', '.join(EXPANSIONS)}")
    for index, mask in enumerate(known_mask):
        which = in_picture("known_mask", index, len(known_mask))
        if (mask > 0.5).all():
            raise ValueError(
                f"{which} is 1 everywhere: nothing is left to paint. Connect the mask of the hands (Hand "
                "Canvas), or invert it"
            )
        if expansion != OFF and not mask.any():
            raise ValueError(
                f"{which} is empty: there is no hand to paint a body round. Connect the canvas and mask of "
                "Hand Canvas, or set expansion to off"
            )
