"""Model folders of extra_model_paths.yaml, against what ComfyUI makes of the same file."""

from pathlib import Path

import pytest
from figura.host.extra_paths import FILE, extra_model_folders
from figura.host.plain import PlainHost, default_extra_folders, default_models_dirs

EXAMPLE = """
shared:
    base_path: ../shared
    checkpoints: models/checkpoints/
    sams: |
        sams
        /elsewhere/sams
first:
    base_path: {home}/first
    is_default: true
    unet: nets
beside:
    base_path:
    sams: near
nothing:
"""


@pytest.fixture
def comfyui(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "ComfyUI"
    folder.mkdir()
    (folder / FILE).write_text(EXAMPLE.format(home="~"), encoding="utf-8")
    return folder


def test_folders_are_those_that_comfyui_adds(comfyui, tmp_path):
    before, after = extra_model_folders(comfyui)
    shared = tmp_path / "shared"
    assert before == {"diffusion_models": [tmp_path / "home/first/nets"]}
    assert after == {
        "checkpoints": [shared / "models/checkpoints"],
        "sams": [shared / "sams", Path("/elsewhere/sams"), comfyui / "near"],
    }


def test_of_several_default_folders_the_last_is_searched_first(tmp_path):
    sections = """
one: {base_path: /a, is_default: true, vae: "1\\n2"}
two: {base_path: /b, is_default: true, vae: "3"}
"""
    (tmp_path / FILE).write_text(sections, encoding="utf-8")
    assert extra_model_folders(tmp_path).before == {"vae": [Path("/b/3"), Path("/a/2"), Path("/a/1")]}


def test_without_a_file_there_are_none(tmp_path):
    assert extra_model_folders(tmp_path) == ({}, {})
    assert default_extra_folders(tmp_path / "figura") == ({}, {})


@pytest.mark.parametrize("text", ["a: [", "- a", "shared: models", "\udcff"])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=FILE):
        extra_model_folders(tmp_path)


def test_a_host_in_comfyui_searches_them(comfyui, tmp_path, monkeypatch):
    root = comfyui / "custom_nodes" / "figura"
    monkeypatch.setattr("figura.host.plain.default_extra_folders", lambda: default_extra_folders(root))
    monkeypatch.setattr("figura.host.plain.default_models_dirs", lambda: default_models_dirs(root))
    folders = PlainHost(device="cpu").model_folders("sam")
    assert folders[0] == comfyui / "models" / "sams"
    assert folders[-3:] == [tmp_path / "shared" / "sams", Path("/elsewhere/sams"), comfyui / "near"]
    assert PlainHost(models_dir=tmp_path, device="cpu").model_folders("sam") == [tmp_path / "sams"]
