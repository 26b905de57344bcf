"""People in batches, and values person by person."""

from __future__ import annotations

import torch
from figura.training.evaluation.loop import PerPerson, in_batches


def test_every_person_is_measured_once_and_in_order() -> None:
    parts, shown, done = [], [], []

    def measure(part: list[int]) -> int | None:
        parts.append(part)
        return None if 5 in part else sum(part)

    in_batches(range(7), measure, batch_size=3, on_batch=shown.append, on_done=done.append)
    assert parts == [[0, 1, 2], [3, 4, 5], [6]]
    assert shown == [3, 6] and done == [3, 3, 1]


def test_means_leave_out_what_there_was_nothing_to_measure_of() -> None:
    measured = PerPerson()
    measured.add("iou", torch.tensor([0.5, float("nan")]))
    measured.add("iou", torch.tensor([1.0]))
    assert measured.means()["iou"] == (0.75, 2) and measured.count("iou") == 3
    assert measured.count("nothing") == 0


def test_of_several_things_a_person_has_all_are_drawn_together() -> None:
    nothing = float("nan")
    measured = PerPerson()
    measured.add("hand", torch.tensor([[0.2, 0.4], [0.6, nothing]]))
    measured.add("hand", torch.tensor([[nothing, nothing]]))
    assert measured.count("hand") == 3 and measured.means()["hand"].known == 3
    each = measured.weighted()["hand"]
    torch.testing.assert_close(each.values, torch.tensor([0.3, 0.6, 0.0]).double())
    torch.testing.assert_close(each.weights, torch.tensor([2.0, 1.0, 0.0]).double())
