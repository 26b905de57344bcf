"""The whole person's mask from the visible part's and from points, without any picture.

Human amodal completion often begins with the mask alone (SDHDO, arXiv 2508.12663, completes it by a diffusion
prior from the visible mask and the hidden joints). Ours, our choice, is one pass of a small U-Net over
silhouettes, a conditional variational autoencoder (Sohn et al., NeurIPS 2015): a few latent numbers say what
the rest leaves open, such as how wide a skirt is. It cannot know whether it looks at a photograph.

It works on a square crop round what is known, GRID cells a side, and knows where the picture ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...people.boxes import Box
from ...people.crops import CropPlan, box_to_crop, crop, plan_crop, points_to_crop
from ...people.keypoints import BODY_18, LIMBS
from ...people.prompt_kinds import FULL_BOX, ROI_BOX
from ...people.prompts import PointPrompt
from ..diffusion.checkpoint import built, config_from_metadata, load_file
from ..diffusion.sampling import draw_noise
from .networks import NOT_SAID, ConvBlock, UpBlock
from .plans import box_mask

FILE_KIND = "amodal_mask"
GRID = 96
JOINTS = len(BODY_18)
MARGIN, CLOSE_MARGIN, MANY_JOINTS = 0.45, 0.2, 12
"""Room round what is known, as a share of its longer side: the hidden part may reach far. With the box of the
whole person, or so many of the joints, it does not."""
REACH, FARTHEST = 0.6, 1.5
"""Of a latent's standard deviation, what a variety of 1 stands for, and the most of it: farther out there are
few examples, and masks swell. Our choice."""
SURE = 6.0
"""The logit, below zero, of pixels that the network's crop leaves out or a box excludes. Our choice."""
SPOT_CELLS, LIMB_CELLS = 1.5, 1.5
"""How wide joints and limbs are drawn: the deviation of their Gaussians."""
CHANNELS = 1 + 1 + JOINTS + 1 + 1 + 1


class Known(NamedTuple):
    """What is known of B people, in cells of the grid.

    visible: (B,1,G,G) in 0..1. inside: (B,1,G,G), 1 where the picture is. joints: (B,18,3) x, y and 1 or 0
    for presence. boxes: (B,4) of the whole person. boxed: (B,) 1 where there is one.
    """

    visible: Tensor
    inside: Tensor
    joints: Tensor
    boxes: Tensor
    boxed: Tensor


@dataclass(frozen=True)
class AmodalMaskConfig:
    """base: channels of the first level, a multiple of 8; each of `levels` doubles them. latents: numbers
    that say what is left open.
    """

    base: int = 16
    levels: int = 4
    latents: int = 4


