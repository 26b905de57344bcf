"""kill -9 at a random moment: the same command again gives what an uninterrupted one gives, and nothing else.

Each job runs in a process of its own, which is killed; in the default run once, marked slow five times (on
Ray under -m fuzz: each takes a minute).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.server
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import huggingface_hub
import numpy as np
import psutil
import pytest
import torch
from figura.models import fetch, store
from figura.models.convert import convert
from figura.models.diffusion.checkpoint import save_module
from figura.models.files import write_then_rename
from figura.tests.models import ray_jobs
from figura.tests.training import fake
from figura.tests.training.data.test_people import fake_people
from figura.training.data.people import SHARD, build_people
from figura.training.run.trainer import train
from PIL import Image
from safetensors import safe_open

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system kills in another way")
CONFTEST = Path(__file__).resolve().parent / "conftest.py"
CONTENT = bytes(range(256)) * 40_000
END = len(CONTENT) - 1
PACE = 0.02


def slowly(seeds: list[int], size: int) -> object:
    time.sleep(PACE)
    return fake_people(seeds, size)


def training(folder: Path, _: str) -> None:
    plan = replace(fake.FakeRecipe.plan, steps=30, checkpoint_seconds=0.0, sample_seconds=0.05)
    train(fake.FakeRecipe(PACE / 2), Path(), {}, folder / "out.safetensors", folder / "run", plan)


def rendering(folder: Path, _: str) -> None:
    build_people(folder / "people", 12 * SHARD, 0, 8, renderer=slowly)


def converting(folder: Path, _: str) -> None:
    convert(folder / "model.ckpt")


def getting(folder: Path, url: str) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    file = store.ModelFile("x.bin", "sam", "", len(CONTENT), "MIT", "https://page", digest, "r/p", "x.bin")
    huggingface_hub.hf_hub_url = lambda *_: url
    fetch.get(file, folder)


def saving(folder: Path, _: str) -> None:
    """A weights file and a picture, each over an older one."""
    torch.manual_seed(0)
    save_module(folder / "net.safetensors", "sam", {"w": torch.randn(2_000_000)}, {})
    pixels = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)
    write_then_rename(folder / "x.png", lambda place: Image.fromarray(pixels).save(place, format="PNG"))


def running_on_ray(folder: Path, _: str) -> None:
    ray_jobs.run_pictures(folder)


JOBS = {
    "train": training, "render": rendering, "convert": converting, "get": getting, "save": saving,
    "ray": running_on_ray,
}  # fmt: skip


class Slow(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, from where it is asked, in small pieces."""

    def do_GET(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        for name, value in (("Content-Length", len(CONTENT) - start), ("ETag", '"one"'),
                            ("Content-Range", f"bytes {start}-{END}/{END + 1}")):  # fmt: skip
            self.send_header(name, str(value))
        self.end_headers()
        for at in range(start, len(CONTENT), 1 << 20):
            self.wfile.write(CONTENT[at : at + (1 << 20)])
            time.sleep(PACE)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/x"
        server.shutdown()


class Program:
    """A job in an interpreter of its own: Ray cannot begin in the fork of a process that has used it."""

    def __init__(self, folder: Path) -> None:
        job = f"from figura.tests.models.ray_jobs import run_pictures; run_pictures({str(folder)!r})"
        load = f"import runpy; runpy.run_path({str(CONFTEST)!r}); "
        paths = f"import sys; sys.path[:0] = {sys.path!r}; "
        self._process = subprocess.Popen([sys.executable, "-c", paths + load + job])
        self.pid = self._process.pid

    def join(self, seconds: float | None = None) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        self._process.kill()


def begun(
    job: Callable[[Path, str], None], folder: Path, url: str
) -> multiprocessing.context.ForkProcess | Program:
    """The job in a process of its own, on one thread."""
    if job is running_on_ray:
        return Program(folder)

    def work() -> None:
        torch.set_num_threads(1)
        job(folder, url)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def ended(process: multiprocessing.context.ForkProcess | Program) -> bool:
    """Whether it ends well in time; one that does not is ended."""
    process.join(600)
    if process.exitcode is None:
        process.kill()
    return process.exitcode == 0


def prepared(folder: Path) -> Path:
    """What the jobs find: a checkpoint to convert, and older files to save over."""
    folder.mkdir()
    torch.manual_seed(1)
    torch.save({"state_dict": {str(n): torch.randn(300_000) for n in range(20)}}, folder / "model.ckpt")
    os.utime(folder / "model.ckpt", (1e9, 1e9))
    save_module(folder / "net.safetensors", "sam", {"w": torch.ones(3)}, {})
    Image.new("RGB", (4, 4)).save(folder / "x.png")
    (folder / "pictures").mkdir()
    for number in range(20):
        Image.new("RGB", (4, 4)).save(folder / "pictures" / f"{number}.png")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """What lies there, by name; logs tell of time, and archives hold the order of their making."""
    named = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    kept = {name: path for name, path in named.items() if not name.endswith(("log.csv", "checkpoint.pt"))}
    kept = {name: path for name, path in kept.items() if "sample_0" not in name}
    return {name: _digest(path) for name, path in kept.items()}


def _digest(path: Path) -> str:
    """Of what is in a file; safetensors writes its header in any order."""
    if path.suffix != ".safetensors":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with safe_open(str(path), framework="pt") as file:
        header = sorted((file.metadata() or {}).items())
        tensors = [(name, file.get_tensor(name).numpy().tobytes()) for name in sorted(file.keys())]
    return hashlib.sha256(repr((header, tensors)).encode()).hexdigest()


def is_whole(folder: Path) -> None:
    """What stands under its name can be read, also right after a kill."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            load_file(path)
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.name == "checkpoint.pt":
            torch.load(path, weights_only=True)
        elif path.name == "x.bin":
            assert path.read_bytes() == CONTENT


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What each job leaves when nobody kills it, and how long it takes."""
    made = {}

    def of(name: str, url: str) -> tuple[dict[str, str], float]:
        if name not in made:
            folder = prepared(tmp_path_factory.mktemp("whole") / name)
            start = time.monotonic()
            process = begun(JOBS[name], folder, url)
            assert ended(process)
            made[name] = contents(folder), time.monotonic() - start
        return made[name]

    return of


def kill_and_go_on(name: str, folder: Path, url: str, whole: Callable, seed: int) -> None:
    wanted, seconds = whole(name, url)
    prepared(folder)
    process = begun(JOBS[name], folder, url)
    time.sleep(random.Random(seed).uniform(0.1, 0.95) * seconds)
    begun_by_it = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    is_whole(folder)
    assert psutil.wait_procs(begun_by_it, 300)[1] == []
    again = begun(JOBS[name], folder, url)
    assert ended(again)
    assert contents(folder) == wanted


EACH = [pytest.param(name, marks=pytest.mark.fuzz if name == "ray" else ()) for name in JOBS]
"""Ray takes half a minute to start, and a kill takes three starts: left out unless asked for by -m fuzz."""


@pytest.mark.parametrize("name", EACH)
def test_one_kill_costs_nothing_but_time(name, tmp_path, url, whole):
    kill_and_go_on(name, tmp_path / "killed", url, whole, seed=len(name))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", EACH)
def test_five_kills_cost_nothing_but_time(name, seed, tmp_path, url, whole):
    kill_and_go_on(name, tmp_path / "killed", url, whole, seed)


@pytest.mark.parametrize(
    ("name", "place"), [("train", "run"), ("render", "people"), ("get", ".figura-download/x.bin")]
)
def test_the_second_of_two_leaves_and_the_first_goes_on(name, place, tmp_path, url, whole):
    wanted, seconds = whole(name, url)
    folder = prepared(tmp_path / "two")
    first = begun(JOBS[name], folder, url)
    lock = folder / place / ".figura-lock"
    while not lock.exists() or lock.read_text() != str(first.pid):
        time.sleep(0.005)
    with pytest.raises(OSError, match=f"is in use: process {first.pid} works"):
        JOBS[name](folder, url)
    assert ended(first) and contents(folder) == wanted


@pytest.fixture(params=["full", "too large"])
def no_room(request, monkeypatch):
    """From now on no checkpoint can be written: the disk is full, or the file is cut off half way."""
    if request.param == "full":

        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def begin() -> None:
            monkeypatch.setattr(os, "fsync", fail)

        yield begin, monkeypatch.undo, "the disk is full, nothing was saved.*checkpoint.pt"
        return
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def end() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    yield (
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1])),
        end,
        "could not be saved.*checkpoint.pt",
    )
    end()


def test_a_full_disk_ends_a_run_with_a_sentence_and_a_whole_checkpoint(tmp_path, no_room):
    begin, end, said = no_room
    work = partial(train, fake.FakeRecipe(), Path(), {}, tmp_path / "out.safetensors", tmp_path / "run")
    work(replace(fake.FakeRecipe.plan, steps=3))
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    begin()
    with pytest.raises(OSError, match=said):
        work(replace(fake.FakeRecipe.plan, steps=9))
    end()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names <= {"checkpoint.pt", "log.csv", "sample_final.png", "written"}
    assert work(replace(fake.FakeRecipe.plan, steps=9))
