"""Detected pose and point prompt."""

import json

import numpy as np
import pytest
import torch
from figura.headless.runner import Runner
from figura.host import Cancelled, get_host
from figura.host.plain import PlainHost
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.models.perception.pose_detectors import Detector
from figura.nodes import people as module
from figura.nodes.example_person import FiguraExamplePerson
from figura.nodes.people import FiguraDetectPose, FiguraPointPrompt
from figura.people.keypoints import (
    BODY_18,
    STATES_KEY,
    Person,
    Pose,
    read_pose_keypoint,
    write_pose_keypoint,
)
from figura.people.prompt_kinds import PROMPT_KINDS
from PIL import Image

NODES = [FiguraDetectPose, FiguraPointPrompt]
BLACK = torch.zeros(1, 32, 32, 3)


@pytest.fixture(scope="module")
def example():
    return dict(zip(FiguraExamplePerson.RETURN_NAMES, FiguraExamplePerson().run(10_000_007, 128, 0.4)))


def knee_points(x: float = 60, y: float = 90) -> str:
    return json.dumps({"people": [{"joints": {"right_knee": {"x": x, "y": y}}}]})


def point_prompt(*inputs, **named) -> tuple:
    """The outputs of a Point Prompt."""
    return FiguraPointPrompt().run(*inputs, **named)["result"]


class TestPointPrompt:
    def test_detected_and_placed_joints_together(self, example):
        image, prompts, keypoint, box, *_ = point_prompt(
            example["occluded"], "pose", knee_points(), example["pose_keypoint"]
        )
        assert image.shape == (1, 128, 128, 3) and image.max() > 0.5
        (prompt,) = prompts
        knee = BODY_18.index("right_knee")
        assert prompt.given.nonzero()[0].tolist() == [knee]
        (pose,) = read_pose_keypoint(keypoint)
        assert pose.people[0].body[knee].tolist() == [60, 90, 1]
        assert box["width"] > 10 and box["height"] > 10

    @pytest.mark.parametrize("kind", PROMPT_KINDS)
    def test_all_kinds(self, example, kind):
        box = {"x": 10, "y": 20, "width": 50, "height": 70}
        said = {name: [5, 5, 99, 99] for name in PROMPT_KINDS[kind].boxes[1:]}
        image, (prompt,), _, out, *_ = point_prompt(
            example["occluded"], kind, json.dumps(said), example["pose_keypoint"], box
        )
        assert image.max() > 0.4 and prompt.kind == kind
        assert out == box or not PROMPT_KINDS[kind].boxes

    def test_a_batch_takes_one_pose_or_one_each(self, example):
        two = example["occluded"].expand(2, -1, -1, -1)
        image, prompts, keypoint, boxes, *_ = point_prompt(two, "pose", "", example["pose_keypoint"])
        assert len(image) == len(prompts) == len(keypoint) == len(boxes) == 2
        with pytest.raises(
            ValueError, match="pose_keypoint has 2 entries.*image has shape|image has shape .* pose"
        ):
            point_prompt(
                two.expand(2, -1, -1, -1)[:1].expand(3, -1, -1, -1), "pose", "", example["pose_keypoint"] * 2
            )

    def test_no_joints_at_all(self):
        nobody = write_pose_keypoint([])
        image = BLACK
        with pytest.raises(ValueError, match="needs joints, and there are none"):
            point_prompt(image, "pose", "")
        with pytest.raises(ValueError, match="pose_keypoint is empty"):
            point_prompt(image, "pose", knee_points(3, 3), nobody)

    def test_points_outside_the_picture(self):
        with pytest.raises(ValueError, match="right_knee at .* outside"):
            point_prompt(BLACK, "pose", knee_points())

    def test_validation_before_the_run(self):
        assert FiguraPointPrompt.VALIDATE_INPUTS(knee_points()) is True
        assert (
            FiguraPointPrompt.VALIDATE_INPUTS("") is True and FiguraPointPrompt.VALIDATE_INPUTS(None) is True
        )
        assert "not JSON" in FiguraPointPrompt.VALIDATE_INPUTS("{")
        assert "no joint" in FiguraPointPrompt.VALIDATE_INPUTS(
            '{"people":[{"joints":{"tail":{"x":1,"y":1}}}]}'
        )

    def test_coordinates_for_other_packs(self):
        said = {
            "people": [{"joints": {
                "neck": {"x": 5.9, "y": 6, "state": "detected"}, "right_knee": {"x": 9, "y": 9},
            }}],
            "positive": [[32, 32], [1.5, 2]], "negative": [[7, 8]],
        }  # fmt: skip
        *_, positive, negative = point_prompt(BLACK, "pose", json.dumps(said))
        assert json.loads(positive) == [{"x": 5, "y": 6}, {"x": 31, "y": 31}, {"x": 1, "y": 2}]
        assert json.loads(negative) == [{"x": 7, "y": 8}]
        *_, positive, negative = point_prompt(BLACK, "pose", knee_points(3, 3))
        assert (positive, negative) == ("[]", "[]")

    def test_one_joint_on_one_pixel(self):
        image, _, _, box, *_ = point_prompt(torch.zeros(1, 1, 1, 4), "pose", knee_points(1, 1))
        assert image.shape == (1, 1, 1, 3)
        assert box["width"] == box["height"] == 1


