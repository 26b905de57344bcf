"""Pictures of one's own: what is read, what goes on after a stop, and what bad data say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from figura.people.synthetic import render_people
from figura.tests.training.data import public_formats
from figura.training.data import command, imported_people, people, space
from figura.training.data.imported_hands import import_hands, in_order, read_hands
from figura.training.data.imported_pairs import listed_pairs, read_joints
from figura.training.data.people import PeopleDataset, read_json, write_json
from figura.training.data.photos import decode_segmentation
from figura.training.recipes import load_recipe
from PIL import Image

COUNT, SIDE, SIZE = 6, 160, 64


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered people as COCO has photographs: pictures, joints, run lengths, hands, captions."""
    return public_formats.write_coco(tmp_path_factory.mktemp("coco"), COUNT, SIDE)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def run(coco: Path, data: Path, purpose: str, *more: str, annotations: Path | None = None) -> int:
    words = [
        "import", "coco", str(coco), "--annotations", str(annotations or coco / "people.json"),
        "--for", purpose, "--data", str(data), "--size", str(SIZE), "--held-out", "2",
    ]  # fmt: skip
    return command.main([*words, *(more or ("--captions", str(coco / "captions.json")))])


class TestCoco:
    def test_photographs_keep_their_joints_and_captions(self, coco: Path, tmp_path: Path) -> None:
        assert run(coco, tmp_path, "humansd") == 0
        data = PeopleDataset.open(tmp_path / "train")
        assert len(data) == 4 and data.captions[1] == "person 1" and data.occluded.shape == (4, 3, SIZE, SIZE)
        truth = render_people([1], SIDE, occlusion=0.0)
        known = truth.joints[0, :, 2] > 0
        scale = SIZE / SIDE
        found, wanted = torch.from_numpy(data.joints[1].copy()), truth.joints[0]
        torch.testing.assert_close(found[known, :2], wanted[known, :2] * scale, atol=0.1, rtol=0)
        assert np.array_equal(data.everybody[1, 0], data.joints[1]) and not data.everybody[1, 1:].any()
        assert np.array_equal(data.unoccluded, data.occluded) and np.array_equal(data.complete, data.occluded)
        with pytest.raises(ValueError, match="came without cutout, visible_mask"):
            data.require("occluded", "cutout", "visible_mask")

    def test_others_are_pasted_over_people_for_phac(self, coco: Path, tmp_path: Path) -> None:
        assert run(coco, tmp_path, "phac") == 0
        data = PeopleDataset.open(tmp_path / "train")
        amodal, visible = (data.images(name, [0, 1, 2, 3]) > 0.5 for name in ("amodal_mask", "visible_mask"))
        assert not (visible & ~amodal).any()
        shares = 1 - visible.sum((1, 2, 3)) / amodal.sum((1, 2, 3))
        assert shares.max() > 0.1 and shares.max() <= 0.61
        occluded, whole, cutout = (data.images(n, [0, 1, 2, 3]) for n in ("occluded", "unoccluded", "cutout"))
        seen = visible.expand_as(occluded)
        assert torch.equal(occluded[seen], whole[seen])
        assert (cutout[~amodal.expand_as(cutout)] == 1).all()

    def test_people_who_show_hands_for_the_body(self, coco: Path, tmp_path: Path) -> None:
        assert run(coco, tmp_path, "body", "--caption", "somebody") == 0
        folder = tmp_path / "train" / "gestures"
        hands = np.load(folder / "hands.npy")
        assert hands.shape == (4, 2, 21, 3) and not hands[:, 0].any() and (hands[:, 1, :, 2] == 1).all()
        assert json.loads((folder / "captions.json").read_text()) == ["somebody"] * 4

    def test_a_stopped_import_goes_on_and_is_the_same(self, coco: Path, tmp_path: Path, monkeypatch) -> None:
        run(coco, tmp_path / "whole", "phac")
        monkeypatch.setattr(people, "SHARD", 2)
        read, calls = imported_people.PeopleReader.__call__, []

        def breaks(self: Any, numbers: Any, size: int) -> Any:
            calls.append(list(numbers))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return read(self, numbers, size)

        with monkeypatch.context() as patch:
            patch.setattr(imported_people.PeopleReader, "__call__", breaks)
            with pytest.raises(KeyboardInterrupt):
                run(coco, tmp_path / "stopped", "phac")
        monkeypatch.setattr(
            imported_people.PeopleReader, "__call__", lambda *a: calls.append(a[1]) or read(*a)
        )
        run(coco, tmp_path / "stopped", "phac")
        assert calls == [[0, 1], [0, 1], [2, 3], [2, 3]]
        for name in ("occluded", "visible_mask", "joints"):
            both = [np.load(tmp_path / each / "train" / f"{name}.npy") for each in ("whole", "stopped")]
            assert np.array_equal(*both)

    def test_ids_of_either_kind_and_people_without_a_box(self, coco: Path, tmp_path: Path) -> None:
        content = json.loads((coco / "people.json").read_text())
        content["annotations"] = [
            {**each, "image_id": str(each["image_id"]), "bbox": None} for each in content["annotations"]
        ]
        changed = write(tmp_path / "changed.json", content)
        assert len(imported_people.pick_people(coco, changed, "humansd")) == COUNT

    def test_captions_of_other_pictures_are_passed_over(self, tmp_path: Path) -> None:
        own = {"images": [{"id": 1, "file_name": "a.png"}]}
        own["annotations"] = [{"image_id": 2, "caption": "x"}, {"image_id": 1, "caption": "y "}]
        assert command.read_captions(write(tmp_path / "captions.json", own)) == {"a.png": "y"}

    def test_the_same_person_twice_is_taken_once(self, coco: Path, tmp_path: Path) -> None:
        content = json.loads((coco / "people.json").read_text())
        twice = write(tmp_path / "twice.json", {**content, "annotations": content["annotations"] * 2})
        assert len(imported_people.pick_people(coco, twice, "humansd")) == COUNT

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"keypoints": [float("nan")] * 51}, "joints that are no numbers"),
            ({"keypoints": []}, "none of 6 people has 6 known joints"),
            ({"segmentation": {"size": [8, 8], "counts": [64]}}, "mask of 8x8 does not fit its picture"),
            ({"segmentation": [[]]}, "none of 6 people has 6 known joints, a mask"),
            ({"segmentation": [[0, 0, 9, 0, 9]]}, "none of 6 people has 6 known joints, a mask"),
            ({"segmentation": [[0, 0, 9, 0, 9, 9, 1]]}, r"\.png: annotation \d is not COCO's"),
            ({"keypoints": [1.0] * 54}, "annotation 0 has joints .* not x, y and flag of COCO's 17"),
            ({"bbox": [0, float("nan"), 9, 9]}, "annotation 0 has no box of four numbers"),
            ({"bbox": [0, 0, 150, 0]}, "none of 6 people"),
            ({"bbox": None, "keypoints": [5, 5, 2] * 17}, "none of 6 people"),
        ],
    )
    def test_bad_annotations_are_named(self, coco: Path, tmp_path: Path, change: dict, message: str) -> None:
        content = json.loads((coco / "people.json").read_text())
        content["annotations"] = [{**each, **change} for each in content["annotations"]]
        bad = write(tmp_path / "bad.json", content)
        with pytest.raises(ValueError, match=message):
            run(coco, tmp_path, "phac", annotations=bad)

    def test_bad_files_are_named(self, coco: Path, tmp_path: Path, monkeypatch) -> None:
        with pytest.raises(ValueError, match="has no caption: give --captions"):
            run(coco, tmp_path, "humansd", "--captions", str(write(tmp_path / "none.json", {"0.png": ""})))
        with pytest.raises(FileNotFoundError, match="no picture .*5.png|no picture .*4.png"):
            run(tmp_path, tmp_path / "a", "humansd", "--caption", "x", annotations=coco / "people.json")
        content = json.loads((coco / "people.json").read_text())
        content["images"] = [{**each, "width": SIDE + 1} for each in content["images"]]
        with pytest.raises(ValueError, match=f"{SIDE}x{SIDE} pixels, but"):
            run(
                coco,
                tmp_path / "b",
                "humansd",
                "--caption",
                "x",
                annotations=write(tmp_path / "b.json", content),
            )
        usage = type("Usage", (), {"free": 10})
        monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(OSError, match="GiB are needed"):
            run(coco, tmp_path / "c", "humansd")

    def test_joints_upside_down_are_not_cocos(self, coco: Path, tmp_path: Path, monkeypatch) -> None:
        content = json.loads((coco / "people.json").read_text())
        for each in content["annotations"]:
            joints = np.array(each["keypoints"]).reshape(17, 3)
            joints[:, 2] = 2
            each["keypoints"] = joints[::-1].flatten().tolist()
        content["annotations"] *= 3
        for number, each in enumerate(content["annotations"]):
            content["annotations"][number] = {**each, "bbox": [number, 0, SIDE, SIDE]}
        with pytest.raises(ValueError, match="most heads are below their feet"):
            imported_people.pick_people(coco, write(tmp_path / "x.json", content), "humansd")

    def test_humansd_and_phac_learn_from_it(
        self, coco: Path, tmp_path: Path, toy_weights: Mapping[str, Path]
    ) -> None:
        for recipe, purpose in (("humansd", "humansd"), ("phac", "phac")):
            run(coco, tmp_path / purpose, purpose)
            made = load_recipe(recipe)
            made.at_full_size()
            data = made.prepare(tmp_path / purpose, toy_weights).train
            assert len(data.cache if recipe == "humansd" else data) == 4
            batch = made.batch(data, 0, 0, 2)
            assert batch["latents"].shape[0] == 2 and all(value.isfinite().all() for value in batch.values())
        wrong = load_recipe("phac")
        wrong.at_full_size()
        with pytest.raises(ValueError, match="came without cutout"):
            wrong.prepare(tmp_path / "humansd", toy_weights)


