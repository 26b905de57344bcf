"""The nodes of HumanSD on random weights: sizes, batches, several people."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from figura.host import Cancelled
from figura.host.plain import PlainHost
from figura.models import store
from figura.nodes import humansd as nodes
from figura.people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from figura.tests.models.humansd import tiny


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_humansd()


def value(*poses: Pose) -> list[dict[str, Any]]:
    return write_pose_keypoint(list(poses) or [tiny.standing()])


@pytest.fixture
def sampler(model: Any) -> Any:
    """Runs the sampler with settings that take no time; any may be changed."""

    def run(pose: Any = None, **change: Any) -> tuple[torch.Tensor, torch.Tensor]:
        settings = {
            "text": "a man", "width": 0, "height": 0, "steps": 1, "cfg": 1.0, "seed": 0, "suffix": "",
            "negative": "", "pose_strength": 1.0, **change,
        }  # fmt: skip
        given = value() if pose is None else pose
        return nodes.FiguraHumanSDSampler().run(model, pose_keypoint=given, **settings)

    return run


def test_the_shape_of_the_pose_is_that_of_the_picture(sampler: Any) -> None:
    image, skeleton = sampler(value(tiny.standing(width=200, height=100)))
    assert image.shape == skeleton.shape == (1, 64, 128, 3)
    assert 0 <= image.min() and image.max() <= 1 and skeleton.any()


@pytest.mark.parametrize(("shape", "size"), [((20000, 500), (4096, 512)), ((64, 6400), (512, 4096))])
def test_no_picture_is_larger_than_what_can_be_asked_for(
    shape: tuple[int, int], size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    assert nodes.chosen_size(0, 0, Pose((), *shape), 512) == size
    assert f"{size[0]} x {size[1]} are drawn" in caplog.text


def test_sizes_are_rounded_and_that_is_said(sampler: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        image, _ = sampler(width=100, height=64)
    assert image.shape == (1, 64, 128, 3)
    assert "width 100 was rounded to 128" in caplog.text and "height" not in caplog.text


@pytest.mark.parametrize(
    ("text", "poses", "count"), [("a\nb\nc", 1, 3), ("a", 2, 2), ("a\nb", 2, 2), ("", 1, 1)]
)
def test_batches_of_texts_and_poses_match(sampler: Any, text: str, poses: int, count: int) -> None:
    image, skeleton = sampler(value(*[tiny.standing()] * poses), text=text)
    assert len(image) == len(skeleton) == count


def test_batches_that_do_not_match_are_named(sampler: Any) -> None:
    with pytest.raises(ValueError, match="text has 3 entries, pose_keypoint has 2 entries"):
        sampler(value(tiny.standing(), tiny.standing()), text="a\nb\nc")


def test_text_suffix_negative_seed_and_strength_count(sampler: Any) -> None:
    base = {"cfg": 3.0, "steps": 2}
    changes = [{}, {"suffix": "good"}, {"negative": "bad"}, {"seed": 1}, {"pose_strength": 0.0}]
    made = [sampler(**base, **change)[0] for change in changes]
    for index, one in enumerate(made):
        assert all(not torch.equal(one, other) for other in made[:index])


def test_a_scale_of_0_is_the_models_own(sampler: Any, model: Any) -> None:
    assert model.cfg == 3.0
    assert torch.equal(sampler(cfg=0.0)[0], sampler(cfg=3.0)[0])


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ([{"people": [], "canvas_width": 64, "canvas_height": 64}], "pose_keypoint has no person"),
        (
            [{"people": [{"pose_keypoints_2d": [0.0] * 54}], "canvas_width": 64, "canvas_height": 64}],
            "pose_keypoint has nothing to draw",
        ),
        ([], "pose_keypoint is empty"),
    ],
)
def test_poses_without_anybody_are_named(sampler: Any, pose: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(pose)


def test_cancelling_stops_at_the_next_step(sampler: Any, host: PlainHost) -> None:
    host.cancel()
    with pytest.raises(Cancelled):
        sampler()
    host.resume()
    assert len(sampler()[0]) == 1


def test_several_people_are_joined_and_drawn_beside_each_other(sampler: Any) -> None:
    (joined,) = nodes.FiguraJoinPoses().run(value(), value(tiny.standing(0.4)), pose_d=value())
    (pose,) = read_pose_keypoint(joined)
    assert (pose.width, pose.height, len(pose.people)) == (384, 128, 3)
    image, skeleton = sampler(joined)
    assert image.shape == (1, 64, 192, 3)
    assert all(part.any() for part in skeleton[0].split(64, dim=1))


def test_poses_of_a_batch_are_joined_picture_by_picture() -> None:
    two = value(tiny.standing(0.3), tiny.standing(0.7))
    (joined,) = nodes.FiguraJoinPoses().run(two, value())
    first, second = read_pose_keypoint(joined)
    assert first.people[0].body[0, 0] < second.people[0].body[0, 0]
    assert first.people[1].body[0, 0] == second.people[1].body[0, 0] == 128 + 64


# Loading


def test_mini_and_files_are_offered(host: PlainHost, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "humansd-v1.ckpt").write_bytes(b"")
    names, options = nodes.FiguraLoadHumanSD.INPUT_TYPES()["required"]["model"]
    assert names == ["mini", "humansd-v1.ckpt"] and options["default"] == "mini"


def test_mini_that_is_not_there_says_what_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lacks .*humansd\.safetensors.*figura train .*humansd"):
        nodes.FiguraLoadHumanSD().run("mini")


def test_mini_loads_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: Any) -> None:
    monkeypatch.setattr(store, "MINI_DIR", tiny.write_mini_family(tmp_path))
    (loaded,) = nodes.FiguraLoadHumanSD().run("mini")
    image, _ = nodes.FiguraHumanSDSampler().run(
        loaded, "a woman in a red shirt", value(), 0, 0, 1, 0.0, 0, "best quality", "lowres", 1.0
    )
    assert image.shape == (1, 128, 128, 3)


def test_the_released_file_loads_from_the_checkpoints_folder(host: PlainHost, tmp_path: Path) -> None:
    folder, tokenizer = tmp_path / "models" / "checkpoints", tmp_path / "models" / "clip_tokenizer"
    folder.mkdir(parents=True)
    tokenizer.mkdir()
    tiny.makers.write_tokenizer(tokenizer)
    tiny.write_released(folder / "humansd-v1.ckpt")
    (loaded,) = nodes.FiguraLoadHumanSD().run("humansd-v1.ckpt")
    assert loaded.size == 512 and loaded.released
    assert (folder / "humansd-v1.safetensors").is_file()


def test_a_missing_released_file_is_described(host: PlainHost) -> None:
    with pytest.raises(FileNotFoundError, match="humansd-v1.ckpt.*people from skeletons.*IDEA-Research"):
        nodes.FiguraLoadHumanSD().run("humansd-v1.ckpt")
