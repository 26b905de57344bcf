"""What preview nodes show can be kept."""

import copy

import pytest
from figura.headless import shown
from figura.headless.runner import Runner
from figura.headless.shown import keep_shown, shown_files
from figura.host.plain import PlainHost
from PIL import Image

GRAPH = {
    "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
    "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}},
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}, "_meta": {"title": "What changed"}},
    "4": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "kept"}},
}


def test_shown_pictures_are_kept_under_their_titles_and_never_overwritten(tmp_path):
    host = PlainHost(output_dir=tmp_path / "out")
    ui = Runner(host).run(GRAPH).ui
    first, second = (keep_shown(GRAPH, ui, host.temp_dir(), tmp_path / "stages") for _ in range(2))
    assert [path.name for path in first] == ["what_changed_00001_.png", "maskpreview_00001_.png"]
    assert [path.name for path in second] == ["what_changed_00002_.png", "maskpreview_00002_.png"]
    for path in [*first, *second]:
        with Image.open(path) as image:
            assert image.size == (4, 4)


@pytest.mark.parametrize(
    ("meta", "name"),
    [
        (None, "previewimage_00001_.png"),
        ({}, "previewimage_00001_.png"),
        ({"title": None}, "previewimage_00001_.png"),
        ({"title": "?!"}, "picture_00001_.png"),
        ({"title": "\u4eba" * 300}, "\u4eba" * 50 + "_00001_.png"),
    ],
)
def test_every_title_makes_a_name(tmp_path, meta, name):
    host, graph = PlainHost(output_dir=tmp_path / "out"), copy.deepcopy(GRAPH)
    graph["3"]["_meta"] = meta
    kept = keep_shown(graph, Runner(host).run(GRAPH).ui, host.temp_dir(), tmp_path / "stages")
    assert kept[0].name == name and kept[0].is_file()


def test_two_runs_that_keep_at_once_replace_nothing_of_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(shown, "next_number", lambda *asked: 1)  # both looked before either wrote
    host = PlainHost(output_dir=tmp_path / "out")
    ui = Runner(host).run(GRAPH).ui
    kept = [keep_shown(GRAPH, ui, host.temp_dir(), tmp_path / "stages") for _ in range(2)]
    assert [paths[0].name for paths in kept] == ["what_changed_00001_.png", "what_changed_00002_.png"]
    assert all(path.is_file() for paths in kept for path in paths)


def test_a_picture_for_an_editor_is_no_preview(tmp_path):
    ui = {"3": {"figura_picture": [{"filename": "editor.jpg", "subfolder": "", "type": "temp"}]}}
    assert keep_shown(GRAPH, ui, tmp_path, tmp_path / "stages") == []


def test_files_are_found_under_whatever_key_each_once():
    sound, preview = {"filename": "a.flac", "type": "output"}, {"filename": "p.png", "type": "temp"}
    ui = {"audio": [sound], "images": [preview, sound], "animated": (True,), "text": ["a"], "n": 3}
    assert shown_files(ui, "output") == [sound] and shown_files(ui, "temp") == [preview]


def test_a_sound_that_is_only_shown_keeps_its_ending(tmp_path):
    (tmp_path / "x.flac").write_bytes(b"sound")
    graph = {"1": {"class_type": "PreviewAudio", "inputs": {}}}
    ui = {"1": {"audio": [{"filename": "x.flac", "subfolder": "", "type": "temp"}]}}
    (kept,) = keep_shown(graph, ui, tmp_path, tmp_path / "stages")
    assert kept.name == "previewaudio_00001_.flac" and kept.read_bytes() == b"sound"
