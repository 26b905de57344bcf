"""The workflows in ComfyUI's page: listed with their thumbnails, opened, equal to the API form, run.

FIGURA_SCREENSHOTS names a folder for pictures of the page (docs/screenshots is made that way).
"""

from collections.abc import Iterator

import pytest
from figura.headless.native_nodes import (
    SD15_CHECKPOINT,
    SD15_INPAINTING,
    SD15_OPENPOSE,
    SDXL_INPAINTING,
    SDXL_OPENPOSE,
    is_native,
)
from figura.models import store
from figura.tests.browser.conftest import RENDERERS, page_job, run_script
from figura.tests.comfyui.native import RANDOM_CFLD, write_cfld, write_checkpoint
from figura.workflows import all_flows
from figura.workflows.files import FOLDER
from figura.workflows.forms import api_form
from figura.workflows.humansd import HUMANSD_CHECKPOINT
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
STOCK_FILES = {
    (SD15_CHECKPOINT, "checkpoints"): "tiny_checkpoint.py",
    (SD15_INPAINTING, "checkpoints"): "tiny_inpainting.py",
    (SDXL_INPAINTING, "checkpoints"): "tiny_inpainting.py",
    (HUMANSD_CHECKPOINT, "checkpoints"): "tiny_humansd.py",
    (SD15_OPENPOSE, "controlnet"): "tiny_controlnet.py",
    (SDXL_OPENPOSE, "controlnet"): "tiny_controlnet.py",
}
"""Name and folder of each file -> the script of tests/comfyui that writes a small one."""
CHOSEN = {"cfld_native": {"FiguraLoadCFLD": {"model": RANDOM_CFLD}}}
"""What is chosen by hand before a run: in place of CFLD's pickles, which its authors publish, one."""
HAS_MINI = all(path.is_file() for kind in KINDS for path in store.mini_files(kind))
LIMIT_S = 1800
GROUP = "figura"
"""What the page calls the pack's templates."""


def drive(comfyui, template: str, renderer: str, run: bool) -> dict:
    """What workflow.mjs saw."""
    job = {
        **page_job(comfyui, renderer, template), "pack": GROUP, "template": FLOWS[template].title, "run": run,
        "chosen": CHOSEN.get(template, {}), "api": str(FOLDER / "api" / f"{template}.json"),
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


@pytest.fixture
def stock(comfyui, template) -> Iterator:
    """A ComfyUI with small random networks under the names that the template asks for."""
    graph = (FOLDER / "api" / f"{template}.json").read_text(encoding="utf-8")
    written = [
        write_checkpoint(comfyui, script, name, folder)
        for (name, folder), script in STOCK_FILES.items()
        if name in graph
    ]
    if template in CHOSEN:
        written.append(write_cfld(comfyui))
    yield comfyui
    for file in written:
        file.unlink()


@pytest.mark.parametrize("renderer", list(RENDERERS))
@pytest.mark.parametrize("template", sorted(NEEDS_CHECKPOINT))
def test_template_of_stock_loaders_opens_as_the_api_form_and_runs(stock, template, renderer):
    """It runs where its nodes grow by their pictures: in Nodes 2.0."""
    run = RENDERERS[renderer]
    seen = drive(stock, template, renderer, run)
    assert_opened(seen)
    if run:
        assert seen["ran"]["end"] == "execution_success", seen["ran"]
        assert seen["overlapsAfter"] == []
