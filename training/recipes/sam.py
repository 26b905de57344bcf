"""Recipe: the mini SAM, visible masks of synthetic people from the joints that can be seen.

Prompts are all visible joints or a few of them, displaced by a pixel or two, or clicks anywhere on the
person; some come with points beside it, and a quarter of the pictures with a box. With one person in each
picture a second prompt teaches little, so a picture is prompted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ...models.perception.sam import (
    NEGATIVE,
    POSITIVE,
    UNUSED,
    build_mini_sam,
    decode_prompts,
    encode_pictures,
    visible_mask,
)
from ...models.perception.sam_networks import KIND, MINI, config_to_metadata
from ..data.augmentation import ViewRange, Views, exchange_sides, jitter_colours, move_joints, random_views
from ..data.people import PeopleDataset, open_split, rows, sample_indices
from ..run.progress import picture_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

PROMPTS = 1
MOST_POINTS = (1, 3, 6, 18, 18)
NEGATIVES = 3
JITTER_PX = 1.2
BOXED = 4
RANGES = ViewRange(scale=(0.8, 1.3), degrees=10.0, shift=0.1, unchanged=0.4)


class SamData(NamedTuple):
    """A data set and whether its pictures are changed at random."""

    people: PeopleDataset
    augment: bool


class SamTraining(torch.nn.Module):
    """Pictures and prompts to logits (B,K,S,S) and predicted IoU (B,K); the first quarter gets boxes too."""

    def __init__(self) -> None:
        super().__init__()
        self.sam = build_mini_sam()
        self.sam.prompt_encoder.mask_downscaling.requires_grad_(False)
        self.sam.mask_decoder.output_hypernetworks_mlps[1:].requires_grad_(False)

    def forward(
        self, images: torch.Tensor, points: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """images (B,3,S,S); points (B,K,n,2) px; labels (B,K,n); boxes (B,K,4) px."""
        embeddings = encode_pictures(self.sam, images)
        boxed = len(images) // BOXED
        parts = [decode_prompts(self.sam, embeddings[boxed:], points[boxed:], labels[boxed:])]
        if boxed:
            parts.insert(
                0, decode_prompts(self.sam, embeddings[:boxed], points[:boxed], labels[:boxed], boxes[:boxed])
            )
        logits, ious = zip(*parts)
        return torch.cat(logits), torch.cat(ious)


class SamRecipe(BaseRecipe):
    """Binary cross-entropy, heavier near the outline, plus Dice, plus the error of the predicted IoU."""

    name = "sam"
    plan = TrainingPlan(
        minutes=60,
        batch_size=16,
        learning_rate=1e-3,
        weight_decay=0.02,
        ema_decay=0.998,
        mixed_precision="bf16",
        device="cpu",
    )

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered people."""
        train, held_out = open_split(data_root)
        return Split(SamData(train, True), SamData(held_out, False))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh mini SAM."""
        return SamTraining()

    def batch(self, data: SamData, step: int, seed: int, batch_size: int) -> Batch:
        """images, masks (B,1,S,S), points, labels, boxes of the prompts."""
        indices = sample_indices(len(data.people), step, seed, batch_size)
        generator = random_generator(seed, step, 12)
        images = data.people.pictures("occluded", indices)
        masks = (data.people.pictures("visible_mask", indices) > 0.5).float()
        joints, seen = visible_joints(data.people, indices)
        if data.augment:
            views = random_views(len(images), images.shape[-1], generator, RANGES)
            images = jitter_colours(warp_pictures(views, images, generator), generator)
            masks = (views.warp(masks) > 0.5).float()
            joints, seen = move_joints(views, joints), exchange_sides(views, seen)
            seen = seen * (joints[..., 2] > 0)
        points, labels = random_points(masks, joints, seen, generator)
        return {
            "images": images,
            "masks": masks,
            "points": points,
            "labels": labels,
            "boxes": random_boxes(masks, generator),
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Over the prompts that say anything about a person that can be seen."""
        logits, predicted = module(batch["images"], batch["points"], batch["labels"], batch["boxes"])
        logits, predicted = logits.float(), predicted.float()
        masks = batch["masks"]
        valid = (masks.sum(dim=(2, 3)) > 0) & (batch["labels"] == POSITIVE).any(dim=2)
        valid = valid.float() / valid.sum().clamp_min(1)
        iou = intersection_over_union(logits > 0, masks > 0.5)
        per_prompt = mask_loss(logits, masks) + (predicted - iou).square()
        return (per_prompt * valid).sum(), {"iou": (iou * valid).sum().detach()}

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Pictures with their points, the mask found, and the true mask."""
        count = min(8, len(batch["images"]))
        logits, _ = module(*(batch[name] for name in ("images", "points", "labels", "boxes")))
        found = (logits[:count, :1] > 0).float().expand(-1, 3, -1, -1)
        marked = mark_points(batch["images"][:count], batch["points"][:count, 0], batch["labels"][:count, 0])
        return picture_grid([marked, found, batch["masks"][:count].expand(-1, 3, -1, -1)])

    def evaluate(self, module: Any, held_out: SamData) -> dict[str, float]:
        """Mean IoU on held-out people: all visible joints, displaced by 2 px, every other one, only three."""
        people = held_out.people
        generator = random_generator(0, 13)
        results: dict[str, list[float]] = {}
        for index in range(len(people)):
            for name, value in score_person(module.sam, people, index, generator).items():
                results.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in results.items()}

    def export(self, module: Any, held_out: SamData) -> Export:
        """The whole SAM with its configuration."""
        return Export(KIND, module.sam.state_dict(), config_to_metadata(MINI), int8=True)


def visible_joints(people: PeopleDataset, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (B,18,3) px and which are in the picture and not covered (B,18) 0/1."""
    joints = rows(people.joints, indices).float()
    return joints, (joints[..., 2] > 0).float() * rows(people.joint_visible, indices).float()


