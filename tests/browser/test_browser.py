"""The workflows in ComfyUI's page: listed with their thumbnails, opened, equal to the API form, run.

FIGURA_SCREENSHOTS names a folder for pictures of the page (docs/screenshots is made that way).
"""

import pytest
from figura.headless.native_nodes import (
    SD15_INPAINTING,
    SD15_OPENPOSE,
    SDXL_INPAINTING,
    SDXL_OPENPOSE,
    is_native,
)
from figura.models import store
from figura.tests.browser.conftest import RENDERERS, page_job, run_script
from figura.workflows import all_flows
from figura.workflows.files import FOLDER
from figura.workflows.forms import api_form
from figura.workflows.layout import LEAST_ZOOM

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]
KINDS = (
    "sam",
    "phac",
    "refiner",
    "pose_detector",
    "pose_completion",
    "hands",
    "humansd",
    "densepose",
    "pocold",
    "cfld",
)
FLOWS = {flow.name: flow for flow in all_flows()}
NEEDS_CHECKPOINT = {
    name
    for name, flow in FLOWS.items()
    if any(is_native(node["class_type"]) for node in api_form(flow).values())
}
TEMPLATES = sorted(set(FLOWS) - NEEDS_CHECKPOINT)
HAS_MINI = all(path.is_file() for kind in KINDS for path in store.mini_files(kind))
LIMIT_S = 1800
GROUP = "figura"
"""What the page calls the pack's templates."""


def drive(comfyui, template: str, renderer: str, run: bool) -> dict:
    """What workflow.mjs saw."""
    job = {
        **page_job(comfyui, renderer, template), "pack": GROUP, "template": FLOWS[template].title, "run": run,
        "api": str(FOLDER / "api" / f"{template}.json"),
    }  # fmt: skip
    return run_script("workflow.mjs", job, LIMIT_S)


def assert_opened(seen: dict) -> None:
    """It was listed, opened as the graph that the API form says, and can be read."""
    assert seen["listed"], seen["problems"]
    assert seen["different"] == []
    assert [problem for problem in seen["problems"] if "figura" in problem.lower()] == []
    assert seen["zoom"] >= LEAST_ZOOM
    assert seen["overlaps"] == []


@pytest.mark.parametrize("renderer", list(RENDERERS))
@pytest.mark.parametrize("template", TEMPLATES)
def test_template_opens_as_the_api_form_and_runs(comfyui, template, renderer):
    seen = drive(comfyui, template, renderer, run=HAS_MINI)
    assert_opened(seen)
    if HAS_MINI:
        assert seen["ran"]["end"] == "execution_success", seen["ran"]
        assert seen["ran"]["previews"] > 0
        assert seen["overlapsAfter"] == []


@pytest.mark.parametrize(
    "template", ["phac_native_sd15", "phac_native_sdxl", "phac_native_one_pass", "refine_anything"]
)
def test_template_of_stock_loaders_opens_as_the_api_form(comfyui, template):
    """With files of the names that it asks for; tests/comfyui runs it."""
    for file in store.known_files():
        if file.name in (SD15_INPAINTING, SDXL_INPAINTING, SD15_OPENPOSE, SDXL_OPENPOSE):
            place = comfyui.base / "models" / file.folder / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    seen = drive(comfyui, template, "canvas", run=False)
    assert_opened(seen)