class TestPosesForTheEditor:
    """What Point Prompt hands the editor after a run."""

    @staticmethod
    def shown(*inputs, **named) -> list:
        ui = FiguraPointPrompt().run(*inputs, **named)["ui"]
        # ComfyUI makes one list of the lists of a node's runs, and writes it as JSON.
        assert list(ui) == ["figura_poses", "figura_picture"] and isinstance(ui["figura_poses"], list)
        return json.loads(json.dumps(ui["figura_poses"], allow_nan=False))

    @staticmethod
    def people(*bodies: dict[str, tuple], size: int = 32, states: dict[str, str] | None = None) -> list[dict]:
        """A POSE_KEYPOINT of people with these joints."""
        people = []
        for joints in bodies:
            body = np.zeros((18, 3), np.float32)
            for name, place in joints.items():
                body[BODY_18.index(name)] = (*place, 1)
            marks = tuple(
                (states or {}).get(name, "detected") if name in joints else None for name in BODY_18
            )
            people.append(Person(body, states=marks if states else None))
        return write_pose_keypoint([Pose(tuple(people), size, size)])

    def test_the_joints_that_came_in_with_their_states_in_pixels_of_the_picture(self):
        pose = self.people(
            {"neck": (8, 4), "right_knee": (2 / 3, 60)}, size=64, states={"right_knee": "proposed"}
        )
        ((frame,),) = self.shown(BLACK, "pose", knee_points(3, 3), pose)
        assert (frame["canvas_width"], frame["canvas_height"], frame["box"]) == (32, 32, None)
        (person,) = frame["people"]
        knee = BODY_18.index("right_knee")
        assert person["pose_keypoints_2d"][3:6] == [4, 2, 1]
        assert person["pose_keypoints_2d"][3 * knee : 3 * knee + 3] == [0.3, 30, 1]
        states = person[STATES_KEY]
        assert (states[1], states[knee], states[0]) == ("detected", "proposed", None)

    def test_everybody_of_the_first_picture_with_hands_and_without_faces(self, example):
        first, second = self.people({"neck": (8, 4)}, {"nose": (5, 6)}), self.people({"nose": (9, 9)})
        ((frame,),) = self.shown(BLACK.expand(2, -1, -1, -1), "pose", "", first + second)
        assert [person["pose_keypoints_2d"][3:6] for person in frame["people"]] == [[8, 4, 1], [0, 0, 0]]
        ((frame,),) = self.shown(example["occluded"], "pose", "", example["pose_keypoint"])
        (person,) = frame["people"]
        assert len(person["hand_left_keypoints_2d"]) == 63 and not any(person["face_keypoints_2d"])
        assert len(json.dumps(frame)) < 4000

    def test_what_says_which_person_is_meant(self):
        box = {"x": 1, "y": 2, "width": 3, "height": 4.04}
        pose = self.people({"neck": (8, 4)}, {"nose": (5, 6)})
        ((frame,),) = self.shown(BLACK, "pose", "", pose, box, 1)
        assert (frame["box"], frame["person"]) == ([1, 2, 4, 6], 1)

    def test_nothing_without_a_connected_pose(self):
        assert self.shown(BLACK, "pose", knee_points(3, 3)) == []

    def test_a_joint_adopted_from_it_gives_the_prompt_that_the_pose_gave(self):
        joints = {"neck": (8, 4), "right_hip": (7, 20), "right_knee": (10, 25)}
        states = {"right_hip": "proposed", "right_knee": "proposed"}
        pose = self.people(joints, states=states)
        before = point_prompt(BLACK, "pose", "", pose)
        adopted = {
            "neck": {"x": 8, "y": 4, "state": "detected"},
            "right_hip": {"x": 7, "y": 20, "state": "proposed"},
            "right_knee": {"x": 10, "y": 25, "state": "given"},
        }
        after = point_prompt(BLACK, "pose", json.dumps({"people": [{"joints": adopted}]}), pose)
        assert torch.equal(before[0], after[0]) and before[2:] == after[2:]
        assert (before[1][0].given == after[1][0].given).all()

    def test_the_headless_runner_passes_the_outputs_on_and_keeps_what_is_shown(self, tmp_path):
        someone = {"seed": 10_000_007, "size": 64, "occlusion": 0.3}
        graph = {
            "1": {"class_type": "FiguraExamplePerson", "inputs": someone},
            "2": {"class_type": "FiguraPointPrompt", "inputs": {
                "image": ["1", 0], "prompt_type": "pose", "points": "", "pose_keypoint": ["1", 2],
            }},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "prompt"}},
        }  # fmt: skip
        runner = Runner(PlainHost(tmp_path, tmp_path, device="cpu"))
        done, again = runner.run(graph), runner.run(graph)
        assert [path.is_file() for path in done.files] == [True] and len(done.outputs["2"]) == 6
        assert done.ui["2"]["figura_poses"][0][0]["canvas_width"] == 64
        assert again.executed == [] and again.ui["2"] == done.ui["2"]


