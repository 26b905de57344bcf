"""A file that several loaders are given is held once; another or changed one is read."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.sharing import shared_stack
from figura.models.phac.networks import Inpainter
from figura.models.reading import listening
from figura.tests.models.diffusion import full_size


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    full_size.write_tokenizer(tmp_path)
    return full_size.write(tmp_path / "inpaint.safetensors", full_size.sd15_tensors(full_size.unet()))


def test_two_loaders_hold_one_file_once(checkpoint: Path) -> None:
    first, second = (shared_stack(checkpoint, checkpoint.parent) for _ in range(2))
    assert all(one is other for one, other in zip(first.networks[:3], second.networks[:3], strict=True))
    assert first.family == second.family
    other = shared_stack(checkpoint, checkpoint.parent, dtype=torch.bfloat16)
    assert other.networks.unet is not first.networks.unet


def test_a_model_keeps_its_networks_and_a_changed_file_is_read_again(checkpoint: Path) -> None:
    model = Inpainter(shared_stack(checkpoint, checkpoint.parent).networks, "tiny")
    assert shared_stack(checkpoint, checkpoint.parent).networks.unet is model.unet
    os.utime(checkpoint, ns=(1, 1))
    assert shared_stack(checkpoint, checkpoint.parent).networks.unet is not model.unet


def test_what_nobody_holds_goes(checkpoint: Path) -> None:
    import weakref

    gone = weakref.ref(shared_stack(checkpoint, checkpoint.parent).networks.unet)
    gc.collect()
    assert gone() is None


def test_another_autoencoder_takes_the_place_of_the_files_own(checkpoint: Path, tmp_path: Path) -> None:
    own = shared_stack(checkpoint, tmp_path).networks
    torch.manual_seed(5)
    vae = full_size.write(tmp_path / "vae.safetensors", full_size.vae().state_dict())
    mine = shared_stack(checkpoint, tmp_path, vae=vae).networks
    name = "decoder.conv_in.weight"
    assert not torch.equal(mine.vae.state_dict()[name], own.vae.state_dict()[name])
    assert torch.equal(mine.unet.conv_in.weight, own.unet.conv_in.weight)


def test_reading_is_told_and_can_be_stopped(checkpoint: Path) -> None:
    heard: list[tuple[int, int]] = []
    with listening(lambda done, total: heard.append((done, total))):
        shared_stack(checkpoint, checkpoint.parent)
    assert heard and all(0 < done <= total for done, total in heard)
    assert {total for done, total in heard if done == total} == {total for _, total in heard}

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        shared_stack(checkpoint, checkpoint.parent, dtype=torch.float16)
