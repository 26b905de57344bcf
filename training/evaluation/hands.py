"""Giving a Hand measured on held-out synthetic people who show their hands.

Everybody is made from the skeleton with hands and the caption. Two stages: each hand close up, the canvas,
the body round it. One stage: the same body network from the same skeleton, without a hand to start from, by
the same budget: as many steps as both stages have together. "hard" is the hand pasted onto that picture;
"constant" and "sequential" are the two masks of the blended latents, with the same paste at the end.
"autoencoder" is the true picture through the autoencoder alone: what no body network can exceed at this size,
where a hand is three or four cells of the latents wide, and only a pasted hand does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.diffusion.latent_model import LatentNetworks
from ...models.diffusion.mask_expansion import CONSTANT, OFF, SEQUENTIAL
from ...models.diffusion.networks import load_unet
from ...models.hands.canvas import Placement, make_canvas
from ...models.hands.checkpoint import load_mini_hands
from ...models.hands.networks import HandGenerator, HandsModel
from ...models.hands.pipeline import DrawnHands, draw_hands, outpaint_images
from ...models.hands.sampling import generate_hands, pasted, skeleton_image
from ...models.perception.hand_pose import detect_hands, joint_boxes, load_hand_detector
from ...models.perception.pose import PoseDetector, detect_joints, load_pose_detector
from ...people.hands import LEFT, hands_of
from ...people.keypoints import Person, Pose
from ...people.skeleton import draw_skeleton
from ...people.synthetic import SyntheticPeople, render_people, select
from ...people.synthetic.choices import HANDS_RAISED
from ...people.synthetic.closeups import SKIN_NAMES, SyntheticHands, render_hands
from ..reports.sheets import Row
from . import metrics
from .loop import Method, Metrics, PerPerson, in_batches
from .reposing import joint_errors

log = logging.getLogger(__name__)

SIZE = 128
COMPARED = ("hands_with_mask", "hands_without_mask")
"""Files of the comparison, which are not shipped: generators trained equally long, with and without it."""
PAIRS = (("two_stage", "one_stage"), ("sequential", "hard"), ("with_mask", "without_mask"))
TEXT = "a hand with {} skin"
"""The skin is the next of SKIN_NAMES for every person: the captions do not name it."""
STEPS, CFG = 20, 2.0
BODY_SHARE = 0.5
"""Side of the picture in what the pose detector is shown: it knows whole people, who are half as large."""
SPOT_PX = 8


@dataclass(frozen=True)
class Family:
    """The networks, the detectors that judge, and the generators of the comparison where they are there."""

    hands: HandsModel
    compared: dict[str, HandGenerator]
    hand_detector: PoseDetector
    body_detector: PoseDetector


@dataclass(frozen=True)
class Batch:
    """Some people with what was made of them; for sheets. owner: whose hand each close-up is."""

    people: SyntheticPeople
    poses: list[Pose]
    drawn: DrawnHands
    owner: list[int]
    canvas: Tensor
    made: dict[str, Tensor]


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The networks from `folder`, on `device`; the log names what is missing of the comparison."""
    folder = Path(folder)
    hands = load_mini_hands(folder)
    files = {name: folder / f"{name}.safetensors" for name in COMPARED}
    compared = {name: _generator(hands.generator, path) for name, path in files.items() if path.is_file()}
    if len(compared) < len(COMPARED):
        lacking = ", ".join(path.name for path in files.values() if not path.is_file())
        log.warning("no %s in %s: left out of the comparison with and without the mask head", lacking, folder)
    family = Family(
        hands, compared, load_hand_detector(folder / "hand_detector.safetensors"),
        load_pose_detector(folder / "pose_detector.safetensors"),
    )  # fmt: skip
    for network in (hands, *compared.values(), family.hand_detector, family.body_detector):
        network.to(device)
    return family


def _generator(like: HandGenerator, path: Path) -> HandGenerator:
    networks = LatentNetworks(like.vae, load_unet(path, file_kind="hands"), like.text, like.size)
    return HandGenerator(networks, path.name).eval()


