"""The detectors of many people: what they need, and that their answers become this pack's joints."""

import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models import sentences
from figura.models.perception.pose_detectors import (
    PROVIDERS,
    dwpose,
    keypoint_rcnn,
    load_detector,
    openpose,
    vitpose,
)
from figura.people.keypoints import coco17_from_body18

WIDTH, HEIGHT = 80, 60


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_missing_file_is_named_with_what_brings_it(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", sys.modules.get("onnxruntime") or sys)
    monkeypatch.setitem(sys.modules, "controlnet_aux", sys)
    monkeypatch.setitem(sys.modules, "controlnet_aux.open_pose", type(sys)("open_pose"))
    for part in ("Body", "Hand", "OpenposeDetector"):
        setattr(sys.modules["controlnet_aux.open_pose"], part, None)
    with pytest.raises(FileNotFoundError, match=f"the {name} detector needs .*nowhere: (fetch|download) it"):
        load_detector(name, [tmp_path / "nowhere"])


def test_in_comfyui_it_is_said_where_the_command_works(tmp_path, monkeypatch):
    monkeypatch.setattr(sentences, "PACK", Path("/ComfyUI/custom_nodes/figura"))
    with pytest.raises(
        FileNotFoundError, match=r"python figura models get keypoint\S+ \(in .*custom_nodes, "
    ):
        load_detector("keypoint_rcnn", [tmp_path / "nowhere"])


def test_an_unknown_detector_is_refused():
    with pytest.raises(ValueError, match="mini, openpose, dwpose, vitpose, keypoint_rcnn are accepted"):
        load_detector("magic", [])


@pytest.mark.parametrize(
    ("name", "package", "says"),
    [
        ("openpose", "controlnet_aux.open_pose", "pip install controlnet-aux"),
        ("dwpose", "onnxruntime", "pip install onnx"),
    ],
)
def test_a_missing_package_says_what_to_install(name, package, says, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=says):
        load_detector(name, [])


# OpenPose

Keypoint = namedtuple("Keypoint", "x y")
Body = namedtuple("Body", "keypoints")
Found = namedtuple("Found", "body left_hand right_hand")


class FakeOpenPose:
    """Answers like controlnet_aux: fractions of the picture, None or negative where a point is absent."""

    def detect_poses(self, image: np.ndarray, include_hand: bool) -> list[Found]:
        assert image.dtype == np.uint8 and image.shape == (40, 80, 3)
        hand = [Keypoint(0.5, 0.5)] * 20 + [Keypoint(-1 / 80, -1 / 40)]
        return [Found(Body([Keypoint(0.25, 0.5), None] + [Keypoint(0.1, 0.1)] * 16), hand, None)]


def test_openpose_leaves_its_networks_to_who_manages_them(tmp_path, monkeypatch):
    class Part:
        def __init__(self, path):
            self.model = torch.nn.Linear(1, 1)

        def to(self, device):
            raise AssertionError("it must not move itself")

    package = type(sys)("open_pose")
    package.Body = package.Hand = Part
    package.OpenposeDetector = lambda body, hand: type("Net", (), {"hand_estimation": hand})()
    monkeypatch.setitem(sys.modules, "controlnet_aux", sys)
    monkeypatch.setitem(sys.modules, "controlnet_aux.open_pose", package)
    for count, name in enumerate(openpose.FILES, start=1):
        (tmp_path / name).touch()
        detector = load_detector("openpose", [tmp_path], "meta")
        assert len(detector.networks) == count and not detector.unmanaged


@pytest.mark.parametrize(
    ("device", "has_gpu", "unmanaged"), [("cuda", True, True), ("cuda", False, False), ("cpu", True, False)]
)
def test_dwpose_says_when_its_runtime_holds_the_gpu(tmp_path, monkeypatch, device, has_gpu, unmanaged):
    runtime = type(sys)("onnxruntime")
    known = ["CUDAExecutionProvider"] * has_gpu + ["CPUExecutionProvider"]
    runtime.get_available_providers = lambda: known
    runtime.InferenceSession = lambda path, providers: providers
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    for name in dwpose.FILES:
        (tmp_path / name).touch()
    assert load_detector("dwpose", [tmp_path], torch.device(device)).unmanaged is unmanaged


def test_openpose_results_become_pixels():
    pose = openpose.people_of(FakeOpenPose(), np.zeros((40, 80, 3), np.uint8), True)
    person = pose.people[0]
    assert person.body[0].tolist() == [20, 20, 1] and person.body[1].tolist() == [0, 0, 0]
    assert person.left_hand is not None and person.left_hand[20, 2] == 0 and person.left_hand[0, 2] == 1
    assert person.right_hand is None


# Keypoint R-CNN


def test_keypoint_rcnn_keeps_certain_people_and_joints():
    points = torch.arange(17.0)[None, :, None].expand(2, 17, 3).clone()
    scores = torch.full((2, 17), 5.0)
    scores[0, 9] = 1.0
    found = {"scores": torch.tensor([0.9, 0.5]), "keypoints": points, "keypoints_scores": scores}
    pose = keypoint_rcnn.pose_of(found, HEIGHT, WIDTH)
    (person,) = pose.people
    assert (pose.width, pose.height) == (WIDTH, HEIGHT)
    assert person.body[7].tolist() == [0, 0, 0], "COCO's left wrist was not certain"
    assert person.body[4].tolist() == [10, 10, 1], "COCO's tenth point is the right wrist"
    assert person.body[1].tolist() == [5.5, 5.5, 1], "the neck is the middle of the shoulders"


def test_keypoint_rcnn_loads_the_file_of_torchvision_and_no_other(tmp_path):
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    torch.save(network.state_dict(), tmp_path / keypoint_rcnn.FILE)
    detector = load_detector("keypoint_rcnn", [tmp_path])
    image = torch.rand(3, HEIGHT, WIDTH)
    assert detector.detect(image).people == (), "random weights are certain of nobody"
    own = detector.networks[0].state_dict()
    assert all(torch.equal(own[key], value) for key, value in network.state_dict().items())
    torch.save({"backbone": torch.zeros(1)}, tmp_path / keypoint_rcnn.FILE)
    with pytest.raises(ValueError, match="no Keypoint R-CNN of torchvision"):
        load_detector("keypoint_rcnn", [tmp_path])


# ViTPose


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Tiny ViTPose and RT-DETR of random weights, saved as they are published."""
    from transformers import (
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
    )
    from transformers.models.vitpose_backbone import VitPoseBackboneConfig

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("models")
    backbone = VitPoseBackboneConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, out_features=["stage2"]
    )
    pose = VitPoseForPoseEstimation(
        VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    )
    pose.save_pretrained(place / vitpose.POSE_FOLDERS[0])
    VitPoseImageProcessor().save_pretrained(place / vitpose.POSE_FOLDERS[0])
    resnet = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    finder = RTDetrConfig(
        backbone_config=resnet, encoder_hidden_dim=32, encoder_in_channels=[8, 16, 16], d_model=32,
        encoder_layers=1,
        encoder_ffn_dim=32, decoder_layers=1, decoder_ffn_dim=32, decoder_in_channels=[32, 32, 32],
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=10, num_labels=80, num_denoising=0,
    )  # fmt: skip
    RTDetrForObjectDetection(finder).save_pretrained(place / vitpose.FINDER_FOLDER)
    RTDetrImageProcessor().save_pretrained(place / vitpose.FINDER_FOLDER)
    return place


def test_vitpose_gives_what_transformers_gives_for_the_same_boxes(folders, monkeypatch):
    from PIL import Image
    from transformers import VitPoseForPoseEstimation, VitPoseImageProcessor

    place = folders / vitpose.POSE_FOLDERS[0]
    network, look = (
        VitPoseForPoseEstimation.from_pretrained(place),
        VitPoseImageProcessor.from_pretrained(place),
    )
    image = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    boxes = np.array([[5.0, 4.0, 30.0, 50.0]])
    network.eval()
    pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
    inputs = look(Image.fromarray(pixels), boxes=[boxes], return_tensors="pt")
    with torch.no_grad():
        ((wanted,),) = look.post_process_pose_estimation(network(**inputs), boxes=[boxes])
    monkeypatch.setattr(vitpose, "JOINT_SCORE", float(wanted["scores"].median()))
    (person,) = vitpose.people_of(network, look, image, boxes).people
    found, seen = coco17_from_body18(person.body), (wanted["scores"] >= vitpose.JOINT_SCORE).numpy()
    np.testing.assert_allclose(found[:, :2], wanted["keypoints"].numpy() * seen[:, None], atol=1e-3)
    assert vitpose.people_of(network, look, image, np.zeros((0, 4))).people == ()


def test_vitpose_goes_from_people_found_to_joints(folders, monkeypatch):
    monkeypatch.setattr(vitpose, "PERSON_SCORE", 0.0)
    monkeypatch.setattr(vitpose, "JOINT_SCORE", -1.0)
    detector = load_detector("vitpose", [folders])
    pose = detector.detect(torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2)))
    assert (pose.width, pose.height) == (WIDTH, HEIGHT)
    assert all((person.body[:, 2] == 1).all() and np.isfinite(person.body).all() for person in pose.people)
    assert len(detector.networks) == 2


def test_vitpose_is_given_the_boxes_of_people_inside_the_picture():
    corners = [[5.0, 4, 35, 54], [-9, 10, 20, 99], [1, 1, 9, 9], [70, 5, 95, 25], [85, 5, 95, 25]]
    labels = torch.tensor([0, 0, 3, 0, 0])

    class Look:
        def __call__(self, images, return_tensors):
            return type("Inputs", (dict,), {"to": lambda self, device: self})()

        def post_process_object_detection(self, found, target_sizes, threshold):
            assert target_sizes.tolist() == [[HEIGHT, WIDTH]] and threshold == vitpose.PERSON_SCORE
            return [{"boxes": torch.tensor(corners), "labels": labels}]

    finder = type("Finder", (), {"device": "cpu", "__call__": lambda self, **_: None})()
    boxes = vitpose.boxes_of(finder, Look(), torch.rand(3, HEIGHT, WIDTH))
    assert boxes.tolist() == [[5, 4, 30, 50], [0, 10, 20, 50], [70, 5, 10, 20]]


def test_a_folder_that_is_not_whole_is_named(folders, tmp_path):
    import shutil

    shutil.copytree(folders, tmp_path, dirs_exist_ok=True)
    (tmp_path / vitpose.FINDER_FOLDER / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="rtdetr.*fetch the folder again"):
        load_detector("vitpose", [tmp_path])
    (tmp_path / vitpose.FINDER_FOLDER / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="rtdetr_r50vd_coco_o365/config.json"):
        load_detector("vitpose", [tmp_path])


# DWPose


Input = namedtuple("Input", "name shape")


class FakeSession:
    """Stands in for onnxruntime: remembers what it was shown, gives prepared answers."""

    def __init__(self, answers, shape):
        self.answers, self.shape, self.shown = answers, shape, []

    def get_inputs(self):
        return [Input("input", self.shape)]

    def run(self, names, values):
        self.shown.append(values["input"])
        return self.answers


def yolox_answer(box, score=0.9, kind=0) -> np.ndarray:
    """The answer (1,8400,85) of a YOLOX that sees one thing at `box`, px of its input."""
    found = np.zeros((8400, 85), np.float32)
    centre, size = (np.array(box[:2]) + box[2:]) / 2, np.array(box[2:], float) - box[:2]
    cell = (centre // 8).astype(int)
    row = found[cell[1] * 80 + cell[0]]
    row[:2], row[2:4] = centre / 8 - cell, np.log(size / 8)
    row[4], row[5 + kind] = 1.0, score
    return found[None]


def test_dwpose_finds_people_where_yolox_sees_them_and_nothing_else():
    pixels = torch.full((3, 320, 640), 100.0)
    pixels[0] = 7.0
    session = FakeSession([yolox_answer((100, 40, 200, 280))], (1, 3, 640, 640))
    assert torch.allclose(
        dwpose.find_people(session, pixels), torch.tensor([[100.0, 40, 200, 280]]), atol=1e-3
    )
    (shown,) = session.shown
    assert shown.shape == (1, 3, 640, 640) and (shown[0, :, 400] == dwpose.FINDER_GREY).all()
    assert (shown[0, 2, :320] == 7).all(), "YOLOX looks at blue, green, red"
    half = FakeSession([yolox_answer((50, 20, 100, 140))], (1, 3, 640, 640))
    large = torch.zeros(3, 640, 1280)
    assert torch.allclose(dwpose.find_people(half, large), torch.tensor([[100.0, 40, 200, 280]]), atol=1e-3)
    for answer in (yolox_answer((100, 40, 200, 280), 0.2), yolox_answer((100, 40, 200, 280), kind=3)):
        assert len(dwpose.find_people(FakeSession([answer], (1, 3, 640, 640)), pixels)) == 0


def test_dwpose_brings_points_back_from_what_was_looked_at():
    along_x, along_y = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    along_x[0, :, 288], along_y[0, :, 384] = 0.9, 0.8
    along_y[0, 9, 384] = 0.1
    along_x[0, 15], along_y[0, 15] = 0, 0
    along_x[0, 15, 0] = along_y[0, 15, 0] = 0.9
    session = FakeSession([along_x, along_y], (1, 3, 384, 288))
    boxes = torch.tensor([[20.0, 10.0, 60.0, 90.0]])
    (person,) = dwpose.people_of(session, torch.rand(3, 100, 120) * 255, boxes).people
    assert person.body[0].tolist() == [40, 50, 1], "the middle of the input is the middle of the box"
    assert person.body[7].tolist() == [0, 0, 0], "COCO's left wrist was not certain"
    assert person.body[13].tolist() == [2.5, 0, 1], "100 px high, 1.25 of the box, and 3 / 4 of that wide"
    assert dwpose.box_extent(torch.tensor([0.0, 0, 96, 40]), 0.75).tolist() == [120, 160]
    assert person.left_hand is not None and person.right_hand is not None
    assert session.shown[0].shape == (1, 3, 384, 288)


def test_what_rtmpose_looks_at_is_the_picture_normalised_and_black_outside():
    pixels = torch.arange(12.0).view(1, 3, 4).expand(3, 3, 4).contiguous()
    view = dwpose.look_at(pixels, torch.tensor([2.0, 1.5]), torch.tensor([4.0, 3.0]), (3, 4))
    mean, std = torch.tensor(dwpose.MEAN).view(1, 3, 1, 1), torch.tensor(dwpose.STD).view(1, 3, 1, 1)
    assert torch.allclose(view * std + mean, pixels[None], atol=1e-3), "the whole picture at its own size"
    beside = dwpose.look_at(pixels, torch.tensor([100.0, 100.0]), torch.tensor([4.0, 3.0]), (3, 4))
    assert torch.allclose(beside * std + mean, torch.zeros(1, 3, 3, 4), atol=1e-4)


def test_points_of_coco_wholebody_become_body_and_hands():
    points = np.stack([np.arange(133.0), np.arange(133.0)], axis=1)
    scores = np.zeros(133)
    scores[:5], scores[112:] = 0.9, 0.8
    person = dwpose.person_of(points, scores)
    assert person.body[:, 2].sum() == 5 and person.body[0, 0] == 0 and person.body[15, 0] == 1
    assert person.left_hand is None and person.right_hand is not None
    assert person.right_hand[:, 0].tolist() == list(range(112, 133))
