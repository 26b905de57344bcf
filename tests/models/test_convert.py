"""Pickles become safetensors without running anything in them."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
from figura.models import convert as convert_module
from figura.models import files
from figura.models.convert import as_safetensors, convert, read_pickle
from figura.models.diffusion.checkpoint import read_safetensors
from safetensors.torch import load_file, save_file


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


@pytest.mark.parametrize("name", ["a.ckpt", "a.pth", "a.bin"])
def test_safetensors_with_the_ending_of_a_pickle_are_read(tmp_path, name):
    save_file({"w": torch.arange(3.0)}, tmp_path / name)
    assert torch.equal(read_pickle(tmp_path / name)["w"], torch.arange(3.0))
    assert torch.equal(load_file(convert(tmp_path / name))["w"], torch.arange(3.0))


@pytest.mark.parametrize("name", ["a.safetensors", "a.sft", "A.SAFETENSORS"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_the_ending_of_safetensors_is_to_be_renamed(tmp_path, name, zipped):
    torch.save({"w": torch.arange(3.0)}, tmp_path / name, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"is a pickle: rename it to [aA]\.ckpt"):
        read_safetensors(tmp_path / name)


def test_other_suffixes_are_not_touched(tmp_path):
    with pytest.raises(ValueError, match="nothing to convert"):
        convert(tmp_path / "x.safetensors")


def test_what_is_written_ends_as_safetensors_do(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"new.ckpt does not end in .safetensors"):
        convert(checkpoint, tmp_path / "new.ckpt")
    (tmp_path / "into").mkdir()
    assert convert(checkpoint, tmp_path / "into") == tmp_path / "into" / f"{checkpoint.stem}.safetensors"


def test_a_full_disk_leaves_an_older_file_as_it_was(checkpoint, monkeypatch):
    import safetensors.torch
    from safetensors import SafetensorError

    def full(tensors, place, metadata):
        with open(place, "wb") as file:
            file.write(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    old = convert(checkpoint)
    content = old.read_bytes()
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="disk is full"):
        convert(checkpoint)
    assert old.read_bytes() == content
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["model.ckpt", "model.safetensors"]


def test_parts_of_a_storage_become_tensors_of_their_own(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"whole": whole, "row": whole[1], "turned": whole.T, "same": whole}, tmp_path / "shared.pth")
    found = read_pickle(tmp_path / "shared.pth")
    assert torch.equal(found["row"], whole[1]) and torch.equal(found["turned"], whole.T)
    assert all(t.is_contiguous() and t.untyped_storage().nbytes() == t.numel() * 4 for t in found.values())
    places = {tensor.data_ptr() for tensor in found.values()}
    assert len(places) == 4, "writing into one must not change another"


def unrelated(path):
    save_file({"x": torch.full((2,), 7.0)}, path, metadata={"from": "somebody else"})
    return path.read_bytes()


def test_a_file_of_another_origin_is_not_replaced(checkpoint):
    other = checkpoint.with_suffix(".safetensors")
    content = unrelated(other)
    with pytest.raises(
        ValueError, match="model.safetensors is there already and was not made from model.ckpt"
    ):
        convert(checkpoint)
    assert other.read_bytes() == content


def test_a_newer_file_of_another_origin_is_not_read_instead(checkpoint):
    other = checkpoint.with_suffix(".safetensors")
    content = unrelated(other)
    os.utime(other, (2e9, 2e9))
    for _ in range(2):
        twin = as_safetensors(checkpoint)
        assert twin.name == "model.ckpt.safetensors" and sorted(load_file(twin)) == ["a.shared", "a.weight"]
    assert other.read_bytes() == content


def test_a_changed_checkpoint_is_converted_anew(checkpoint):
    as_safetensors(checkpoint)
    torch.save({"b": torch.ones(1)}, checkpoint)
    os.utime(checkpoint, (1e9, 1e9))
    assert sorted(load_file(as_safetensors(checkpoint))) == ["b"]


def test_a_checkpoint_that_changes_while_it_is_read_is_told(checkpoint, monkeypatch):
    """Else the state of the new file would be noted down beside the tensors of the old one."""

    def written_meanwhile(path):
        found = read_pickle(path)
        torch.save({"b": torch.ones(100)}, path)
        return found

    monkeypatch.setattr(convert_module, "read_pickle", written_meanwhile)
    with pytest.raises(ValueError, match="model.ckpt: changed while it was read"):
        convert(checkpoint)
    assert not checkpoint.with_suffix(".safetensors").exists()


def test_leftovers_of_a_killed_conversion_are_removed(checkpoint):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    machine = files._machine()
    left = checkpoint.with_name(f".model.safetensors.{machine}.{killed.pid}.00ff00.partial")
    living = checkpoint.with_name(f".other.safetensors.{machine}.{os.getppid()}.00ff00.partial")
    elsewhere = checkpoint.with_name(f".model.safetensors.another-machine.{killed.pid}.00ff00.partial")
    for path in (left, living, elsewhere):
        path.touch()
    convert(checkpoint)
    assert not left.exists() and living.exists() and elsewhere.exists()


def test_a_killed_conversion_leaves_only_what_the_next_one_removes(checkpoint):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = checkpoint.with_name(f".model.safetensors.{files._machine()}.{killed.pid}.00ff00.partial")
    left.mkdir()
    (left / ".tmpAbCdEf").write_bytes(b"safetensors writes under such a name first")
    convert(checkpoint)
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["model.ckpt", "model.safetensors"]


@pytest.mark.parametrize("legacy", [False, True])
def test_what_trainers_save_beside_tensors_is_no_hindrance(tmp_path, legacy):
    """Sets, bytes, complex numbers, parameters, a scheduler's counter: harmless, and in published files."""
    network = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5])
    beside = {"set": {1, 2}, "bytes": b"abc", "complex": 1j, "size": torch.Size([2]), "type": torch.float16}
    content = {
        "state_dict": network.state_dict(), "parameter": network.weight, "steps": scheduler.state_dict(),
        "optimizer": optimizer.state_dict(), **beside,
    }  # fmt: skip
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=not legacy)
    found = read_pickle(tmp_path / "x.ckpt")
    assert torch.equal(found["weight"], network.weight) and found["bias"].shape == (3,)