class TestLists:
    @pytest.fixture
    def lists(self, tmp_path: Path) -> Path:
        """Two pictures, their joints and pairs as DPTN and CFLD list them."""
        y, x = [20 + 10 * n for n in range(18)], [80] * 18
        rows = [f"{name}: {json.dumps(y)}: {json.dumps(x)}" for name in ("a.jpg", "b.jpg")]
        text = "name:keypoints_y:keypoints_x\n" + "\n".join(rows) + "\n"
        (tmp_path / "joints.csv").write_text(text)
        (tmp_path / "pairs.csv").write_text("from,to\na.jpg,b.jpg\nb.jpg,a.jpg\na.jpg,b.jpg\n")
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (176, 256), (200, 30, 60)).save(tmp_path / name)
        return tmp_path

    def test_dptns_lists_are_read(self, lists: Path, tmp_path: Path) -> None:
        words = ["import", "pairs", str(lists), "--pairs", str(lists / "pairs.csv"), "--held-out-pairs",
                 str(lists / "pairs.csv"), "--joints", str(lists / "joints.csv"), "--sides", "64", "44",
                 "--data", str(tmp_path / "data")]  # fmt: skip
        assert command.main(words) == 0
        folder = tmp_path / "data" / "train" / "pairs"
        joints = np.load(folder / "source_joints.npy")
        assert joints.shape == (2, 18, 3)  # the third pair is the first one again
        np.testing.assert_allclose(joints[0, 2], [80 * 44 / 176, 40 * 64 / 256, 1])
        assert np.load(folder / "source.npy").shape == (2, 3, 64, 44)
        assert not np.load(folder / "source_densepose.npy").any()

    def test_pairs_without_what_a_recipe_needs_stop(
        self, lists: Path, tmp_path: Path, toy_weights: Mapping[str, Path]
    ) -> None:
        self.test_dptns_lists_are_read(lists, tmp_path)
        made = load_recipe("pocold")
        with pytest.raises(ValueError, match="2 of 2 pairs looked at have no densepose of the source"):
            made.prepare(tmp_path / "data", toy_weights)

    def test_missing_joints_and_bad_numbers_are_named(self, lists: Path) -> None:
        assert read_joints(lists / "joints.csv")["a.jpg"][0] == [80.0, 20.0, 1.0]
        (lists / "more.csv").write_text("from,to\na.jpg,c.jpg\n")
        with pytest.raises(ValueError, match="no joints of 1 pictures of more.csv, first c.jpg"):
            listed_pairs(lists / "more.csv", lists / "joints.csv")
        (lists / "joints.csv").write_text("name:keypoints_y:keypoints_x\na.jpg:[1, 2]:[3, 4]\n")
        with pytest.raises(ValueError, match="a.jpg has not 18 numbers"):
            read_joints(lists / "joints.csv")


