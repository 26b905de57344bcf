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
from ...people.prompts import draw_prompt
from ...people.skeleton import draw_skeleton
from ...people.synthetic import SyntheticPeople, render_people

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..evaluation.cfld import Batch as CFLDBatch
    from ..evaluation.hands import Batch as HandsBatch
    from ..evaluation.humansd import Batch as HumanSDBatch
    from ..evaluation.phac import Batch
    from ..evaluation.pocold import Batch as PoCoLDBatch
    from ..evaluation.prompts import PromptBatch

GAP = 4
BLOCK_GAP = 20
LINE = 15
FONT_SIZE = 11
PAPER, INK = (255, 255, 255), (40, 40, 40)
JPEG_QUALITY = 86
OTHER_POSE = 1
HIDDEN_COLOUR = (0.95, 0.55, 0.15)


@dataclass(frozen=True)
class Row:
    """One person: pictures (3,H,W) in 0..1 by their captions, and a line of text."""

    pictures: dict[str, Tensor]
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
            next(iter(self.rows[0].pictures.values())).shape[-2:],
            len(self.rows[0].pictures),
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
            for number, (caption, picture) in enumerate(row.pictures.items()):
                x = left + number * (side + GAP)
                sheet.paste(to_pil(picture), (x, top))
                if index % lines == 0:
                    draw.text((x, 0), caption, INK, font)
        return sheet

    def save(self, path: Path) -> Path:
        """Write the sheet in the format of the file's ending."""
        image, path = self.image(), Path(path)
        kind = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), "PNG")
        return write_then_rename(path, lambda place: image.save(place, kind, quality=JPEG_QUALITY))


def phac_rows(batch: Batch) -> Iterable[Row]:
    """Every stage of PHAC for the people of a batch."""
    people, done = batch.people, batch.done
    height, width = people.occluded.shape[-2:]
    stages = {
        "occluded": people.occluded, "prompt": draw_prompt(batch.prompts, height, width),
        "visible mask": batch.visible, "coarse": done.coarse, "invisible mask": done.changed_mask,
        "composite": done.refined.composite, "refined": done.refined.image, "cutout": done.refined.cutout,
        "truth": people.complete,
    }  # fmt: skip
    for index, caption in enumerate(people.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


def prompt_rows(batch: PromptBatch) -> Iterable[Row]:
    """What every kind of prompt makes of the people of a batch."""
    people = batch.people
    height, width = people.occluded.shape[-2:]
    stages = {"occluded": people.occluded}
    for name, refined in batch.refined.items():
        if name != "none":
            stages[name] = draw_prompt(batch.prompts[name], height, width)
        stages[f"with {name}"] = refined
    stages["truth"] = people.complete
    for index, caption in enumerate(people.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


def hand_rows(batch: HandsBatch) -> Iterable[Row]:
    """Both stages of Giving a Hand for the people of a batch, with one of their hands close up."""
    height, width = batch.people.unoccluded.shape[-2:]
    hands = batch.people.hands.flip(1)  # skeletons have the left hand first
    skeletons = draw_skeleton(batch.people.joints, height, width, hands=hands)
    canvas = batch.canvas[:, :3]
    for index, caption in enumerate(batch.people.captions):
        hand = batch.owner.index(index)
        pictures = {
            "skeleton": skeletons[index], "hand skeleton": batch.drawn.skeletons[hand],
            "hand": batch.drawn.pictures[hand], "its mask": batch.drawn.masks[hand], "canvas": canvas[index],
            "one stage": batch.made["one_stage"][index], "hard paste": batch.made["hard"][index],
            "constant mask": batch.made["constant"][index], "two stages": batch.made["sequential"][index],
            "drawn from": batch.people.unoccluded[index],
        }  # fmt: skip
        yield Row(pictures, caption)


def humansd_rows(batch: HumanSDBatch) -> Iterable[Row]:
    """What every model makes of the same skeletons: one person in each of three pictures, three in one."""
    for index, text in enumerate(batch.texts):
        for kind, made in batch.shown.items():
            yield Row({name: pictures[index] for name, pictures in made.items()}, f"{kind}: {text}")


def pocold_rows(batch: PoCoLDBatch) -> Iterable[Row]:
    """Source, pose, what every model makes of them, and the truth."""
    pairs = batch.pairs
    stages = {
        "source": pairs.source, "pose": label_colours(pairs.target_densepose), **batch.made,
        "truth": pairs.target,
    }  # fmt: skip
    for index, caption in enumerate(pairs.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


def cfld_rows(batch: CFLDBatch) -> Iterable[Row]:
    """Source, pose, what every model makes of them, and the truth."""
    pairs = batch.pairs
    height, width = pairs.target.shape[-2:]
    pose = draw_skeleton(pairs.target_joints, height, width)
    stages = {"source": pairs.source, "pose": pose, **batch.made, "truth": pairs.target}
    for index, caption in enumerate(pairs.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


def mixture_rows(batch: CFLDBatch) -> Iterable[Row]:
    """People on the way to the looks of the next one."""
    sources = batch.pairs.source
    stages = {f"{100 * mix:.0f} %": made for mix, made in batch.mixtures.items()}
    for index in range(len(next(iter(stages.values()), ()))):
        made = {name: stage[index] for name, stage in stages.items()}
        second = sources[(index + 1) % len(sources)]
        yield Row({"source": sources[index], **made, "second source": second}, batch.pairs.captions[index])


def synthetic_row(seed: int, size: int = 128) -> Row:
    """One synthetic person with the truth about them, and the same person in another pose."""
    people = render_people([seed], size=size)
    other = render_people([seed], size=size, pose_seeds=[seed + OTHER_POSE], occlusion=0.0)
    masks = torch.tensor(HIDDEN_COLOUR)[:, None, None] * people.invisible_mask[0] + people.visible_mask[0]
    pictures = {
        "occluded": people.occluded[0],
        "complete": people.complete[0],
        "cutout": people.cutout[0],
        "visible, hidden": masks,
        "DensePose": label_colours(people.densepose_i)[0],
        "joints": _skeleton_over(people)[0],
        "other pose": other.unoccluded[0],
    }
    return Row(pictures, f"{seed}  {people.captions[0]}")


def label_colours(labels: Tensor) -> Tensor:
    """DensePose labels (B,H,W) as colours (B,3,H,W), black for nobody."""
    palette = [(0.0, 0.0, 0.0)]
    for part in range(1, LABELS):
        palette.append(colorsys.hsv_to_rgb(7 * part % 24 / 24, 0.75, 1.0 - 0.3 * (part % 2)))
    return torch.tensor(palette)[labels.long()].permute(0, 3, 1, 2)


def to_pil(picture: Tensor) -> Image:
    """A picture (3,H,W) or a mask (1,H,W) in 0..1 as a PIL image."""
    from PIL import Image

    levels = (picture.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(levels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _skeleton_over(people: SyntheticPeople) -> Tensor:
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
