"""HumanSD's and PoCoLD's own lists and HaGRID's annotations: what is read, and what bad ones say."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figura.tests.training.data.public_formats import write_json
from figura.training.data import command, released_lists
from figura.training.data.people import PeopleDataset
from PIL import Image

SIDE = 160
PERSON = [(80, 20), (84, 16), (76, 16), (90, 20), (70, 20), (100, 45), (60, 45), (108, 75), (52, 75),
          (112, 100), (48, 100), (94, 90), (66, 90), (96, 120), (64, 120), (97, 150), (63, 150)]  # fmt: skip


def picture(path: Path, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 120, 60)).save(path)
    return path


class TestHumanSD:
    @pytest.fixture
    def mapping(self, tmp_path: Path) -> Path:
        entries = {}
        for number in range(4):
            picture(tmp_path / "images" / f"{number}.png")
            joints = np.array([(x, y, 0.9) for x, y in PERSON], np.float32)
            joints[4, 2] = 0.01  # an ear that mmpose is not sure of
            joints[3, 0] = -5  # another one beyond the edge
            people = np.array([{"keypoints": joints, "score": 0.8}], dtype=object)
            (tmp_path / "poses").mkdir(exist_ok=True)
            np.savez(tmp_path / "poses" / f"{number}.npz", people)
            entries[str(number)] = {
                "img_path": f"images/{number}.png", "pose_path": f"poses/{number}.npz",
                "prompt": f"painting {number}",
            }  # fmt: skip
        return write_json(tmp_path / "mapping.json", entries)

    def words(self, mapping: Path, data: Path) -> list[str]:
        return ["import", "humansd", str(mapping), "--images", str(mapping.parent), "--size", "64",
                "--held-out", "1", "--data", str(data)]  # fmt: skip

    def test_its_mapping_file_becomes_people(self, mapping: Path, tmp_path: Path) -> None:
        assert command.main(self.words(mapping, tmp_path / "data")) == 0
        data = PeopleDataset.open(tmp_path / "data" / "train")
        assert data.captions == ["painting 0", "painting 1", "painting 2"]
        assert data.occluded.shape == (3, 3, 64, 64)
        nose, left_shoulder = data.joints[0, 0], data.joints[0, 5]
        np.testing.assert_allclose(nose, [80 * 64 / SIDE, 20 * 64 / SIDE, 1], atol=1e-4)
        np.testing.assert_allclose(left_shoulder[:2], [100 * 64 / SIDE, 45 * 64 / SIDE], atol=1e-4)
        assert not data.joints[0, 16:, 2].any()  # neither ear is known

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"prompt": ""}, "0 lacks prompt"),
            ({"pose_path": "none.npz"}, "no poses .*none.npz, which .*: 0 names"),
            ({"img_path": "none.png"}, "no picture .*none.png, which .*: 0 names"),
            ({"pose_path": "few.npz"}, r"few.npz has a person with joints of shape \(2, 3\)"),
            ({"pose_path": "nan.npz"}, "nan.npz has joints that are no numbers"),
        ],
    )
    def test_bad_entries_are_named(self, mapping: Path, tmp_path: Path, change: dict, message: str) -> None:
        for name, joints in (("few", np.zeros((2, 3))), ("nan", np.full((17, 3), np.nan))):
            np.savez(tmp_path / f"{name}.npz", np.array([{"keypoints": joints}], dtype=object))
        entries = json.loads(mapping.read_text())
        entries["0"] |= change
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            command.main(self.words(write_json(mapping, entries), tmp_path / "data"))

    def test_poses_that_would_run_something_are_refused(self, mapping: Path, tmp_path: Path) -> None:
        class Bad:
            def __reduce__(self) -> Any:
                return (eval, ("1",))

        file = tmp_path / "bad.npz"
        np.savez(file, np.array([Bad()], dtype=object))
        with pytest.raises(
            ValueError, match="bad.npz is no .npz of mmpose's results: it would call builtins"
        ):
            released_lists.read_objects(file)
        file.write_bytes(pickle.dumps([1]))
        with pytest.raises(ValueError, match="is no .npz"):
            released_lists.read_objects(file)


class TestPoCoLD:
    def test_its_list_becomes_pairs(self, tmp_path: Path) -> None:
        names = [f"deep/img_highres/a_{number}.jpg" for number in range(3)]
        for number, name in enumerate(names):
            picture(tmp_path / name, (176, 256))
            labels = np.zeros((256, 176, 3), np.uint8)
            labels[64:192, 44:132, 2] = number + 1
            place = tmp_path / released_lists.densepose_of(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels).save(place)
        rows = "\n".join(f"{names[n]},{names[n + 1]}" for n in range(2))
        (tmp_path / "pairs.csv").write_text(f"from_image,to_image\n{rows}\n")
        (tmp_path / "test.jsonl").write_text(
            json.dumps({"from_image": names[2], "to_image": names[0]}) + "\n"
        )
        words = [
            "import", "pocold", str(tmp_path / "pairs.csv"), "--held-out-list", str(tmp_path / "test.jsonl"),
            "--images", str(tmp_path), "--sides", "64", "48", "--data", str(tmp_path / "data"),
        ]  # fmt: skip
        assert command.main(words) == 0
        folder = tmp_path / "data" / "train" / "pairs"
        assert np.load(folder / "source.npy").shape == (2, 3, 64, 48)
        assert np.load(folder / "target_densepose.npy")[:, 32, 24].tolist() == [2, 3]
        assert np.load(tmp_path / "data" / "held_out" / "pairs" / "source_densepose.npy")[0, 32, 24] == 3

    def test_a_list_of_pictures_in_place_of_paths_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_text(json.dumps({"from_image": {"bytes": ""}, "to_image": "a.jpg"}))
        with pytest.raises(ValueError, match="x.jsonl has no paths in from_image"):
            released_lists.pocold_lines(tmp_path / "x.jsonl")
        with pytest.raises(FileNotFoundError, match="no list of pairs at"):
            released_lists.pocold_lines(tmp_path / "none.csv")


class TestHaGRID:
    def annotated(self, folder: Path, **change: Any) -> list[str]:
        for name in ("key", "late"):
            picture(folder / "images" / "palm" / f"{name}.jpg", (80, 64))
        mask = np.zeros((64, 80), np.uint8)
        mask[10:50, 10:70] = 255
        (folder / "masks").mkdir(exist_ok=True)
        for name in ("key_0", "key_1", "late_0"):
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        points = [[0.2 + 0.02 * number, 0.3 + 0.01 * number] for number in range(21)]
        other = [(x + 0.1, y) for x, y in points]
        entry = {"labels": ["palm", "no_gesture"], "leading_hand": "left", "landmarks": [points, other]}
        entry |= change
        late = {"labels": ["palm"], "leading_hand": "left", "landmarks": [points]} | change
        (folder / "annotations").mkdir(exist_ok=True)
        write_json(folder / "annotations" / "palm.json", {"key": entry, "late": late})
        return [
            "import", "hagrid", str(folder / "annotations"), "--images", str(folder / "images"),
            "--masks", str(folder / "masks"), "--size", "64", "--held-out", "1",
            "--data", str(folder / "data"),
        ]  # fmt: skip

    def test_its_landmarks_become_hands(self, tmp_path: Path) -> None:
        assert command.main(self.annotated(tmp_path)) == 0
        folder = tmp_path / "data" / "train" / "hands"
        assert np.load(folder / "left.npy").tolist() == [True, False]  # the other photograph is held out
        assert json.loads((folder / "captions.json").read_text())[0] == "a left hand, palm"
        lines = (tmp_path / "data" / "hagrid_list.jsonl").read_text().splitlines()
        second = json.loads(lines[1])
        assert second["left"] is False and second["joints"][0] == pytest.approx([0.3 * 80, 0.3 * 64])

    def test_what_lacks_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="has no hand with 21 landmarks"):
            command.main(self.annotated(tmp_path, landmarks=[[], []]))
        with pytest.raises(ValueError, match="palm.json: key lacks labels"):
            command.main(self.annotated(tmp_path, labels=None))
        words = self.annotated(tmp_path)
        (tmp_path / "masks" / "key_1.png").unlink()
        with pytest.raises(FileNotFoundError, match="no mask .*key_1.png, which the list of hands names"):
            command.main(words)
        (tmp_path / "images" / "palm" / "key.jpg").unlink()
        with pytest.raises(FileNotFoundError, match="no picture .*key.jpg, which .*palm.json: key names"):
            command.main(words)