class TestHands:
    def line(self, folder: Path, **change: Any) -> Path:
        joints = [[20.0 + number, 30.0 + number] for number in range(21)]
        given = {"image": "hand.png", "joints": joints, "left": True, "mask": "mask.png", "caption": "a hand"}
        path = folder / "hands.jsonl"
        path.write_text(
            "\n".join(
                json.dumps(
                    {**given, "image": f"hand{n // 2}.png", "caption": f"hand {n}",
                     "joints": [[x + n, y] for x, y in joints], **change}
                )
                for n in range(6)
            )
        )  # fmt: skip
        return path

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for n in range(3):
            Image.new("RGB", (64, 80), (250, 200, 150)).save(tmp_path / f"hand{n}.png")
        mask = np.zeros((80, 64), np.uint8)
        mask[25:60, 15:55] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        return tmp_path

    def test_close_ups_hold_the_hand(self, folder: Path) -> None:
        words = [
            "import",
            "hands",
            str(self.line(folder)),
            "--data",
            str(folder),
            "--size",
            "64",
            "--held-out",
            "1",
        ]
        assert command.main(words) == 0
        joints = np.load(folder / "train" / "hands" / "joints.npy")
        # of two photographs; the third is held out with both of its hands
        assert joints.shape == (4, 21, 3) and (joints[..., 2] == 1).all()
        assert joints[..., :2].min() > 0 and joints[..., :2].max() < 64
        assert np.load(folder / "train" / "hands" / "left.npy").all()
        assert np.load(folder / "train" / "hands" / "masks.npy").max() == 255

    def test_no_photograph_is_in_both_parts(self, folder: Path) -> None:
        import_hands(folder / "data", self.line(folder), "openpose", 32, held_out=3)
        images = [
            {
                hand["image"]
                for hand in json.loads((folder / "data" / part / "hands" / "index.json").read_text())
            }
            for part in ("train", "held_out")
        ]
        assert all(images) and not images[0] & images[1]
        with pytest.raises(ValueError, match="of one photograph alone.*hand0.png"):
            import_hands(folder / "more", self.line(folder, image="hand0.png"), "openpose", 32)

    def test_another_size_than_that_of_finished_hands_is_told(self, folder: Path) -> None:
        import_hands(folder / "data", self.line(folder), "openpose", 32)
        with pytest.raises(ValueError, match="made with another size or count.*64 x 64"):
            import_hands(folder / "data", self.line(folder), "openpose", 64)

    def test_interhands_order_becomes_openposes(self) -> None:
        # Tips first, the wrist last: the thumb's tip is number 0 there and 4 here.
        assert in_order(np.arange(21)[:, None], "interhand")[:, 0].tolist() == [
            20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16,
        ]  # fmt: skip
        with pytest.raises(ValueError, match="order is 'mano'"):
            in_order(np.zeros((21, 3)), "mano")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"caption": ""}, "line 1 lacks caption"),
            ({"joints": [[1, 2]]}, r"line 1 has joints of shape \(1, 2\)"),
            ({"joints": [[1, 2, 0]] * 21}, "line 1 has no joint of a confidence above 0"),
            ({"joints": [[1, 2]] * 20 + [[1]]}, "line 1 has joints of shape"),
            ({"left": "false"}, "line 1 has 'false' in left: true or false"),
            ({"mask": 5}, "line 1 has no text in mask"),
        ],
    )
    def test_bad_lines_are_named(self, folder: Path, change: dict, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            read_hands(self.line(folder, **change), "openpose")

    @pytest.mark.parametrize("line", ["{", "[1]"])
    def test_lines_that_are_no_objects_are_named(self, folder: Path, line: str) -> None:
        path = self.line(folder)
        path.write_text(f"{path.read_text()}\n{line}\n")
        with pytest.raises(ValueError, match="line 7 is no JSON"):
            read_hands(path, "openpose")


def test_an_index_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    write_json(path, [1])
    first = read_json(path)
    assert first == [1] and read_json(path) is first
    write_json(path, [1, 2])
    os.utime(path, ns=(1, 1))
    assert read_json(path) == [1, 2]


def test_synth_draws_people_of_any_size(tmp_path: Path) -> None:
    words = [
        "synth",
        "--what",
        "people",
        "pairs",
        "--count",
        "2",
        "--held-out",
        "1",
        "--size",
        "48",
        "--data",
    ]
    assert command.main([*words, str(tmp_path)]) == 0
    assert PeopleDataset.open(tmp_path / "train").size == 48
    assert np.load(tmp_path / "train" / "pairs" / "target.npy").shape == (2, 3, 48, 48)


def test_run_lengths_of_the_fixture_are_cocos() -> None:
    mask = decode_segmentation({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3)
    assert mask.tolist() == [[False, True, False], [True, False, False]]
