"""The nodes of the visible mask: what becomes a point, errors, batches, sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.models import store
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.sam import build_mini_sam
from figura.models.perception.sam_networks import FILE_KIND, MINI
from figura.nodes.visible import (
    FiguraLoadSAM,
    FiguraVisibleMask,
    points_object,
    visible_points,
)
from figura.people.boxes import Box
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.people.prompts import PointPrompt, parse_points

SIZE = (100, 120)


@pytest.fixture(scope="module")
def sam() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_mini_sam()


def body(*joints: tuple[int, float, float]) -> np.ndarray:
    values = np.zeros((18, 3), np.float32)
    for index, x, y in joints:
        values[index] = (x, y, 1)
    return values


def pose(*joints: tuple[int, float, float], width: int = 120, height: int = 100) -> Pose:
    return Pose((Person(body(*joints)),), width, height)


def prompt(text: str = "", seen: Pose | None = None, size: tuple[int, int] = SIZE) -> PointPrompt:
    return parse_points(text, size[1], size[0], "pose", seen)


def run(sam: torch.nn.Module, image: torch.Tensor, **inputs: Any) -> tuple[torch.Tensor, float]:
    return FiguraVisibleMask().run(sam, image, **inputs)


def test_detected_joints_are_points_and_placed_ones_are_not() -> None:
    text = (
        '{"people": [{"joints": {"left_knee": {"x": 50, "y": 60, "state": "given"}}}], "negative": [[5, 6]]}'
    )
    said = visible_points(SIZE, "", prompt(text, pose((0, 30, 20), (1, 31, 40))), None, None)
    assert said.points_px.tolist() == [[30, 20], [31, 40], [5, 6]]
    assert said.labels.tolist() == [1, 1, 0] and said.box is None


def test_a_prompt_of_another_size_is_scaled() -> None:
    said = visible_points(
        SIZE, "", prompt("", pose((0, 60, 20), width=240, height=200), (200, 240)), None, None
    )
    assert said.points_px.tolist() == [[30, 10]]


def test_a_pose_is_used_without_a_prompt_only() -> None:
    seen = pose((0, 30, 20))
    assert len(visible_points(SIZE, "", None, seen, None).points_px) == 1
    assert visible_points(SIZE, "", prompt("", pose((1, 1, 2))), seen, None).points_px.tolist() == [[1, 2]]


def test_joints_outside_the_picture_are_not_seen() -> None:
    assert (
        len(visible_points(SIZE, "", None, pose((0, 30, 20), (1, 150, 20), (2, -4, 5)), None).points_px) == 1
    )


@pytest.mark.parametrize(
    "text",
    [
        "[[10, 20], [30, 40]]",
        '[{"x": 10, "y": 20}, {"x": 30, "y": 40}]',
        "[{'x': 10, 'y': 20}, {'x': 30, 'y': 40}]",
    ],
)
def test_bare_lists_are_points_on_the_person(text: str) -> None:
    said = visible_points(SIZE, text, None, None, None)
    assert said.points_px.tolist() == [[10, 20], [30, 40]] and said.labels.tolist() == [1, 1]


def test_a_pose_as_text_is_no_list_of_points() -> None:
    person = {"pose_keypoints_2d": [10, 20, 1] + [0] * 51}
    said = visible_points(SIZE, json.dumps([{"people": [person]}]), None, None, None)
    assert said.points_px.tolist() == []  # given, as in Point Prompt
    seen = {**person, "figura_joint_states": ["detected"] * 18}
    said = visible_points(SIZE, json.dumps([{"people": [seen]}]), None, None, None)
    assert said.points_px.tolist() == [[10, 20]]


@pytest.mark.parametrize("text", ["[b'x']", "[{(1, 2): 3}]", "[1, 2]"])
def test_a_list_of_something_else_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"points: positive\[0\] must be \[x, y\]"):
        visible_points(SIZE, text, None, None, None)


def test_other_texts_stay_as_they_are() -> None:
    assert points_object("") == "" and points_object("[1, ") == "[1, "


def test_the_box_of_the_whole_person_serves_when_there_is_no_point() -> None:
    text = '{"full_box": [10, 20, 200, 90]}'
    whole = parse_points('{"full_box": [10, 20, 100, 90]}', 120, 100, "full_box")
    assert visible_points(SIZE, "", whole, None, None).box == Box(10, 20, 100, 90)
    assert visible_points(SIZE, text, None, None, None).box == Box(10, 20, 120, 90)


def test_masks_have_the_shape_and_values_of_the_host(sam: torch.nn.Module) -> None:
    poses = write_pose_keypoint([pose((0, 30, 20)), pose((0, 60, 50))])
    mask, score = run(sam, torch.rand(2, *SIZE, 3), pose_keypoint=poses)
    assert mask.shape == (2, *SIZE) and mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, 1.0} and 0 <= score <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 500, 700, 3), (1, 100, 120, 4)])
def test_any_size_and_rgba_are_accepted(sam: torch.nn.Module, shape: tuple[int, ...]) -> None:
    box = {"x": 0, "y": 0, "width": shape[2], "height": shape[1]}
    assert run(sam, torch.rand(shape), bounding_box=box)[0].shape == shape[:3]


def test_one_prompt_serves_a_batch_and_other_lengths_are_refused(sam: torch.nn.Module) -> None:
    images = torch.rand(3, *SIZE, 3)
    assert run(sam, images, prompt=[prompt("", pose((0, 30, 20)))])[0].shape == (3, *SIZE)
    with pytest.raises(ValueError, match="batches do not match"):
        run(sam, images, prompt=[prompt("", pose((0, 30, 20)))] * 2)


def test_the_empty_prompt_of_crop_person_is_no_prompt(sam: torch.nn.Module) -> None:
    image = torch.rand(1, *SIZE, 3, generator=torch.Generator().manual_seed(0))
    box = {"x": 5, "y": 5, "width": 20, "height": 20}
    masks, score = run(sam, image, prompt=[], bounding_box=box)
    alone, same = run(sam, image, bounding_box=box)
    assert torch.equal(masks, alone) and score == same


def test_a_picture_without_a_person_is_named(sam: torch.nn.Module) -> None:
    poses = write_pose_keypoint([Pose((), 120, 100), Pose((), 120, 100)])
    with pytest.raises(ValueError, match="picture 1 of 2: nothing says where the person is"):
        run(sam, torch.rand(2, *SIZE, 3), pose_keypoint=poses)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"positive": [[500, 5]]}', "outside the picture"),
        ("[[5", "not JSON"),
        ("[5]", "positive"),
        ('{"negative": [[5, 5]]}', "nothing says where"),
        ("", "nothing says where"),
    ],
)
def test_bad_points_are_explained(sam: torch.nn.Module, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(sam, torch.rand(1, *SIZE, 3), points=text)


def test_nan_is_refused(sam: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="NaN"):
        run(sam, torch.full((1, *SIZE, 3), float("nan")), points="[[5, 5]]")


def test_the_loader_offers_mini_first_and_loads_files_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sam: torch.nn.Module
) -> None:
    folder = tmp_path / "models" / "sams"
    save_module(folder / "own.safetensors", FILE_KIND, sam.state_dict(), config_to_metadata(MINI))
    save_module(folder / "other.safetensors", "vae", {"x": torch.zeros(1)}, {})
    with use_host(PlainHost(models_dir=tmp_path / "models")):
        names, options = FiguraLoadSAM.INPUT_TYPES()["required"]["sam_name"]
        assert names == ["mini", "own.safetensors"] and options["default"] == "mini"
        loaded = FiguraLoadSAM().run("own.safetensors")[0]
        assert loaded.image_encoder.img_size == 128
        monkeypatch.setattr(store, "MINI_DIR", tmp_path / "mini")
        with pytest.raises(FileNotFoundError, match="sam.safetensors"):
            FiguraLoadSAM().run("mini")
        save_module(
            tmp_path / "mini" / "sam.safetensors", FILE_KIND, sam.state_dict(), config_to_metadata(MINI)
        )
        assert FiguraLoadSAM().run("mini")[0].image_encoder.img_size == 128