def evaluate_hands(
    family: Family, seeds: Sequence[int], *, size: int = SIZE, steps: int = STEPS, **batches: Any
) -> Metrics:
    """Every metric by its name over the people of `seeds`; people of whom no hand can be seen are left out.

    Close-ups are those of `render_hands` for the same seeds.

    Args:
        family: of `load_family`.
        seeds: of the people; those that nobody trained with begin at `HELD_OUT_SEED`.
        size: side of the pictures in pixels.
        steps: denoising steps of either stage; twice as many where one stage draws all.
        batches: batch_size, on_batch and on_done, as `in_batches` takes them.
    """
    measured = PerPerson()

    def measure(part: list[int]) -> Batch | None:
        _measure_close_ups(family, render_hands(part, size), part[0], steps, measured)
        batch = _make_people(family, part, size, steps)
        if batch is not None:
            _measure_people(family, batch, measured)
        return batch

    in_batches(seeds, measure, **batches)
    means = measured.means()
    result = {name: mean.value for name, mean in means.items()}
    result["samples.people"] = measured.count("body_joint_err.truth")
    result["samples.hands"] = means["hand_joint_err.truth"].known if "hand_joint_err.truth" in means else 0
    result["samples.close_ups"] = len(seeds)
    return Metrics(result, measured.weighted())


# Stage 1 alone


def _measure_close_ups(
    family: Family, truth: SyntheticHands, seed: int, steps: int, measured: PerPerson
) -> None:
    skeleton = skeleton_image(truth.joints, truth.images.shape[-1])
    boxes = joint_boxes(truth.joints)
    generators = {"hands": family.hands.generator, **family.compared}
    for name, generator in generators.items():
        images, masks = generate_hands(generator, skeleton, truth.captions, steps=steps, cfg=CFG, seed=seed)
        found = detect_hands(family.hand_detector, images, boxes, truth.left).cpu()
        named = name.removeprefix("hands_")
        measured.add(f"close_up_joint_err.{named}", hand_error(found, truth.joints, boxes))
        if name == "hands":
            measured.add("mask_iou", metrics.iou(masks.cpu(), truth.masks))
    for name, images in {"truth": truth.images, "autoencoder": through(family, truth.images)}.items():
        found = detect_hands(family.hand_detector, images, boxes, truth.left).cpu()
        measured.add(f"close_up_joint_err.{name}", hand_error(found, truth.joints, boxes))


def through(family: Family, images: Tensor) -> Tensor:
    """Pictures (B,3,S,S) in 0..1 through the autoencoder alone."""
    generator = family.hands.generator
    return generator.decode(generator.encode(images)).clamp(0, 1).to(images)


def hand_error(found: Tensor, truth: Tensor, boxes: Tensor) -> Tensor:
    """Mean distance of the joints (B,21,3) over the longer side of the hand's box (B,4), (B,)."""
    span = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    return (found[..., :2] - truth[..., :2]).norm(dim=-1).mean(1) / span


# Both stages


def _make_people(family: Family, seeds: list[int], size: int, steps: int) -> Batch | None:
    people = render_people(seeds, size, occlusion=0.0, view=HANDS_RAISED)
    shown = people.hands[..., 2].flatten(1).any(1)
    if not shown.any():
        return None
    people = select(people, shown)
    poses = [pose_of(people, index) for index in range(len(people.captions))]
    owner = [index for index, pose in enumerate(poses) for _ in hands_of(pose)]
    targets = [hand for pose in poses for hand in hands_of(pose)]
    generator, body = family.hands.generator, family.hands.body
    texts = [TEXT.format(SKIN_NAMES[(seeds[0] + index) % len(SKIN_NAMES)]) for index in owner]
    drawn = draw_hands(generator, targets, texts, steps=steps, cfg=CFG, seed=seeds[0])
    masks = with_something(drawn.masks)
    places = [Placement(*each) for each in zip(owner, drawn.hands, targets, strict=True)]
    canvas, known = make_canvas(drawn.images, masks, places, len(poses), size, size)
    given, seed = (body, canvas, known, poses, people.captions), seeds[0]
    one = outpaint_images(*given, expansion=OFF, paste=False, steps=2 * steps, cfg=CFG, seed=seed)
    made = {"one_stage": one.image, "hard": pasted(one.image, canvas, known)[0]}
    for name in (CONSTANT, SEQUENTIAL):
        made[name] = outpaint_images(*given, expansion=name, steps=steps, cfg=CFG, seed=seed).image
    return Batch(people, poses, drawn, owner, torch.cat([canvas, known], 1), made)


