"""HumanSD on poses of people and for pictures of any size; results are on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ...people.keypoints import Person, Pose
from ...people.naming import in_picture
from ...people.skeleton_coco import SCORE, draw_coco_poses, drawn_limbs
from ..diffusion.batches import at_once, chunks, in_chunks
from ..diffusion.sampling import OnStep
from .networks import HumanSD
from .sampling import SIDE_MULTIPLE, generate_people

AUTOMATIC = 0


class Size(NamedTuple):
    """Of a picture, in pixels."""

    width: int
    height: int


def image_size(width: int, height: int, pose: Pose, side: int) -> Size:
    """The picture's size in multiples of 64 px: what was asked for, rounded.

    Args:
        width, height: asked for, in pixels. Where both are 0, the shorter side is the model's and the shape
            that of the pose; where one is, it follows from the other by the pose's shape.
        pose: whose shape counts.
        side: of the model's own pictures, in pixels.

    Raises:
        ValueError: for negative sides.
    """
    if width < 0 or height < 0:
        raise ValueError(f"width is {width} and height {height}; 0 (automatic) or more is needed")
    aspect = pose.width / pose.height
    if width == height == AUTOMATIC:
        return Size(_rounded(side * max(aspect, 1.0)), _rounded(side / min(aspect, 1.0)))
    return Size(_rounded(width or height * aspect), _rounded(height or width / aspect))


def _rounded(side: float) -> int:
    return max(int(side / SIDE_MULTIPLE + 0.5), 1) * SIDE_MULTIPLE


def fitted(pose: Pose, size: Size) -> Pose:
    """The pose in a picture of that size: as large as it fits, in the middle, its shape kept."""
    scale = min(size.width / pose.width, size.height / pose.height)
    shift = (size.width - scale * pose.width) / 2, (size.height - scale * pose.height) / 2
    return moved(pose, size, scale, shift)


def moved(pose: Pose, size: Size, scale: float, shift: tuple[float, float]) -> Pose:
    """The bodies of a pose in another picture.

    Args:
        pose: in pixels; hands and faces are left out.
        size: of the picture.
        scale: factor on all places.
        shift: (x, y) in pixels, after scaling.
    """
    factor, offset = np.array([scale, scale, 1], np.float32), np.array([*shift, 0], np.float32)
    people = tuple(Person(person.body * factor + offset) for person in pose.people)
    return Pose(people, size.width, size.height)


def beside(poses: Sequence[Pose]) -> Pose:
    """The people of all poses in one picture, beside each other from left to right, at equal heights."""
    height = max(pose.height for pose in poses)
    scales = [height / pose.height for pose in poses]
    widths = [round(scale * pose.width) for scale, pose in zip(scales, poses, strict=True)]
    size, left = Size(sum(widths), height), 0
    people: list[Person] = []
    for pose, scale, width in zip(poses, scales, widths, strict=True):
        people += moved(pose, size, scale, (left, 0.0)).people
        left += width
    return Pose(tuple(people), *size)


def check_drawn(poses: Sequence[Pose]) -> None:
    """ValueError for a picture without anybody of whom at least one limb is drawn, and none inside it."""
    for index, pose in enumerate(poses):
        which = in_picture("pose_keypoint", index, len(poses))
        if not pose.people:
            raise ValueError(f"{which} has no person: connect a pose with at least one person")
        if not any(drawn_limbs(person) for person in pose.people):
            raise ValueError(
                f"{which} has nothing to draw: of none of its {len(pose.people)} people are two "
                f"joined joints known with a confidence above {SCORE}. Place more joints, or use another pose"
            )


def skeleton_images(poses: Sequence[Pose], size: Size, thickness: int | None = None) -> Tensor:
    """The poses fitted into pictures of that size, in HumanSD's drawing, (B,3,height,width) in 0..1.

    thickness: of the lines in pixels; see `draw_coco_pose`. Raises ValueError for a pose of which nothing can
    be seen.
    """
    check_drawn(poses)
    images = draw_coco_poses([fitted(pose, size) for pose in poses], thickness=thickness)
    for index, image in enumerate(images):
        if not image.any():
            raise ValueError(
                f"{in_picture('pose_keypoint', index, len(poses))} lies outside its picture of "
                f"{poses[index].width} x {poses[index].height} pixels: move the people into it"
            )
    return images


def draw_people(
    model: HumanSD,
    skeletons: Tensor,
    texts: Sequence[str],
    *,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> Tensor:
    """One picture for each skeleton and text.

    Args:
        model: HumanSD.
        skeletons: (N,3,H,W) in 0..1, sides in multiples of 64.
        texts: one for each.
        seed: picture i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: negative, steps, cfg, pose_strength, scheduler and procedure of `sampling.generate_people`.

    Returns:
        Pictures (N,3,H,W) in 0..1 on the CPU.
    """

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        made = generate_people(
            model, skeletons[rows], texts[rows], seed=seed + rows.start, on_step=step, **settings
        )
        return (made.cpu(),)

    (images,) = in_chunks(chunks(len(skeletons), at_once(model)), work, on_step)
    return images


def split_texts(text: str) -> list[str]:
    """The texts of a batch: one per line; lines without words do not count, but there is at least one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines or [""]


def with_suffix(texts: Sequence[str], suffix: str) -> list[str]:
    """Each text, a comma, and the suffix; empty texts and suffixes leave no comma behind."""
    return [", ".join(part for part in (text.strip(), suffix.strip()) if part) for text in texts]
