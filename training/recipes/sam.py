"""Recipe: the mini SAM, visible masks of synthetic people from the joints that can be seen.

Prompts are all visible joints or a few of them, displaced by a pixel or two, or clicks anywhere on the
person; some come with points beside it, most often on a neighbour, and a quarter of the pictures with a box.
In most pictures there are two or three people of equal prominence, any of whom may be meant: only the prompt
tells who.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.perception.pose import PoseDetector, load_pose_detector
from ...models.perception.sam import (
    NEGATIVE,
    POSITIVE,
    UNUSED,
    build_mini_sam,
    prompt_logits,
    visible_mask,
)
from ...models.perception.sam_networks import FILE_KIND, MINI
from ..data.people import PeopleDataset, rows, sample_indices
from ..data.perception import Company, Drawn, Framing, PerceptionData, draw_people, mask_boxes
from ..run.progress import image_grid
from ..run.recipe import Batch, Export, random_generator
from .perception import PerceptionRecipe

PROMPTS = 1
MOST_POINTS = (1, 2, 3, 3, 18, 18, 18, 18)
NEGATIVES = 3
JITTER_PX = 1.2
BOXED, BOX_ALONE = 4, 0.5
"""One in so many pictures has a box, the first ones of a batch; that share of them has no points."""
SHARES = (0.8, 0.15, 0.05, 0.0)
AS_RENDERED, ONLY_FRAMED = 0.5, 0.5
"""Share of pictures as rendered, and of the others those that are frames of them: what hides a person has a
sharp outline there, of which blur, noise and pasted shapes teach nothing.
"""
FRAMING = Framing(sides=(1.05, 2.0), upper=0.25, together=0.5)
COMPANY = Company(shares=(0.6, 0.25), nearest=0.08, exchanged=0.4)
STEM_NAMES = {
    "stem.": "first.", "down4.": "down.0.", "block4.": "blocks.0.", "down8.": "down.1.",
    "blocks8.0.": "blocks.1.",
    "down16.": "down.2.", "blocks16.0.": "blocks.2.", "blocks16.1.": "deep.0.", "up8.": "up.1.",
    "join8.": "join.1.", "up4.": "up.0.", "join4.": "join.0.",
}  # fmt: skip
"""The layers of the detector's hourglass, and what they are called in SAM's stem."""


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
        boxed = len(images) // BOXED
        parts = [prompt_logits(self.sam, images[boxed:], points[boxed:], labels[boxed:])]
        if boxed:
            prompts = points[:boxed], labels[:boxed], boxes[:boxed]
            parts.insert(0, prompt_logits(self.sam, images[:boxed], *prompts))
        logits, ious = zip(*parts)
        return torch.cat(logits), torch.cat(ious)


class SamRecipe(PerceptionRecipe):
    """Binary cross-entropy, heavier near the outline, plus Dice, plus the error of the predicted IoU."""

    name = "sam"
    needs = ("pose_detector",)
    plan = replace(PerceptionRecipe.plan, minutes=60, batch_size=16, learning_rate=1e-3)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A mini SAM that begins with what the pose detector sees."""
        training = SamTraining()
        stem_from_detector(training.sam, load_pose_detector(init["pose_detector"]))
        return training

    def batch(self, data: PerceptionData, step: int, seed: int, batch_size: int) -> Batch:
        """images, masks (B,1,S,S), points, labels, boxes of the prompts."""
        indices = sample_indices(len(data.people), step, seed, batch_size)
        generator = random_generator(seed, step, 12)
        drawn = draw_people(data, indices, generator, FRAMING, SHARES, COMPANY, ONLY_FRAMED, AS_RENDERED)
        points, labels = random_points(drawn, generator)
        boxed = batch_size // BOXED
        labels[:boxed][torch.rand(boxed, generator=generator) < BOX_ALONE] = UNUSED
        return {
            "images": drawn.images, "masks": drawn.mask, "points": points, "labels": labels,
            "boxes": random_boxes(drawn.mask, generator),
        }  # fmt: skip

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Over the prompts that say anything about a person that can be seen."""
        logits, predicted = module(batch["images"], batch["points"], batch["labels"], batch["boxes"])
        logits, predicted = logits.float(), predicted.float()
        masks = batch["masks"]
        prompted = (batch["labels"] == POSITIVE).any(dim=2)
        prompted[: len(masks) // BOXED] = True
        valid = (masks.sum(dim=(2, 3)) > 0) & prompted
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
        return image_grid([marked, found, batch["masks"][:count].expand(-1, 3, -1, -1)])

    def evaluate(self, module: Any, held_out: PerceptionData) -> dict[str, float]:
        """Mean IoU on held-out people: all visible joints, displaced by 2 px, every other one, only three."""
        people = held_out.people
        generator = random_generator(0, 13)
        results: dict[str, list[float]] = {}
        for index in range(len(people)):
            for name, value in score_person(module.sam, people, index, generator).items():
                results.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in results.items()}

    def export(self, module: Any, held_out: PerceptionData) -> Export:
        """The whole SAM with its configuration."""
        return Export(FILE_KIND, module.sam.state_dict(), config_to_metadata(MINI), int8=True)


def visible_joints(people: PeopleDataset, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (B,18,3) px and which are in the picture and not covered (B,18) 0/1."""
    joints = rows(people.joints, indices).float()
    return joints, (joints[..., 2] > 0).float() * rows(people.joint_visible, indices).float()


