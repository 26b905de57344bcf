"""People who sit have a seat under them."""

from types import SimpleNamespace

import torch
from figura.people.synthetic.draws import Draws
from figura.people.synthetic.raycast import Things
from figura.people.synthetic.seats import place_seat, seat_of


def figure(name: str) -> SimpleNamespace:
    joints = torch.zeros(18, 3)
    joints[[8, 11]] = torch.tensor([[0.1, 0.5, 0.0], [-0.1, 0.5, 0.0]])
    joints[[9, 12]] = torch.tensor([[0.1, 0.5, 0.4], [-0.1, 0.5, 0.4]])
    return SimpleNamespace(pose=SimpleNamespace(name=name), joints=joints)


def test_only_those_who_sit_need_a_seat_just_below_their_hips() -> None:
    assert seat_of(figure("walking")) is None
    x, z, height = seat_of(figure("sitting"))
    assert x == 0 and -0.1 < z < 0 and 0.38 < height < 0.46


def test_a_seat_reaches_from_the_ground_to_its_height() -> None:
    for seed in range(20):
        for indoors in (True, False):
            things = Things()
            place_seat(Draws(seed, "background"), things, (0.3, -0.2, 0.45), indoors)
            tops = [box[4] for box in things.boxes] + [ball[1] + ball[4] for ball in things.balls]
            lows = [box[1] for box in things.boxes] + [ball[1] - ball[4] for ball in things.balls]
            assert abs(max(tops) - 0.45) < 0.03 and min(lows) <= 0
