"""Every workflow that needs nothing but what is shipped runs on ComfyUI's server, as posted to a fresh one.

Those of stock loaders run in test_phac_native, test_mask_expansion_native, test_humansd_native and
test_cfld_flow.
"""

import io

import numpy as np
import pytest
from figura.headless.graph import load_graph
from figura.headless.native_nodes import is_native
from figura.models import store
from figura.workflows import all_flows
from figura.workflows.files import FOLDER
from figura.workflows.forms import api_form
from PIL import Image

FEW_STEPS = 2
NAMES = sorted(
    flow.name
    for flow in all_flows()
    if not any(is_native(node["class_type"]) for node in api_form(flow).values())
)
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(
        not all(path.is_file() for kind in store.file_kinds() for path in store.mini_files(kind)),
        reason="weights/mini is not complete: figura train writes it",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_of_mini_runs_and_saves_pictures(comfyui, name: str) -> None:
    graph = load_graph(FOLDER / "api" / f"{name}.json")
    for node in graph.values():
        node["inputs"] |= {"steps": FEW_STEPS} if isinstance(node["inputs"].get("steps"), int) else {}
    run = comfyui.run(graph)
    assert run.end == "execution_success", run.events[-1]
    results = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
    for node_id in results:
        data = comfyui.image(run.images(node_id)[0])
        assert np.asarray(Image.open(io.BytesIO(data))).std() > 0
    shown = [key for key, node in graph.items() if node["class_type"] in ("PreviewImage", "MaskPreview")]
    assert results and all(run.images(node_id)[0]["type"] == "temp" for node_id in shown)
