"""The pack in a real ComfyUI: what it registers and serves, and its workflows over HTTP."""

import io
import json
import re
import threading
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import numpy as np
import pytest
from figura import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from figura.headless.graph import load_graph
from figura.headless.runner import Runner
from figura.host.plain import PlainHost
from figura.models import store
from figura.tests.comfyui.native import only
from figura.workflows import all_flows
from figura.workflows.files import BLUEPRINTS, FOLDER
from figura.workflows.scene import IMAGE, IMAGE_NAME
from PIL import Image

pytestmark = pytest.mark.comfyui
KINDS = ("sam", "phac", "refiner", "pose_detector", "pose_completion", "hands")
needs_mini = pytest.mark.skipif(
    not all(path.is_file() for kind in KINDS for path in store.mini_files(kind)),
    reason="weights/mini is not complete: figura train writes it",
)
GREY_LEVEL = 1
LONG_RUN_STEPS = 300
STOP_LIMIT_S = 5.0


def api_graph(name: str) -> dict:
    return load_graph(FOLDER / "api" / f"{name}.json")


def node_of(graph: dict, class_type: str, title: str = "") -> str:
    return next(
        node_id
        for node_id, node in graph.items()
        if node["class_type"] == class_type and title in ("", node["_meta"]["title"])
    )


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_every_node_is_registered_with_its_texts(comfyui):
    info = comfyui.json("/object_info")
    ours = {node_id for node_id in info if node_id.startswith("Figura")}
    assert ours == set(NODE_CLASS_MAPPINGS)
    for node_id in ours:
        assert info[node_id]["display_name"] == NODE_DISPLAY_NAME_MAPPINGS[node_id]
        assert info[node_id]["description"] and info[node_id]["category"].startswith("Figura")
        assert len(info[node_id]["output_tooltips"]) == len(info[node_id]["output"])


def test_the_pack_loads_without_a_warning_of_its_own(comfyui):
    log, _, _ = comfyui.log.partition("got prompt")  # what other tests ran is not the loading
    assert re.search(r"seconds: .*custom_nodes/figura", log), log
    assert "IMPORT FAILED" not in log and "Traceback" not in log
    suspicious = [line for line in log.splitlines() if re.search(r"warn|error|fail", line, re.IGNORECASE)]
    assert not [line for line in suspicious if "figura" in line.lower()]


def test_templates_with_thumbnails_are_served(comfyui):
    titles = [flow.title for flow in all_flows()]
    assert sorted(comfyui.json("/workflow_templates")["figura"]) == sorted(titles)
    for title in titles:
        place = f"/api/workflow_templates/figura/{quote(title)}"
        served = comfyui.json(f"{place}.json")
        assert served == json.loads((FOLDER / f"{title}.json").read_text(encoding="utf-8"))
        assert comfyui.get(f"{place}.jpg")[:2] == b"\xff\xd8"


def test_subgraphs_are_offered_as_blueprints(comfyui):
    try:
        offered = comfyui.json("/global_subgraphs")
    except HTTPError:
        pytest.skip("this ComfyUI has no blueprints")
    ours = {entry["name"]: number for number, entry in offered.items() if "figura" in str(entry["info"])}
    assert set(ours) == {path.stem for path in BLUEPRINTS.glob("*.json")}
    for name, number in ours.items():
        given = json.loads(comfyui.json(f"/global_subgraphs/{number}")["data"])
        assert given == json.loads((BLUEPRINTS / f"{name}.json").read_text(encoding="utf-8"))


def test_search_knows_the_words_people_use(comfyui):
    info = comfyui.json("/object_info/FiguraPointPrompt")["FiguraPointPrompt"]
    if "search_aliases" not in info:
        pytest.skip("this ComfyUI knows no search aliases")
    assert {"openpose editor", "skeleton", "keypoint"} <= set(info["search_aliases"])


def test_texts_help_pages_and_scripts_are_served(comfyui):
    texts = comfyui.json("/i18n")
    for language in ("en", "zh"):
        assert set(NODE_CLASS_MAPPINGS) <= set(texts[language]["nodeDefs"])
    for node_id in NODE_CLASS_MAPPINGS:
        assert comfyui.get(f"/extensions/figura/docs/{node_id}.md").startswith(b"# ")
    scripts = [path for path in comfyui.json("/extensions") if path.startswith("/extensions/figura/")]
    assert scripts == ["/extensions/figura/figura.js"]
    assert comfyui.get(f"/extensions/figura/pictures/{IMAGE_NAME}") == IMAGE.read_bytes()


def test_bad_points_are_refused_before_anything_runs(comfyui):
    graph = api_graph("phac_pose")
    prompt = node_of(graph, "FiguraPointPrompt")
    graph[prompt]["inputs"]["points"] = '{"people": [{"joints": {"third_knee": {"x": 1, "y": 2}}}]}'
    answer = comfyui.post("/prompt", {"prompt": graph})
    assert "third_knee" in json.dumps(answer["node_errors"][prompt])


