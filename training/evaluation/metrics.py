"""What the reports measure: functions of pictures (B,3,H,W) in 0..1, masks (B,1,H,W), joints (B,18,3).

Values of single pictures come as (B,) tensors, NaN where a picture has nothing to measure; `mean_of` leaves
those out.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...models.diffusion.compose import boundary_band, dilate

BEST_PSNR = 100.0
SSIM_SIGMA = 1.5
SEAM_WIDTH_PX = 3.0
PATTERN_PX = 1.0, 3.0
"""Sigmas between which the patterns of clothes lie in pictures of 128 px: stripes of some 4 to 16 px."""
PATTERN_CONTRAST, PATTERN_SHARE = 0.04, 0.01
MEAN_COLOUR_PX = 6.0
TELEA_RADIUS_PX = 3.0
UNITS = ("normalized", "px")


class Mean(NamedTuple):
    """The mean of the values that are not NaN, and how many those are; the mean of none is 0."""

    value: float
    known: int


def mean_of(values: Tensor) -> Mean:
    """Mean and number of the values that are not NaN."""
    known = values[~values.isnan()].double()
    return Mean(float(known.mean()) if len(known) else 0.0, len(known))


def iou(first: Tensor, second: Tensor) -> Tensor:
    """|A and B| / |A or B| of two masks, (B,); 1 when both are empty. Inside is above 0.5."""
    _same_shape(first, second)
    a, b = (first > 0.5).flatten(1), (second > 0.5).flatten(1)
    either = (a | b).sum(1)
    return torch.where(either > 0, (a & b).sum(1) / either.clamp_min(1), 1.0)


class JointError(NamedTuple):
    """error: mean distance over the joints found. missing: share of the wanted joints that were not found."""

    error: float
    missing: float
    found: int
    wanted: int


class JointDistances(NamedTuple):
    """Of single joints, (B,18) each: distance_px; found, those of the wanted ones that count; wanted."""

    distance_px: Tensor
    found: Tensor
    wanted: Tensor


def joint_distances(
    found: Tensor, truth: Tensor, *, wanted: Tensor | None = None, threshold: float = 0.0
) -> JointDistances:
    """Euclidean distances between joints, and which of them `joint_error` averages.

    Args:
        found: (B,18,3) x, y, confidence.
        truth: (B,18,3) in the same unit; confidence 0 is absent.
        wanted: (B,18) bool, the joints that are asked for; None: all that the truth has.
        threshold: joints found with less confidence count as missing.
    """
    asked = truth[..., 2] > 0 if wanted is None else wanted & (truth[..., 2] > 0)
    both = asked & (found[..., 2] > 0) & (found[..., 2] >= threshold)
    return JointDistances((found[..., :2] - truth[..., :2]).double().norm(dim=-1), both, asked)


def joint_error(
    found: Tensor,
    truth: Tensor,
    *,
    side: float,
    wanted: Tensor | None = None,
    threshold: float = 0.0,
    unit: str = "normalized",
) -> JointError:
    """Mean Euclidean distance between joints (B,18,3) that are both present in the truth and found.

    Args:
        found: (B,18,3) px and confidence; found is what has at least `threshold` and more than 0.
        truth: (B,18,3) px and presence; present is what has more than 0.
        side: of the picture, in pixels.
        wanted: (B,18) bool, the joints to look at; None is all.
        threshold: least confidence, 0..1.
        unit: "normalized" gives a fraction of the side, "px" pixels.

    Raises:
        ValueError: another unit, or shapes that differ.
    """
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; it is one of {', '.join(UNITS)}")
    _same_shape(found, truth)
    each = joint_distances(found, truth, wanted=wanted, threshold=threshold)
    count, total = int(each.found.sum()), int(each.wanted.sum())
    distance = float(each.distance_px[each.found].mean()) if count else 0.0
    error = distance / (side if unit == "normalized" else 1.0)
    return JointError(error, (total - count) / total if total else 0.0, count, total)


def psnr_region(made: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """10 log10(1 / mean squared error inside the region) in dB, (B,), at most 100; NaN if it is empty."""
    _same_shape(made, truth)
    squared = (made - truth).double().square().mean(1, keepdim=True)
    error = _mean_inside(squared, region)
    return (-10.0 * error.log10()).clamp_max(BEST_PSNR)


def ssim_region(made: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of whole pictures, its map averaged over the region, (B,)."""
    _same_shape(made, truth)
    maps = [_ssim_map(a, b) for a, b in zip(made, truth, strict=True)]
    return _mean_inside(torch.stack(maps), region.cpu())


