"""`figura demo` as a user runs it."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from figura.cli import main as cli
from figura.cli import run
from figura.headless.shipped import find_workflow
from figura.models import store
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
STAGES = ("input", "prompt", "visible_mask", "coarse_person", "invisible_mask", "composite", "truth")
LIMIT_S = 60
CORES = 2
LIMIT_KIB = 3 << 20
START = """
import runpy, sys
runpy.run_path({conftest!r})
from figura.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_demo_runs_its_workflow_and_lists_what_it_saved(tmp_path, monkeypatch, capsys):
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
        "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "figura/refined"}},
    }
    (tmp_path / "demo.json").write_text(json.dumps(graph))
    monkeypatch.setattr(run, "DEMO_WORKFLOW", str(tmp_path / "demo.json"))
    assert cli.main(["demo", "--output", str(tmp_path / "out")]) == 0
    saved, done = capsys.readouterr().out.splitlines()
    assert saved == str(tmp_path / "out" / "figura" / "refined_00001_.png")
    assert done.startswith("done in ")


@pytest.mark.slow
def test_the_shipped_demo_saves_every_stage_in_time_and_memory(tmp_path):
    lacking = [path.name for path in store.mini_files("phac") if not path.is_file()]
    assert not lacking and find_workflow(run.DEMO_WORKFLOW), f"not shipped: {lacking}"
    code = START.format(conftest=str(ROOT / "tests" / "conftest.py"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-c", code, "demo", "--output", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=10 * LIMIT_S)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    stages = [tmp_path / "stages" / f"{stage}_00001_.png" for stage in STAGES]
    for path in [*stages, tmp_path / "figura" / "refined_00001_.png"]:
        with Image.open(path) as image:
            assert image.size == (128, 128)
    # The processor's seconds, so that other work on the machine does not count.
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert busy < CORES * LIMIT_S
    assert after.ru_maxrss < LIMIT_KIB
