"""The visible mask M_v = SAM(I_ic) (PHAC, stage A): Segment Anything prompted with the visible joints.

Points and boxes are continuous picture pixels here (pixel i covers [i, i+1)); SAM itself counts from pixel
centres. Large pictures are cropped round the prompt first, so that the person gets the model's resolution.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional as F

from ..diffusion.remembered import Remembered
from .sam_hq import encode, fine_logits
from .sam_mini import prompt_maps
from .sam_networks import MINI, build_sam

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

CROP_MARGIN, FEW_MARGIN, BOX_MARGIN = 0.35, 1.0, 0.1
"""Shares of the prompt's longer side that are shown beyond it: round joints, few of them, a box."""
FEW_POINTS = 4
ONE_POINT_SHARE = 0.6
"""Of the picture's longer side, what is shown round a single point: it does not say how large somebody is."""
SMALL_PX = 256
"""Networks for pictures up to this side look at the mirror image as well, and closer; the mean counts."""
CLOSER_MARGIN, CLOSER = 0.03, 0.95
"""What a closer look shows beyond the person on each side; the share of the region that it must be under."""
POSITIVE, NEGATIVE, UNUSED = 1, 0, -1
MOBILE_BYTES = 1 << 30
_embeddings: WeakKeyDictionary[torch.nn.Module, Remembered] = WeakKeyDictionary()
"""What public networks made of pictures: nearly all of their time, and the same for every further point."""


class Region(NamedTuple):
    """A part of a picture in whole pixels, [left, right) x [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int


def build_mini_sam() -> Sam:
    """The untrained mini SAM (about 1.1 M parameters, 128x128 pictures, masks at full resolution)."""
    return build_sam(MINI)


def attention_bytes(sam: Sam) -> int:
    """Memory for encoding one picture beside the weights: a few copies of the largest attention matrix."""
    blocks = getattr(sam.image_encoder, "blocks", None)
    if blocks is None:  # MobileSAM, whose attention stays in small windows
        return MOBILE_BYTES
    patches = (sam.prompt_encoder.image_embedding_size[0]) ** 2
    return 4 * 4 * blocks[0].attn.num_heads * patches**2


def prompt_logits(
    sam: Sam,
    images: torch.Tensor,
    points_px: torch.Tensor,
    labels: torch.Tensor,
    boxes: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask logits and predicted IoU of K prompts on each of B pictures; differentiable.

    A public SAM encodes every picture once; one whose prompts enter beside the picture, once for each prompt.

    Args:
        sam: any Segment Anything.
        images: (B,3,h,w) in 0..1, h and w at most the model's image size.
        points_px: (B,K,n,2) continuous pixels of these pictures.
        labels: (B,K,n) 1 inside, 0 outside, -1 unused.
        boxes: (B,K,4) x0 y0 x1 y1 pixels, or None.

    Returns:
        Logits (B,K,4g,4g) over the padded square, and IoU (B,K).
    """
    count, prompts = labels.shape[:2]
    points, signs = points_px.flatten(0, 1), labels.flatten(0, 1)
    corners = None if boxes is None else boxes.flatten(0, 1)
    inputs = sam.preprocess(images * 255)
    if sam.prompt_maps:
        maps = prompt_maps(signs == POSITIVE, signs == NEGATIVE, points, corners, sam.image_encoder.img_size)
        inputs = torch.cat([inputs.repeat_interleave(prompts, dim=0), maps.to(inputs.dtype)], dim=1)
        source, fine = sam.image_encoder(inputs), None
    else:
        remembered = _embeddings.setdefault(sam, Remembered())
        source, fine = remembered(sam, (images,), lambda: encode(sam, inputs))
        source = source.repeat_interleave(prompts, dim=0)
        fine = None if fine is None else fine.repeat_interleave(prompts, dim=0)
    sparse, dense = sam.prompt_encoder(
        (points - 0.5, signs), None if corners is None else corners - 0.5, None
    )
    logits, iou = _decode_single(sam, inputs, source + dense, sparse, fine)
    return logits.unflatten(0, (count, prompts)), iou.reshape(count, prompts)