def pattern_similarity(made: Tensor, truth: Tensor, plain: Tensor) -> Tensor:
    """How much of the clothes' pattern a picture shows, (B,): <a, b> / max(|a| |b|, |b|^2), where a and b are
    what made and truth have beyond clothes in the mean colour, between the two sizes of PATTERN_PX.

    A correlation, but a pattern fainter than the true one counts by its strength: 1 is the pattern itself, 0
    clothes in its mean colour and all that has nothing to do with it, an inverted pattern is below. NaN where
    less than PATTERN_SHARE of the picture is patterned.

    Args:
        made: (B,3,H,W) in 0..1.
        truth: the same people as they are.
        plain: the same in clothes without patterns.
    """
    _same_shape(made, truth)
    _same_shape(truth, plain)
    made, truth, plain = made.double(), truth.double(), plain.double()
    contrast = (truth - plain).abs().amax(1, keepdim=True) > PATTERN_CONTRAST
    region = dilate(contrast.float(), PATTERN_PX[1]).to(truth)
    averaged = in_mean_colours(truth, plain, region)
    own, wanted = ((_band(picture - averaged) * region).flatten(1) for picture in (made, truth))
    strength = wanted.norm(dim=1)
    similarity = (own * wanted).sum(1) / (torch.maximum(own.norm(dim=1), strength) * strength).clamp_min(1e-9)
    return torch.where(region.flatten(1).mean(1) >= PATTERN_SHARE, similarity, torch.nan)


def in_mean_colours(truth: Tensor, plain: Tensor, region: Tensor) -> Tensor:
    """(B,3,H,W): the clothes as their pattern looks from far away, where `region` (B,1,H,W) is 1."""
    weight = _blurred(region, MEAN_COLOUR_PX)
    added = _blurred((truth - plain) * region, MEAN_COLOUR_PX) / weight.clamp_min(1e-6)
    return plain + added * region


def _band(pictures: Tensor) -> Tensor:
    """What is between the two sizes of PATTERN_PX: a difference of Gaussians."""
    fine, coarse = (_blurred(pictures, sigma) for sigma in PATTERN_PX)
    return fine - coarse


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    from torchvision.transforms.functional import gaussian_blur

    return gaussian_blur(pictures, [2 * round(3 * sigma) + 1] * 2, [sigma, sigma])


def seam_error(made: Tensor, truth: Tensor, region: Tensor, width_px: float = SEAM_WIDTH_PX) -> Tensor:
    """How much the gradients differ near the region's boundary, (B,): mean |grad made - grad truth|.

    Gradients are differences to the neighbours on the right and below, their norm is averaged over the
    channels and over the pixels within `width_px` of the boundary, on both sides. NaN where there is no
    boundary.

    Args:
        made: pictures (B,3,H,W) in 0..1.
        truth: the same.
        region: masks (B,1,H,W); inside is above 0.5.
        width_px: how far from the boundary a pixel counts.
    """
    _same_shape(made, truth)
    difference = (made - truth).double()
    right, below = torch.zeros_like(difference), torch.zeros_like(difference)
    right[..., :-1] = difference[..., 1:] - difference[..., :-1]
    below[..., :-1, :] = difference[..., 1:, :] - difference[..., :-1, :]
    strength = (right.square() + below.square()).sqrt().mean(1, keepdim=True)
    return _mean_inside(strength, boundary_band(region, width_px))


def max_abs_diff_outside(made: Tensor, original: Tensor, changed_mask: Tensor) -> float:
    """The largest difference of any pixel where the mask is 0; 0.0 when the mask covers everything."""
    _same_shape(made, original)
    outside = (changed_mask <= 0.5).expand_as(made)
    difference = (made - original).abs()[outside]
    return float(difference.max()) if difference.numel() else 0.0


def telea(images: Tensor, mask: Tensor, radius_px: float = TELEA_RADIUS_PX) -> Tensor:
    """The pictures with the mask filled by OpenCV's inpainting after Telea (2004)."""
    filled = torch.stack([_telea(image, inside, radius_px) for image, inside in zip(images, mask)])
    return torch.where(mask > 0.5, filled.to(images), images)


def _telea(image: Tensor, mask: Tensor, radius_px: float) -> Tensor:
    cv2 = optional_import("cv2", "opencv-python-headless", "the comparison with Telea's inpainting")
    levels = (image.cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    inside = (mask[0].cpu() > 0.5).to(torch.uint8).numpy()
    filled = cv2.inpaint(np.ascontiguousarray(levels), inside, radius_px, cv2.INPAINT_TELEA)
    return torch.from_numpy(filled).permute(2, 0, 1).float() / 255


def _ssim_map(made: Tensor, truth: Tensor) -> Tensor:
    """(1,H,W) float64, the mean of the channels' maps."""
    metrics = optional_import("skimage.metrics", "scikit-image", "SSIM")
    _, full = metrics.structural_similarity(
        made.double().cpu().numpy(), truth.double().cpu().numpy(), channel_axis=0, data_range=1.0, full=True,
        gaussian_weights=True, sigma=SSIM_SIGMA, use_sample_covariance=False,
    )  # fmt: skip
    return torch.from_numpy(full).mean(0, keepdim=True)


def _mean_inside(values: Tensor, region: Tensor) -> Tensor:
    """Mean of values (B,1,H,W) where the region is above 0.5, (B,) float64; NaN for an empty region."""
    _same_shape(values, region)
    inside = (region > 0.5).to(values)
    return (values * inside).flatten(1).sum(1) / inside.flatten(1).sum(1)


def optional_import(module: str, package: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{purpose} needs {package}: pip install {package}") from error


def _same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(f"shapes {tuple(first.shape)} and {tuple(second.shape)} differ: they must agree")
