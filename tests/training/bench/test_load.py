"""`figura bench load` on tiny files: what it measures, not how fast it is."""

import mmap
import time

import pytest
from figura.cli.main import main
from figura.tests.models.diffusion import full_size
from figura.training.bench.load import PeakMemory, bench_load, resident_bytes


@pytest.fixture
def words(tmp_path):
    (tmp_path / "words").mkdir()
    return full_size.write_tokenizer(tmp_path / "words")


@pytest.mark.slow
def test_a_checkpoint_is_loaded_beside_a_plain_read(tmp_path, words):
    path = full_size.write(tmp_path / "tiny.safetensors", full_size.sd15_tensors(full_size.unet()))
    figures = bench_load([path], [], words, rounds=1)["metrics"]
    held = sum(t.numel() * 4 for t in full_size.sd15_tensors(full_size.unet()).values()) / 2**30
    assert figures["held_gib.tiny.safetensors"] == pytest.approx(held, rel=0.02)
    assert figures["time_ratio.tiny.safetensors"] > 0 and figures["peak_ratio.tiny.safetensors"] > 0


def test_the_peak_is_the_most_that_was_held_at_once():
    size = 64 << 20
    before = resident_bytes()
    with PeakMemory() as memory, mmap.mmap(-1, size) as large:  # new pages, none that torch has kept
        large.write(bytes(size))
        until = time.monotonic() + 60
        while memory.peak - before < size * 3 // 4 and time.monotonic() < until:  # a busy machine looks late
            time.sleep(0.01)
    assert memory.peak - before >= size * 3 // 4 and resident_bytes() - before < size // 4


def test_without_files_it_says_what_it_needs(capsys):
    assert main(["bench", "load"]) == 1
    assert "needs files: --checkpoint FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_that_cannot_be_loaded_is_named(tmp_path, words):
    (tmp_path / "bad.safetensors").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="bad.safetensors could not be loaded"):
        bench_load([tmp_path / "bad.safetensors"], [], words, rounds=1)


def test_a_file_that_is_not_there_is_named_before_others_are_measured(tmp_path, words, capsys):
    (tmp_path / "there.safetensors").write_bytes(b"")
    both = [str(tmp_path / name) for name in ("there.safetensors", "gone.safetensors")]
    assert main(["bench", "load", "--checkpoint", *both, "--tokenizer", str(words)]) == 1
    assert "gone.safetensors: --checkpoint and --sam take paths" in capsys.readouterr().err