class TestDetectPose:
    @pytest.fixture
    def detector(self, monkeypatch):
        torch.manual_seed(0)
        net = PoseDetector(PoseConfig()).eval()
        monkeypatch.setattr(module, "load_pose_detector", lambda path: net)
        host = module.get_host()
        monkeypatch.setattr(type(host), "find_model", lambda self, file_kind, name: ".")

    @pytest.mark.parametrize("size", [(128, 128), (1, 1), (90, 200)])
    def test_any_picture_gives_poses_of_its_size(self, detector, size):
        keypoint, skeleton = FiguraDetectPose().run(torch.rand(2, *size, 3), "mini", 0.0)
        assert [(p.height, p.width) for p in read_pose_keypoint(keypoint)] == [size, size]
        assert skeleton.shape == (2, *size, 3)

    def test_nobody_is_a_result_with_a_warning(self, detector, caplog):
        keypoint, skeleton = FiguraDetectPose().run(torch.zeros(1, 64, 64, 3), "mini", 1.0)
        assert keypoint[0]["people"] == [] and not skeleton.any()
        assert "no person found in the picture" in caplog.text

    def test_it_can_be_cancelled_between_two_pictures(self, detector, monkeypatch):
        host, looked = PlainHost(".", ".", device="cpu"), []

        def look(net, picture):
            looked.append(picture.shape)
            host.cancel()
            return torch.zeros(1, 18, 3)

        monkeypatch.setattr(PlainHost, "find_model", lambda self, file_kind, name: ".")
        monkeypatch.setattr(module, "get_host", lambda: host)
        monkeypatch.setattr(module, "detect_joints", look)
        with pytest.raises(Cancelled):
            FiguraDetectPose().run(torch.rand(3, 16, 24, 3), "mini", 0.3)
        assert looked == [(1, 3, 16, 24)]

    @pytest.mark.parametrize("unmanaged", [True, False])
    def test_what_comfyui_cannot_take_back_is_let_go_after_a_run(self, monkeypatch, unmanaged):
        made = []

        def load(*_):
            made.append(Detector(lambda picture: Pose((), 8, 8), unmanaged=unmanaged))
            return made[-1]

        monkeypatch.setattr(module, "load_detector", load)
        module._loaded.cache_clear()
        for _ in range(2):
            FiguraDetectPose().run(torch.rand(1, 8, 8, 3), "dwpose")
        module._loaded.cache_clear()
        assert len(made) == (2 if unmanaged else 1)

    def test_nan_is_refused(self):
        with pytest.raises(ValueError, match="image holds NaN"):
            FiguraDetectPose().run(torch.full((1, 8, 8, 3), float("nan")), "mini", 0.3)

    def test_an_unknown_detector(self):
        with pytest.raises(ValueError, match="unknown pose detector"):
            FiguraDetectPose().run(torch.zeros(1, 8, 8, 3), "none", 0.3)


class TestShape:
    TEXT = '{"width": 200, "height": 100, "people": [{"joints": {"nose": {"x": 9, "y": 9}}}]}'

    @pytest.mark.parametrize(("height", "width", "warns"), [(100, 200, 0), (50, 100, 0), (100, 100, 1)])
    def test_points_of_a_picture_of_another_shape_are_stretched_and_that_is_said(
        self, caplog, height, width, warns
    ):
        FiguraPointPrompt().run(torch.zeros(1, height, width, 3), "pose", self.TEXT)
        assert len([line for line in caplog.messages if "200 x 100" in line]) == warns


def test_the_editor_is_handed_the_first_picture():
    pictures = torch.stack([torch.full((20, 30, 3), 0.8), torch.zeros(20, 30, 3)])
    text = '{"people": [{"joints": {"nose": {"x": 9, "y": 9}}}]}'
    (entry,) = FiguraPointPrompt().run(pictures, "pose", text)["ui"]["figura_picture"]
    with Image.open(get_host().temp_dir() / entry["filename"]) as shown:
        assert shown.size == (30, 20) and abs(shown.getpixel((3, 3))[0] - 204) < 4


def test_the_page_knows_what_each_kind_of_prompt_shows():
    kinds = FiguraPointPrompt.INPUT_TYPES()["required"]["prompt_type"][1]["kinds"]
    assert list(kinds) == FiguraPointPrompt.INPUT_TYPES()["required"]["prompt_type"][0]
    assert kinds["pose_roi_box"] == {"joints": True, "boxes": ["roi_box"]}