@needs_mini
def test_phac_pose_shows_progress_and_gives_the_headless_picture(comfyui, tmp_path):
    graph = api_graph("phac_pose")
    run = comfyui.run(graph)
    assert run.end == "execution_success", run.events[-1]
    sampler = node_of(graph, "FiguraPHACSampler")
    steps = [data["value"] for data in run.of("progress") if data["node"] == sampler]
    assert steps[-1] == graph[sampler]["inputs"]["steps"] and len(set(steps)) > 3
    shown = {meta["node_id"] for meta, _ in run.previews}
    assert sampler in shown and node_of(graph, "FiguraInpaintRefiner") in shown
    here = headless(graph, tmp_path)
    shown = [("PreviewImage", "Prompt"), ("MaskPreview", "Visible mask"), ("PreviewImage", "Coarse person")]
    for class_type, title in [*shown, ("SaveImage", "Save refined")]:
        node_id = node_of(graph, class_type, title)
        there = pixels(comfyui.image(run.images(node_id)[0]))
        assert np.abs(there - here[node_id]).max() <= GREY_LEVEL, title


def headless(graph: dict, output: Path) -> dict[str, np.ndarray]:
    """The first picture of every output node, made by the headless runner."""
    host = PlainHost(IMAGE.parent, output, device="cpu")
    result = Runner(host).run(graph)
    folders = {"output": output, "temp": host.temp_dir()}
    images = {node_id: ui["images"][0] for node_id, ui in result.ui.items() if ui.get("images")}
    return {
        node_id: pixels((folders[image["type"]] / image["subfolder"] / image["filename"]).read_bytes())
        for node_id, image in images.items()
    }


@needs_mini
def test_a_second_run_is_cached(comfyui):
    graph = api_graph("phac_pose")
    comfyui.run(graph)
    run = comfyui.run(graph)
    cached = {node_id for data in run.of("execution_cached") for node_id in data["nodes"]}
    assert {node_of(graph, "FiguraPHACSampler"), node_of(graph, "FiguraInpaintRefiner")} <= cached


@needs_mini
def test_cancel_stops_within_a_step(comfyui):
    graph = api_graph("phac_pose")
    sampler = node_of(graph, "FiguraPHACSampler")
    graph[sampler]["inputs"] |= {"steps": LONG_RUN_STEPS, "seed": 99}
    asked: list[tuple[int, float]] = []

    def interrupt_at_third_step(name: str, data: dict) -> None:
        if name == "progress" and data["node"] == sampler and data["value"] >= 3 and not asked:
            asked.append((data["value"], time.monotonic()))
            threading.Thread(target=comfyui.interrupt, args=(data["prompt_id"],)).start()

    run = comfyui.run(graph, interrupt_at_third_step)
    assert run.end == "execution_interrupted"
    assert run.of("execution_interrupted")[0]["node_id"] == sampler
    assert time.monotonic() - asked[0][1] < STOP_LIMIT_S
    last = max(data["value"] for data in run.of("progress") if data["node"] == sampler)
    assert last < LONG_RUN_STEPS / 2


@needs_mini
def test_phac_photo_runs_on_an_uploaded_photo_and_keeps_the_rest(comfyui):
    graph = api_graph("phac_photo")
    graph[node_of(graph, "LoadImage")]["inputs"]["image"] = comfyui.upload(IMAGE)
    run = comfyui.run(graph)
    assert run.end == "execution_success", run.events[-1]
    saved = run.images(node_of(graph, "SaveImage", "Save picture"))[0]
    after, before = pixels(comfyui.image(saved)), pixels(IMAGE.read_bytes())
    changed = (after != before).any(-1)
    assert after.shape == before.shape and 0 < changed.mean() < 0.15


@needs_mini
def test_several_people_of_one_picture_are_completed(comfyui):
    graph = api_graph("phac_several_people")
    for name in ("FiguraPHACSampler", "FiguraInpaintRefiner"):
        only(graph, name)["inputs"]["steps"] = 2
    run = comfyui.run(graph)
    assert run.end == "execution_success", run.events[-1]
    (saved,) = run.images(node_of(graph, "SaveImage", "Save picture"))
    assert pixels(comfyui.image(saved)).shape == (128, 256, 3)


def test_what_a_link_brings_is_checked_at_the_nodes_door(comfyui):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "PrimitiveInt", "inputs": {"value": 2**40}},
        "3": {"class_type": "FiguraPointPrompt", "inputs": {
            "image": ["1", 0], "prompt_type": "pose", "person": ["2", 0],
            "points": '{"people": [{"joints": {"neck": {"x": 9, "y": 9}}}]}',
        }},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }  # fmt: skip
    run = comfyui.run(graph)
    assert run.end == "execution_error"
    said = run.of("execution_error")[0]["exception_message"]
    assert said.startswith("Point Prompt: person is 1099511627776; -1 to 63 is accepted")


@needs_mini
def test_nothing_was_warned_of_while_running(comfyui):
    graph, before = api_graph("phac_pose"), len(comfyui.log)
    only(graph, "FiguraExamplePerson")["inputs"]["seed"] += 1  # nothing of it was run before
    comfyui.run(graph)
    lines = [line for line in comfyui.log[before:].splitlines() if "figura" in line.lower()]
    assert not [line for line in lines if re.search(r"warning|error", line, re.IGNORECASE)]
