"""The point editor inside its node, in a real ComfyUI, in both of its renderers."""

import pytest
from figura.models import store
from figura.tests.browser.conftest import RENDERERS, page_job, run_script, skip_without_editor
from figura.workflows.files import FOLDER

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]
KINDS = ("sam", "phac", "refiner", "pose_detector")
HAS_MINI = all(path.is_file() for kind in KINDS for path in store.mini_files(kind))
LIMIT_S = 1800
WORKFLOW = FOLDER / "Complete a person in a photo.json"


@pytest.fixture(scope="module", params=list(RENDERERS))
def seen(comfyui, request) -> dict:
    """What node.mjs saw, by step."""
    skip_without_editor(comfyui, request.param)
    job = {**page_job(comfyui, request.param, "editor"), "workflow": str(WORKFLOW), "run": HAS_MINI}
    return run_script("node.mjs", job, LIMIT_S)


def test_the_saved_text_and_the_picture_are_shown_before_anything_ran(seen):
    assert seen["loaded"]["same"]
    assert [problem for problem in seen["problems"] if "figura" in problem.lower()] == []


def test_a_skeleton_is_imported_joints_placed_and_a_box_drawn(seen):
    edit = seen["edit"]
    if HAS_MINI:
        assert edit["imported"]["joints"] > 3, edit["imported"]["said"]
    assert edit["full_box"] == pytest.approx([200, 90, 380, 430], abs=3)
    assert edit["roi_box"] == pytest.approx([216, 240, 350, 414], abs=3)
    assert edit["undo"] and edit["redo"]


def test_keys_zoom_and_delete_the_joint_not_the_node(seen):
    assert seen["zoom"] == {"zoomed": True, "deleted": True, "nodes": 1}


def test_the_large_view_opens_and_closes(seen):
    assert seen["large"] == {"open": True, "closed": True}


def test_the_value_is_one_text_at_its_old_place(seen):
    value = seen["value"]
    assert value["text"] == value["field"] == value["api"] == value["copied"] == value["saved"][1]
    assert not value["extra"] and len(value["saved"]) == 3


def test_the_pages_own_undo_takes_edits_back(seen):
    assert seen["undo"] == {"changed": True, "back": True}


def test_the_value_survives_a_reload(seen):
    assert seen["reload"]["same"]


@pytest.mark.skipif(not HAS_MINI, reason="weights/mini is not complete: figura train writes it")
def test_the_graph_runs_and_shows_pictures(seen):
    assert seen["ran"]["end"] == "execution_success", seen["ran"]
    assert seen["ran"]["pictures"] > 0


@pytest.mark.skipif(not HAS_MINI, reason="weights/mini is not complete: figura train writes it")
def test_the_joints_of_a_connected_pose_come_in_with_the_run(seen):
    shown = seen["ghosts"]["shown"]
    assert shown > 3 and seen["ghosts"]["joints"] == shown
    assert seen["ghosts"]["said"] == f"Imported {shown} joints of the connected pose."
