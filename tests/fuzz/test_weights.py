"""Spoiled weights files: loaded, or refused by a sentence with the file's name, in bounded time and memory.

Two hundred files by default, two thousand under `pytest -m fuzz`.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from figura.models.convert import read_pickle
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.diffusion.networks import load_unet, load_vae
from figura.models.diffusion.text import TextEncoder, WordTokenizer, load_text_encoder
from figura.models.perception.densepose import FILE_KIND, DensePoseConfig, DensePoseNet, load_densepose_net
from figura.models.perception.pose import FILE_KIND as POSE
from figura.models.perception.pose import PoseConfig, PoseDetector, load_pose_detector
from figura.models.perception.sam_networks import MINI, build_sam, load_sam
from figura.tests.models.phac.tiny import tiny_unet, tiny_vae

from . import bad_values, limits

FILES, ALL_FILES = 200, 2000
SECONDS, BYTES = 30, 2**31
LONGEST_SENTENCE = 2000
CLEAR = (ValueError, TypeError, OSError)
File = tuple[bytes, str, Callable[[Path], Any]]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[File]]:
    """Content, ending and loader of small files that load."""
    folder = tmp_path_factory.mktemp("good")
    torch.manual_seed(0)
    vae, unet, text = tiny_vae(), tiny_unet(), TextEncoder(WordTokenizer.from_captions(["a woman"]))
    dense = DensePoseNet(DensePoseConfig(32, (8, 8, 16, 16), 1))
    pose, sam = PoseDetector(PoseConfig()), build_sam(MINI)
    made: list[tuple[Any, ...]] = [
        ("vae", vae, networks.plain_config(vae), load_vae),
        ("unet", unet, networks.plain_config(unet), load_unet),
        ("text", text, text.config(), load_text_encoder),
        (FILE_KIND, dense, config_to_metadata(dense.config), load_densepose_net),
        (POSE, pose, config_to_metadata(pose.config), load_pose_detector),
        ("sam", sam, config_to_metadata(MINI), load_sam),
    ]
    files: list[File] = []
    for kind, module, config, load in made:
        path = save_module(folder / f"{kind}.safetensors", kind, module.state_dict(), config)
        load(path)
        files.append((path.read_bytes(), ".safetensors", load))
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"state_dict": vae.state_dict()}, file, _use_new_zipfile_serialization=zipped)
        files += [(file.getvalue(), ".pth", read_pickle), (file.getvalue(), ".ckpt", load_sam)]
    yield files


def spoiled_bytes(content: bytes, random: Random) -> bytes:
    """A copy cut off, with some bytes changed, taken away, doubled or put in."""
    made = bytearray(content)
    for _ in range(random.randint(1, 4)):
        # Most of what is believed stands at the beginning, and of archives at the end.
        end = min(len(made), random.choice((16, 400, 4000, len(made))))
        at = random.randrange(max(1, end))
        at = len(made) - 1 - at if random.random() < 0.3 else at
        action = random.random()
        if action < 0.5:
            made[at : at + 1] = bytes([random.choice((0, 255, 127, random.randrange(256)))])
        elif action < 0.6:
            del made[at:]
        elif action < 0.75:
            del made[at : at + random.choice((1, 8, 100))]
        else:
            made[at:at] = random.choice((b"\xff" * 8, b"[" * 1000, made[at : at + 64], b"\x00" * 100))
        made = made or bytearray(b"\0")
    return bytes(made)


def spoiled_header(content: bytes, random: Random) -> bytes:
    """safetensors whose JSON header, or the JSON of its metadata, has parts replaced, away or doubled."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    meta = header.get("__metadata__", {})
    if meta and random.random() < 0.7:
        key = random.choice(sorted(meta))
        try:
            meta[key] = json.dumps(bad_values.spoiled(json.loads(meta[key]), random))
        except ValueError:
            meta[key] = random.choice(bad_values.TEXTS)()
    else:
        header = bad_values.spoiled(header, random)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def fault_of(number: int, good: list[File], folder: Path) -> tuple[str, bool]:
    """What is wrong with how spoiled file `number` is taken, or nothing; and whether it was refused."""
    random = Random(number)
    content, suffix, load = random.choice(good)
    by_header = suffix == ".safetensors" and random.random() < 0.6
    path = folder / f"spoiled{number}{suffix}"
    path.write_bytes((spoiled_header if by_header else spoiled_bytes)(content, random))
    before = path.read_bytes()
    refused = False
    try:
        with limits.seconds(SECONDS):
            load(path)
    except Exception as error:
        refused = True
        text = str(error)
        if not isinstance(error, CLEAR) or path.stem not in text or len(text) > LONGEST_SENTENCE:
            return f"file {number} ({load.__name__}): {type(error).__name__}: {text[:300]}", True
    changed = path.read_bytes() != before
    path.unlink()
    return (f"file {number} was changed" if changed else ""), refused


def faults(count: int, good: Any, folder: Path) -> list[str]:
    """Those of so many files, of which most have to be refused and some not."""
    with limits.memory(BYTES):
        found = [fault_of(number, good, folder) for number in range(count)]
    assert count / 2 < sum(refused for _, refused in found) < count
    assert [path.name for path in folder.iterdir() if not path.stem.startswith("spoiled")] == []
    return [wrong for wrong, _ in found if wrong]


def test_spoiled_files_load_or_are_named(good: Any, tmp_path: Path) -> None:
    assert faults(FILES, good, tmp_path) == []


@pytest.mark.fuzz
def test_two_thousand_spoiled_files(good: Any, tmp_path: Path) -> None:
    assert faults(ALL_FILES, good, tmp_path) == []