def with_something(masks: Tensor) -> Tensor:
    """The masks (B,1,S,S); in place of an empty or full one a spot, so that failures are measured too."""
    middle = slice(masks.shape[-1] // 2 - SPOT_PX, masks.shape[-1] // 2 + SPOT_PX)
    spot = torch.zeros_like(masks)
    spot[..., middle, middle] = 1
    inside = (masks > 0.5).flatten(1)
    usable = inside.any(1) & ~inside.all(1)
    return torch.where(usable[:, None, None, None], masks, spot)


def _measure_people(family: Family, batch: Batch, measured: PerPerson) -> None:
    people, known = batch.people, (batch.canvas[:, 3:] > 0.5).float()
    truth = {"truth": people.unoccluded, "autoencoder": through(family, people.unoccluded)}
    for name, images in {**truth, **batch.made}.items():
        named = "two_stage" if name == SEQUENTIAL else name
        measured.add(f"hand_joint_err.{named}", _hand_errors(family, batch, images))
        found = find_bodies(family.body_detector, images)
        measured.add(f"body_joint_err.{named}", joint_errors(found, people.joints, images.shape[-1]))
        measured.add(f"seam_err.{name}", seam_energy(images, known))


def _hand_errors(family: Family, batch: Batch, images: Tensor) -> Tensor:
    """(B,2): of each person's hands; NaN where fewer are shown."""
    hands = [hand for pose in batch.poses for hand in hands_of(pose)]
    truth = torch.from_numpy(np.stack([hand.joints for hand in hands]))
    left = torch.tensor([hand.side == LEFT for hand in hands])
    boxes = joint_boxes(truth)
    found = detect_hands(family.hand_detector, images[batch.owner], boxes, left).cpu()
    errors = images.new_full((len(batch.poses), 2), torch.nan, device="cpu")
    number = [batch.owner[:at].count(person) for at, person in enumerate(batch.owner)]
    errors[batch.owner, number] = hand_error(found, truth, boxes)
    return errors


def find_bodies(detector: PoseDetector, images: Tensor) -> Tensor:
    """Joints (B,18,3) in pixels of the pictures (B,3,S,S), which show people from head to hips.

    The detector is shown each at half its size, above plain grey, as if the legs were hidden.
    """
    size = images.shape[-1]
    small = round(BODY_SHARE * size)
    left, scale = (size - small) // 2, size / small
    shown = images.new_full(images.shape, 0.5)
    shown[..., :small, left : left + small] = F.interpolate(
        images, (small, small), mode="bilinear", antialias=True
    )
    found = detect_joints(detector, shown).cpu()
    found[..., 0] -= left
    found[..., :2] *= scale
    return found


def seam_energy(images: Tensor, known: Tensor) -> Tensor:
    """Mean strength of the gradients within 3 px of the pasted hands' outline, (B,); NaN without one.

    A picture without a seam has the outline of the hand there and nothing else: compare with the truth.
    """
    blank = torch.zeros_like(images)
    return metrics.seam_error(images, blank, known)


def pose_of(people: SyntheticPeople, index: int) -> Pose:
    """The skeleton of one person with the hands that are shown."""
    right, left = (hand if (hand[:, 2] > 0).any() else None for hand in people.hands[index].cpu().numpy())
    size = people.unoccluded.shape[-1]
    return Pose((Person(people.joints[index].cpu().numpy(), left, right),), size, size)


# The contact sheet


def hand_rows(batch: Batch) -> Iterable[Row]:
    """Both stages of Giving a Hand for the people of a batch, with one of their hands close up."""
    height, width = batch.people.unoccluded.shape[-2:]
    hands = batch.people.hands.flip(1)  # skeletons have the left hand first
    skeletons = draw_skeleton(batch.people.joints, height, width, hands=hands)
    canvas = batch.canvas[:, :3]
    for index, caption in enumerate(batch.people.captions):
        hand = batch.owner.index(index)
        images = {
            "skeleton": skeletons[index], "hand skeleton": batch.drawn.skeletons[hand],
            "hand": batch.drawn.images[hand], "its mask": batch.drawn.masks[hand], "canvas": canvas[index],
            "one stage": batch.made["one_stage"][index], "hard paste": batch.made["hard"][index],
            "constant mask": batch.made["constant"][index], "two stages": batch.made["sequential"][index],
            "drawn from": batch.people.unoccluded[index],
        }  # fmt: skip
        yield Row(images, caption)


METHOD = Method(load_family, evaluate_hands, hand_rows, pairs=PAIRS)
