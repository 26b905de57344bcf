"""The point editor alone, on a bare page in headless Chromium: mouse, keys, fingers, hostile values, reload.

FIGURA_SCREENSHOTS names a folder for pictures of it (docs/screenshots is made that way).
"""

import re

import pytest
from figura.tests.browser.conftest import run_script, shots_folder

pytestmark = pytest.mark.browser
LIMIT_S = 600


@pytest.fixture(scope="module")
def seen(browser_ready) -> dict:
    """What editor.mjs saw, by step."""
    return run_script("editor.mjs", {"shots": shots_folder()}, LIMIT_S)


def test_nothing_went_wrong_on_the_page(seen):
    assert seen["problems"] == []


def test_a_narrow_editor_gives_the_picture_the_room_until_the_list_is_asked_for(seen):
    room = seen["room"]
    assert room["byItself"] == [False, "false", True, "true", False, "false"]
    assert room["switches"] <= 1
    assert room["chosen"] == [True, True, True, False, False]


def test_missing_joints_are_placed_in_order_and_by_the_list(seen):
    assert seen["placing"]["joints"] == ["nose", "neck", "right_shoulder", "right_knee"]
    knee = seen["placing"]["knee"]
    assert (knee["x"], knee["y"], knee["state"]) == (
        pytest.approx(288, abs=2),
        pytest.approx(270, abs=2),
        "given",
    )


def test_a_box_is_drawn_and_resized_by_its_handle(seen):
    assert seen["boxes"]["roi_box"] == pytest.approx([250, 200, 370, 360], abs=2)


def test_undo_goes_back_to_the_start_and_redo_to_the_same_text(seen):
    assert seen["undo"] == {"first": "", "same": True, "left": True}


def test_wheel_and_keys_zoom_and_keep_what_is_under_the_pointer(seen):
    assert seen["zoom"]["wheel"] and seen["zoom"]["plus"] and seen["zoom"]["back"]
    assert seen["zoom"]["moved"] < 2


def test_joints_are_dragged_nudged_and_deleted(seen):
    dragged, nudged = seen["move"]["dragged"], seen["move"]["nudged"]
    assert (dragged["x"], dragged["y"]) == (pytest.approx(310, abs=2), pytest.approx(170, abs=2))
    assert (nudged["x"] - dragged["x"], nudged["y"] - dragged["y"]) == pytest.approx((1, 10))
    assert "neck" not in seen["move"]["joints"]


def test_keys_go_through_everything_in_the_picture_and_round_the_end(seen):
    names = [re.sub(r"[\d.]+ × [\d.]+", "w × h", name.split(" at ")[0]) for name in seen["step"]["names"]]
    everything = [
        "nose (given)", "right shoulder (given)", "right knee (given)", "ROI box (w × h)",
        "ROI box (upper left corner, w × h)", "ROI box (lower right corner, w × h)",
    ]  # fmt: skip
    assert names == [*everything, everything[0], everything[-1], everything[-2], everything[0]]


def test_tab_comes_to_the_picture_and_to_the_list_once_and_leaves(seen):
    on, back = seen["step"]["on"], seen["step"]["back"]
    assert on[0] == "Picture with joints, boxes and points" and on[1] == "Zoom out"
    assert [stop for stop in on if re.search("nose|neck|knee", stop)] == ["nose, given"]
    assert back[: len(on)] == on[::-1] and back[-1].startswith("Select and move")
    assert seen["step"]["row"] == "neck, missing"


def test_it_is_sharp_on_fine_screens_and_reads_as_ever_on_pages_from_right_to_left(seen):
    screens = seen["screens"]
    assert screens["sharp"] == pytest.approx(2, abs=0.01) and screens["dragged"] == pytest.approx(20, abs=1)
    assert screens["turned"]


def test_detected_joints_are_imported_by_one_click(seen):
    assert seen["import"]["said"] == "Imported 9 joints of 1 person (mini)." and seen["import"]["undone"]
    assert seen["import"]["found"] > 3


