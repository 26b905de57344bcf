"""Servers that share a list of jobs: none of them, whatever it answers, ends the batch or repeats a job."""

import pytest
from figura.headless import server as client
from figura.headless import sharing
from figura.headless.jobs import Job
from figura.headless.saved import RECORD
from figura.headless.sharing import run_on_servers
from figura.tests.headless.test_server import GRAPH, ODD_ANSWERS, FakeComfyUI, run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sharing, "REST", 0.0)
    monkeypatch.setattr(sharing, "AGAIN", 0.2)
    monkeypatch.setattr(client, "RESTS", (0.0, 0.0, 0.1))
    monkeypatch.setattr(client, "ANSWER", 1.0)
    monkeypatch.setattr(client, "LISTEN", 0.4)


def jobs(count):
    """Graphs that differ in the name they save under, as those of a folder of pictures do."""
    saves = [
        {**GRAPH["2"], "inputs": {**GRAPH["2"]["inputs"], "filename_prefix": f"{n}/x"}} for n in range(count)
    ]
    return [Job(str(number), {**GRAPH, "2": save}) for number, save in enumerate(saves)]


def test_several_servers_share_the_jobs_in_order(tmp_path):
    with FakeComfyUI() as first, FakeComfyUI() as second:
        results = run([first, second], jobs(6), tmp_path)
    assert [result.job.name for result in results] == list("012345")
    assert len(first.prompts) + len(second.prompts) == 6 and first.prompts and second.prompts


BAD = ["gone", "silent", *ODD_ANSWERS]


@pytest.mark.parametrize("ending", BAD)
def test_the_jobs_of_a_bad_server_are_done_by_a_good_one(tmp_path, ending):
    with FakeComfyUI(ending) as bad, FakeComfyUI() as good:
        results = run([bad, good], jobs(6), tmp_path)
    assert [result.error for result in results] == [None] * 6
    assert len(good.prompts) == 6 and bad.asked <= sharing.FAULTS
    assert len({file for result in results for file in result.files}) == 6


@pytest.mark.parametrize("ending", BAD)
def test_a_bad_server_alone_ends_and_is_named_for_every_job(tmp_path, ending):
    with FakeComfyUI(ending) as bad:
        results = run([bad], jobs(4), tmp_path)
    assert len(results) == 4 and all(bad.url in str(result.error) for result in results)


def test_a_dead_server_is_named(tmp_path):
    (result,) = run_on_servers(["127.0.0.1:9"], jobs(1), tmp_path, lambda *step: None)
    assert "not done, no server is left: http://127.0.0.1:9 cannot be reached" in str(result.error)


def test_a_run_that_is_never_heard_of_again_is_given_up(tmp_path):
    with FakeComfyUI("stuck") as stuck:
        (result,) = run_on_servers([stuck.url], jobs(1), tmp_path, lambda *step: None, patience=1.0)
    assert f"{stuck.url} says nothing more of its run" in str(result.error)
    assert ("/interrupt", {"prompt_id": "p1"}) in stuck.posts


def test_a_run_whose_end_was_not_heard_has_its_files(tmp_path):
    with FakeComfyUI("unheard") as server:
        (result,) = run([server], jobs(1), tmp_path)
    assert result.error is None and result.files == [tmp_path / "sub" / "x_00001_.png"]


def test_a_second_run_repeats_nothing_and_tells_what_is_there(tmp_path):
    with FakeComfyUI() as server:
        first = run([server], jobs(3), tmp_path)
        first[1].files[0].unlink()
        told = []
        again = run_on_servers([server.url], jobs(3), tmp_path, lambda *step: None, told.append)
    assert [result.earlier for result in again] == [True, False, True] and len(server.prompts) == 4
    assert [result.files for result in again] == [result.files for result in first]
    assert {result.job.name for result in told} == {"0", "1", "2"}
    assert len(list(tmp_path.rglob("*.png"))) == 3


def test_other_settings_are_another_run(tmp_path):
    changed = [Job("0", {**GRAPH, "2": {**GRAPH["2"], "inputs": {**GRAPH["2"]["inputs"], "seed": 1}}})]
    with FakeComfyUI() as server:
        run([server], jobs(1), tmp_path)
        (result,) = run([server], changed, tmp_path)
    assert not result.earlier and len(list(tmp_path.rglob("*.png"))) == 2
    assert len((tmp_path / RECORD).read_text().splitlines()) == 2


def test_a_lost_server_that_comes_back_takes_jobs_again(tmp_path):
    with FakeComfyUI(away_for=0.6) as away, FakeComfyUI() as stays:
        results = run([away, stays], jobs(24), tmp_path)
    assert [result.error for result in results] == [None] * 24
    assert len(away.prompts) > 1 and len(stays.prompts) > 1


def test_the_only_server_is_asked_once_more_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "AGAIN", 1.0)
    with FakeComfyUI(away_for=0.6) as away:
        results = run([away], jobs(3), tmp_path)
    assert [result.error for result in results] == [None] * 3


def test_the_job_of_a_server_that_goes_last_is_done_by_one_that_was_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "AGAIN", 600.0)
    with FakeComfyUI(away_for=600.0) as away, FakeComfyUI() as stays:
        results = run([away, stays], jobs(2), tmp_path)
    assert [result.error for result in results] == [None] * 2


def test_a_server_that_never_answered_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "AGAIN", 600.0)
    monkeypatch.setattr(client, "RESTS", (600.0,))
    with FakeComfyUI() as good:
        results = run_on_servers(["127.0.0.1:9", good.url], jobs(3), tmp_path, lambda *step: None)
    assert [result.error for result in results] == [None] * 3
