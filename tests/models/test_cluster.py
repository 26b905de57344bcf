"""Jobs on Ray: workers that keep what they loaded, errors, and workers that are killed."""

import os
import signal
import socket

import pytest
from figura.models import cluster as clusters
from figura.models.cluster import Cluster, connected, room_for_workers, run_on_cluster
from figura.tests.models import ray_jobs


@pytest.fixture(scope="module", autouse=True)
def ray():
    """One Ray for the module, of two CPUs whatever the machine has."""
    with ray_jobs.small_ray() as started:
        yield started


def test_every_job_has_its_outcome_and_workers_stay():
    outcomes = sorted(run_on_cluster(ray_jobs.square, [(n,) for n in range(12)], Cluster()), key=number)
    assert [outcome.answer[0] for outcome in outcomes] == [n * n for n in range(12)]
    assert len({outcome.answer[1] for outcome in outcomes}) <= 2
    assert max(outcome.answer[2] for outcome in outcomes) >= 6  # calls that one process has seen


def number(outcome):
    return outcome.number


def test_an_error_is_the_jobs_own():
    outcomes = sorted(run_on_cluster(ray_jobs.root_of, [(4,), (-1,), (9,)], Cluster(workers=1)), key=number)
    assert [outcome.answer for outcome in outcomes] == [2.0, None, 3.0]
    assert outcomes[1].error == "-1 has no root"


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path):
    jobs = [(str(tmp_path), n) for n in range(8)]
    answers = {}
    for outcome in run_on_cluster(ray_jobs.note, jobs, Cluster()):
        answers[outcome.number] = outcome
        if len(answers) == 2:
            os.kill(outcome.answer, signal.SIGKILL)
    assert sorted(answers) == [*range(8)] and not any(each.error for each in answers.values())
    begun = sorted(path.name.partition("-")[0] for path in tmp_path.iterdir())
    assert set(begun) == {*"01234567"} and len(begun) <= 9  # at most what it had in its hands is done twice


def test_a_job_that_kills_its_workers_ends_with_a_sentence():
    outcomes = sorted(run_on_cluster(ray_jobs.die_at, [(1,), (2,), (3,)], Cluster()), key=number)
    assert [outcome.answer for outcome in outcomes] == [1, None, 3]
    assert outcomes[1].error.startswith("its worker died 2 times")


def test_workers_that_never_start_are_told(monkeypatch):
    monkeypatch.setattr(clusters, "Worker", ray_jobs.Stillborn)
    monkeypatch.setattr(clusters, "START_FAILURES", 1)
    with pytest.raises(ConnectionError, match="no worker on Ray stays alive"):
        list(run_on_cluster(ray_jobs.square, [(1,)], Cluster()))


def test_without_jobs_nothing_starts_and_too_much_is_refused():
    assert list(run_on_cluster(ray_jobs.square, [], Cluster())) == []
    with pytest.raises(ValueError, match="no machine has 99 CPUs for a worker: the largest has 2"):
        list(run_on_cluster(ray_jobs.square, [(1,)], Cluster(cpus=99)))
    assert (
        room_for_workers(
            [{"Alive": False, "Resources": {"CPU": 8.0}}, {"Alive": True, "Resources": {"CPU": 4}}], 2
        )[0]
        == 2
    )


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nobody_listens_is_told_at_once(monkeypatch, address):
    import ray

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = address.format(free.getsockname()[1])
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was asked"))
    for each in (nobody, "127.0.0.1:99999"):
        with pytest.raises(ConnectionError, match=f"no Ray at {each}"), connected(Cluster(each)):
            pass


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(clusters.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "figura\[ray\]"'), connected(Cluster()):
        pass
