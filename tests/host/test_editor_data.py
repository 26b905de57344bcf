"""What the point editor asks of the server, and the routes it asks by."""

import asyncio
import io
import json
import os
import shutil
import sys
import threading
import types

import numpy as np
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from figura.host import editor_data, editor_images, routes, use_host
from figura.host.plain import PlainHost
from figura.models import store
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.nodes.example_person import FiguraExamplePerson
from figura.people.keypoints import Person, Pose, read_pose_keypoint
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.functional import to_tensor

EXAMPLE = {"seed": 10_000_007, "size": 64, "occlusion": 0.3, "slot": 0}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def people_of(asked):
    return editor_data.detected_people(asked, FiguraExamplePerson)


def example_of(asked):
    return editor_data.example_image(asked, FiguraExamplePerson)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with a picture in its input folder, a secret beside it, and a detector of random weights."""
    host = PlainHost(tmp_path / "input", tmp_path / "output", device="cpu")
    (tmp_path / "input" / "sub").mkdir(parents=True)
    Image.new("RGB", (96, 64), (90, 120, 60)).save(tmp_path / "input" / "sub" / "me.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "input" / "text.png").write_text("no picture")
    torch.manual_seed(0)
    net = PoseDetector(PoseConfig()).eval()
    monkeypatch.setattr(editor_data, "_detector", lambda: net)
    monkeypatch.setattr(editor_data, "get_host", lambda: host)
    monkeypatch.setattr(routes, "get_host", lambda: host)
    with use_host(host):
        yield host


def test_people_are_found_in_pixels_of_the_picture(host):
    frame = people_of({"filename": "me.png", "subfolder": "sub", "type": "input"})
    (pose,) = read_pose_keypoint(frame)
    assert (pose.width, pose.height) == (96, 64) and len(pose.people) <= 1


@pytest.mark.skipif(not store.mini_files("pose_detector")[0].is_file(), reason="no mini pose detector here")
def test_the_shipped_detector_finds_joints_of_an_example():
    frame = people_of({"example": EXAMPLE})
    (pose,) = read_pose_keypoint(frame)
    assert (pose.width, pose.height) == (64, 64)
    assert (pose.people[0].body[:, 2] > 0).sum() >= 3


def test_a_box_says_where_the_person_is(host, monkeypatch):
    seen = []

    def look(net, pixels):
        seen.append(tuple(pixels.shape))
        return torch.tensor([[[1.0, 2.0, 1.0]] * 18])

    monkeypatch.setattr(editor_data, "detect_joints", look)
    named = {"filename": "me.png", "subfolder": "sub"}
    frame = people_of({**named, "box": [40, 20, 60, 50]})
    (pose,) = read_pose_keypoint(frame)
    assert seen == [(1, 3, 36, 26)]
    assert pose.people[0].body[0].tolist() == [38, 19, 1] and (pose.width, pose.height) == (96, 64)
    people_of({**named, "box": [-500, -500, 500, 500]})
    assert seen[-1] == (1, 3, 64, 96)


@pytest.mark.parametrize(
    "box",
    [
        3,
        "abcd",
        [1, 2, 3],
        [[1], 2, 3, 4],
        [5, 5, 5, 9],
        [200, 0, 300, 9],
        [float("nan")] * 4,
        [0, 0, 1e400, 9],
    ],
)
def test_a_box_that_is_none_is_refused(host, box):
    with pytest.raises(ValueError, match="box must be"):
        people_of({"filename": "me.png", "subfolder": "sub", "box": box})


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"filename": "../secret.png"}, "inside the input folder"),
        ({"filename": "secret.png", "subfolder": ".."}, "inside the input folder"),
        ({"filename": "/etc/passwd"}, "inside the input folder"),
        ({"filename": "me.png", "subfolder": "/etc"}, "inside the input folder"),
        ({"filename": "a\0b.png"}, "must be texts"),
        ({"filename": ""}, "must not be empty"),
        ({"filename": 3}, "must be texts"),
        ({"filename": "me.png", "type": "models"}, "type must be one of"),
        ({"filename": "text.png"}, "cannot be read as a picture"),
        ([], "a JSON object"),
        ({"example": 4}, "an example is"),
    ],
)
def test_what_names_no_picture_is_refused(host, named, says):
    with pytest.raises(ValueError, match=says):
        people_of(named)


def test_a_link_in_the_folder_is_followed_as_in_comfyui(host, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.png")
    (host.input_dir() / "link.png").symlink_to(tmp_path / "elsewhere.png")
    assert editor_data.read_image(editor_data.image_file({"filename": "link.png"}, host)).size == (8, 8)


def test_a_missing_picture_and_a_folder_are_not_there(host):
    for name in ("none.png", "sub"):
        with pytest.raises(FileNotFoundError, match="no picture"):
            editor_data.image_file({"filename": name}, host)


def test_a_picture_of_too_many_pixels_is_refused(host, monkeypatch):
    monkeypatch.setattr(editor_images, "MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(ValueError, match="96 x 64 pixels"):
        people_of({"filename": "me.png", "subfolder": "sub"})


@given(asked=JSON | st.fixed_dictionaries({"filename": JSON, "subfolder": JSON, "type": JSON}))
def test_whatever_is_asked_gives_a_clear_error(tmp_path_factory, asked):
    host = PlainHost(tmp_path_factory.getbasetemp(), tmp_path_factory.getbasetemp(), device="cpu")
    with use_host(host), pytest.raises((ValueError, FileNotFoundError)) as caught:
        people_of(asked)
    assert str(caught.value)


class TestExample:
    @pytest.mark.parametrize("slot", [0, 1, 7])
    def test_it_is_the_picture_of_the_node(self, slot):
        image = example_of({**EXAMPLE, "slot": slot})
        made = FiguraExamplePerson().run(EXAMPLE["seed"], EXAMPLE["size"], EXAMPLE["occlusion"])[slot]
        assert image.size == (64, 64)
        difference = to_tensor(image) - made[0].permute(2, 0, 1)
        assert difference.abs().max() <= 1 / 255

    def test_fields_may_be_texts(self):
        texts = {name: str(value) for name, value in EXAMPLE.items()}
        assert example_of(texts).tobytes() == example_of(EXAMPLE).tobytes()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"size": 5000}, "size must lie between 64 and 1024; got 5000"),
            ({"seed": -1}, "seed must lie between"),
            ({"occlusion": float("nan")}, "occlusion must lie between"),
            ({"seed": float("inf")}, "seed must be a number"),
            ({"size": "large"}, "size must be a number"),
            ({"size": None}, "size must be a number"),
            ({"slot": 2}, "slot 2 .* gives no picture"),
            ({"slot": 99}, "slot must lie between"),
        ],
    )
    def test_other_fields_are_refused(self, change, says):
        with pytest.raises(ValueError, match=says):
            example_of({**EXAMPLE, **change})


class TestRoutes:
    @pytest.fixture
    def server(self, monkeypatch):
        """ComfyUI's server as far as a pack sees it."""
        instance = types.SimpleNamespace(routes=web.RouteTableDef())
        module = types.ModuleType("server")
        module.PromptServer = types.SimpleNamespace(instance=instance)
        monkeypatch.setitem(sys.modules, "server", module)
        return instance

    def ask(self, server, *requests):
        async def run():
            application = web.Application()
            application.add_routes(server.routes)
            async with TestClient(TestServer(application)) as client:
                answers = []
                for method, path, body in requests:
                    answer = await client.request(method, path, data=body)
                    answers.append((answer.status, await answer.read()))
                return answers

        return asyncio.run(run())

    def test_they_are_added_once_and_only_to_comfyuis_server(self, server, monkeypatch):
        assert routes.add_routes(FiguraExamplePerson) and routes.add_routes(FiguraExamplePerson)
        assert sorted(route.path for route in server.routes) == [
            "/figura/detect_pose",
            "/figura/example_person",
            "/figura/picture",
        ]
        monkeypatch.setitem(sys.modules, "server", types.ModuleType("server"))
        assert not routes.add_routes(FiguraExamplePerson)

    def test_people_and_an_example_are_answered(self, server, host):
        routes.add_routes(FiguraExamplePerson)
        address = "/figura/example_person?seed=10000007&size=64&occlusion=0.3&slot=0"
        body = b'{"filename": "me.png", "subfolder": "sub", "type": "input"}'
        people, example = self.ask(server, ("POST", "/figura/detect_pose", body), ("GET", address, None))
        assert people[0] == 200 and b'"canvas_width": 96' in people[1]
        assert example[0] == 200 and Image.open(io.BytesIO(example[1])).size == (64, 64)

    def test_mistakes_are_answered_with_their_text(self, server, host):
        routes.add_routes(FiguraExamplePerson)
        asked = [
            ("POST", "/figura/detect_pose", b"no json"),
            ("POST", "/figura/detect_pose", b'{"filename": "../secret.png"}'),
            ("POST", "/figura/detect_pose", b'{"filename": "none.png"}'),
            ("POST", "/figura/detect_pose", b"[" * (routes.MAX_BODY + 1)),
            ("GET", "/figura/example_person?seed=x", None),
        ]
        answers = self.ask(server, *asked)
        assert [status for status, _ in answers] == [400, 400, 404, 400, 400]
        assert all(b'"error"' in body for _, body in answers)

    def test_a_failure_says_so_and_hides_its_text(self, server, host, monkeypatch, caplog):
        routes.add_routes(FiguraExamplePerson)
        monkeypatch.setattr(editor_data, "detected_people", lambda asked, node: 1 / 0)
        ((status, body),) = self.ask(server, ("POST", "/figura/detect_pose", b"{}"))
        assert status == 500 and b"ZeroDivisionError" in body and "division" in caplog.text

    def test_strange_names_and_streams_are_mistakes_of_the_asker(self, server, host):
        async def stream():
            for _ in range(3):
                yield b" " * (routes.MAX_BODY // 2)

        routes.add_routes(FiguraExamplePerson)
        picture, detect = "/figura/picture?filename=", "/figura/detect_pose"
        asked = [
            ("POST", detect, stream()),
            ("POST", detect, json.dumps({"filename": "x" * 5000}).encode()),
            ("POST", detect, b'{"filename": "\\ud800.png"}'),
            ("POST", detect, b'{"filename": "me.png", "subfolder": "sub", "detector": ["mini"]}'),
            ("POST", detect, b'{"filename": "me.png", "subfolder": "sub", "box": [NaN, 0, 1e999, 1]}'),
            ("GET", picture + "x" * 5000, None),
            ("GET", picture + "%00", None),
            ("GET", picture + "%FF%FE.png", None),
        ]
        statuses = [status for status, _ in self.ask(server, *asked)]
        assert all(400 <= status < 500 for status in statuses)

    def test_what_nobody_waits_for_is_not_begun(self, server, host, monkeypatch):
        """40 abandoned requests held the worker for 50 s."""
        begun, go = [], threading.Event()
        monkeypatch.setattr(editor_data, "detected_people", lambda *_: (begun.append(1), go.wait(20))[1])
        routes.add_routes(FiguraExamplePerson)

        async def leave(client):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.post("/figura/detect_pose", data=b"{}"), 0.3)

        async def run():
            application = web.Application()
            application.add_routes(server.routes)
            async with TestClient(TestServer(application)) as client:
                await asyncio.gather(*(leave(client) for _ in range(12)))
                await asyncio.sleep(0.2)
                go.set()
                answer = await client.post("/figura/detect_pose", data=b"{}")
                return answer.status

        assert asyncio.run(run()) == 200
        assert len(begun) == 2

    def test_a_picture_is_given_again_only_when_its_file_is_another_one(self, server, host):
        routes.add_routes(FiguraExamplePerson)
        path = host.input_dir() / "again.png"
        address = "/figura/picture?filename=again.png"

        def ask(tag=None, method="GET"):
            async def run():
                application = web.Application()
                application.add_routes(server.routes)
                async with TestClient(TestServer(application)) as client:
                    headers = {"If-None-Match": tag} if tag else {}
                    answer = await client.request(method, address, headers=headers)
                    return answer.status, answer.headers["ETag"], await answer.read()

            return asyncio.run(run())

        Image.new("RGB", (32, 16)).save(path)
        status, tag, body = ask()
        assert status == 200 and Image.open(io.BytesIO(body)).size == (32, 16)
        assert ask(tag) == (304, tag, b"")
        assert ask(f"W/{tag}") == (304, tag, b"")  # as a server between the two may write it
        assert ask(method="HEAD") == (200, tag, b"")
        date = path.stat().st_mtime_ns
        Image.new("RGB", (24, 16)).save(path)
        os.utime(path, ns=(date, date))
        status, other, body = ask(tag)
        assert status == 200 and other != tag and Image.open(io.BytesIO(body)).size == (24, 16)

    def test_why_a_picture_is_not_shown_is_said_for_pages_of_any_language(self, server, host):
        routes.add_routes(FiguraExamplePerson)
        Image.new("1", (70_000, 2)).save(host.input_dir() / "wide.png")
        (host.input_dir() / "none.png").write_bytes(b"no picture")
        wide, none = self.ask(
            server, *(("GET", f"/figura/picture?filename={name}.png", None) for name in ("wide", "none"))
        )
        said = json.loads(wide[1])
        assert "smaller copy" in said.pop("error")
        assert said == {
            "problem": "too_large",
            "width": 70_000,
            "height": 2,
            "megapixels": 64,
            "side": 65_500,
        }
        assert none[0] == 400 and json.loads(none[1])["problem"] == "unreadable"

    @pytest.mark.parametrize(
        ("side", "said"), [(9000, b"9000 x 9000 pixels"), (30_000, b"more than 178956970 pixels")]
    )
    def test_a_huge_picture_is_refused_before_it_is_decoded(self, server, host, monkeypatch, side, said):
        """A few KB that say how many pixels there are."""
        Image.new("1", (side, side)).save(host.input_dir() / "huge.png")
        monkeypatch.setattr(Image.Image, "load", lambda self: 1 / 0)
        routes.add_routes(FiguraExamplePerson)
        asked = [("GET", "/figura/picture?filename=huge.png", None),
                 ("POST", "/figura/detect_pose", b'{"filename": "huge.png"}')]  # fmt: skip
        for status, body in self.ask(server, *asked):
            assert status == 400 and said in body