class AmodalMaskNet(nn.Module):
    """Known and latents (B,n) -> logits (B,1,G,G) of the amodal mask."""

    def __init__(self, config: AmodalMaskConfig = AmodalMaskConfig(), operations: Any = nn) -> None:
        super().__init__()
        self.config = config
        widths = [config.base * 2**level for level in range(config.levels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = ConvBlock(CHANNELS + config.latents, widths[0], operations)
        self.down = nn.ModuleList(ConvBlock(thin, wide, operations) for thin, wide in pairs)
        self.middle = ConvBlock(widths[-1], widths[-1], operations)
        self.up = nn.ModuleList(UpBlock(wide, thin, operations) for thin, wide in reversed(pairs))
        self.head = operations.Conv2d(widths[0], 1, 1)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        """features: (B,CHANNELS,G,G) of `draw_known`. latents: (B,n), standard normal; 0 is the middle."""
        spread = latents[:, :, None, None].expand(-1, -1, *features.shape[-2:])
        skips = [self.stem(torch.cat([features, spread], dim=1))]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        x = self.middle(skips.pop())
        for block in self.up:
            x = block(x, skips.pop())
        return self.head(x)


def draw_known(known: Known) -> Tensor:
    """What the network sees: visible mask, picture's area, spots of the joints, limbs between them, box.

    Returns (B,CHANNELS,G,G) in 0..1.
    """
    side = known.visible.shape[-1]
    axis = torch.arange(side, device=known.visible.device) + 0.5
    spots = _spots(known.joints, axis)
    box = _filled(known.boxes, axis) * known.boxed[:, None, None]
    has_box = known.boxed[:, None, None].expand_as(box)
    planes = [known.visible, known.inside, spots, _limbs(known.joints, axis), box[:, None], has_box[:, None]]
    return torch.cat(planes, dim=1)


def _spots(joints: Tensor, axis: Tensor) -> Tensor:
    near = torch.exp((axis - joints[..., :2, None]).square() / (-2 * SPOT_CELLS**2))
    return near[:, :, 1, :, None] * near[:, :, 0, None, :] * joints[..., 2, None, None]


def _limbs(joints: Tensor, axis: Tensor) -> Tensor:
    """One plane: near a limb of which both ends are known."""
    starts, ends = (joints[:, list(side)] for side in zip(*LIMBS, strict=True))
    there = (starts[..., 2] * ends[..., 2])[..., None, None]
    along = (ends - starts)[..., :2]
    x, y = axis[None, :] - starts[..., 0, None, None], axis[:, None] - starts[..., 1, None, None]
    dx, dy = along[..., 0, None, None], along[..., 1, None, None]
    part = ((x * dx + y * dy) / (dx.square() + dy.square()).clamp(min=1e-4)).clamp(0, 1)
    square = (x - part * dx).square() + (y - part * dy).square()
    return (torch.exp(square / (-2 * LIMB_CELLS**2)) * there).amax(dim=1, keepdim=True)


def _filled(boxes: Tensor, axis: Tensor) -> Tensor:
    """(B,G,G): 1 in the box, with edges as soft as a cell."""
    low, high = boxes[:, :2, None], boxes[:, 2:, None]
    cover = (torch.minimum(high, axis + 0.5) - torch.maximum(low, axis - 0.5)).clamp(0, 1)
    return cover[:, 1, :, None] * cover[:, 0, None, :]


def plan_known(size: tuple[int, int], visible_mask: Tensor, joints: Tensor, box: Box | None) -> CropPlan:
    """The square crop round what is known of one person.

    Args:
        size: (height, width) of the picture in pixels.
        visible_mask: (H,W).
        joints: (18,3) px.
        box: of the whole person, px, or None.
    """
    known = Box.around_mask(visible_mask).union(_round(joints))
    told = box is not None or int((joints[:, 2] > 0).sum()) >= MANY_JOINTS
    margin = CLOSE_MARGIN if told else MARGIN
    known = known if box is None else known.union(box)
    known = known.expand(margin * max(known.width, known.height, 1.0))
    return plan_crop(known, size, (GRID, GRID), margin=0.0, whole_at_model_size=False)


def _round(joints: Tensor) -> Box:
    """The box round the joints, as wide as a pixel at least."""
    box = Box.around_points(joints.cpu().numpy())
    there = bool((joints[:, 2] > 0).any())
    return box.expand(0.5) if there else box


def known_in_crop(visible_mask: Tensor, joints: Tensor, box: Box | None, plan: CropPlan) -> Known:
    """One person's Known in the planned crop, B = 1.

    Args:
        visible_mask: (H,W) in 0..1.
        joints: (18,3) px.
        box: px, or None.
        plan: of the crop.
    """
    planes = torch.stack([visible_mask, torch.ones_like(visible_mask)])[None]
    visible, inside = crop(planes, plan, fill=0.0)[0, :, None, None].unbind(0)
    moved = points_to_crop(joints.float(), plan)
    moved[:, 2] = (moved[:, 2] > 0).float()
    corners = (0.0, 0.0, 0.0, 0.0) if box is None else tuple(box_to_crop(box, plan))
    boxed = visible.new_tensor([float(box is not None)])
    return Known(visible, inside, moved[None], visible.new_tensor([corners]), boxed)


@torch.no_grad()
def complete_mask(
    net: AmodalMaskNet,
    visible_mask: Tensor,
    joints: Tensor,
    box: Box | None = None,
    seeds: Sequence[int] = (0,),
    variety: float = 0.0,
) -> Tensor:
    """Amodal masks of one person.

    Args:
        net: the network.
        visible_mask: (H,W) in 0..1, the part that is seen; it is in every result.
        joints: (18,3) x_px, y_px, confidence of those that are known, hidden ones too; 0 is not known.
        box: of the whole person in px, or None.
        seeds: one for each result.
        variety: how far results may differ; 0 is the middle of the plausible ones, 1 all of their width.

    Returns:
        (len(seeds),1,H,W) of 0 and 1.

    Raises:
        ValueError: nothing is known, neither a visible part nor a joint nor a box; or one of them lies so
            far outside that no crop can hold it.
    """
    size = (visible_mask.shape[-2], visible_mask.shape[-1])
    visible_mask, joints = (visible_mask >= 0.5).float().cpu(), joints.cpu()
    if not bool(visible_mask.any()) and not bool((joints[:, 2] > 0).any()) and box is None:
        raise ValueError(
            "there is nothing to complete: the visible mask is empty, and there is neither a joint nor a "
            "box. Connect Visible Mask, or a pose"
        )
    plan = plan_known(size, visible_mask, joints, box)
    device = next(net.parameters()).device
    features = draw_known(known_in_crop(visible_mask, joints, box, plan)).to(device)
    noise = draw_noise(list(seeds), (net.config.latents,), device)
    latents = variety * REACH * noise.clamp(-FARTHEST, FARTHEST)
    logits = net(features.expand(len(latents), -1, -1, -1), latents).float().cpu()
    masks = torch.stack([(_uncropped(each, plan) > 0).float() for each in logits])
    return torch.maximum(masks, visible_mask[None, None])


@torch.no_grad()
def hidden_guess(net: AmodalMaskNet, visible_masks: Tensor, prompts: Sequence[PointPrompt]) -> Tensor:
    """What silhouettes say of the hidden parts, from the middle of the plausible ones.

    Args:
        net: the network.
        visible_masks: (B,1,H,W) in 0..1.
        prompts: one for each, in pixels of the masks; joints and boxes that its kind shows count, and a box
            of the hidden part has it inside.

    Returns:
        Probability (B,1,H,W) that a pixel is person but hidden; 0 on the visible mask, NOT_SAID everywhere
        where nothing is known of a person.
    """
    size = (visible_masks.shape[-2], visible_masks.shape[-1])
    seen = (visible_masks >= 0.5).float().cpu()
    joints = [torch.from_numpy(prompt.joints).float() * float(prompt.has_joints) for prompt in prompts]
    boxes = [prompt.shown_boxes.get(FULL_BOX) for prompt in prompts]
    guesses = torch.full_like(seen, NOT_SAID)
    plans = {
        row: plan_known(size, mask[0], joints[row], boxes[row])
        for row, mask in enumerate(seen)
        if bool(mask.any()) or bool((joints[row][:, 2] > 0).any()) or boxes[row] is not None
    }
    if plans:
        known = [known_in_crop(seen[row, 0], joints[row], boxes[row], plan) for row, plan in plans.items()]
        features = torch.cat([draw_known(each) for each in known]).to(next(net.parameters()))
        logits = net(features, features.new_zeros(len(features), net.config.latents)).float().cpu()
        for each, (row, plan) in zip(logits, plans.items(), strict=True):
            region = prompts[row].shown_boxes.get(ROI_BOX)
            inside = box_mask(region, *size)[0] > 0
            guesses[row] = torch.where(inside, _uncropped(each, plan).clamp(-SURE, SURE), -SURE).sigmoid()
            guesses[row][seen[row] > 0] = 0.0
    return guesses


def _uncropped(logits: Tensor, plan: CropPlan) -> Tensor:
    """Logits (1,G,G) of a crop as those of the picture (1,H,W); nobody is outside the crop."""
    box = plan.box
    size = (int(box.height), int(box.width))
    resized = F.interpolate(logits[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    whole = torch.full((1, plan.source_height, plan.source_width), -SURE)
    inner = box.clip(plan.source_height, plan.source_width)
    x0, y0, x1, y1 = (int(value) for value in inner)
    left, top = int(box.x0), int(box.y0)
    whole[:, y0:y1, x0:x1] = resized[:, y0 - top : y1 - top, x0 - left : x1 - left]
    return whole


def load_amodal_mask(path: str | Path, operations: Any = nn) -> AmodalMaskNet:
    """The network from its weights file, in eval mode; errors name the file."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    net = built(
        lambda: AmodalMaskNet(config_from_metadata(AmodalMaskConfig, meta["config"]), operations),
        tensors,
        str(path),
    )
    return net.eval()
