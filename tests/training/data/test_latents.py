"""Latent caches: what the autoencoder would give, kept for every autoencoder with the same encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.networks import encode_image, load_vae, mini_vae
from figura.training.data import latents
from figura.training.data.latents import LatentCache, encoder_name, open_latents


@pytest.fixture(scope="module")
def cache(toy_data: Path, toy_weights: Mapping[str, Path]) -> LatentCache:
    return LatentCache.build(toy_data / "train", load_vae(toy_weights["vae"]), "exact")


def test_latents_are_the_autoencoders_own(cache: LatentCache, toy_weights: Mapping[str, Path]) -> None:
    vae = load_vae(toy_weights["vae"])
    with torch.no_grad():
        expected = encode_image(vae, cache.people.images("cutout", [0, 1]))
    np.testing.assert_allclose(cache.cutout[:2].astype("float32"), expected.numpy(), atol=5e-3)


def test_masks_are_parts_of_cells(cache: LatentCache) -> None:
    cells = cache.people.size // 8
    for mask in (cache.visible_mask, cache.refine_mask, cache.random_mask):
        assert mask.shape == (len(cache), 1, cells, cells) and 0 <= mask.min() < mask.max() <= 1
    visible = cache.people.images("visible_mask", range(len(cache))).mean(dim=(1, 2, 3)).numpy()
    made = cache.visible_mask.astype("float32").mean(axis=(1, 2, 3))
    np.testing.assert_allclose(1 - made, visible, atol=0.1)


def test_an_interrupted_cache_is_finished(
    cache: LatentCache, toy_data: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, vae = toy_data / "train" / "latents_exact", load_vae(toy_weights["vae"])
    before = np.load(folder / "random_masked.npy").copy()
    np.load(folder / "random_masked.npy", mmap_mode="r+")[:] = 0
    (folder / "done_0000000").unlink()
    np.testing.assert_array_equal(LatentCache.build(toy_data / "train", vae, "exact").random_masked, before)
    monkeypatch.setattr(latents, "_encode_shard", None)
    LatentCache.build(toy_data / "train", vae, "exact")


def test_what_another_process_encoded_meanwhile_is_left_as_it_is(
    toy_data: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end between the look at what is missing and the lock."""
    folder, vae, lock = toy_data / "train" / "latents_raced", load_vae(toy_weights["vae"]), latents.only_one

    @contextlib.contextmanager
    def after_another(where: Path, work: str) -> Iterator[None]:
        monkeypatch.setattr(latents, "only_one", lock)
        assert not list(folder.iterdir()), "nothing is made outside the lock"
        LatentCache.build(toy_data / "train", vae, "raced")
        monkeypatch.setattr(latents, "_encode_shard", None)
        with lock(where, work):
            yield

    monkeypatch.setattr(latents, "only_one", after_another)
    assert LatentCache.build(toy_data / "train", vae, "raced").complete.any()


def test_an_array_that_is_gone_is_encoded_again(
    cache: LatentCache, toy_data: Path, toy_weights: Mapping[str, Path]
) -> None:
    (toy_data / "train" / "latents_exact" / "cutout.npy").unlink()
    again = LatentCache.build(toy_data / "train", load_vae(toy_weights["vae"]), "exact")
    np.testing.assert_array_equal(again.cutout, cache.cutout)


def test_the_name_is_that_of_the_encoder() -> None:
    torch.manual_seed(0)
    vae = mini_vae().half()
    name = encoder_name(vae)
    with torch.no_grad():
        vae.decoder.conv_in.weight.add_(1)
        vae.post_quant_conv.bias.add_(1)
    assert encoder_name(vae) == encoder_name(vae.float()) == name
    with torch.no_grad():
        vae.quant_conv.bias.add_(1)
    assert encoder_name(vae) != name


def test_both_parts_are_opened_by_name(toy_data: Path, toy_weights: Mapping[str, Path]) -> None:
    split = open_latents(toy_data, load_vae(toy_weights["vae"]))
    name = encoder_name(load_vae(toy_weights["vae"]))
    assert len(split.train) == len(split.held_out) == len(split.train.people)
    assert (toy_data / "held_out" / f"latents_{name}").is_dir()
