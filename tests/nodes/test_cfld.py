"""The nodes of CFLD: any size and batch, mixing, editing, loading, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from figura.host import Cancelled
from figura.host.plain import PlainHost
from figura.models.cfld.checkpoint import change_tensors
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.nodes import cfld as nodes
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.tests.models.cfld import tiny


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_cfld()


def pose_value(height: int = 64, width: int = 44, count: int = 1) -> list[dict[str, Any]]:
    person = Person(tiny.person(height, width).numpy())
    return write_pose_keypoint([Pose((person,), width, height)] * count)


def image(height: int = 64, width: int = 44, count: int = 1, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(1))


def sample(model: Any, source: torch.Tensor, pose: Any, **change: Any) -> torch.Tensor:
    settings = {"w_pose": 1.0, "w_app": 1.0, "steps": 1, "scheduler": "ddim", "seed": 0, **change}
    return nodes.FiguraCFLDSampler().run(model, source, pose, **settings)[0]


@pytest.mark.parametrize(("count", "sources"), [(1, 1), (3, 1), (1, 2)])
def test_one_serves_all(model: Any, count: int, sources: int) -> None:
    settings = {"w_pose": 1.0, "w_app": 1.0, "steps": 1, "scheduler": "ddim", "seed": 0}
    given, poses, length = image(50, 70, sources, 4), pose_value(33, 40, count), max(count, sources)
    made, skeleton = nodes.FiguraCFLDSampler().run(model, given, poses, **settings)
    assert made.shape == (length, 33, 40, 3) and 0 <= made.min() and made.max() <= 1
    assert skeleton.shape == (length, 64, 64, 3) and skeleton.max() > 0.4
    assert torch.equal(made, sample(model, given.expand(length, -1, -1, -1), (poses * length)[:length]))


def test_mixing_goes_from_one_source_to_the_other(model: Any) -> None:
    first, second = image(), 1 - image()
    made = [sample(model, first, pose_value(), second_source=second, mix=mix) for mix in (0.0, 0.5, 1.0)]
    assert torch.equal(made[0], sample(model, first, pose_value()))
    assert torch.equal(made[2], sample(model, second, pose_value()))
    assert not torch.equal(made[1], made[0])


def test_editing_leaves_the_rest_of_the_reference(model: Any) -> None:
    reference, mask = image(), torch.zeros(1, 64, 44)
    mask[:, 10:30, 10:30] = 1
    made = sample(model, 1 - image(), pose_value(), reference=reference, mask=mask)
    assert torch.equal(made[mask == 0], reference[mask == 0])
    assert not torch.equal(made[mask == 1], reference[mask == 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second_source": image()}, "second_source came without mix"),
        ({"mix": 0.0}, "mix came without second_source"),
        ({"mask": torch.ones(1, 64, 44)}, "mask came without reference"),
        ({"reference": image()}, "reference came without mask"),
        ({"source": torch.full((1, 8, 8, 3), float("nan"))}, "source holds NaN"),
        ({"source": torch.zeros(1, 8, 8)[0]}, "source has shape"),
        ({"pose_keypoint": write_pose_keypoint([Pose((Person(np.zeros((18, 3), np.float32)),), 44, 64)])},
         "pose_keypoint has no joints"),
        ({"pose_keypoint": pose_value(count=3), "source": image(count=2)}, "The batches do not match"),
        ({"steps": 0}, "steps is 0"),
    ],
)  # fmt: skip
def test_bad_input_is_named(model: Any, change: dict[str, Any], message: str) -> None:
    things = {"source": image(), "pose_keypoint": pose_value(), **change}
    source, pose = things.pop("source"), things.pop("pose_keypoint")
    with pytest.raises(ValueError, match=message):
        sample(model, source, pose, **things)


def test_cancelling_stops_at_the_next_step(model: Any, host: PlainHost) -> None:
    host.cancel()
    with pytest.raises(Cancelled):
        sample(model, image(), pose_value(), steps=5)


# Loading


def test_mini_without_its_file_says_how_to_train_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("figura.models.store.MINI_DIR", tmp_path)
    with pytest.raises(FileNotFoundError, match="lacks .*cfld.safetensors .*figura train .*cfld"):
        nodes.FiguraLoadCFLD().run("mini")


def test_a_missing_released_file_is_valid_and_named_when_it_is_loaded() -> None:
    assert nodes.FiguraLoadCFLD.VALIDATE_INPUTS("pytorch_model.bin") is True
    with pytest.raises(FileNotFoundError, match="no file 'pytorch_model.bin' in .*licence.*YanzuoLu/CFLD"):
        nodes.FiguraLoadCFLD().run("pytorch_model.bin")


def test_a_trained_file_is_offered_and_serves_without_a_checkpoint(host: PlainHost, model: Any) -> None:
    folder = host.model_folders("cfld")[0]
    folder.mkdir(parents=True, exist_ok=True)
    tensors = change_tensors(model.networks, model.unet.state_dict())
    save_module(folder / "mine.safetensors", "cfld", tensors, {"cfld": config_to_metadata(tiny.CONFIG)})
    choices = nodes.FiguraLoadCFLD.INPUT_TYPES()["required"]["model"][0]
    assert choices == ["mini", "mine.safetensors"]
    (loaded,) = nodes.FiguraLoadCFLD().run("mine.safetensors")
    with pytest.raises(ValueError, match="mine.safetensors was loaded without a U-Net: choose .*checkpoint"):
        sample(loaded, image(), pose_value())


def test_defaults_are_the_released_ones() -> None:
    inputs = nodes.FiguraCFLDSampler.INPUT_TYPES()["required"]
    defaults = {name: spec[1].get("default") for name, spec in inputs.items()}
    assert (defaults["w_pose"], defaults["w_app"], defaults["steps"], defaults["scheduler"]) == (
        2,
        2,
        50,
        "ddpm",
    )
    assert json.dumps(inputs)