def test_joints_of_the_connected_pose_are_ghosts_until_they_are_taken(seen):
    ghosts = seen["ghosts"]
    assert ghosts["shown"] == {
        "said": "5 joints came in with the pose: drag or click to take one", "changes": 0, "text": "",
    }  # fmt: skip
    knee = ghosts["dragged"].pop("right_knee")
    assert (knee["x"], knee["y"]) == (pytest.approx(315, abs=2), pytest.approx(260, abs=2))
    assert knee["state"] == "given" and ghosts["dragged"] == {}
    assert ghosts["clicked"]["neck"] == {"x": 255, "y": 80, "state": "detected"}
    assert ghosts["named"] == "Import the joints that came in with the connected pose"
    assert ghosts["imported"]["said"] == "Imported 3 joints of the connected pose."
    assert sorted(ghosts["imported"]["joints"]) == [
        "neck", "nose", "right_elbow", "right_knee", "right_shoulder",
    ]  # fmt: skip
    assert ghosts["imported"]["changes"] == 3 and ghosts["undone"] == ""
    assert ghosts["after"].startswith("Import the detected joints")


def test_esc_leaves_the_text_view_for_the_picture(seen):
    assert seen["text"] == {
        "first": "standing", "opened": True, "left": [False, False], "placing": "true",
    }  # fmt: skip


def test_the_large_view_closes_in_every_way_and_leaves_nothing_behind(seen):
    assert seen["large"] == {"closed": [True, True, True], "same": True}


def test_two_fingers_zoom_and_one_places(seen):
    assert seen["fingers"]["factor"] == pytest.approx(2, abs=0.1)
    assert seen["fingers"]["untouched"] and seen["fingers"]["placed"]


def test_the_value_survives_a_reload(seen):
    assert seen["reload"]["same"] and seen["reload"]["joints"] == seen["move"]["joints"]


def test_200_points_are_drawn_once_a_frame_and_not_at_rest(seen):
    assert (seen["many"]["busy"], seen["many"]["idle"]) == (1, 0)


def test_hostile_values_are_named_and_kept_as_they_are(seen):
    hostile = seen["hostile"]
    assert all(hostile["kept"]) and hostile["hacked"] == 0
    assert hostile["afresh"] == 1 and hostile["back"] == "{"


class TestWidget:
    """In stand-ins for ComfyUI's node, graph and server (widget_page.mjs)."""

    def test_the_value_stays_in_the_nodes_own_field(self, seen):
        widget = seen["widget"]
        assert widget["last"] == ["prompt_type", "points", "person"]
        assert widget["panel"] is True and widget["size"] == [True, True]

    def test_a_node_outside_of_a_graph_does_nothing(self, seen):
        assert seen["widget"]["unused"] == [0, 0]

    def test_a_saved_text_is_shown_and_left_alone(self, seen):
        assert seen["widget"]["configured"] == [True, True, True, 0]

    def test_the_picture_of_the_connected_loader_is_shown(self, seen):
        route, size = seen["widget"]["picture"]
        assert route == "/figura/picture?filename=figura_scene.png&subfolder=me&type=input" and size == [
            640,
            448,
        ]
        assert seen["widget"]["changed"] == "/figura/picture?filename=other.png&subfolder=&type=output"

    def test_edits_reach_the_field_its_callback_and_the_pages_undo(self, seen):
        assert seen["widget"]["edited"] == [True, True, [True]]

    def test_a_text_from_elsewhere_is_followed_and_kept(self, seen):
        assert seen["widget"]["followed"] == ["{", True, "{"]

    def test_import_asks_the_server_for_the_picture_and_shows_its_error(self, seen):
        (route, method, body), joints = seen["widget"]["imported"]
        assert (route, method, joints) == ("/figura/detect_pose", "POST", 18)
        assert body == {
            "filename": "figura_scene.png",
            "subfolder": "me",
            "type": "input",
            "detector": "mini",
        }
        assert seen["widget"]["boxed"] == [9, 8, 90, 80]
        assert seen["widget"]["failed"] == "Import: there is no picture 'x' in the input folder"

    def test_a_pose_that_came_in_is_shown_while_it_belongs_to_what_is_connected(self, seen):
        assert seen["widget"]["pose"] == {
            "seen": [
                ["unconnected", None], ["connected", 250], ["cached", 250], ["the second person", 40],
                ["disconnected", None], ["another picture", None], ["the picture again", 250],
                ["made anew by undo", None], ["and looked at", 250],
                ["the next picture is on already", False], ["nothing came in", False],
            ],
            "field": "",
        }  # fmt: skip

    def test_a_connected_field_and_a_missing_picture_are_said(self, seen):
        assert seen["widget"]["connected"].startswith("points is connected")
        assert seen["widget"]["without"][0] is False

    def test_a_node_made_anew_gets_the_place_that_nodes_2_kept(self, seen):
        assert seen["widget"]["again"] == [True, True]

    def test_a_removed_node_leaves_nothing_behind(self, seen):
        assert seen["widget"]["removed"] == [True, 0]
