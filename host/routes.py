"""The point editor's routes on ComfyUI's server. Nothing happens where no such server is.

POST /figura/detect_pose: JSON that names a picture -> its people. GET /figura/example_person?seed=...: a PNG.
GET /figura/picture?filename=...&subfolder=...&type=...: a JPEG of a picture or of a video's first frame.
All read only, work in one thread of their own, and answer mistakes with {"error": text}. See editor_data.
"""

from __future__ import annotations

import asyncio
import io
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
        return web.json_response(await _in_worker(detected_people, await _body(request), example_node))

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
        return web.Response(body=await _in_worker(png), content_type="image/png")

    return await _answered(answer)


async def picture(request: Any) -> Any:
    """Answer with a picture file, or a video's first frame, as LoadImage gives it, as a JPEG."""
    from aiohttp import web

    def read() -> bytes:
        from .editor_data import image_file
        from .editor_images import jpeg, read_image

        return jpeg(read_image(image_file(dict(request.query), get_host())))

    async def answer() -> Any:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=await _in_worker(read), content_type="image/jpeg", headers=headers)

    return await _answered(answer)


async def _in_worker(work: Callable[..., Any], *values: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_worker, work, *values)


async def _body(request: Any) -> Any:
    if (request.content_length or 0) > MAX_BODY:
        raise ValueError("the request is too long")
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise ValueError("the request must be JSON") from None


async def _answered(answer: Callable[[], Any]) -> Any:
    """The answer, or its mistake as JSON: 400 for what was asked, 404 for what is not there."""
    from aiohttp import web

    try:
        return await answer()
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    except FileNotFoundError as error:
        return web.json_response({"error": str(error)}, status=404)
    except Exception as error:
        log.exception("Figura: the point editor's request failed")
        return web.json_response({"error": f"the server failed: {type(error).__name__}"}, status=500)
