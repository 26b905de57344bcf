"""Hands of a list, one JSON object a line, as close-ups for the recipe `hands` (docs/data.md).

{"image": FILE, "joints": [[x_px, y_px], ...] of 21, "left": true, "mask": FILE, "caption": TEXT}; a third
number of a joint is its confidence. File names are relative to the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .hands import HANDS, hand_layout
from .imported_people import Square, cut, placed
from .index import write_index
from .people import read_json, render_arrays
from .pictures import opened, read_picture
from .texts import floats, lines_of, parse

OPENPOSE, INTERHAND = ORDERS = ("openpose", "interhand")
"""OpenPose, MediaPipe and HaGRID: wrist, then each finger from the palm, thumb first. InterHand2.6M: each
finger from its tip, thumb first, the wrist last.
"""
JOINTS = 21
MARGIN = 1.5


def import_hands(
    root: Path, listed: Path, order: str, size: int, held_out: int = 256, processes: int = 1
) -> tuple[int, int]:
    """Write both parts of the hands in a list, or finish them; gives the numbers of hands.

    Args:
        root: folder of the data sets.
        listed: file of JSON lines.
        order: of the joints, one of ORDERS.
        size: side of the pictures in pixels.
        held_out: hands kept for evaluation, the last ones of the list, of photographs that training does not
            see.
        processes: how many read at once.

    Raises:
        FileNotFoundError, ValueError: naming the line and what it lacks.
        OSError: when the disk has too little room.
    """
    hands = by_photograph(read_hands(listed, order))
    kept = len(hands) - min(held_out, len(hands) // 2)
    while 0 < kept < len(hands) and hands[kept - 1]["image"] == hands[kept]["image"]:
        kept -= 1
    if kept == 0:
        raise ValueError(
            f"{listed} has hands of one photograph alone, {hands[0]['image']}: give two or more, so that "
            "some are held out that training does not see"
        )
    for part, own in (("held_out", hands[kept:]), ("train", hands[:kept])):
        folder = Path(root) / part / HANDS
        reader = HandsReader(write_index(folder, own, _rows, hand_layout(len(own), size)))
        render_arrays(folder, hand_layout, len(own), 0, size, processes, reader)
    return kept, len(hands) - kept


def _rows(hands: Sequence[dict[str, Any]]) -> list[Any]:
    """The hands by the names of their files, whose folder may be another when an import goes on."""
    return [hand | {name: Path(hand[name]).name for name in ("image", "mask")} for hand in hands]


def by_photograph(hands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hands with those of one photograph together, photographs in their order."""
    together: dict[str, list[dict[str, Any]]] = {}
    for hand in hands:
        together.setdefault(hand["image"], []).append(hand)
    return [hand for own in together.values() for hand in own]


def read_hands(listed: Path, order: str) -> list[dict[str, Any]]:
    """The hands of a list, each once, joints in OpenPose's order, files by whole paths; errors as above."""
    if not listed.is_file():
        raise FileNotFoundError(f"no list of hands at {listed}: one JSON object a line")
    found: dict[str, dict[str, Any]] = {}
    for line, where in lines_of(listed):
        hand = _hand(_object(line, where), where, order)
        hand |= {name: str(listed.parent / hand[name]) for name in ("image", "mask")}
        found[json.dumps([hand["image"], hand["joints"]])] = hand
    if not found:
        raise ValueError(f"{listed} has no hands")
    other = INTERHAND if order == OPENPOSE else OPENPOSE
    if 2 * sum(_is_of_other_order(hand["joints"], order) for hand in found.values()) > len(found):
        raise ValueError(
            f"{listed}: the fingers of most hands fall apart: their joints are not in the order {order!r}; "
            f"try --order {other}"
        )
    return list(found.values())


def _is_of_other_order(joints: Sequence[Sequence[float]], order: str) -> bool:
    """Whether the bones of a hand (21,3), brought from that order, are longer than brought from the other."""
    own = np.asarray(joints)
    raw = own if order == OPENPOSE else own[np.argsort(in_order(np.arange(JOINTS), order))]
    other = in_order(raw, INTERHAND if order == OPENPOSE else OPENPOSE)
    return bool((own[:, 2] > 0).all() and _bones(other) < _bones(own))


def _bones(joints: np.ndarray) -> float:
    """The length of all bones of a hand (21,3) in OpenPose's order."""
    fingers = joints[1:, :2].reshape(5, 4, 2)
    chains = np.concatenate([np.broadcast_to(joints[0, :2], (5, 1, 2)), fingers], 1)
    return float(np.linalg.norm(np.diff(chains, axis=1), axis=-1).sum())


