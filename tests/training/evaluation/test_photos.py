"""`figura eval photos`: its metrics against ones worked out by hand, and a run over a folder."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.pose import (
    FILE_KIND,
    PoseConfig,
    PoseDetector,
    box_view,
    detect_joints,
)
from figura.models.perception.sam import build_mini_sam
from figura.models.perception.sam_networks import FILE_KIND as SAM_FILE_KIND
from figura.models.perception.sam_networks import MINI
from figura.people.boxes import Box
from figura.training.data.photos import PhotographedPerson
from figura.training.evaluation import photos as photos_module
from figura.training.evaluation.command import eval_command
from figura.training.evaluation.photos import (
    Look,
    evaluate_photos,
    keypoint_similarity,
    load_perception,
    mask_iou,
    person_metrics,
    torso_length,
)
from figura.training.reports.tables import table
from PIL import Image

BOX = Box(0, 0, 60, 90)


def people(offsets: dict[int, float], missing: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """A truth whose torso is 30 px long, and joints that are off to the right by so many px."""
    truth = np.zeros((17, 3), np.float32)
    truth[:, 0], truth[:, 1], truth[:, 2] = 20, np.arange(17), 2
    truth[[5, 6], :2], truth[[11, 12], :2] = ((10, 20), (30, 20)), ((12, 50), (28, 50))
    truth[list(missing), 2] = 0
    found = truth.copy()
    found[:, 2] = 0.9
    for joint, offset in offsets.items():
        found[joint, 0] += offset
    return truth, found


def metrics_of(
    truth: np.ndarray, found: np.ndarray, crop: np.ndarray | None = None
) -> dict[str, list[float]]:
    person = PhotographedPerson(Path("a.png"), 90, 60, BOX, 900.0, truth, None)
    look = Look(torch.zeros(3, 90, 60), person, found, found if crop is None else crop, {})
    return person_metrics(look)


def test_joints_within_a_fifth_of_the_torso_are_found() -> None:
    truth, found = people({0: 5.9, 1: 6.1, 2: 40.0}, missing=(3,))
    assert torso_length(truth, BOX) == 30
    measured = metrics_of(truth, found, crop=truth.copy())
    assert len(measured["pck"]) == 16 and sum(measured["pck"]) == 14
    assert sum(measured["pck.crop"]) == 16


def test_without_a_torso_a_third_of_the_box_counts() -> None:
    truth, _ = people({}, missing=(11,))
    assert torso_length(truth, BOX) == 30 and torso_length(truth, Box(0, 0, 5, 45)) == 15


def test_uncertain_joints_do_not_count_as_seen() -> None:
    truth, found = people({})
    found[4, 2] = 0.1
    measured = metrics_of(truth, found)
    assert sum(measured["pck"]) == 17 and sum(measured["pck.certain"]) == 16


def test_similarity_is_that_of_cocos_formula() -> None:
    truth, found = people({0: 3.0, 5: 8.0}, missing=tuple(range(6, 17)))
    nose, shoulder = np.exp(-(9 / (2 * 900 * 0.052**2))), np.exp(-(64 / (2 * 900 * 0.158**2)))
    assert keypoint_similarity(found, truth, 900.0) == pytest.approx((nose + shoulder + 4) / 6, rel=1e-5)
    assert keypoint_similarity(truth, truth, 900.0) == 1


def test_iou_of_masks() -> None:
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert mask_iou(first, second) == 1
    first[:2], second[1:3] = True, True
    assert mask_iou(first, second) == pytest.approx(4 / 12)


def test_a_box_that_reaches_out_is_looked_at_inside_the_picture() -> None:
    view = box_view(Box(-50, 10, 50, 50), 100, 100)
    assert (view.left, view.top, view.side) == (-6, -1, 62)


def test_a_given_box_is_what_the_detector_looks_at() -> None:
    torch.manual_seed(0)
    net = PoseDetector(PoseConfig(32, (8, 8, 8, 8), (1, 1)))
    torch.nn.init.normal_(net.head.weight)
    image = torch.rand(1, 3, 80, 120)
    box = torch.tensor([[30.0, 20.0, 70.0, 60.0]])
    before = detect_joints(net, image, box)
    view = box_view(Box(*box[0].tolist()), 80, 120)
    image[..., : view.left], image[..., view.left + view.side :] = 0.0, 1.0
    image[..., : view.top, :], image[..., view.top + view.side :, :] = 1.0, 0.0
    assert torch.equal(before, detect_joints(net, image, box))
    assert (before[0, :, 0] >= view.left).all() and (before[0, :, 0] <= view.left + view.side).all()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    config = PoseConfig(32, (8, 8, 8, 8), (1, 1))
    detector = PoseDetector(config).state_dict()
    save_module(folder / "pose_detector.safetensors", FILE_KIND, detector, config_to_metadata(config))
    sam = build_mini_sam().state_dict()
    save_module(folder / "sam.safetensors", SAM_FILE_KIND, sam, config_to_metadata(MINI))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    truth, _ = people({})
    person = {"image_id": 1, "bbox": [2, 2, 36, 46], "keypoints": truth.flatten().tolist(),
              "segmentation": [[5, 5, 35, 5, 35, 45, 5, 45]]}  # fmt: skip
    others = [{"image_id": 1, "bbox": [2, 2, 20, 20]}, {"image_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1}]
    content = {"images": [{"id": 1, "file_name": "a.png", "height": 50, "width": 40}],
               "annotations": [person, *others]}  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_a_folder_is_measured_and_weights_are_compared(photos: Path, weights: Path, tmp_path: Path) -> None:
    files = {"json_path": tmp_path / "r.json", "table": tmp_path / "r.md", "sheet": tmp_path / "r.png"}
    done = eval_command("photos", folder=photos, weights=weights, against=weights, **files)
    metrics = done["metrics"]
    assert done["samples"] == metrics["samples.people"] == 2 and metrics["samples.joints"] == 17
    assert metrics["samples.masks"] == 1
    for name in ("pck", "pck.against", "mask_iou"):  # of one person who has joints and a mask
        assert done["intervals"][name] == pytest.approx([metrics[name]] * 2)
    for name in ("pck", "pck.certain", "pck.crop", "oks", "mask_iou", "mask_iou.points", "mask_iou.no_box"):
        assert 0 <= metrics[name] <= 1 and metrics[f"{name}.against"] == metrics[name]
    assert json.loads((tmp_path / "r.json").read_text())["metrics"] == metrics
    assert "2 people on photographs" in (tmp_path / "r.md").read_text()
    assert Image.open(tmp_path / "r.png").width > 5 * 192


def test_a_sample_of_the_people_is_enough(photos: Path, weights: Path) -> None:
    done = eval_command("photos", samples=1, folder=photos, weights=weights)
    assert done["metrics"]["samples.people"] == 1
    assert "figura eval photos DIR" in table(done, "a machine", date(2026, 1, 1))


def test_intervals_draw_people_with_all_their_joints(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [{"pck": [1, 1, 0, 0]}, {"pck": [1], "mask_iou": [0.5]}, {}]
    monkeypatch.setattr(photos_module, "look_at_person", lambda _, person: person)
    monkeypatch.setattr(photos_module, "person_metrics", lists.__getitem__)
    metrics = evaluate_photos(load_perception(weights), [0, 1, 2])
    assert metrics["pck"] == pytest.approx(0.6) and metrics["mask_iou"] == 0.5
    assert metrics["samples.people"] == 3 and metrics["samples.joints"] == 5 and metrics["samples.masks"] == 1
    assert metrics.people["pck"].values.tolist() == [0.5, 1.0, 0.0]
    assert metrics.people["pck"].weights.tolist() == [4, 1, 0]


def test_options_of_another_method_are_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match="figura eval photos DIR"):
        eval_command("photos")
    with pytest.raises(ValueError, match="--against"):
        eval_command("synth", samples=1, folder=photos)
