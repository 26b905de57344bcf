"""phac_photo on a real photograph: the shipped one, with a board painted over an arm.

`python -m figura.workflows.photograph docs/phac_photo.jpg` draws the picture of the README. Mini has seen no
photographs: this shows that every stage runs at the photograph's own size and what stays untouched.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..headless.runner import Runner
from ..host.plain import PlainHost
from ..models.files import write_then_rename
from .files import all_flows
from .forms import api_form
from .phac import points_text
from .photo import GIVEN, IMAGE, IMAGE_NAME, SEEN, SIDE, TEXT
from .thumbnails import first_pictures, side_by_side


@dataclass(frozen=True)
class PhotoRun:
    """The painted photograph and the result (512,512,3) uint8, where they may differ (512,512) bool,
    and every picture by its node's title.
    """

    photograph: np.ndarray
    result: np.ndarray
    changed_mask: np.ndarray
    files: dict[str, Path]


def run_photograph(folder: Path) -> PhotoRun:
    """Run the shipped workflow on the photograph; its pictures are saved under `folder`."""
    from PIL import Image

    photograph = np.asarray(Image.open(IMAGE).convert("RGB"))
    graph = api_form(next(flow for flow in all_flows() if flow.name == "phac_photo"))
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {"image": IMAGE_NAME} if node["class_type"] == "LoadImage" else {}
        inputs |= {"points": points_text(SIDE, SIDE, seen=SEEN, given=GIVEN)} if "points" in inputs else {}
        inputs |= {"text": TEXT} if "text" in inputs else {}
    output = folder / "output"
    host = PlainHost(IMAGE.parent, output)
    done = Runner(host).run(graph)
    files = first_pictures(graph, done.ui, host, folder)
    result = np.asarray(Image.open(files["Save picture"]).convert("RGB"))
    stitched = next(number for number, node in graph.items() if node["class_type"] == "FiguraStitch")
    mask = done.outputs[stitched][1][0].numpy() > 0
    return PhotoRun(photograph, result, mask, files)


def save_sheet(path: Path) -> Path:
    """The painted photograph, the prompt and the result side by side."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        run = run_photograph(Path(folder))
        prompt = Image.open(run.files["Prompt"]).convert("RGB").resize((512, 512))
        row = side_by_side([Image.fromarray(run.photograph), prompt, Image.fromarray(run.result)], width=1024)
    return write_then_rename(path, lambda place: row.save(place, "JPEG", quality=90))


if __name__ == "__main__":
    save_sheet(Path(sys.argv[1]))
