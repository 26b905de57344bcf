"""HumanSD's workflows: they can be built, and run on random weights where they need no ComfyUI."""

from __future__ import annotations

from pathlib import Path

import pytest
from figura.headless.runner import Runner, all_node_classes
from figura.host.plain import PlainHost
from figura.models import store
from figura.tests.models.humansd import tiny
from figura.workflows import humansd
from figura.workflows.forms import api_form
from PIL import Image

FLOWS = (humansd.humansd_pose, humansd.humansd_multi_person, humansd.humansd_native)


@pytest.mark.parametrize(("describe", "width"), [(FLOWS[0], 128), (FLOWS[1], 384)])
def test_it_runs_on_random_weights(
    describe, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mini"
    folder.mkdir()
    monkeypatch.setattr(store, "MINI_DIR", tiny.write_mini_family(folder))
    graph = api_form(describe(all_node_classes()))
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 1
    files = Runner(PlainHost(output_dir=tmp_path / "out", device="cpu")).run(graph).files
    assert len(files) == 1
    for path in files:
        with Image.open(path) as image:
            assert image.size == (width, 128)
