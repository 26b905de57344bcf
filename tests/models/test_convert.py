"""Pickles become safetensors without running anything in them."""

import os
import pickle

import pytest
import torch
from figura.models.convert import as_safetensors, convert, read_pickle
from safetensors.torch import load_file


class Malicious:
    def __reduce__(self):
        return (os.system, ("touch /tmp/figura-was-here",))


@pytest.fixture
def checkpoint(tmp_path):
    weight = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"a.weight": weight, "a.shared": weight.T}, "epoch": 3}, path)
    return path


def test_tensors_are_kept_exactly(checkpoint):
    tensors = load_file(convert(checkpoint))
    assert list(tensors) == ["a.shared", "a.weight"]
    assert torch.equal(tensors["a.shared"], torch.arange(12.0).reshape(3, 4).T)


def test_nested_dicts_get_dotted_keys(tmp_path):
    torch.save({"net": {"w": torch.ones(2), "n": {"b": torch.zeros(1)}}, "lr": 0.1}, tmp_path / "x.pth")
    assert sorted(load_file(convert(tmp_path / "x.pth"))) == ["net.n.b", "net.w"]


def test_a_file_is_converted_only_once(checkpoint, monkeypatch):
    twin = as_safetensors(checkpoint)
    before = twin.stat().st_mtime_ns
    assert as_safetensors(checkpoint) == twin == as_safetensors(twin)
    assert twin.stat().st_mtime_ns == before


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, zipped):
    path = tmp_path / "evil.pth"
    if zipped:
        torch.save({"w": Malicious()}, path)
    else:
        path.write_bytes(pickle.dumps({"w": Malicious()}))
    with pytest.raises(ValueError, match="evil.pth is refused"):
        convert(path)
    assert not os.path.exists("/tmp/figura-was-here")
    assert not path.with_suffix(".safetensors").exists()


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 300])
def test_a_truncated_file_is_a_clear_error(checkpoint, keep):
    checkpoint.write_bytes(checkpoint.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated or no checkpoint|it is damaged"):
        convert(checkpoint)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2]])
def test_a_file_without_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.bin")
    with pytest.raises(ValueError, match="holds no tensors"):
        convert(tmp_path / "x.bin")


def test_other_suffixes_are_not_touched(tmp_path):
    with pytest.raises(ValueError, match="nothing to convert"):
        convert(tmp_path / "x.safetensors")


def test_a_full_disk_leaves_an_older_file_as_it_was(checkpoint, monkeypatch):
    import safetensors.torch
    from safetensors import SafetensorError

    def full(tensors, place, metadata):
        with open(place, "wb") as file:
            file.write(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    old = checkpoint.with_suffix(".safetensors")
    old.write_bytes(b"old")
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="disk is full"):
        convert(checkpoint)
    assert old.read_bytes() == b"old"
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["model.ckpt", "model.safetensors"]


def test_parts_of_a_storage_become_tensors_of_their_own(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"whole": whole, "row": whole[1], "turned": whole.T, "same": whole}, tmp_path / "shared.pth")
    found = read_pickle(tmp_path / "shared.pth")
    assert torch.equal(found["row"], whole[1]) and torch.equal(found["turned"], whole.T)
    assert all(t.is_contiguous() and t.untyped_storage().nbytes() == t.numel() * 4 for t in found.values())
    places = {tensor.data_ptr() for tensor in found.values()}
    assert len(places) == 4, "writing into one must not change another"
