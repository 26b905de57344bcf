"""The pictures of ComfyUI's page in docs/screenshots, from those that the tests of this folder took.

FIGURA_SCREENSHOTS=SHOTS python -m pytest tests/browser
python -m figura.tests.browser.screenshots SHOTS docs/screenshots
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from figura.workflows import all_flows

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS, GAP, LINE, FONT_SIZE = 4, 6, 20, 14
TILE_PX, ALONE_PX, DIALOG_PX = (528, 297), (1440, 810), (1200, 675)
PAPER, INK = (24, 24, 28), (225, 225, 225)
SHEETS = {"open": "opens", "ran": "ran"}
"""Name of a sheet -> what the pictures on it are called."""
JPEG_QUALITY = 78
ALONE = ("phac_pose-nodes2-ran", "phac_photo-canvas-ran")
DIALOG = "phac_pose-nodes2-templates"
logger = logging.getLogger(__name__)


def written(shots: Path, folder: Path) -> list[Path]:
    """All of them; FileNotFoundError names a picture that no test has taken."""
    titles = {flow.name: flow.title for flow in all_flows()}
    made = {f"{name}.jpg": opened(shots, name, ALONE_PX) for name in ALONE}
    made["templates.jpg"] = opened(shots, DIALOG, DIALOG_PX)
    made |= {f"workflows-{name}.jpg": sheet(taken(shots, what, titles)) for name, what in SHEETS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, image in made.items():
        path = folder / name.replace("-canvas", "")
        image.save(path, quality=JPEG_QUALITY)
        paths.append(path)
    return paths


def taken(shots: Path, what: str, titles: dict[str, str]) -> dict[str, Image]:
    """Pictures by the titles of their workflows; those that never ran here are left out, and said."""
    found = {}
    for name, title in titles.items():
        if (shots / f"{name}-nodes2-{what}.png").is_file():
            found[title] = opened(shots, f"{name}-nodes2-{what}", TILE_PX)
        else:
            logger.warning("no picture of %s (%s) in %s", name, what, shots)
    return found


def opened(shots: Path, name: str, size: tuple[int, int]) -> Image:
    """A picture of the page in that size."""
    from PIL import Image

    path = shots / f"{name}.png"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run tests/browser with FIGURA_SCREENSHOTS={shots}")
    with Image.open(path) as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def sheet(images: dict[str, Image]) -> Image:
    """Pictures of one size under their titles."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = TILE_PX[0] + GAP, TILE_PX[1] + LINE + GAP
    rows = -(-len(images) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(FONT_SIZE)
    for number, (title, image) in enumerate(images.items()):
        left, top = GAP + number % COLUMNS * width, GAP + number // COLUMNS * height
        draw.text((left, top), title, INK, font)
        page.paste(image, (left, top + LINE))
    return page


def main() -> None:
    """Write them, and say which."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=written.__doc__)
    parser.add_argument("shots", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    for path in written(args.shots, args.folder):
        logger.info("%s, %d KiB", path, path.stat().st_size >> 10)


if __name__ == "__main__":
    main()
