"""Spoiled requests to the point editor's routes: an answer, or 4xx with a sentence; never 5xx.

Three hundred by default, three thousand under `pytest -m fuzz`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from figura.host import editor_data, routes, use_host
from figura.host.plain import PlainHost
from figura.models.perception.pose import PoseConfig, PoseDetector
from figura.nodes.example_person import FiguraExamplePerson
from PIL import Image

from . import bad_values, limits

REQUESTS, ALL_REQUESTS = 300, 3000
SECONDS, BYTES = 30, 2**31
ASKED = {"filename": "me.png", "subfolder": "", "type": "input", "box": [0, 0, 20, 20], "detector": "mini"}
QUERY = {"seed": "7", "size": "64", "occlusion": "0.3", "slot": "0", "filename": "me.png", "type": "input"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlainHost]:
    host = PlainHost(tmp_path / "input", tmp_path / "output", device="cpu")
    (tmp_path / "input").mkdir()
    Image.new("RGB", (32, 32), (90, 120, 60)).save(tmp_path / "input" / "me.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    torch.manual_seed(0)
    net = PoseDetector(PoseConfig()).eval()
    monkeypatch.setattr(editor_data, "_detector", lambda: net)
    for module in (editor_data, routes):
        monkeypatch.setattr(module, "get_host", lambda: host)
    with use_host(host):
        yield host


def request_of(random: Random) -> dict[str, Any]:
    """Method, path and what goes with it."""
    path = random.choice(("detect_pose", "detect_pose", "picture", "example_person"))
    if path == "detect_pose":
        body: Any = json.dumps(bad_values.spoiled(ASKED, random))
        if random.random() < 0.3:
            body = random.choice(bad_values.TEXTS)().encode("utf-8", "replace")
        if random.random() < 0.1:
            body = random.randbytes(random.choice((1, 100, 200_000)))
        return {"method": "POST", "path": f"/figura/{path}", "data": body}
    query = bad_values.spoiled(QUERY, random)
    query = query if isinstance(query, dict) else {"filename": query}
    # A URL is at most 8 kB long before any route sees it.
    params = {str(key)[:500]: str(value)[:2000].replace("\ud800", "") for key, value in query.items()}
    if random.random() < 0.3:
        params["filename"] = str(random.choice(bad_values.TEXTS)())[:2000].replace("\ud800", "")
    return {"method": "GET", "path": f"/figura/{path}", "params": params}


async def answers(count: int) -> list[tuple[int, int, str]]:
    """Number, status and error of so many requests."""
    app = web.Application()
    app.router.add_post("/figura/detect_pose", partial(routes.detect_pose, FiguraExamplePerson))
    app.router.add_get("/figura/example_person", partial(routes.example_person, FiguraExamplePerson))
    app.router.add_get("/figura/picture", routes.picture)
    found = []
    async with TestClient(TestServer(app)) as client:
        for number in range(count):
            asked = request_of(Random(number))
            response = await client.request(asked.pop("method"), asked.pop("path"), **asked)
            content = await response.read()
            error = "" if response.status == 200 else str(json.loads(content)["error"])
            assert b"secret" not in content
            found.append((number, response.status, error))
    return found


def faults(count: int) -> list[tuple[int, int, str]]:
    """Requests that were not answered as they should be."""
    with limits.memory(BYTES), limits.seconds(SECONDS * count // 10):
        found = asyncio.run(answers(count))
    statuses = {status for _, status, _ in found}
    assert {200, 400} <= statuses
    return [
        (number, status, error)
        for number, status, error in found
        if status not in (200, 400, 404, 413) or (status != 200 and not 0 < len(error) < 2000)
    ]


def test_spoiled_requests_are_answered(host: PlainHost) -> None:
    assert faults(REQUESTS) == []


@pytest.mark.fuzz
def test_three_thousand_spoiled_requests(host: PlainHost) -> None:
    assert faults(ALL_REQUESTS) == []
