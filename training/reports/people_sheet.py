"""docs/people.jpg: 48 synthetic people at 256 px, and the truth about some of them.

`python -m figura.training.reports.people_sheet docs/people.jpg`
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...models.files import write_then_rename
from ...people.synthetic import (
    CLOSE,
    HANDS_RAISED,
    HELD_OUT_FIRST_SEED,
    WHOLE,
    SyntheticPeople,
    render_people,
)
from .sheets import HIDDEN_COLOUR, INK, JPEG_QUALITY, PAPER, label_colours, skeleton_over, to_pil

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE, COLUMNS, ROWS = 256, 8, 6
VIEW_OF_COLUMN = (WHOLE, WHOLE, CLOSE, WHOLE, HANDS_RAISED, WHOLE, CLOSE, WHOLE)
HIDDEN_ROWS = (1, 4)
"""Rows of the sheet whose people have something before them."""
TRUTH_ROW = 4
"""The row whose people are shown again, with the truth about them, below all others."""
GAP, TEXT_HEIGHT, LETTERS = 3, 46, 44


def people_sheet(first_seed: int = HELD_OUT_FIRST_SEED, size: int = SIZE) -> Image:
    """The sheet; people stand in the order of their seeds."""
    from PIL import Image, ImageDraw, ImageFont

    rows = [_row(first_seed + COLUMNS * number, number, size) for number in range(ROWS)]
    images = [[people.occluded[0] for people in row] for row in rows]
    images += _truth(rows[TRUTH_ROW])
    step = size + GAP
    sheet = Image.new("RGB", (COLUMNS * step - GAP, len(images) * step + TEXT_HEIGHT), PAPER)
    for number, row in enumerate(images):
        for column, image in enumerate(row):
            sheet.paste(to_pil(image), (column * step, number * step))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column, people in enumerate(rows[TRUTH_ROW]):
        text = textwrap.fill(people.captions[0], LETTERS * size // SIZE)
        draw.multiline_text((column * step + 2, len(images) * step), text, INK, font, spacing=1)
    return sheet


def _row(first_seed: int, number: int, size: int) -> list[SyntheticPeople]:
    share = None if number in HIDDEN_ROWS else 0.0
    return [
        render_people([first_seed + column], size, occlusion=share, view=VIEW_OF_COLUMN[column])
        for column in range(COLUMNS)
    ]


def _truth(row: Sequence[SyntheticPeople]) -> list[list[Tensor]]:
    """Rows of pictures (3,S,S): what is seen and hidden, the joints, DensePose, the whole person."""
    hidden = torch.tensor(HIDDEN_COLOUR)[:, None, None]
    return [
        [people.visible_mask[0] + hidden * people.invisible_mask[0] for people in row],
        [skeleton_over(people)[0] for people in row],
        [label_colours(people.densepose_i)[0] for people in row],
        [people.complete[0] for people in row],
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheet as a JPEG."""
    parser = argparse.ArgumentParser(description="Draw the contact sheet of synthetic people.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=HELD_OUT_FIRST_SEED, help="of the first person")
    options = parser.parse_args(arguments)
    sheet = people_sheet(options.seed)
    write_then_rename(options.out, lambda place: sheet.save(place, "JPEG", quality=JPEG_QUALITY))


if __name__ == "__main__":
    main()
