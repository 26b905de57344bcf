"""The point editor's routes on ComfyUI's server. Nothing happens where no such server is.

POST /figura/detect_pose: JSON that names a picture -> its people. GET /figura/example_person?seed=...: a PNG.
GET /figura/picture?filename=...&subfolder=...&type=...: a JPEG of a picture or of a video's first frame, with
an ETag of the file; 304 to whoever has that already.
All read only, work in one thread of their own, and answer mistakes with {"error": text}. See editor_data.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from .chosen import get_host

log = logging.getLogger(__name__)
MARK = "_figura_routes"
MAX_BODY = 100_000
GONE = 499
# One thread: pictures are looked at one after the other, and the server answers everybody else meanwhile.
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="figura-editor")


def add_routes(example_node: Any) -> bool:
    """Add the routes to ComfyUI's server, once; says whether they are there.

    example_node: the class of Example Person, whose pictures the editor asks for.
    """
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is None or not hasattr(server, "routes"):
        return False
    if not hasattr(server, MARK):
        setattr(server, MARK, True)
        server.routes.post("/figura/detect_pose")(partial(detect_pose, example_node))
        server.routes.get("/figura/example_person")(partial(example_person, example_node))
        server.routes.get("/figura/picture")(picture)
    return True


async def detect_pose(example_node: Any, request: Any) -> Any:
    """Answer with one picture of a POSE_KEYPOINT value: {"people", "canvas_width", "canvas_height"}."""
    from aiohttp import web

    from .editor_data import detected_people

    async def answer() -> Any:
        asked = await _body(request)
        return web.json_response(await _in_worker(request, detected_people, asked, example_node))

    return await _answered(answer)


async def example_person(example_node: Any, request: Any) -> Any:
    """Answer with the picture, as a PNG, that the node Example Person gives for the fields of the address."""
    from aiohttp import web

    def png() -> bytes:
        from .editor_data import example_image

        file = io.BytesIO()
        example_image(dict(request.query), example_node).save(file, format="PNG")
        return file.getvalue()

    async def answer() -> Any:
        return web.Response(body=await _in_worker(request, png), content_type="image/png")

    return await _answered(answer)


async def picture(request: Any) -> Any:
    """Answer with a picture file, or a video's first frame, as LoadImage gives it, as a JPEG."""
    from aiohttp import web

    def read() -> Any:
        from .editor_data import image_file
        from .editor_images import jpeg, read_image, tag_of

        path = image_file(dict(request.query), get_host())
        # Before the file is read: one that is written meanwhile has another tag.
        tag = tag_of(path)
        headers = {"Cache-Control": "no-cache", "ETag": f'"{tag}"'}
        if any(known.value == tag for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        if request.method == "HEAD":
            return web.Response(headers=headers)
        return web.Response(body=jpeg(read_image(path)), content_type="image/jpeg", headers=headers)

    async def answer() -> Any:
        return await _in_worker(request, read)

    return await _answered(answer)


class PageGoneError(Exception):
    """Nobody waits for the answer any more."""


async def _in_worker(request: Any, work: Callable[..., Any], *values: Any) -> Any:
    """The work's answer; it is not begun when the page has gone away before its turn came."""

    def turn() -> Any:
        if request.transport is None or request.transport.is_closing():
            raise PageGoneError
        return work(*values)

    return await asyncio.get_running_loop().run_in_executor(_worker, turn)


async def _body(request: Any) -> Any:
    """The JSON of a request; counted as it comes, since a stream does not say how long it is."""
    content = bytearray()
    async for piece in request.content.iter_any():
        content += piece
        if len(content) > MAX_BODY:
            raise ValueError("the request is too long")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("the request must be JSON") from None


async def _answered(answer: Callable[[], Any]) -> Any:
    """The answer, or its mistake as JSON: 400 for what was asked, 404 for what is not there."""
    from aiohttp import web

    try:
        return await answer()
    except ValueError as error:
        return web.json_response({"error": str(error), **getattr(error, "said", {})}, status=400)
    except FileNotFoundError as error:
        return web.json_response({"error": str(error)}, status=404)
    except PageGoneError:
        return web.Response(status=GONE)
    except MemoryError:
        return web.json_response({"error": "there is not enough memory for this picture"}, status=413)
    except Exception as error:
        log.exception("Figura: the point editor's request failed")
        return web.json_response({"error": f"the server failed: {type(error).__name__}"}, status=500)
