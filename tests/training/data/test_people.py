"""Data sets on disk: finished shards are kept, what was begun is finished, nothing else is mixed in."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from figura.training.data import people
from figura.training.data.people import SHARD, PeopleDataset, build_people, open_split, sample_indices

COUNT = 2 * SHARD + 6
SIZE = 8


def fake_people(seeds: list[int], size: int) -> SimpleNamespace:
    """People whose pictures are grey of the seed's value."""
    grey = torch.tensor([seed % 256 for seed in seeds]).float() / 255
    names = ("occluded", "unoccluded", "complete", "cutout")
    fields = {name: grey[:, None, None, None].expand(-1, 3, size, size) for name in names}
    fields |= {name: torch.ones(len(seeds), 1, size, size) for name in ("amodal_mask", "visible_mask")}
    return SimpleNamespace(
        **fields, densepose_i=torch.zeros(len(seeds), size, size), joints=torch.zeros(len(seeds), 18, 3),
        joint_visible=torch.ones(len(seeds), 18) > 0, hands=torch.zeros(len(seeds), 2, 21, 3),
        captions=[f"person {seed}" for seed in seeds],
    )  # fmt: skip


class FailingOnce:
    """Renders until its second shard, where the power fails; remembers what it rendered."""

    def __init__(self) -> None:
        self.rendered: list[int] = []
        self.fail = True

    def __call__(self, seeds: list[int], size: int) -> SimpleNamespace:
        if self.fail and len(self.rendered) >= SHARD:
            self.fail = False
            raise KeyboardInterrupt
        self.rendered += seeds
        return fake_people(seeds, size)


def test_a_worker_ends_at_once_when_stopped() -> None:
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    try:
        people._begin()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL and torch.get_num_threads() == 1
    finally:
        signal.signal(signal.SIGINT, handler)
        torch.set_num_threads(threads)


def test_an_interrupted_data_set_is_finished(tmp_path: Path) -> None:
    renderer = FailingOnce()
    with pytest.raises(KeyboardInterrupt):
        build_people(tmp_path / "a", COUNT, 5, SIZE, renderer=renderer)
    with pytest.raises(FileNotFoundError, match="figura train data"):
        PeopleDataset.open(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"--data '[^']*my people'`|--data \"[^\"]*my people\"`"):
        PeopleDataset.open(tmp_path / "my people" / "train")
    resumed = build_people(tmp_path / "a", COUNT, 5, SIZE, renderer=renderer)
    whole = build_people(tmp_path / "b", COUNT, 5, SIZE, renderer=fake_people)
    assert renderer.rendered == list(range(5, 5 + COUNT))
    assert resumed.captions == whole.captions
    np.testing.assert_array_equal(resumed.occluded, whole.occluded)
    assert whole.occluded[100, 0, 0, 0] == 105


def test_a_finished_data_set_is_not_rendered_again(tmp_path: Path) -> None:
    build_people(tmp_path, 3, 0, SIZE, renderer=fake_people)
    assert len(build_people(tmp_path, 3, 0, SIZE, renderer=None)) == 3
    with pytest.raises(ValueError, match="use another folder"):
        build_people(tmp_path, 4, 0, SIZE, renderer=None)


def test_what_another_process_ended_meanwhile_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = people.only_one

    @contextlib.contextmanager
    def after_another(folder: Path, work: str) -> Iterator[None]:
        monkeypatch.setattr(people, "only_one", lock)
        build_people(tmp_path, 3, 0, SIZE, renderer=fake_people)
        with lock(folder, work):
            yield

    monkeypatch.setattr(people, "only_one", after_another)
    assert len(build_people(tmp_path, 3, 0, SIZE, renderer=None)) == 3


def test_rendered_people_come_back_as_they_are(toy_data: Path) -> None:
    data = open_split(toy_data).train
    images = data.images("unoccluded", [0, 3])
    assert images.shape == (2, 3, data.size, data.size) and 0 <= images.min() < images.max() <= 1
    everyone = range(len(data))
    visible, amodal = (data.images(f"{kind}_mask", everyone) > 0.5 for kind in ("visible", "amodal"))
    assert (visible & ~amodal).float().mean() < 0.01


def test_batches_go_through_all_people_before_any_comes_again() -> None:
    drawn = np.concatenate([sample_indices(10, step, 0, 4) for step in range(5)])
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert list(drawn[:10]) != list(drawn[10:])
    np.testing.assert_array_equal(sample_indices(10, 2, 0, 4), drawn[8:12])
    assert len(sample_indices(3, 0, 0, 8)) == 8
