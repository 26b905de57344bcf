"""A photograph's effects are one function of a pixel's place and colour; what spreads is for training."""

import torch
import torch.nn.functional as functional
from figura.people.synthetic.photograph import degrade, jpeg, sample_photograph, shake

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


def test_jpeg_at_full_quality_keeps_brightness_and_at_low_quality_shows_blocks() -> None:
    image = scene(5)[None]
    assert (jpeg(image, 100) - image).abs().mean() < 0.01
    rough = jpeg(image, 8)
    assert (rough - image).abs().mean() > (jpeg(image, 90) - image).abs().mean()
    assert rough.shape == image.shape and rough.min() >= 0 and rough.max() <= 1


def test_jpeg_of_one_colour_is_that_colour() -> None:
    flat = torch.tensor([0.8, 0.4, 0.2])[None, :, None, None].expand(1, 3, 40, 24)
    assert (jpeg(flat, 50) - flat).abs().max() < 0.03


def test_shaking_along_a_line_does_not_change_it() -> None:
    stripes = (torch.arange(32) % 8 < 4).float()[:, None].expand(32, 32)[None, None].expand(1, 3, 32, 32)
    assert (shake(stripes, 7.0, 0.0) - stripes).abs().max() < 1e-5
    assert (shake(stripes, 7.0, 1.5708) - stripes).abs().max() > 0.3


def test_degrading_depends_on_the_seed_alone() -> None:
    images = torch.stack([scene(seed) for seed in range(6)])
    together = degrade(images, range(6))
    assert together.shape == images.shape and together.min() >= 0 and together.max() <= 1
    alone = torch.cat([degrade(images[i : i + 1], [i]) for i in range(6)])
    assert torch.equal(together, alone)
    assert (together - images).abs().mean() > 0.002
