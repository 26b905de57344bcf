"""Downloads go on where they stopped, and two at once do not fight."""

import hashlib
import http.server
import re
import threading
from dataclasses import replace

import huggingface_hub
import pytest
from figura.models import fetch, store
from figura.models.locks import FolderInUseError

CONTENT = bytes(range(256)) * 8000


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, in ranges where it is asked so; breaks off after `stop` bytes."""

    tag, stop, asked = '"one"', None, []

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        start = 0
        if wanted and self.headers.get("If-Range") == self.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.send_header("ETag", self.tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start : self.stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    handler = type("Each", (Hub,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x"
        monkeypatch.setattr(huggingface_hub, "hf_hub_url", lambda repo, path: url)
        yield handler
        server.shutdown()


FILE = store.ModelFile(
    "x.bin", "sam", "a test", len(CONTENT), "MIT", "https://page",
    hashlib.sha256(CONTENT).hexdigest(), "r/p", "x.bin",
)  # fmt: skip


def test_a_download_that_broke_goes_on_where_it_stopped(hub, tmp_path):
    hub.stop = 1_500_000
    with pytest.raises(OSError, match=r"x\.bin could not be fetched .*run the same command again.* into \S"):
        fetch.get(FILE, tmp_path)
    (part,) = [path for path in tmp_path.rglob("x.bin") if path.is_file()]
    assert part.stat().st_size == 1_500_000 and part.parent.parent.name == fetch.STAGING
    hub.stop, told = None, []
    path = fetch.get(FILE, tmp_path, on_bytes=lambda *bytes_: told.append(bytes_))
    assert hub.asked == [None, "bytes=1500000-"] and told[-1] == (len(CONTENT), len(CONTENT))
    assert path.read_bytes() == CONTENT and list(tmp_path.iterdir()) == [path]


def test_a_file_that_changed_meanwhile_is_fetched_anew(hub, tmp_path):
    hub.stop = 1000
    with pytest.raises(OSError, match="could not be fetched"):
        fetch.get(FILE, tmp_path)
    hub.stop, hub.tag = None, '"two"'
    assert fetch.get(FILE, tmp_path).read_bytes() == CONTENT


def test_a_download_killed_before_its_check_is_checked(hub, tmp_path):
    staging = tmp_path / fetch.STAGING / FILE.name
    staging.mkdir(parents=True)
    (staging / FILE.name).write_bytes(CONTENT)
    (staging / fetch.TAG).write_text(hub.tag)
    assert fetch.get(FILE, tmp_path).read_bytes() == CONTENT


def test_what_the_hubs_client_left_is_removed(hub, tmp_path):
    old = tmp_path / fetch.STAGING / FILE.name / ".cache" / "huggingface"
    old.mkdir(parents=True)
    (old / "x.1234.incomplete").write_bytes(b"x" * 100)
    assert fetch.get(FILE, tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_the_second_of_two_says_so_and_leaves(hub, tmp_path):
    inside, go = threading.Event(), threading.Event()

    def slow(file, staging):
        inside.set()
        go.wait(20)
        return fetch._from_web(file, staging, staging.parent, None)

    first = threading.Thread(target=lambda: fetch.get(FILE, tmp_path, slow))
    first.start()
    inside.wait(20)
    with pytest.raises(FolderInUseError, match="is in use: process .* choose another folder to fetch x.bin"):
        fetch.get(FILE, tmp_path)
    go.set()
    first.join(20)
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_a_folder_of_its_own_gets_what_its_weights_need_before_them(hub, tmp_path):
    file = replace(FILE, name="net/x.bin", path="x.bin", beside=("config.json",))
    assert fetch.get(file, tmp_path) == tmp_path / "net" / "x.bin"
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["net/config.json", "net/x.bin"] and len(hub.asked) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["net"], "nothing of the download is left"


def test_a_file_of_no_hub_is_fetched_from_its_address(hub, tmp_path):
    url = huggingface_hub.hf_hub_url("", "")
    assert fetch.get(replace(FILE, repo="", url=url), tmp_path).read_bytes() == CONTENT
