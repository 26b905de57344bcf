"""The point editor in a real ComfyUI among other nodes: its picture, the page around it, paste and drop.

FIGURA_COMFYUI_FRONTEND names another front end than the server's own; FIGURA_SCREENSHOTS a folder.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from figura.tests.browser.conftest import RENDERERS, page_job, run_script, skip_without_editor
from figura.workflows.files import FOLDER
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]
LIMIT_S = 1800
SHIPPED = ("figura_scene.png", "figura_hand.png")
BODY = [value for index in range(18) for value in (0.3 + 0.02 * (index % 4), 0.2 + 0.03 * index, 1)]
POSE = {"people": [{"pose_keypoints_2d": BODY}], "canvas_width": 512, "canvas_height": 512}


def picture_files(folder: Path) -> dict[str, str]:
    """Pictures that a browser does not show as a node gets them; their names."""
    Image.fromarray(np.full((48, 80), 20000, np.int32)).save(folder / "deep.tiff")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (96, 64), (200, 40, 30)).save(folder / "turned.jpg", exif=exif)
    Image.new("1", (9000, 8000)).save(folder / "huge.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return {"tiff": "deep.tiff", "turned": "turned.jpg", "huge": "huge.png", "broken": "broken.png"}


@pytest.fixture(scope="module", params=list(RENDERERS))
def seen(comfyui, request) -> dict:
    """What situations.mjs saw, by step."""
    skip_without_editor(comfyui, request.param)
    files = {**picture_files(comfyui.base / "input"), "pose": json.dumps(POSE)}
    job = {**page_job(comfyui, request.param, "situations"), "files": files}
    return run_script("situations.mjs", job, LIMIT_S)


def test_nothing_goes_wrong_on_the_page(seen):
    assert [problem for problem in seen["problems"] if "figura" in problem.lower()] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pictures_are_on_a_fresh_server(comfyui, name):
    assert comfyui.get(f"/view?filename={name}&type=input").startswith(b"\x89PNG")
    offered = comfyui.json("/object_info/LoadImage")["LoadImage"]["input"]["required"]["image"]
    assert name in (offered[0] if isinstance(offered[0], list) else offered[1]["options"])


@pytest.mark.parametrize("template", ["phac_photo", "mask_expansion_native"])
def test_a_workflow_posted_to_a_fresh_server_finds_its_pictures(comfyui, template):
    graph = json.loads((FOLDER / "api" / f"{template}.json").read_text(encoding="utf-8"))
    answer = comfyui.post("/prompt", {"prompt": graph, "client_id": comfyui.client_id})
    if "prompt_id" in answer:
        comfyui.post("/queue", {"clear": True})
        comfyui.interrupt(answer["prompt_id"])
    errors = answer.get("node_errors", {}).values()
    assert [error for error in errors if error["class_type"] == "LoadImage"] == []


def test_the_picture_is_shown_at_the_size_the_node_gets(seen):
    assert seen["pictures"] == {
        "behindScale": [256, 128, True], "bypassed": [512, 512, True], "deepTiffInBatch": [80, 48, True],
        "turned": [64, 96, True],
    }  # fmt: skip


def test_the_text_box_that_the_editor_replaces_is_gone(seen):
    assert seen["strays"] == 0


def test_the_picture_is_shown_inside_a_subgraph(seen):
    assert seen["subgraph"] == [512, 512, True]


def test_a_picture_that_was_saved_anew_is_shown_and_its_points_stay(seen):
    renewed = seen["renewed"]
    assert [renewed[step][:3] for step in ("first", "back", "set", "ran")] == [
        [80, 48, True], [160, 96, True], [240, 144, True], [320, 192, True],
    ]  # fmt: skip
    assert "160 × 96, before 80 × 48" in renewed["back"][3] and renewed["points"] == [40, 48]


def test_a_picture_that_is_not_shown_says_why(seen):
    huge, broken = seen["renewed"]["huge"], seen["renewed"]["broken"]
    assert not huge[2] and "9000 × 8000" in huge[3] and "64 megapixels" in huge[3]
    assert not broken[2] and "cannot be read" in broken[3]


def test_boxes_and_points_are_set_by_keys_alone_and_the_page_takes_none_of_them(seen):
    keys = seen["keys"]
    assert keys["said"].startswith("ROI box (lower right corner, 256 × 267)")
    assert keys["roi_box"] == [118, 127, 374, 394] and keys["full_box"] is None
    assert keys["positive"] == [[257, 256]] and keys["negative"] == [[247, 266]] and keys["same"]


def test_a_picture_that_only_a_run_makes_comes_with_it(seen):
    before, could_import = seen["run"]["before"]
    assert "after the first run" in before and not could_import
    assert seen["run"]["ended"] == "execution_success" and seen["run"]["after"] == [320, 200, True]


def test_points_of_another_shape_say_so_and_are_put_in_unstretched(seen):
    shape = seen["shape"]
    assert "640 × 320" in shape["said"] and "512 × 512" in shape["said"] and shape["gone"]
    width, nose, neck = shape["kept"]
    assert shape["stretched"] == pytest.approx(96) and width == 512
    assert (neck["x"] - nose["x"], neck["y"] - nose["y"]) == pytest.approx((0, 48))


def test_the_properties_panel_leaves_the_editor_in_its_node(seen):
    panel = seen["panel"]
    if panel is None:
        pytest.skip("this front end has no properties panel")
    assert panel["before"]["isHome"] and panel["during"] == panel["after"] == panel["before"]


def test_a_long_status_moves_nothing(seen):
    assert seen["longStatus"]["same"] and seen["longStatus"]["moved"] == pytest.approx([140, 120], abs=2)


def test_a_pinch_zooms_the_picture_and_not_the_graph(seen):
    assert seen["pinch"]["graph"] and seen["pinch"]["zoomed"] == pytest.approx(2.5, abs=0.2)


def test_the_pages_undo_leaves_the_editors_own_history(seen):
    assert seen["history"] == {"undone": 2, "canUndo": True, "redone": True}


def test_a_text_can_be_connected_to_points(seen):
    connected = seen["connected"]
    assert connected["isBeside"] and connected["linked"][1] == 0 and connected["again"] == [512, 512, True]
    if seen["isVue"]:
        assert connected["dots"], "no dot for the input points"
    else:
        assert connected["said"].startswith("points is connected")


def test_the_kind_of_prompt_says_what_it_lacks_and_does_not_show(seen):
    said, roi, full = seen["kinds"]["lacking"]
    assert "pose_roi_box needs the ROI box" in said and (roi, full) == ("lacks", "unused")
    assert "full_box does not show the joints" in seen["kinds"]["unused"]


def test_poses_and_pictures_are_pasted_and_dropped_into_the_editor(seen):
    transfers = seen["transfers"]
    assert transfers["pasted"] == ["1 person put in.", 18] and transfers["dropped"] == 2
    assert transfers["picture"].startswith("mine") and transfers["nodes"] == 0 and transfers["copied"]


def test_the_whole_skeleton_is_moved_turned_scaled_and_mirrored(seen):
    whole = seen["whole"]
    assert whole["count"] == 18 and whole["moved"] == pytest.approx([30, 0], abs=2) and whole["steps"] == 4