def stem_from_detector(sam: Any, detector: PoseDetector) -> None:
    """Give the image encoder's stem the weights of the detector's hourglass, without its last block at 1/16.

    SAM normalises colours, the detector takes them from -1 to 1: the first layer is converted.
    """
    stem = sam.image_encoder.patch_embed
    weights = {
        own + name.removeprefix(other): value
        for other, own in STEM_NAMES.items() for name, value in detector.state_dict().items()
        if name.startswith(other)
    }  # fmt: skip
    mean, spread = sam.pixel_mean.view(1, 3, 1, 1) / 255, sam.pixel_std.view(1, 3, 1, 1) / 255
    kernel = weights["first.weight"]
    weights["first.bias"] = weights["first.bias"] + (kernel * (2 * mean - 1)).sum(dim=(1, 2, 3))
    weights["first.weight"] = kernel * 2 * spread
    missing = stem.load_state_dict(weights, strict=False).missing_keys
    if {name.split(".")[0] for name in missing} != {"proj", "out", "prompt"}:
        raise ValueError(
            f"the pose detector has no weights for the stem's {', '.join(missing)}: train it again"
        )


def random_points(drawn: Drawn, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (B,K,n,2) px and labels (B,K,n) of a batch; n is drawn once, so few points are few tokens."""
    masks, joints, seen = drawn.mask, drawn.joints, drawn.present
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
    beside, beside_labels = negative_points(masks, drawn.others, generator)
    return torch.cat([points, beside], dim=2), torch.cat([labels, beside_labels], dim=2)


def pixels_where(masks: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` random pixel centres (B,count,2) inside each mask (anywhere in an empty one)."""
    weights = masks.flatten(1) + 1e-6
    flat = torch.multinomial(weights, count, replacement=True, generator=generator)
    side = masks.shape[-1]
    return torch.stack([flat % side, flat // side], dim=2) + 0.5


def negative_points(
    masks: torch.Tensor, others: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to `NEGATIVES` points beside the person for a third of the prompts: anywhere, close to it, or on
    another person (others (B,1,S,S)) where there is one.
    """
    batch = len(masks)
    near = F.max_pool2d(F.max_pool2d(masks, (17, 1), 1, (8, 0)), (1, 17), 1, (0, 8)) - masks
    neighbours = torch.where(others.amax(dim=(2, 3), keepdim=True) > 0, others * (1 - masks), near)
    drawn = torch.rand(batch, 1, 1, 1, generator=generator)
    weight = torch.where(drawn < 0.6, neighbours, torch.where(drawn < 0.8, near, 1 - masks))
    points = pixels_where(weight, PROMPTS * NEGATIVES, generator)
    used = torch.rand(batch, PROMPTS, NEGATIVES, generator=generator) < 0.6
    used &= torch.rand(batch, PROMPTS, 1, generator=generator) < 0.3
    return points.reshape(batch, PROMPTS, NEGATIVES, 2), torch.where(used, NEGATIVE, UNUSED)


def random_boxes(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Boxes (B,K,4) px round the masks, each side displaced by up to 3 px; all of it for an empty mask."""
    side = masks.shape[-1]
    noise = (torch.rand(len(masks), PROMPTS, 4, generator=generator) * 2 - 1) * 3
    return (mask_boxes(masks)[:, None] + noise).clamp(0, side)


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
    """IoU of one held-out person's visible mask under four ways of prompting; empty if nothing is visible.

    Args:
        sam: the model.
        people: the data set.
        index: of the person in it.
        generator: chooses points.
    """
    where = np.array([index])
    truth = people.images("visible_mask", where)[0, 0] > 0.5
    joints, seen = visible_joints(people, where)
    points = joints[0, seen[0] > 0, :2]
    if not len(points) or not truth.any():
        return {}
    image = people.images("occluded", where)[0]
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
    for image, spots, signs in zip(marked, points.long(), labels, strict=True):
        for (x, y), sign in zip(spots.tolist(), signs.tolist(), strict=True):
            if sign != UNUSED:
                colour = torch.tensor([0.0, 1.0, 0.0] if sign == POSITIVE else [1.0, 0.0, 0.0])
                image[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = colour[:, None, None]
    return marked


RECIPES = {"sam": SamRecipe}
