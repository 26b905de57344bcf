"""Networks are brought when they are used; pictures that memory is too small for are coded in tiles."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import placement
from figura.models.diffusion.in_turn import PlainPlacement, images_for, network_bytes, placed
from figura.models.diffusion.latent_model import LatentNetworks
from figura.models.diffusion.remembered import Remembered
from figura.models.phac.networks import Inpainter
from figura.models.phac.sampling import refine
from figura.tests.models.diffusion import full_size
from torch import nn

SIDE = 64


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 64)

    def encode(self, texts):
        return self.table(torch.zeros(len(texts), 7, dtype=torch.long))


class Recorded(PlainPlacement):
    """A device with so much memory; says what came and went."""

    def __init__(self, free: float, memory: int = 8) -> None:
        super().__init__(torch.device("cpu"), memory)
        self.limit, self.moved = free, []

    def move(self, network, device):
        self.moved.append((type(network).__name__, "away" if network in self.there else "here"))

    def free(self):
        return self.limit - sum(network_bytes(network) for network in self.there)


@pytest.fixture(scope="module")
def refiner() -> Inpainter:
    torch.manual_seed(0)
    vae = full_size.vae()
    return Inpainter(LatentNetworks(vae, full_size.unet(9), Words(), SIDE), "tiny", binary_mask=True).eval()


def refined(model: Inpainter) -> torch.Tensor:
    """A picture of a model that remembers nothing."""
    model.remembered = Remembered()
    image, mask = (
        torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)),
        torch.zeros(1, 1, SIDE, SIDE),
    )
    mask[..., 20:50, 20:50] = 1
    return refine(model, image, image, 1 - mask, mask, ["a person"], steps=1, cfg=2.0).image


def test_only_what_is_used_is_there_when_memory_is_short(refiner: Inpainter) -> None:
    expected = refined(refiner)
    short = Recorded(network_bytes(refiner.unet) + 1000)
    with placed([refiner], short) as whole:
        assert whole == [] and torch.equal(refined(refiner), expected)
    assert refiner.placement is None
    order = [name for name, where in short.moved if where == "here"]
    assert order == ["AutoencoderKL", "Words", "UNet2DConditionModel", "AutoencoderKL"]
    assert ("UNet2DConditionModel", "away") in short.moved


def test_everything_stays_when_memory_suffices(refiner: Inpainter) -> None:
    ample = Recorded(float("inf"))
    with placed([refiner], ample):
        refined(refiner)
    assert sorted(ample.moved) == [
        (name, "here") for name in ("AutoencoderKL", "UNet2DConditionModel", "Words")
    ]


def test_other_modules_are_brought_as_a_whole(refiner: Inpainter) -> None:
    other = nn.Linear(2, 2)
    with placed([refiner, other, nn.Sequential(refiner)], Recorded(1.0)) as whole:
        assert whole == [other]


def test_a_placement_inside_another_gives_the_model_back(refiner: Inpainter) -> None:
    outer, inner = Recorded(1.0), Recorded(1.0)
    with placed([refiner], outer):
        with placed([refiner, refiner], inner):
            assert refiner.placement is inner
        assert refiner.placement is outer
    assert refiner.placement is None


def test_as_many_pictures_as_there_is_memory_for() -> None:
    assert images_for(100.0, 8) == 90 and images_for(0.5, 8) == 1 and images_for(8.9, 8) == 8


def test_large_pictures_are_coded_one_by_one_and_small_ones_together() -> None:
    seen: list[int] = []

    def code(some):
        seen.append(len(some))
        return some

    vae = full_size.vae()
    for side in (256, 264):
        placement.coded(vae, torch.zeros(3, 3, side, 8), code)
    placement.coded(vae, torch.zeros(2, 4, 64, 64), code)
    assert seen == [3, 1, 1, 1, 1, 1]


def test_tiles_are_taken_when_memory_runs_out_and_nearly_give_the_same(monkeypatch, caplog) -> None:
    torch.manual_seed(0)
    vae = full_size.vae().eval()
    monkeypatch.setattr(placement, "TILE_PX", 256)
    latents = torch.randn(1, 4, 48, 48)

    def decode(some):
        if not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return vae.decode(some).sample

    with torch.no_grad():
        whole, tiled = vae.decode(latents).sample, placement.coded(vae, latents, decode)
    assert "tiles of 256 pixels" in caplog.text and not vae.use_tiling
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().mean() < 0.2 * whole.std()  # groups are normalised tile by tile


def test_memory_that_does_not_suffice_for_tiles_is_an_error() -> None:
    def never(some):
        raise torch.OutOfMemoryError("CUDA out of memory")

    vae = full_size.vae()
    with pytest.raises(torch.OutOfMemoryError):
        placement.coded(vae, torch.zeros(1, 4, 64, 64), never)
    assert not vae.use_tiling


def test_what_means_that_memory_ran_out() -> None:
    assert placement.ran_out(torch.OutOfMemoryError("x")) and placement.ran_out(MemoryError())
    for said in (
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",  # Windows
        "MPS backend out of memory (MPS allocated: 8 GB)",
        "CUDA error: out of memory",
    ):
        assert placement.ran_out(RuntimeError(said))
    assert not placement.ran_out(RuntimeError("shapes differ"))


def test_samples_of_the_posterior_are_coded_in_tiles_too(refiner: Inpainter, monkeypatch) -> None:
    pictures = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(2))
    encode, seen = type(refiner.vae).encode, []

    def short_of_memory(vae, images):
        seen.append((len(images), vae.use_tiling))
        if not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(vae, images)

    with torch.no_grad():
        whole = refiner.sample_latents(pictures, [1, 2])
        monkeypatch.setattr(type(refiner.vae), "encode", short_of_memory)
        tiled = refiner.sample_latents(pictures, [1, 2])
    assert seen == [(1, False), (1, True)] * 2
    assert tiled.shape == whole.shape and (tiled - whole).abs().mean() < 0.5 * whole.std()
