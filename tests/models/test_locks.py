"""One at a time in a folder, whatever becomes of the one."""

import errno
import os
import subprocess
import sys

import pytest
from figura.models import locks
from figura.models.locks import LOCK, FolderInUseError, only_one

HOLD = """
import sys, time
from pathlib import Path
from figura.models.locks import only_one
with only_one(Path(sys.argv[1]), "train in"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_says_who_is_first_and_leaves(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUseError, match=f"process {holder.pid} works .*folder to train in"):
            with only_one(tmp_path, "train in"):
                pass
    finally:
        holder.kill()
        holder.wait()
    with only_one(tmp_path, "train in"):
        assert (tmp_path / LOCK).is_file()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="this system locks in another way")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_told_and_nobody_else(tmp_path, monkeypatch, code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with (
        pytest.raises(OSError, match="its disk has no locks .*another disk") as caught,
        only_one(tmp_path, "x"),
    ):
        pass
    assert not isinstance(caught.value, FolderInUseError) and caught.value.errno == code


def test_it_is_free_again_after_a_failure(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="half way"), only_one(tmp_path / "new", "work in"):
            raise ValueError("half way")


def test_many_at_once_come_in_one_after_another(tmp_path):
    """Each adds to a number that the others read; one that came in between would lose an addition."""
    code = """
import sys, time
from pathlib import Path
from figura.models.locks import FolderInUseError, only_one
count, done = Path(sys.argv[1]) / "count", 0
while done < 15:
    try:
        with only_one(Path(sys.argv[1]), "count in"):
            number = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(number + 1))
            done += 1
    except FolderInUseError:
        time.sleep(0.001)
"""
    (tmp_path / "count").write_text("0")
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0] * 3
    assert (tmp_path / "count").read_text() == "45" and not (tmp_path / LOCK).exists()
