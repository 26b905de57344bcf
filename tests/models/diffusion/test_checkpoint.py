"""Weight files: what is saved comes back, and every unusable file is refused with its reason."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from figura.models.diffusion import checkpoint
from figura.models.diffusion.checkpoint import load_file, load_into, read_metadata, save_module


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor([7])}
    return save_module(tmp_path / "a.safetensors", "unet", tensors, {"width": 3}, recipe="base", seed=4)


def test_round_trip(saved: Path) -> None:
    tensors, meta = load_file(saved, file_kind="unet")
    assert tensors["weight"].dtype == torch.float16 and tensors["count"].dtype == torch.int64
    assert torch.equal(tensors["weight"].float(), torch.arange(6.0).reshape(2, 3))
    assert meta == {"kind": "unet", "config": {"width": 3}, "recipe": "base", "seed": 4}
    assert read_metadata(saved) == meta
    assert list(saved.parent.iterdir()) == [saved]


def test_the_same_content_makes_the_same_file(saved: Path, tmp_path: Path) -> None:
    tensors, meta = load_file(saved)
    again = save_module(tmp_path / "b.safetensors", "unet", tensors, {"width": 3}, seed=4, recipe="base")
    assert again.read_bytes() == saved.read_bytes()


def test_another_kind(saved: Path) -> None:
    with pytest.raises(ValueError, match="'unet' weights, but 'vae' weights"):
        load_file(saved, file_kind="vae")


@pytest.mark.parametrize("length", [0, 5, 12, 60, -2])
def test_truncated(saved: Path, length: int) -> None:
    saved.write_bytes(saved.read_bytes()[:length])
    for read in (load_file, read_metadata):
        with pytest.raises(ValueError, match=r"a\.safetensors .*truncated"):
            read(saved)


@pytest.mark.parametrize("text", [b"<html>not found</html>", b"version https://git-lfs.github.com/spec/v1"])
def test_not_safetensors_at_all(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "b.safetensors").write_bytes(text)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_file(tmp_path / "b.safetensors")


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.ckpt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"a": 1}))
    for name in ("a.ckpt", "b.pt"):
        with pytest.raises(ValueError, match=rf"is a pickle.*models convert .*{name}`"):
            load_file(tmp_path / name)


def test_files_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, str(path))
    with pytest.raises(ValueError, match="not written by Figura"):
        load_file(path)
    assert torch.equal(checkpoint.read_safetensors(path)[0]["a"], torch.ones(1))


@pytest.mark.parametrize(
    "text, reason", [("{", "damaged"), ("[]", "without kind"), ('{"kind": 1}', "without kind")]
)
def test_damaged_metadata(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, str(path), metadata={checkpoint.METADATA_KEY: text})
    with pytest.raises(ValueError, match=reason):
        load_file(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_values_that_fp16_cannot_hold_are_not_saved(saved: Path, value: float) -> None:
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="'bad'.*NaN or infinity"):
        save_module(saved, "unet", {"bad": torch.tensor([value])}, {})
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


def test_nan_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    metadata = {checkpoint.METADATA_KEY: '{"kind": "unet", "config": {}}'}
    safetensors.torch.save_file({"bad": torch.tensor([float("nan")])}, str(path), metadata=metadata)
    with pytest.raises(ValueError, match="'bad'.*NaN or infinity"):
        load_file(path)


def test_a_full_disk_leaves_the_older_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full_disk(tensors: object, name: str, metadata: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_module(saved, "unet", {"weight": torch.zeros(2)}, {})
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights file"):
        load_file(tmp_path / "none.safetensors")


def test_tensors_have_to_fit_the_module() -> None:
    module = torch.nn.Linear(2, 3)
    load_into(module, {"weight": torch.ones(3, 2).half(), "bias": torch.zeros(3).half()}, "file")
    assert module.weight.dtype == torch.float32 and module.weight.sum() == 6
    for tensors in ({"weight": torch.ones(3, 2)}, {"weight": torch.ones(2, 3), "bias": torch.zeros(3)}):
        with pytest.raises(ValueError, match="does not fit Linear"):
            load_into(module, tensors, "file")


def test_int8_rows_come_back_within_half_a_step(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 3, 3, 32, generator=generator) * torch.logspace(-4, 1, 64)[:, None, None, None]
    bias = torch.randn(2048, generator=generator)
    save_module(tmp_path / "w.safetensors", "test", {"w": weight, "b": bias}, {}, int8=True)
    tensors, _ = load_file(tmp_path / "w.safetensors")
    step = weight.flatten(1).abs().amax(dim=1) / 127
    worst = (tensors["w"] - weight).flatten(1).abs().amax(dim=1)
    assert tensors.keys() == {"w", "b"}
    assert (worst <= 0.51 * step + 127 * step * 2**-11 + 2.0**-14).all()
    assert torch.equal(tensors["b"], bias.half())


def test_int8_rows_stored_again_are_the_same_file(tmp_path: Path) -> None:
    """So a recipe that changes a part of a network leaves the other parts bit for bit."""
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(2)) * 1e-2
    weight[:8] *= 1e-3
    first = save_module(tmp_path / "first.safetensors", "test", {"w": weight}, {}, int8=True)
    again = save_module(tmp_path / "again.safetensors", "test", load_file(first)[0], {}, int8=True)
    assert again.read_bytes() == first.read_bytes()


def test_int8_halves_the_file(tmp_path: Path) -> None:
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    plain = save_module(tmp_path / "plain.safetensors", "test", {"w": weight}, {})
    small = save_module(tmp_path / "small.safetensors", "test", {"w": weight}, {}, int8=True)
    assert small.stat().st_size < 0.52 * plain.stat().st_size


def test_rows_of_zeros_survive_int8(tmp_path: Path) -> None:
    save_module(tmp_path / "w.safetensors", "test", {"w": torch.zeros(64, 64)}, {}, int8=True)
    assert torch.equal(load_file(tmp_path / "w.safetensors")[0]["w"], torch.zeros(64, 64))


def test_a_weight_that_is_called_scale_is_no_scale(tmp_path: Path) -> None:
    tensors = {"norm": torch.ones(4), "norm.scale": torch.arange(4.0)}
    save_module(tmp_path / "w.safetensors", "test", tensors, {}, int8=True)
    loaded, _ = load_file(tmp_path / "w.safetensors")
    assert loaded.keys() == tensors.keys()
    assert torch.equal(loaded["norm.scale"], torch.arange(4.0).half())


@pytest.mark.parametrize(
    "dtype",
    [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2],
)
def test_one_value_that_is_not_finite_is_found_in_any_type(dtype: torch.dtype) -> None:
    values = torch.linspace(-3, 3, 1000)
    assert checkpoint.is_finite(values.to(dtype)) and checkpoint.is_finite(values[:0].to(dtype))
    wrong = [float("nan")] if dtype == torch.float8_e4m3fn else [float("nan"), float("inf"), float("-inf")]
    for value in wrong:  # e4m3fn has no infinity
        for place in (0, 517, 999):
            broken = values.clone()
            broken[place] = value
            assert not checkpoint.is_finite(broken.to(dtype)), (value, place)
    assert checkpoint.is_finite(torch.tensor([1, 2]))