def warp_pictures(views: Views, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Moved pictures; outside lies the padding colour SAM uses, or the picture's mean colour."""
    padding = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    use_mean = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return views.warp(images, torch.where(use_mean, images.mean(dim=(2, 3), keepdim=True), padding))


def random_points(
    masks: torch.Tensor, joints: torch.Tensor, seen: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (B,K,n,2) px and labels (B,K,n) of a batch; n is drawn once, so few points are few tokens."""
    batch, most = len(masks), MOST_POINTS[int(torch.randint(len(MOST_POINTS), (1,), generator=generator))]
    rank = torch.rand(batch, PROMPTS, 18, generator=generator) + 2 * (1 - seen[:, None])
    order = rank.argsort(dim=2)[..., :most]
    chosen = torch.gather(
        joints[:, None, :, :2].expand(-1, PROMPTS, -1, -1), 2, order[..., None].expand(-1, -1, -1, 2)
    )
    there = torch.gather(seen[:, None].expand(-1, PROMPTS, -1), 2, order) > 0

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(batch, PROMPTS, *shape, generator=generator)

    there &= (torch.arange(most) == 0) | (uniform(most) < 1.3 * uniform(1).sqrt())
    jitter = torch.randn(chosen.shape, generator=generator) * (2 * JITTER_PX * uniform(1, 1))
    clicks = pixels_where(masks, PROMPTS * most, generator).reshape(batch, PROMPTS, most, 2)
    clicking = uniform(1) < 0.2
    points = torch.where(clicking[..., None], clicks, (chosen + jitter).clamp(0, masks.shape[-1] - 0.01))
    labels = torch.where(there | clicking, POSITIVE, UNUSED)
    beside, beside_labels = negative_points(masks, generator)
    return torch.cat([points, beside], dim=2), torch.cat([labels, beside_labels], dim=2)


def pixels_where(masks: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` random pixel centres (B,count,2) inside each mask (anywhere in an empty one)."""
    weights = masks.flatten(1) + 1e-6
    flat = torch.multinomial(weights, count, replacement=True, generator=generator)
    side = masks.shape[-1]
    return torch.stack([flat % side, flat // side], dim=2) + 0.5


def negative_points(masks: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to `NEGATIVES` points beside the person for a third of the prompts, half of them close to it."""
    batch = len(masks)
    near = F.max_pool2d(masks, 17, 1, 8) - masks
    weight = torch.where(torch.rand(batch, 1, 1, 1, generator=generator) < 0.5, near, 1 - masks)
    points = pixels_where(weight, PROMPTS * NEGATIVES, generator).reshape(batch, PROMPTS, NEGATIVES, 2)
    used = torch.rand(batch, PROMPTS, NEGATIVES, generator=generator) < 0.6
    used &= torch.rand(batch, PROMPTS, 1, generator=generator) < 0.3
    return points, torch.where(used, NEGATIVE, UNUSED)


def random_boxes(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Boxes (B,K,4) px round the masks, each side displaced by up to 3 px; all of it for an empty mask."""
    side = masks.shape[-1]
    ends = [_extent(masks[:, 0].amax(dim=dim)) for dim in (1, 2)]
    exact = torch.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], dim=1).float()
    noise = (torch.rand(len(masks), PROMPTS, 4, generator=generator) * 2 - 1) * 3
    return (exact[:, None] + noise).clamp(0, side)


def _extent(line: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and one past the last index where rows of `line` (B,n) are set; (0, n) where nothing is."""
    length = line.shape[1]
    positions = torch.arange(length)
    low = torch.where(line > 0, positions, length).amin(dim=1)
    high = torch.where(line > 0, positions + 1, 0).amax(dim=1)
    empty = high == 0
    return torch.where(empty, 0, low), torch.where(empty, length, high)


def mask_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Loss per prompt (B,K) of logits (B,K,S,S) against masks (B,1,S,S)."""
    outline = F.max_pool2d(masks, 5, 1, 2) + F.max_pool2d(-masks, 5, 1, 2)
    weight = 1 + 3 * outline
    entropy = F.binary_cross_entropy_with_logits(logits, masks.expand_as(logits), reduction="none")
    entropy = (entropy * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    inside = logits.sigmoid()
    overlap = (inside * masks).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (inside.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 1)
    return 2 * entropy + dice


def intersection_over_union(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """IoU (B,K) of boolean masks (B,K,S,S) and (B,1,S,S); 1 where both are empty."""
    both, either = (found & truth).sum(dim=(2, 3)), (found | truth).sum(dim=(2, 3))
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def score_person(
    sam: torch.nn.Module, people: PeopleDataset, index: int, generator: torch.Generator
) -> dict[str, float]:
    """IoU of one held-out person's visible mask under four ways of prompting; empty if nothing is visible."""
    where = np.array([index])
    truth = people.pictures("visible_mask", where)[0, 0] > 0.5
    joints, seen = visible_joints(people, where)
    points = joints[0, seen[0] > 0, :2]
    if not len(points) or not truth.any():
        return {}
    image = people.pictures("occluded", where)[0]
    noise = torch.randn(points.shape, generator=generator) * 2
    shuffled = points[torch.randperm(len(points), generator=generator)]
    prompts = {
        "visible_iou": points,
        "visible_iou.jitter": (points + noise).clamp(0, people.size - 0.01),
        "visible_iou.half": points[::2],
        "visible_iou.three": shuffled[:3],
    }
    return {name: _iou_of(sam, image, chosen, truth) for name, chosen in prompts.items()}


def _iou_of(sam: torch.nn.Module, image: torch.Tensor, points: torch.Tensor, truth: torch.Tensor) -> float:
    mask, _ = visible_mask(sam, image, points, torch.ones(len(points)))
    return float(intersection_over_union(mask.cpu()[None, None] > 0.5, truth[None, None]))


def mark_points(images: torch.Tensor, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Copies of pictures with the used points as 3x3 spots, green inside, red outside."""
    marked = images.clone()
    for picture, spots, kinds in zip(marked, points.long(), labels, strict=True):
        for (x, y), kind in zip(spots.tolist(), kinds.tolist(), strict=True):
            if kind != UNUSED:
                colour = torch.tensor([0.0, 1.0, 0.0] if kind == POSITIVE else [1.0, 0.0, 0.0])
                picture[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = colour[:, None, None]
    return marked


RECIPES = {"sam": SamRecipe}
