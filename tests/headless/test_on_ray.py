"""`figura run --ray`, and data made on Ray: what is there stays, what fails is told, kills cost nothing."""

import json
import os
import signal

import numpy as np
import pytest
from figura.cli.main import main
from figura.headless import on_ray
from figura.headless.jobs import Job, make_jobs
from figura.headless.on_ray import payload, run_graph, run_on_ray
from figura.models.cluster import Cluster
from figura.tests.models import ray_jobs
from figura.tests.training.data.test_people import fake_people
from figura.training.data.people import SHARD, build_people
from PIL import Image

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "out"}},
}


@pytest.fixture(scope="module", autouse=True)
def ray():
    with ray_jobs.small_ray() as started:
        yield started


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"p{number}.png")
    return folder


def quiet(*step):
    pass


def test_a_folder_is_run_and_a_second_run_repeats_nothing(tmp_path, pictures, capsys, monkeypatch):
    (tmp_path / "graph.json").write_text(json.dumps(GRAPH))
    (pictures / "bad.png").write_bytes(b"no picture")
    words = ["run", str(tmp_path / "graph.json"), "--input", str(pictures), "--output", str(tmp_path / "out")]
    assert main([*words, "--ray", "--workers", "1"]) == 1
    out, told = capsys.readouterr()
    for number in range(6):
        (file,) = (tmp_path / "out" / f"p{number}").iterdir()
        assert file.name == "out_00001_.png" and str(file) in out
        assert np.asarray(Image.open(file))[0, 0].tolist() == [255 - number, 255, 255]
    assert "6  saved" in told and "1  bad: node 1 (LoadImage)" in told
    assert "cannot be read as an image" in told
    (tmp_path / "out" / "p3" / "out_00001_.png").unlink()
    assert main([*words, "--ray", "--workers", "1"]) == 1
    again = capsys.readouterr().err
    assert "1  saved" in again and "5  there already" in again
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6


def test_a_worker_that_is_killed_costs_no_picture(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(on_ray, "run_graph", ray_jobs.slow_graph_of_whom)
    results = []
    for result in run_on_ray(make_jobs(GRAPH, [], [pictures]), tmp_path / "out", Cluster(), quiet):
        results.append(result)
        if len(results) == 2:
            os.kill(int(result.files[0].read_bytes()), signal.SIGKILL)
    assert sorted(result.job.name for result in results) == [f"p{number}" for number in range(6)]
    assert not any(result.error for result in results)
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 7  # and the record


def test_models_are_kept_between_graphs(pictures):
    jobs = make_jobs(GRAPH, [], [pictures])
    first, second, again = (run_graph(*payload(job)) for job in (jobs[0], jobs[1], jobs[1]))
    assert first[0][:2] == ("p0", "out_00001_.png") and second == again and first != second
    runner, _ = on_ray._runner()
    before = runner._instances["2"]
    run_graph(*payload(jobs[2]))
    assert runner._instances["2"] is before


@pytest.mark.parametrize("second", ["x.png", "X.png"])
def test_pictures_of_one_name_are_told_apart(tmp_path, second):
    loaders = {}
    for folder, name in (("a", "x.png"), ("b", second)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(folder.encode())
        loaders[folder] = {"class_type": "LoadImage", "inputs": {"image": str(tmp_path / folder / name)}}
    graph, sent = payload(Job("", loaders))
    assert sent == {"x.png": b"a", f"b_{second}": b"b"}
    assert [graph[name]["inputs"]["image"] for name in "ab"] == [*sent]


def test_people_are_rendered_on_ray_as_they_are_here(tmp_path):
    count = 2 * SHARD + 3
    here = build_people(tmp_path / "here", count, 0, 8, renderer=fake_people)
    there = build_people(tmp_path / "there", count, 0, 8, Cluster(), renderer=fake_people)
    assert np.array_equal(here.occluded, there.occluded) and here.captions == there.captions


def test_parts_that_fail_are_told_and_the_others_kept(tmp_path):
    with pytest.raises(RuntimeError, match="1 of 3 parts failed, the first one: no people today"):
        build_people(tmp_path / "p", 3 * SHARD, 0, 8, Cluster(), renderer=ray_jobs.sulking)
    assert len(list((tmp_path / "p").glob("captions_*.json"))) == 2
    assert len(build_people(tmp_path / "p", 3 * SHARD, 0, 8, Cluster(), renderer=fake_people)) == 3 * SHARD
