"""A photograph's effects are one function of a pixel's place and colour."""

import torch
import torch.nn.functional as functional
from figura.people.synthetic.photograph import sample_photograph

SIZE = 64


def scene(seed: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")[0]


def test_equal_pixels_stay_equal_and_others_do_not_matter() -> None:
    one, other = scene(1), scene(1)
    other[:, :, SIZE // 2 :] = scene(2)[:, :, SIZE // 2 :]
    for seed in range(20):
        photograph = sample_photograph(seed, SIZE)
        first, second = photograph.develop(one), photograph.develop(other)
        assert torch.equal(first[:, :, : SIZE // 2], second[:, :, : SIZE // 2])
        assert first.min() >= 0 and first.max() <= 1 and first.shape == (3, SIZE, SIZE)


def test_a_seed_gives_one_photograph_and_another_seed_another() -> None:
    developed = [sample_photograph(seed, SIZE).develop(scene(1)) for seed in (3, 3, 4)]
    assert torch.equal(developed[0], developed[1])
    assert (developed[0] - developed[2]).abs().mean() > 0.01


def test_the_curve_keeps_the_order_of_brightness() -> None:
    ramp = torch.linspace(0, 1, SIZE).expand(3, SIZE, SIZE)
    for seed in range(40):
        photograph = sample_photograph(seed, SIZE)
        clean = type(photograph)(
            photograph.gain, photograph.contrast, photograph.black, photograph.saturation,
            torch.ones_like(photograph.shade), torch.zeros_like(photograph.noise),
        )  # fmt: skip
        luma = clean.develop(ramp).mean(0)
        assert (luma[:, 1:] - luma[:, :-1] >= -1e-4).all()


def test_photographs_keep_most_of_what_they_show() -> None:
    for seed in range(40):
        developed = sample_photograph(seed, SIZE).develop(scene(seed))
        assert (developed - scene(seed)).abs().mean() < 0.25
        assert developed.std() > 0.05
