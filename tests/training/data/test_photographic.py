"""What cameras do to pictures stays a picture, and depends on the seed alone."""

import torch
from figura.training.data.photographic import jpeg, photographed, random_covers, recoloured, softened


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pictures_stay_in_range_and_depend_on_the_seed_only() -> None:
    images = torch.rand(16, 3, 32, 32)
    first, same, other = (photographed(images, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert 0 <= first.min() and first.max() <= 1 and first.shape == images.shape


def test_the_given_pictures_are_left_as_they_are() -> None:
    images = torch.rand(8, 3, 32, 32)
    kept = images.clone()
    photographed(images, generator())
    assert torch.equal(images, kept)


def test_some_pictures_are_grey_and_most_are_not() -> None:
    coloured = torch.rand(200, 3, 8, 8)
    spread = (recoloured(coloured, generator()) + 1e-6).log().var(dim=(2, 3))
    grey = (spread.std(dim=1) < 1e-2 * spread.mean(dim=1)).float().mean()
    assert 0 < grey < 0.4


def test_soft_pictures_keep_their_mean_and_lose_their_detail() -> None:
    image = torch.rand(1, 3, 64, 64)
    soft = softened(image, 3)
    assert abs(float(soft.mean() - image.mean())) < 0.01 and soft.var() < 0.4 * image.var()


def test_jpeg_is_near_and_nearer_in_better_quality() -> None:
    axis = torch.linspace(0, 1, 32)
    image = torch.stack([axis.expand(32, -1), axis[:, None].expand(-1, 32), torch.full((32, 32), 0.5)])
    poor, good = (float((jpeg(image, quality) - image).abs().mean()) for quality in (15, 90))
    assert good < poor < 0.1


def test_covers_lie_in_front_of_about_their_share() -> None:
    covers = random_covers(400, 32, 0.5, generator())
    share = covers.flatten(1).any(1).float().mean()
    assert 0.35 < share <= 0.5 and set(covers.unique().tolist()) == {0.0, 1.0}
    assert not random_covers(50, 32, 0.0, generator()).any()
