"""Giving a Hand on poses of people and on pictures of any size; results are on the CPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...people.boxes import EMPTY
from ...people.crops import CropPlan, crop, plan_crop, points_to_crop, same_shape, stitch
from ...people.hands import FEWEST_JOINTS, SIDES, Hand, close_up, hands_of
from ...people.keypoints import HAND_21, Person, Pose
from ...people.naming import in_picture, naming_picture
from ...people.skeleton import draw_skeleton
from ...people.skeleton_openpose import draw_openpose
from ..diffusion.batches import at_once, chunks, in_chunks
from ..diffusion.sampling import OnStep
from . import sampling
from .masks import segmented
from .networks import BodyOutpainter, HandGenerator

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

BOTH = "both"
CHOICES = (BOTH, *SIDES)


# Stage 1: the hand


@dataclass(frozen=True)
class DrawnHands:
    """N hands close up. images, skeletons: (N,3,S,S) 0..1. masks: (N,1,S,S) 0..1. hands: their joints in
    these pictures.
    """

    images: Tensor
    masks: Tensor
    skeletons: Tensor
    hands: list[Hand]


def hands_to_draw(poses: Sequence[Pose], which: str = BOTH) -> list[Hand]:
    """The hands of the poses, one pose after the other, right before left (`people.hands.hands_of`).

    which: "both", or one side alone. Raises ValueError for another choice, when a picture has no such hand,
    and for a hand with fewer than 3 joints in the picture, or with all in one place.
    """
    if which not in CHOICES:
        raise ValueError(f"which is {which!r}; it is one of {', '.join(CHOICES)}")
    hands = [_hands_of_image(pose, index, len(poses), which) for index, pose in enumerate(poses)]
    return [hand for each in hands for hand in each]


def _hands_of_image(pose: Pose, index: int, count: int, which: str) -> list[Hand]:
    hands = [hand for hand in hands_of(pose) if which in (BOTH, hand.side)]
    if not hands:
        lacking = "hand" if which == BOTH else f"{which} hand"
        raise ValueError(
            f"{in_picture('pose_keypoint', index, count)} has no {lacking}: use a detector that finds hands "
            "(OpenPose or DWPose with hands on), place the joints in Point Prompt, or choose another side"
        )
    for hand in hands:
        with naming_picture(index, count):
            close_up(hand, pose.width)  # says of which hands none can be made
        present, inside = int(hand.present.sum()), int(hand.inside(pose.height, pose.width).sum())
        if inside < FEWEST_JOINTS:
            own = in_picture(f"the {hand.side} hand", index, count)
            raise ValueError(
                f"{own} lies outside the picture of {pose.width} x {pose.height} pixels: {inside} of its "
                f"{present} joints are inside and {FEWEST_JOINTS} are needed. Move the pose, or leave that "
                "hand out"
            )
    return hands


def side_named(text: str, side: str) -> str:
    """The text about one hand: "a hand with ..." becomes "a right hand with ...", unless it names a side."""
    if re.search(r"\b(left|right)\b", text, re.IGNORECASE):
        return text
    return re.sub(r"\bhand\b", f"{side} hand", text, count=1)


def draw_hands(
    model: HandGenerator,
    hands: Sequence[Hand],
    text: str | Sequence[str],
    *,
    sam: Sam | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> DrawnHands:
    """Stage 1: every hand close up, in the middle of a picture of the model's size S.

    Args:
        model: the hand generator.
        hands: N hands, joints in pixels of their pictures.
        text: of all of them, or one of each; see `side_named`.
        sam: finds the masks in place of the generator.
        seed: hand i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: steps, cfg and scheduler of `sampling.generate_hands`.

    Returns:
        N pictures of side S with masks, skeletons and joints.

    Raises:
        ValueError: for a hand of fewer than 3 joints, naming it.
    """
    near = [close_up(hand, model.size).moved(hand) for hand in hands]
    joints = torch.from_numpy(np.stack([hand.joints for hand in near]))
    skeletons = sampling.condition_image(model, joints)
    each = [text] * len(near) if isinstance(text, str) else list(text)
    texts = [side_named(words, hand.side) for words, hand in zip(each, near, strict=True)]

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        images, masks = sampling.generate_hands(
            model, skeletons[rows], texts[rows], seed=seed + rows.start, on_step=step, **settings
        )
        if sam is not None:
            model.use(sam)
            masks = segmented(sam, images, joints[rows])
        return images.cpu(), masks.cpu()

    images, masks = in_chunks(chunks(len(near), at_once(model)), work, on_step)
    return DrawnHands(images, masks, skeletons, near)


# Stage 2: the body


def outpaint_images(
    model: BodyOutpainter,
    canvas: Tensor,
    known_masks: Tensor,
    poses: Sequence[Pose],
    texts: Sequence[str],
    *,
    paste: bool = True,
    feather_px: float | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> sampling.Outpainted:
    """Stage 2 for pictures of any size.

    The whole picture is made, padded to a square, at the model's size; one of that size is used as it is. The
    hands are pasted from the canvas itself, at full resolution.

    Args:
        model: the body outpainter.
        canvas: hands on a plain background, (B,3,H,W) in 0..1.
        known_masks: (B,1,H,W), 1 on the hands.
        poses: bodies with hands, in pixels of a picture of the canvas's shape.
        texts: one for each picture.
        paste: without, `image` is `blended`.
        feather_px: width of the pasted hands' soft edge in pixels of the canvas; None is 0.6 % of its shorter
            side.
        seed: picture i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: expansion, steps, cfg, control_strength and scheduler of `sampling.outpaint_body`.

    Returns:
        An `Outpainted` at the size of the canvas, on the CPU.

    Raises:
        ValueError: for a pose without joints or of another shape than the canvas, and as `outpaint_body`.
    """
    height, width = canvas.shape[-2:]
    sampling.check_known(known_masks, settings.get("expansion", sampling.SEQUENTIAL))
    plan = plan_crop(EMPTY, (height, width), (model.size, model.size), margin=0.0)
    fitted = [pose_for(pose, height, width, index, len(poses)) for index, pose in enumerate(poses)]
    skeletons = torch.cat([pose_image(pose, plan, model.is_public) for pose in fitted])

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        made = sampling.outpaint_body(
            model, crop(canvas[rows], plan), crop(known_masks[rows], plan, fill=0.0).clamp(0, 1),
            skeletons[rows], texts[rows], seed=seed + rows.start, on_step=step, **settings,
        ).blended.cpu()  # fmt: skip
        return (stitch(canvas[rows], made, torch.ones_like(made[:, :1]), plan)[0],)

    (blended,) = in_chunks(chunks(len(canvas), at_once(model)), work, on_step)
    image, alpha = sampling.pasted(blended, canvas, known_masks, feather_px)
    return sampling.Outpainted(image if paste else blended, blended, alpha)


def pose_for(pose: Pose, height: int, width: int, index: int = 0, count: int = 1) -> Pose:
    """The pose in the pixels of a picture.

    Args:
        pose: of the same shape.
        height, width: of the picture in pixels.
        index, count: the place of the picture in its batch and how many there are, for messages.

    Raises:
        ValueError: for a pose of another shape, and for one without any joint.
    """
    which = in_picture("pose_keypoint", index, count)
    if not any((part[:, 2] > 0).any() for person in pose.people for part in _drawn_parts(person)):
        raise ValueError(f"{which} has no joints: connect the pose of a person with hands")
    if not same_shape((pose.height, pose.width), (height, width)):
        raise ValueError(
            f"{which} is of {pose.width} x {pose.height} pixels and canvas has {width} x {height}: they must "
            "show the same view. Use the pose that the canvas was made with"
        )
    return pose.resized(height, width)


def pose_image(pose: Pose, plan: CropPlan, public: bool = False) -> Tensor:
    """Everybody's body and hands in the planned crop on black, (1,3,model_height,model_width).

    public: drawn as public ControlNets know it.
    """
    image = torch.zeros(1, 3, plan.model_height, plan.model_width)
    draw = draw_openpose if public else draw_skeleton
    for person in _moved(pose, plan).people:
        parts = [torch.from_numpy(part)[None] for part in _drawn_parts(person)]
        hands = torch.stack(parts[1:], dim=1)
        image = draw(parts[0], plan.model_height, plan.model_width, hands=hands, onto=image)
    return image


def _moved(pose: Pose, plan: CropPlan) -> Pose:
    people = [[points_to_crop(part, plan) for part in _drawn_parts(person)] for person in pose.people]
    moved = tuple(Person(body, left_hand=left, right_hand=right) for body, left, right in people)
    return Pose(moved, plan.model_width, plan.model_height)


def _drawn_parts(person: Person) -> list[np.ndarray]:
    """Body (18,3), left and right hand (21,3); zeros for a hand that is not known."""
    absent = np.zeros((len(HAND_21), 3), np.float32)
    hands = [absent if hand is None else hand for hand in (person.left_hand, person.right_hand)]
    return [person.body, *hands]
