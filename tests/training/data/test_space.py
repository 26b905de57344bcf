"""Room on the disk, also where the system does not tell how much of it a file takes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from figura.training.data.space import check_space

LAYOUT = {"joints": ((1000,), "float64"), "hands": ((1000,), "float64")}


@pytest.mark.parametrize("told", [("st_mode", "st_size", "st_blocks"), ("st_mode", "st_size")])
def test_what_is_written_needs_no_more_room_as_on_windows_too(tmp_path, monkeypatch, told):
    np.save(tmp_path / "joints.npy", np.ones(1000))
    of_system = Path.stat

    def stat(path, **options):
        state = of_system(path, **options)
        return SimpleNamespace(**{name: getattr(state, name) for name in told})

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    check_space(tmp_path, {"joints": LAYOUT["joints"]})
    with pytest.raises(OSError, match="0.0 GiB are free: choose another --data folder"):
        check_space(tmp_path, LAYOUT)
