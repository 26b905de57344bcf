"""Whether a model file is what it says it is."""

import hashlib
import pickle
import shutil
import subprocess
import zipfile

import numpy as np
import pytest
import torch
from figura.models import store
from figura.models.diffusion.checkpoint import save_module
from figura.models.verify import SUMS, sha256_of, shipped_sums, verify, write_sums
from PIL import Image
from safetensors.torch import save_file

HELLO = hashlib.sha256(b"hello").hexdigest()
SMALL = store.ModelFile("small.bin", "sam", "a test", 5, "MIT", "https://page", HELLO)


def png(path):
    Image.effect_noise((64, 64), 50).save(path, format="PNG")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def test_size_and_content_of_a_published_file_are_told_apart(tmp_path):
    path = tmp_path / "small.bin"
    path.write_bytes(b"hello")
    assert verify(path, known=SMALL) == (HELLO, "the published sha256")
    path.write_bytes(b"hell")
    with pytest.raises(ValueError, match="4 bytes instead of 5"):
        verify(path, known=SMALL)
    path.write_bytes(b"jello")
    with pytest.raises(ValueError, match="sha256"):
        verify(path, known=SMALL)


def test_files_that_nobody_published_are_read(tmp_path):
    tensors = {"w": torch.arange(300.0)}
    save_file(tensors, tmp_path / "a.safetensors")
    save_module(tmp_path / "b.safetensors", "unet", tensors, {})
    torch.save(tensors, tmp_path / "c.pth")
    with zipfile.ZipFile(tmp_path / "d.torchscript", "w") as archive:
        archive.writestr("code", "x" * 100)
    for path in sorted(tmp_path.iterdir()):
        assert verify(path) == (sha256_of(path), "its format; no published sha256 is known")
        cut(path)
        with pytest.raises(ValueError, match="truncated|damaged"):
            verify(path)


@pytest.mark.parametrize(
    "name", ["x.png", "x.safetensors", "x.sft", "x.pth", "x.ckpt", "x.bin", "x.torchscript", "x.onnx", "x"]
)
def test_a_picture_is_no_model_under_any_name(tmp_path, name):
    png(tmp_path / name)
    with pytest.raises(ValueError):
        verify(tmp_path / name)


def test_not_finite_tensors_and_foreign_metadata_are_told(tmp_path):
    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.safetensors")
    with pytest.raises(ValueError, match="NaN"):
        verify(tmp_path / "nan.safetensors")
    save_file({"w": torch.zeros(3)}, tmp_path / "odd.safetensors", metadata={"figura": "[]"})
    with pytest.raises(ValueError, match="without kind and config"):
        verify(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pickles_that_are_not_finite_are_told(tmp_path, value):
    torch.save({"w": torch.tensor([1.0, value])}, tmp_path / "a.pth")
    torch.save({"w": torch.tensor([1.0, value])}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"w": np.array([1.0, value], np.float32)}))
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=f"'w' in .*{path.name} holds NaN or infinity"):
            verify(path)


def test_a_changed_number_of_an_archive_is_told(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.arange(300.0)}, path)
    content = path.read_bytes()
    old = torch.tensor([7.0, 8.0]).numpy().tobytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, torch.tensor([7.0, 9.0]).numpy().tobytes()))
    with pytest.raises(ValueError, match=r"a.pth is (damaged|truncated)"):
        verify(path)


@pytest.fixture
def mini(tmp_path, monkeypatch):
    """A family of one file, and its list."""
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    save_module(tmp_path / "vae.safetensors", "vae", {"w": torch.zeros(3)}, {})
    write_sums()
    return tmp_path


def test_a_shipped_file_must_be_the_shipped_one(mini):
    path = mini / "vae.safetensors"
    assert verify(path) == (sha256_of(path), "the shipped file")
    save_module(path, "vae", {"w": torch.ones(3)}, {})
    with pytest.raises(ValueError, match="trained over or damaged"):
        verify(path)
    path.rename(mini / "own.safetensors")
    with pytest.raises(ValueError, match="none of the shipped files"):
        verify(mini / "own.safetensors")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_the_list_can_be_checked_without_figura(mini):
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=mini, check=True, capture_output=True)


def test_the_list_holds_the_shipped_files():
    found = {path.name: sha256_of(path) for path in store.MINI_DIR.glob("*.safetensors")}
    assert found == shipped_sums(), "run python -m figura.models.verify"
