"""Rendered people and hands as public data sets have them, for the tests of what reads those."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from figura.people.synthetic import render_people
from figura.people.synthetic.closeups import render_hands
from figura.training.data.pairs import render_pairs
from PIL import Image
from torch import Tensor

COCO17 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
"""OpenPose's joints in COCO's order."""
DPTN_SIDES = (256, 176)
"""Height and width of the pictures that DPTN's joints are places in."""


def save(path: Path, picture: Tensor, size: tuple[int, int] | None = None) -> Path:
    """A picture (3,H,W) in 0..1, perhaps at another height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray((picture.permute(1, 2, 0) * 255).round().byte().numpy())
    (image if size is None else image.resize(size[::-1])).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_coco(folder: Path, count: int, side: int) -> Path:
    """people.json (joints, run lengths, hands) and captions.json of `count` photographs of one person."""
    images, annotations, captions = [], [], []
    for number in range(count):
        made = render_people([number], side, occlusion=0.0)
        save(folder / f"{number}.png", made.unoccluded[0])
        images.append({"id": number, "file_name": f"{number}.png", "height": side, "width": side})
        joints = made.joints[0].numpy()[list(COCO17)].copy()
        joints[:, 2] = np.where(joints[:, 2] > 0, 2, 0)
        mask = made.amodal_mask[0, 0].numpy() > 0.5
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        hand = [[side / 2, side / 2, 1.0]] * 21
        annotations.append({
            "id": number, "image_id": number, "bbox": [int(each) for each in box], "iscrowd": 0,
            "keypoints": joints.flatten().tolist(), "num_keypoints": 17,
            "segmentation": run_lengths(mask),
            "lefthand_kpts": np.array(hand).flatten().tolist(), "lefthand_valid": True,
            "righthand_kpts": [0.0] * 63, "righthand_valid": False,
        })  # fmt: skip
        captions.append({"image_id": number, "caption": f"person {number} "})
    write_json(folder / "people.json", {"images": images, "annotations": annotations})
    write_json(folder / "captions.json", {"images": images, "annotations": captions})
    return folder


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """COCO's run lengths, column by column, beginning with zeros."""
    flat = mask.T.flatten()
    counts = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts if not flat[0] else [0, *counts]}


def write_dptn(folder: Path, count: int, sides: tuple[int, int], held_out: int = 2) -> Path:
    """pairs.csv, held_out.csv (from,to), joints.csv (name:keypoints_y:keypoints_x in 256 x 176), pictures in
    img/, DensePose in densepose/ as grey pictures of the parts.
    """
    lines, joints, size = ["from,to"], ["name:keypoints_y:keypoints_x"], 256
    for number in range(count):
        made = render_pairs([number], size)
        names = [f"id_{number:05d}_{view}.png" for view in ("front", "back")]
        lines.append(",".join(names))
        for side, name in zip(("source", "target"), names, strict=True):
            save(folder / "img" / name, getattr(made, side)[0], sides)
            labels = Image.fromarray(getattr(made, f"{side}_densepose")[0].numpy())
            (folder / "densepose").mkdir(exist_ok=True)
            labels.resize(sides[::-1], Image.Resampling.NEAREST).save(folder / "densepose" / name)
            joints.append(f"{name}: {_places(getattr(made, f'{side}_joints')[0].numpy(), size)}")
    (folder / "pairs.csv").write_text("\n".join(lines[: len(lines) - held_out]) + "\n")
    (folder / "held_out.csv").write_text("\n".join([lines[0], *lines[len(lines) - held_out :]]) + "\n")
    (folder / "joints.csv").write_text("\n".join(joints) + "\n")
    return folder


def _places(joints: np.ndarray, size: int) -> str:
    x, y = (
        [round(float(each[axis]) * DPTN_SIDES[1 - axis] / size) if each[2] > 0 else -1 for each in joints]
        for axis in (0, 1)
    )  # fmt: skip
    return f"{json.dumps(y)}: {json.dumps(x)}"


def write_hands(folder: Path, count: int, side: int) -> Path:
    """hands.jsonl: one line a hand, with its picture and mask."""
    lines: list[str] = []
    for number in range(count):
        made = render_hands([number], side)
        save(folder / f"hand_{number}.png", made.images[0])
        save(folder / f"mask_{number}.png", made.masks[0].expand(3, -1, -1))
        lines.append(json.dumps({
            "image": f"hand_{number}.png", "mask": f"mask_{number}.png", "left": bool(made.left[0]),
            "joints": made.joints[0].tolist(), "caption": made.captions[0],
        }))  # fmt: skip
    (folder / "hands.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def coco_words(folder: Path, purpose: str) -> Sequence[str]:
    """The words of `figura data import coco` for what `write_coco` wrote."""
    return [
        "import", "coco", str(folder), "--annotations", str(folder / "people.json"), "--for", purpose,
        "--captions", str(folder / "captions.json"),
    ]  # fmt: skip


def dptn_words(folder: Path) -> Sequence[str]:
    """The words of `figura data import pairs` for what `write_dptn` wrote."""
    pairs, kept, joints = (str(folder / f"{name}.csv") for name in ("pairs", "held_out", "joints"))
    return [
        "import", "pairs", str(folder / "img"), "--pairs", pairs, "--held-out-pairs", kept,
        "--joints", joints, "--densepose", str(folder / "densepose"),
    ]  # fmt: skip
