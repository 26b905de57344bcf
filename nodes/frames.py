"""Frames of a video that show nobody: one rule for all nodes that take them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..people.boxes import Box
from ..people.keypoints import Pose
from ..people.naming import pictures_of
from ..people.prompts import PointPrompt

logger = logging.getLogger(__name__)


def is_nobody(prompt: PointPrompt | None, pose: Pose | None, box: Box | None) -> bool:
    """Whether nothing that is said of a picture names anybody: no joint, no point on a person, no box."""
    return (
        (prompt is None or prompt.says_nothing)
        and (pose is None or pose.shows_nobody)
        and (box is None or box.is_empty)
    )


def frames_without_anybody(node: str, becomes: str, nobody: Sequence[bool]) -> set[int]:
    """Numbers of the pictures of a batch that show nobody, where others show somebody; logged.

    Where all show nobody there are none: that is a mistake, and the node says which.

    Args:
        node: its title.
        becomes: what the node gives for such a picture, for the log.
        nobody: of each picture.
    """
    without = {index for index, each in enumerate(nobody) if each}
    if not without or len(without) == len(nobody):
        return set()
    logger.warning("%s: nobody in %s: %s", node, pictures_of(sorted(without), len(nobody)), becomes)
    return without