def _object(line: str, where: str) -> dict[str, Any]:
    given = parse(line, where)
    if not isinstance(given, dict):
        raise ValueError(f"{where} is no JSON object: one of image, joints, left, mask, caption is wanted")
    return given


def _hand(given: Mapping[str, Any], where: str, order: str) -> dict[str, Any]:
    lacking = [
        name for name in ("image", "joints", "left", "mask", "caption") if given.get(name) in (None, "")
    ]
    if lacking:
        raise ValueError(f"{where} lacks {', '.join(lacking)}")
    unlike = [name for name in ("image", "mask", "caption") if not isinstance(given[name], str)]
    if unlike:
        raise ValueError(f"{where} has no text in {', '.join(unlike)}")
    if not isinstance(given["left"], bool):
        raise ValueError(f"{where} has {given['left']!r} in left: true or false, without quotes, is wanted")
    joints = floats(given["joints"])
    if not np.isfinite(joints).all():
        raise ValueError(f"{where} has joints that are no numbers: correct the file or leave the line out")
    if joints.shape not in ((JOINTS, 2), (JOINTS, 3)):
        raise ValueError(
            f"{where} has joints of shape {joints.shape}: {JOINTS} of x, y (and confidence) in px"
        )
    if joints.shape[1] == 2:
        joints = np.concatenate([joints, np.ones((JOINTS, 1), np.float32)], 1)
    if not (joints[:, 2] > 0).any():
        raise ValueError(f"{where} has no joint of a confidence above 0: leave the line out")
    return {**given, "joints": in_order(joints, order).tolist()}


def in_order(joints: np.ndarray, order: str) -> np.ndarray:
    """Joints (21,n) of an order in OpenPose's; ValueError for an unknown order.

    >>> in_order(np.arange(21)[:, None], "interhand")[:5, 0].tolist()
    [20, 3, 2, 1, 0]
    """
    if order == OPENPOSE:
        return joints
    if order != INTERHAND:
        raise ValueError(f"order is {order!r}; it is one of {', '.join(ORDERS)}")
    fingers = [finger * 4 + joint for finger in range(5) for joint in (3, 2, 1, 0)]
    return joints[[JOINTS - 1, *fingers]]


@dataclass(frozen=True)
class HandsReader:
    """Reads hands of an index by their numbers, for `render_arrays`."""

    index: Path

    def __call__(self, numbers: Sequence[int], size: int) -> SimpleNamespace:
        """The arrays of these hands, stacked, and their captions."""
        hands = read_json(self.index)
        own = [hands[number] for number in numbers]
        made = [close_up(hand, size) for hand in own]
        images, masks, joints = (torch.stack([each[part] for each in made]) for part in range(3))
        left = torch.tensor([bool(hand["left"]) for hand in own])
        captions = [hand["caption"] for hand in own]
        return SimpleNamespace(images=images, masks=masks, joints=joints, left=left, captions=captions)


def close_up(hand: Mapping[str, Any], size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Picture (3,S,S) and mask (1,S,S) in 0..1 round a hand, and its joints (21,3) there.

    Raises FileNotFoundError for a missing file, ValueError for a mask of another size or with nothing in it.
    """
    for name in ("image", "mask"):
        if not Path(hand[name]).is_file():
            raise FileNotFoundError(f"no {name} {hand[name]}, which the list of hands names")
    with opened(Path(hand["mask"])) as drawn:
        mask = torch.from_numpy(np.array(drawn.convert("L")))[None].float() / 255
    picture = read_picture(Path(hand["image"]), drawn.size)
    if picture.size != drawn.size:
        raise ValueError(f"{hand['mask']} has {drawn.size} pixels, its picture {picture.size}")
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    joints = np.asarray(hand["joints"], np.float32)
    known = joints[joints[:, 2] > 0, :2]
    low, high = known.min(0), known.max(0)
    side = max(round(MARGIN * float((high - low).max())), 1)
    left, top = (round(float(each)) for each in (low + high - side) / 2)
    square = Square(left, top, side)
    cut_mask = cut(mask, square, size, edge=False)
    if not (cut_mask > 0.5).any():
        raise ValueError(f"{hand['mask']} is empty at the hand: it must be 255 on the hand, 0 elsewhere")
    return cut(image, square, size), cut_mask, placed(joints, square, size)