def _decode_single(
    sam: Sam,
    inputs: torch.Tensor,
    source: torch.Tensor,
    sparse: torch.Tensor,
    fine: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """SAM's mask decoder with multimask_output=False for N prompts at once.

    The decoder's own `forward` takes one picture at a time; batches make training several times faster.

    Args:
        sam: any Segment Anything.
        inputs: what the image encoder had, for mini's fine masks.
        source: picture plus dense prompt embedding (N,C,g,g).
        sparse: prompt tokens (N,n,C).
        fine: what SAM-HQ adds to the masks, (N,C/8,4g,4g).

    Returns:
        Logits (N,4g,4g) and IoU (N,).
    """
    decoder, count = sam.mask_decoder, len(source)
    queries = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    if fine is not None:
        queries = torch.cat([queries, decoder.hf_token.weight])
    tokens = torch.cat([queries.expand(count, -1, -1), sparse], dim=1)
    position = sam.prompt_encoder.get_dense_pe().expand(count, -1, -1, -1)
    answers, keys = decoder.transformer(source, position, tokens)
    keys = keys.transpose(1, 2).unflatten(2, source.shape[2:])
    upscaling = decoder.output_upscaling
    upscaled = upscaling(keys) if sam.fine is None else sam.fine(upscaling, inputs, keys)
    kernel = decoder.output_hypernetworks_mlps[0](answers[:, 1])
    logits = torch.einsum("nc,nchw->nhw", kernel, upscaled)
    if fine is not None:
        logits = logits + fine_logits(decoder, answers[:, len(queries) - 1], upscaled, fine)
    return logits, decoder.iou_prediction_head(answers[:, 0])[:, 0]


@torch.no_grad()
def visible_mask(
    sam: Sam,
    image: torch.Tensor,
    points_px: torch.Tensor,
    labels: torch.Tensor,
    box: tuple[float, float, float, float] | None = None,
    around: tuple[float, float, float, float] | None = None,
) -> tuple[torch.Tensor, float]:
    """The mask of what the points lie on, without what hides it.

    image (3,H,W) in 0..1 of any size; points_px (n,2) continuous pixels; labels (n,) 1 = on the visible
    person, 0 = not on it; box (x0,y0,x1,y1) pixels or None. around: a box that tells where to look and is no
    prompt; else it is looked at what is round the prompt.
    Returns the mask (H,W) of 0 and 1, and the predicted IoU 0..1.
    Raises ValueError when there is nothing to go by or a point or the box lies outside the picture.
    """
    points_px = torch.as_tensor(points_px, dtype=torch.float32).reshape(-1, 2)
    labels = torch.as_tensor(labels).reshape(-1)
    _check_prompt(points_px, labels, box, image.shape[-2:])
    shown = box if around is None else around
    region = prompt_region(points_px[labels == POSITIVE], shown, image.shape[-2:], sam.image_encoder.img_size)
    look = partial(_logits_in_region, sam, image, points_px, labels, box)
    while True:
        logits, score = look(region)
        wider = _widened(region, logits > 0, image.shape[-2:])
        if wider == region:
            break
        region = wider
    if sam.image_encoder.img_size <= SMALL_PX:
        corners = torch.zeros(0, 2) if box is None else torch.tensor(box).reshape(2, 2)
        points = points_px[labels == POSITIVE]
        closer = _closer_region(logits > 0, region, points, corners, image.shape[-2:])
        if closer is not None:
            _add_look(logits, region, look(closer)[0], closer)
    mask = torch.zeros(image.shape[-2:], dtype=torch.float32, device=logits.device)
    mask[region.top : region.bottom, region.left : region.right] = (logits > 0).float()
    return mask, score


def _closer_region(
    inside: torch.Tensor, region: Region, points_px: torch.Tensor, corners_px: torch.Tensor, size: torch.Size
) -> Region | None:
    """The square round what was found and its prompt; None if nothing was found, it shows the person little
    larger, or leaves out a point.

    A small network sees few pixels of a person who is small in the picture; SAM's 1024 need no second look.

    Args:
        inside: (h,w) bool, the mask in the region.
        region: where the mask was found.
        points_px: (n,2) on the person, in pixels of the picture.
        corners_px: (0,2), or (2,2) of the box.
        size: (height, width) of the picture.
    """
    rows, columns = inside.any(1).nonzero().flatten().cpu(), inside.any(0).nonzero().flatten().cpu()
    if not len(rows):
        return None
    found = torch.stack([columns[[0, -1]], rows[[0, -1]]], dim=1) + torch.tensor([region.left, region.top])
    prompt = torch.cat([points_px, corners_px])
    low, high = torch.cat([found, prompt]).amin(0), torch.cat([found + 1, prompt]).amax(0)
    side = float((high - low).max()) * (1 + 2 * CLOSER_MARGIN)
    centre_x, centre_y = ((low + high) / 2).tolist()
    closer = _square_region(centre_x, centre_y, side, *size)
    x, y = points_px.unbind(1)
    shown = (x >= closer.left) & (x < closer.right) & (y >= closer.top) & (y < closer.bottom)
    if side >= CLOSER * max(region.right - region.left, region.bottom - region.top) or not shown.all():
        return None
    return closer


def _add_look(logits: torch.Tensor, region: Region, again: torch.Tensor, closer: Region) -> None:
    """Where both regions are, the first one's logits become the mean of both."""
    left, top = max(closer.left, region.left), max(closer.top, region.top)
    right, bottom = min(closer.right, region.right), min(closer.bottom, region.bottom)
    part = logits[top - region.top : bottom - region.top, left - region.left : right - region.left]
    part += again[top - closer.top : bottom - closer.top, left - closer.left : right - closer.left]
    part /= 2


def prompt_region(
    positive_px: torch.Tensor,
    box: tuple[float, float, float, float] | None,
    size: tuple[int, int] | torch.Size,
    model_size: int,
) -> Region:
    """The part of a picture to look at: all of a small one, else what is round the prompt.

    Joints end before the body does, so the region is wider than they are, square where the picture allows.

    Args:
        positive_px: (n,2) points on the person in pixels.
        box: x0, y0, x1, y1 round the person in pixels, or None.
        size: (height, width) of the picture.
        model_size: side of the square that the model sees, in pixels.
    """
    height, width = size
    if max(height, width) <= model_size:
        return Region(0, 0, width, height)
    spots = positive_px.tolist() + ([] if box is None else [list(box[:2]), list(box[2:])])
    xs, ys = zip(*spots)
    longest = max(max(xs) - min(xs), max(ys) - min(ys))
    few = FEW_MARGIN if len(spots) <= FEW_POINTS else CROP_MARGIN
    margin = few if box is None else BOX_MARGIN
    if longest:
        side = max(longest * (1 + 2 * margin), model_size / 2)
    else:
        side = max(ONE_POINT_SHARE * max(height, width), model_size)
    return _square_region((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, side, height, width)


def _square_region(centre_x: float, centre_y: float, side: float, height: int, width: int) -> Region:
    left, right = _span(centre_x, side, width)
    top, bottom = _span(centre_y, side, height)
    return Region(left, top, right, bottom)


def _span(centre: float, side: float, limit: int) -> tuple[int, int]:
    """Whole-pixel interval of about `side` round `centre`, moved and cut to lie in [0, limit)."""
    length = min(limit, max(1, round(side)))
    start = min(max(0, round(centre - length / 2)), limit - length)
    return start, start + length


def _widened(region: Region, inside: torch.Tensor, size: torch.Size) -> Region:
    """1.5 times as wide a region when the mask runs out of a side not the picture's own; else the same."""
    height, width = size
    cut = (
        (region.left > 0 and inside[:, 0].any())
        or (region.right < width and inside[:, -1].any())
        or (region.top > 0 and inside[0].any())
        or (region.bottom < height and inside[-1].any())
    )
    if not cut:
        return region
    side = 1.5 * max(region.right - region.left, region.bottom - region.top)
    centre_x, centre_y = (region.left + region.right) / 2, (region.top + region.bottom) / 2
    return _square_region(centre_x, centre_y, side, height, width)


def _logits_in_region(
    sam: Sam,
    image: torch.Tensor,
    points_px: torch.Tensor,
    labels: torch.Tensor,
    box: tuple[float, float, float, float] | None,
    region: Region,
) -> tuple[torch.Tensor, float]:
    """Logits at the region's own resolution, and the predicted IoU."""
    device = sam.pixel_mean.device
    part = image[:, region.top : region.bottom, region.left : region.right].to(device)
    height, width = part.shape[-2:]
    scale = sam.image_encoder.img_size / max(height, width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    if inner != (height, width):
        part = F.interpolate(part[None], size=inner, mode="bilinear", antialias=True, align_corners=False)[0]
    origin = torch.tensor([region.left, region.top], dtype=torch.float32)
    points = (points_px - origin) * scale
    within = ((points >= 0) & (points <= torch.tensor(inner[::-1]))).all(dim=1)
    corners = None if box is None else (torch.tensor(box).reshape(2, 2) - origin).reshape(1, 1, 4) * scale
    views, spots = part[None], points[within][None]
    if sam.image_encoder.img_size <= SMALL_PX:
        views, spots, corners = _with_mirrored(views, spots, corners)
    logits, iou = prompt_logits(
        sam,
        views.to(device),
        spots[:, None].to(device),
        labels[within].expand(len(views), 1, -1).to(device),
        None if corners is None else corners.to(device),
    )
    full = sam.postprocess_masks(logits.float(), inner, (height, width))[:, 0]
    if len(full) > 1:
        full[1] = full[1].flip(-1)
    return full.mean(0), float(iou.clamp(0, 1).mean())


def _with_mirrored(
    views: torch.Tensor, spots: torch.Tensor, corners: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Views (1,3,h,w), points (1,n,2) and boxes (1,1,4) or None, each with its mirror image."""
    width = views.shape[-1]
    across = torch.tensor([-1.0, 1.0])
    moved = spots * across + torch.tensor([width, 0.0])
    if corners is not None:
        x0, y0, x1, y1 = corners.unbind(-1)
        corners = torch.cat([corners, torch.stack([width - x1, y0, width - x0, y1], dim=-1)])
    return torch.cat([views, views.flip(-1)]), torch.cat([spots, moved]), corners


def _check_prompt(
    points_px: torch.Tensor,
    labels: torch.Tensor,
    box: tuple[float, float, float, float] | None,
    size: torch.Size,
) -> None:
    height, width = size
    if len(points_px) != len(labels):
        raise ValueError(f"{len(points_px)} points but {len(labels)} labels: give one label per point")
    if box is None and not (labels == POSITIVE).any():
        raise ValueError(
            "nothing says where the person is: no visible joint, point or box. Connect a FIGURA_PROMPT or "
            "POSE_KEYPOINT with visible joints, a BOUNDING_BOX, or write points"
        )
    if not torch.isfinite(points_px).all():
        raise ValueError("a point is not a number: every point needs finite x and y in pixels")
    outside = ((points_px < 0) | (points_px > torch.tensor([width, height]))).any(dim=1)
    if outside.any():
        x, y = points_px[outside][0].tolist()
        raise ValueError(
            f"point ({x:g}, {y:g}) lies outside the picture of {width}x{height} pixels: move or remove it"
        )
    if box is not None and not (
        box[0] < box[2]
        and box[1] < box[3]
        and box[0] < width
        and box[1] < height
        and box[2] > 0
        and box[3] > 0
    ):
        raise ValueError(
            f"box {tuple(box)} is empty or lies outside the picture of {width}x{height} pixels: "
            "draw it on the person"
        )
