"""Contact sheets: rows of pictures with captions, one row for each person."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...models.files import write_then_rename
from ...people.densepose import LABELS
from ...people.skeleton import draw_skeleton
from ...people.synthetic import SyntheticPeople, render_people

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 4
BLOCK_GAP = 20
LINE = 15
FONT_SIZE = 11
PAPER, INK = (255, 255, 255), (40, 40, 40)
JPEG_QUALITY = 64
OTHER_POSE = 1
HIDDEN_COLOUR = (0.95, 0.55, 0.15)


@dataclass(frozen=True)
class Row:
    """One person: pictures (3,H,W) in 0..1 by their captions, and a line of text."""

    images: dict[str, Tensor]
    text: str


class Sheet:
    """Collects the rows of at most `people` people and draws them in `columns` columns."""

    def __init__(self, people: int, columns: int = 1) -> None:
        self.people, self.columns = people, columns
        self.rows: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows as long as there is room; further ones are not even made."""
        for row in rows:
            if len(self.rows) >= self.people:
                return
            self.rows.append(row)

    def image(self) -> Image:
        """The sheet, pictures at their own size. Raises ValueError without rows."""
        from PIL import Image, ImageDraw, ImageFont

        if not self.rows:
            raise ValueError("a contact sheet needs at least one person: raise the number of samples")
        (height, side), count = (
            next(iter(self.rows[0].images.values())).shape[-2:],
            len(self.rows[0].images),
        )
        block = count * (side + GAP) - GAP
        lines = -(-len(self.rows) // self.columns)
        size = self.columns * (block + BLOCK_GAP), LINE + lines * (height + LINE + GAP) + GAP
        sheet = Image.new("RGB", size, PAPER)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
        for index, row in enumerate(self.rows):
            left = BLOCK_GAP // 2 + (index // lines) * (block + BLOCK_GAP)
            top = LINE + (index % lines) * (height + LINE + GAP)
            draw.text((left, top + height), _shortened(row.text, block, font), INK, font)
            for number, (caption, image) in enumerate(row.images.items()):
                x = left + number * (side + GAP)
                sheet.paste(to_pil(image), (x, top))
                if index % lines == 0:
                    draw.text((x, 0), caption, INK, font)
        return sheet

    def save(self, path: Path) -> Path:
        """Write the sheet in the format of the file's ending."""
        image, path = self.image(), Path(path)
        image_format = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), "PNG")
        return write_then_rename(path, lambda place: image.save(place, image_format, quality=JPEG_QUALITY))


def synthetic_row(seed: int, size: int = 128) -> Row:
    """One synthetic person with the truth about them, and the same person in another pose."""
    people = render_people([seed], size=size)
    other = render_people([seed], size=size, pose_seeds=[seed + OTHER_POSE], occlusion=0.0)
    masks = torch.tensor(HIDDEN_COLOUR)[:, None, None] * people.invisible_mask[0] + people.visible_mask[0]
    images = {
        "occluded": people.occluded[0],
        "complete": people.complete[0],
        "cutout": people.cutout[0],
        "visible, hidden": masks,
        "DensePose": label_colours(people.densepose_i)[0],
        "joints": skeleton_over(people)[0],
        "other pose": other.unoccluded[0],
    }
    return Row(images, f"{seed}  {people.captions[0]}")


def label_colours(labels: Tensor) -> Tensor:
    """DensePose labels (B,H,W) as colours (B,3,H,W), black for nobody."""
    palette = [(0.0, 0.0, 0.0)]
    for part in range(1, LABELS):
        palette.append(colorsys.hsv_to_rgb(7 * part % 24 / 24, 0.75, 1.0 - 0.3 * (part % 2)))
    return torch.tensor(palette)[labels.long()].permute(0, 3, 1, 2)


def to_pil(image: Tensor) -> Image:
    """A picture (3,H,W) or a mask (1,H,W) in 0..1 as a PIL image."""
    from PIL import Image

    levels = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(levels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def skeleton_over(people: SyntheticPeople) -> Tensor:
    """All joints on the darkened picture. Synthetic people have the right hand first, skeletons the left."""
    height, width = people.unoccluded.shape[-2:]
    dark = people.unoccluded * 0.5
    return draw_skeleton(people.joints, height, width, hands=people.hands.flip(1), onto=dark)


def _shortened(text: str, width: int, font: Any) -> str:
    kept = len(text)
    while kept and font.getlength(text) > width:
        kept -= 1
        text = text[:kept] + "..."
    return text
