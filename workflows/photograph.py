"""phac_photo on a real photograph: scikit-image's `astronaut` with a board painted over her arm.

`python -m figura.workflows.photograph docs/phac_photo.jpg` draws the picture of the README. Mini has seen no
photographs: this shows that every stage runs at the photograph's own size and what stays untouched.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..headless.runner import Runner
from ..host.plain import PlainHost
from ..models.files import write_then_rename
from .files import all_flows
from .forms import api_form
from .thumbnails import side_by_side

BOARD = (20, 330, 190, 512)  # x0, y0, x1, y1 in pixels of the photograph
SEEN = {
    "nose": (228, 122), "right_eye": (204, 102), "left_eye": (250, 102), "neck": (226, 225),
    "right_shoulder": (118, 262), "left_shoulder": (320, 262),
}  # fmt: skip
GIVEN = {"right_elbow": (60, 400), "right_wrist": (140, 480)}
TEXT = "a woman with short brown hair in an orange shirt and orange trousers, standing"


@dataclass(frozen=True)
class PhotoRun:
    """The painted photograph and the result (512,512,3) uint8, where they may differ (512,512) bool,
    and every picture by its node's title.
    """

    photograph: np.ndarray
    result: np.ndarray
    changed_mask: np.ndarray
    files: dict[str, Path]


def painted_photograph() -> np.ndarray:
    """The photograph with a striped board in front of the person, (512,512,3) uint8."""
    from skimage.data import astronaut

    image = astronaut().copy()
    x0, y0, x1, y1 = BOARD
    rows = np.arange(y0, y1)[:, None, None] // 14 % 2
    image[y0:y1, x0:x1] = np.where(rows == 0, (96, 110, 92), (120, 134, 112)).astype(np.uint8)
    return image


def points_text(side: int = 512) -> str:
    """The user's points, as the Point Prompt takes them."""
    joints: dict[str, Any] = {}
    for state, spots in (("detected", SEEN), ("given", GIVEN)):
        joints |= {name: {"x": x, "y": y, "state": state} for name, (x, y) in spots.items()}
    return json.dumps({"version": 1, "width": side, "height": side, "people": [{"joints": joints}]})


def run_photograph(folder: Path) -> PhotoRun:
    """Run the shipped workflow on the photograph; its pictures are saved under `folder`."""
    from PIL import Image

    photograph = painted_photograph()
    (folder / "input").mkdir(parents=True, exist_ok=True)
    Image.fromarray(photograph).save(folder / "input" / "photograph.png")
    graph = api_form(next(flow for flow in all_flows() if flow.name == "phac_photo"))
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {"image": "photograph.png"} if node["class_type"] == "LoadImage" else {}
        inputs |= {"points": points_text()} if "points" in inputs else {}
        inputs |= {"text": TEXT} if "text" in inputs else {}
    output = folder / "output"
    done = Runner(PlainHost(folder / "input", output)).run(graph)
    files = {
        graph[number]["_meta"]["title"]: output / image["subfolder"] / image["filename"]
        for number, shown in done.ui.items()
        for image in shown.get("images", [])[:1]
    }
    result = np.asarray(Image.open(files["Save picture"]).convert("RGB"))
    stitched = next(number for number, node in graph.items() if node["class_type"] == "FiguraStitch")
    mask = done.outputs[stitched][1][0].numpy() > 0
    return PhotoRun(photograph, result, mask, files)


def save_sheet(path: Path) -> Path:
    """The painted photograph, the prompt and the result side by side."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        run = run_photograph(Path(folder))
        prompt = Image.open(run.files["Save prompt"]).convert("RGB").resize((512, 512))
        row = side_by_side([Image.fromarray(run.photograph), prompt, Image.fromarray(run.result)], width=1024)
    return write_then_rename(path, lambda place: row.save(place, "JPEG", quality=90))


if __name__ == "__main__":
    save_sheet(Path(sys.argv[1]))
