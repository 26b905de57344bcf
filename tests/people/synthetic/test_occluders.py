"""Things in front of a person hide the share of them that is asked for, whatever they are."""

import pytest
import torch
from figura.people.synthetic import occluders
from figura.people.synthetic.light import Light, sample_light
from figura.people.synthetic.occluders import OCCLUDERS, place
from figura.people.synthetic.place import Lamp

SIZE = 96
SEEDS = range(10_000_300, 10_000_312)


@pytest.fixture(scope="module")
def amodal() -> torch.Tensor:
    """(1, S, S): head, trunk and two legs."""
    line = (torch.arange(SIZE) + 0.5) / SIZE
    x, y = line[None, :], line[:, None]
    head = ((x - 0.5) / 0.06) ** 2 + ((y - 0.14) / 0.08) ** 2 < 1
    trunk = ((x - 0.5) / 0.13) ** 2 + ((y - 0.42) / 0.22) ** 2 < 1
    legs = (((x - 0.5).abs() - 0.06).abs() < 0.04) & (y > 0.5) & (y < 0.93)
    return (head | trunk | legs).float()[None]


@pytest.fixture(scope="module")
def joints() -> torch.Tensor:
    height = torch.linspace(0.14, 0.9, 18)
    return torch.stack([torch.full((18,), 0.5) * SIZE, height * SIZE, torch.ones(18)], 1)


@pytest.fixture(scope="module")
def light() -> Light:
    return sample_light(1, [Lamp((1.0, 3.0, 2.0), (1.0, 1.0, 1.0), 0.8)], (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))


def hidden_share(coverage: torch.Tensor, amodal: torch.Tensor) -> float:
    return float(((coverage >= 0.5) & (amodal > 0.5)).sum() / (amodal > 0.5).sum())


@pytest.fixture(params=list(OCCLUDERS), ids=lambda kind: kind.__name__)
def only_one_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occluders, "OCCLUDERS", {request.param: 1.0})
    monkeypatch.setattr(occluders, "_PEOPLE", 0.0)


@pytest.mark.usefixtures("only_one_kind")
@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_every_kind_hides_the_share_asked_for(
    share: float, amodal: torch.Tensor, joints: torch.Tensor, light: Light
) -> None:
    for seed in SEEDS[:3]:
        front = place(seed, share, amodal, joints, light)
        assert abs(hidden_share(front.coverage, amodal) - share) < 0.005
        assert front.coverage.min() >= 0 and front.coverage.max() <= 1
        assert front.image.shape == (3, SIZE, SIZE) and torch.isfinite(front.image).all()
        assert front.image.min() >= 0 and front.image.max() <= 1 and not front.is_person


def test_nothing_covers_anything_where_nothing_is_to_be_hidden(
    amodal: torch.Tensor, joints: torch.Tensor, light: Light
) -> None:
    for seed in SEEDS:
        assert place(seed, 0.0, amodal, joints, light).coverage.max() == 0


def test_drawn_shares_lie_between_a_little_and_most(
    amodal: torch.Tensor, joints: torch.Tensor, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occluders, "_PEOPLE", 0.0)
    shares = torch.tensor([
        hidden_share(place(seed, None, amodal, joints, light).coverage, amodal) for seed in SEEDS
    ])  # fmt: skip
    assert shares.min() > 0.07 and shares.max() < 0.61 and shares.std() > 0.05


def test_a_seed_gives_one_thing_and_another_seed_another(
    amodal: torch.Tensor, joints: torch.Tensor, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occluders, "_PEOPLE", 0.0)
    first, again, other = (place(seed, 0.4, amodal, joints, light) for seed in (7, 7, 8))
    assert torch.equal(first.coverage, again.coverage) and torch.equal(first.image, again.image)
    assert (first.coverage - other.coverage).abs().mean() > 0.01


def test_a_larger_share_only_covers_more(
    amodal: torch.Tensor, joints: torch.Tensor, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occluders, "_PEOPLE", 0.0)
    for seed in SEEDS:
        little, much = (place(seed, share, amodal, joints, light).coverage for share in (0.2, 0.6))
        assert (much >= little).all()