class FakeDetector:
    """Finds two people with one joint each, at the middle of whatever it is shown."""

    @staticmethod
    def detect(pixels):
        height, width = pixels.shape[-2:]
        body = np.zeros((18, 3), np.float32)
        body[0] = width / 2, height / 2, 1
        return Pose((Person(body), Person(body)), width, height)


def test_the_chosen_detector_is_asked_and_its_joints_lie_in_the_whole_picture(host, monkeypatch):
    asked = []
    monkeypatch.setattr(
        editor_data, "load_detector", lambda name, folders: asked.append(name) or FakeDetector
    )
    editor_data._load_external.cache_clear()
    named = {"filename": "me.png", "subfolder": "sub", "detector": "vitpose", "box": [8, 8, 24, 24]}
    (pose,) = read_pose_keypoint([people_of(named)])
    assert asked == ["vitpose"] and len(pose.people) == 2
    assert pose.people[0].body[0, :2].tolist() == [16, 16]
    editor_data._load_external.cache_clear()


def test_a_detector_that_is_unknown_or_not_here_is_said(host):
    with pytest.raises(ValueError, match="detector must be one of mini, "):
        people_of({"filename": "me.png", "subfolder": "sub", "detector": ["vitpose"]})
    with pytest.raises(FileNotFoundError, match="vitpose-base-simple/model.safetensors"):
        people_of({"filename": "me.png", "subfolder": "sub", "detector": "vitpose"})


def test_a_mini_detector_that_was_trained_anew_is_read_again(tmp_path, monkeypatch):
    path = shutil.copy(store.MINI_DIR / editor_data.DETECTOR_FILE, tmp_path)
    own = types.SimpleNamespace(find_model=lambda *named: tmp_path)
    monkeypatch.setattr(editor_data, "get_host", lambda: own)
    first = editor_data._detector()
    assert editor_data._detector() is first
    os.utime(path, ns=(0, 1))
    assert editor_data._detector() is not first
