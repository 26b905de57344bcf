"""A model file that is replaced under its name is read again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from figura.headless.runner import Runner
from figura.host import editor_data
from figura.host.plain import PlainHost
from figura.models import convert, store
from figura.models.humansd import checkpoint as humansd
from figura.models.humansd.checkpoint import readable_fast
from figura.models.perception.pose_detectors import MODULES, PROVIDERS, Detector, keypoint_rcnn
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.nodes.people import FiguraDetectPose
from figura.nodes.watched import stamp, watched
from figura.people.keypoints import Pose
from PIL import Image
from safetensors.torch import load_file, save_file

LOADERS = sorted(node_id for node_id in NODE_CLASS_MAPPINGS if node_id.startswith("FiguraLoad"))


def test_every_loader_watches_its_files_and_no_other_node_does() -> None:
    watching = {node_id for node_id, each in NODE_CLASS_MAPPINGS.items() if hasattr(each, "IS_CHANGED")}
    assert watching == {*LOADERS, "FiguraDensePose", "FiguraDetectPose"}


@pytest.mark.parametrize("node_id", LOADERS)
def test_nothing_is_new_while_nothing_changes(node_id: str) -> None:
    node_class: Any = NODE_CLASS_MAPPINGS[node_id]
    choices = {name: spec[1].get("default") for name, spec in node_class.INPUT_TYPES()["required"].items()}
    assert node_class.IS_CHANGED(**choices) == node_class.IS_CHANGED(**choices)
    assert node_class.IS_CHANGED(**{name: None for name in choices}) == "[]"  # what is linked


def test_a_replaced_file_has_another_stamp_and_names_lead_nowhere_else(host: PlainHost) -> None:
    (folder, *_) = host.model_folders("sam")
    file = folder / "some.safetensors"
    folder.mkdir(parents=True)
    file.write_bytes(b"one")
    before = stamp("some.safetensors")
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert len(before) == 1 and stamp("some.safetensors") != before
    os.utime(file, ns=(before[0][2], before[0][2]))
    assert stamp("some.safetensors") == before
    file.write_bytes(b"three")
    os.utime(file, ns=(before[0][2], before[0][2]))
    assert stamp("some.safetensors") != before
    assert stamp("../../etc/passwd") == stamp("none.safetensors") == []


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".safetensors", "a\0b"])
def test_a_name_that_no_file_can_have_is_none(host: PlainHost, name: str) -> None:
    assert stamp(name) == []


def test_mini_is_watched_as_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [Path(path).suffix for path, *_ in stamp("mini")].count(".safetensors") > 1
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    (tmp_path / "sam.safetensors").write_bytes(b"old")
    before = stamp("mini")
    (tmp_path / "sam.safetensors").write_bytes(b"newer")
    assert len(before) == 1 and stamp("mini") != before


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_file_of_a_detector_is_watched(host: PlainHost, name: str) -> None:
    (folder, *_) = host.model_folders("pose_detector")
    seen = [stamp(name)]
    for file in MODULES[name].FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"one")
        seen.append(stamp(name))
    os.utime(folder / file, ns=(1, 1))
    seen.append(stamp(name))
    assert seen[0] == [] and len({repr(each) for each in seen}) == len(MODULES[name].FILES) + 2


def test_files_that_are_known_are_those_that_detectors_read() -> None:
    read = {file for module in MODULES.values() for file in module.FILES}
    assert {file.name for file in store.known_files("pose_detector")} <= read


@pytest.mark.parametrize("by_the_editor", [False, True])
def test_a_replaced_detector_is_read_again(
    host: PlainHost, monkeypatch: pytest.MonkeyPatch, by_the_editor: bool
) -> None:
    (folder, *_) = host.model_folders("pose_detector")
    folder.mkdir(parents=True)
    file, loads = folder / keypoint_rcnn.FILE, []

    def load(*where: Any) -> Detector:
        loads.append(file.read_text())
        return Detector(lambda image: Pose((), 8, 8))

    def find() -> None:
        if by_the_editor:
            editor_data._detect(Image.new("RGB", (8, 8)), (0, 0, 8, 8), "keypoint_rcnn")
        else:
            FiguraDetectPose().run(torch.zeros(1, 8, 8, 3), "keypoint_rcnn")

    monkeypatch.setattr(keypoint_rcnn, "load", load)
    for text in ("old", "old", "newer"):
        file.write_text(text)
        os.utime(file, ns=(1, 1))
        find()
    assert loads == ["old", "newer"]


class Loads:
    """Reads the first byte of a file among the model folders."""

    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("STRING",), "run", True
    folder = Path()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": (["mini", "a.safetensors"], {})}}

    def run(self, name: str) -> dict[str, Any]:
        return {"ui": {}, "result": ((self.folder / name).read_text(),)}


def test_the_runner_loads_a_replaced_file_again(tmp_path: Path) -> None:
    host = PlainHost(tmp_path, tmp_path, tmp_path / "models", "cpu")
    Loads.folder = host.model_folders("sam")[0]
    Loads.folder.mkdir(parents=True)
    runner = Runner(host, {"Loads": watched(Loads)})
    graph = {"1": {"class_type": "Loads", "inputs": {"name": "a.safetensors"}}}
    (Loads.folder / "a.safetensors").write_text("old")
    assert runner.run(graph).outputs["1"] == ("old",)
    assert runner.run(graph).executed == []
    (Loads.folder / "a.safetensors").write_text("newer")
    assert runner.run(graph).outputs["1"] == ("newer",)


def test_a_pickle_in_a_folder_that_may_not_be_written_to_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Path:
        raise OSError(errno.EROFS, "read-only file system", str(path))

    monkeypatch.setattr(humansd, "as_safetensors", refuse)
    monkeypatch.setattr(convert.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    torch.save({"state_dict": {"a": torch.ones(3)}}, tmp_path / "model.ckpt")
    made = readable_fast(tmp_path / "model.ckpt")
    assert made.is_relative_to(tmp_path / "temporary") and load_file(made)["a"].sum() == 3
    assert readable_fast(tmp_path / "model.ckpt") == made


def test_a_file_that_is_read_with_the_chosen_one_is_watched_too(host: PlainHost) -> None:
    (folder, *_) = host.model_folders("cfld")
    folder.mkdir(parents=True)
    for name in ("pytorch_model.bin", "pytorch_model_1.bin"):
        (folder / name).write_bytes(b"one")
    before = stamp("pytorch_model.bin")
    (folder / "pytorch_model_1.bin").write_bytes(b"another")
    assert stamp("pytorch_model.bin") != before
    (folder / "pytorch_model_1.bin").unlink()
    assert len(stamp("pytorch_model.bin")) == 1


def test_another_failure_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> Path:
        raise OSError(errno.ENOSPC, "disk full", str(path))

    monkeypatch.setattr(humansd, "as_safetensors", fail)
    with pytest.raises(OSError, match="disk full"):
        readable_fast(tmp_path / "model.ckpt")


def test_safetensors_in_a_read_only_folder_need_no_writing(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    before = sorted(tmp_path.iterdir())
    assert readable_fast(tmp_path / "m.safetensors") == tmp_path / "m.safetensors"
    assert sorted(tmp_path.iterdir()) == before
