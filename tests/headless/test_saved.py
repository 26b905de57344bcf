"""What a batch has saved: under names of their own, found again, finished after a kill."""

import os
from dataclasses import replace

import pytest
from figura.headless import jobs
from figura.headless.jobs import Job
from figura.headless.saved import RECORD, Saved, free_name
from figura.models.files import write_new

GRAPH = {"1": {"class_type": "LoadImage", "inputs": {"image": "no such"}}}


def test_files_of_one_name_are_all_kept(tmp_path):
    saved = Saved(tmp_path)
    kept = [saved.keep(Job("", GRAPH), [("", "picture.png", bytes([number]))])[0] for number in range(3)]
    assert [path.name for path in kept] == ["picture.png", "picture_00001_.png", "picture_00002_.png"]
    assert [path.read_bytes() for path in kept] == [b"\0", b"\1", b"\2"]
    two = saved.keep(Job("", GRAPH), [("sub", "x_00009_.png", b"a"), ("sub", "x_00010_.png", b"b")])
    assert [path.relative_to(tmp_path).as_posix() for path in two] == ["sub/x_00001_.png", "sub/x_00002_.png"]
    assert not (tmp_path / RECORD).exists()


@pytest.mark.parametrize("name", ["", "..", "x/..", "a\0b", "\ud800.png", "x" * 300 + ".png"])
def test_names_that_are_none_are_told(tmp_path, name):
    with pytest.raises(OSError, match="the server names no file"):
        free_name(tmp_path, "", name)
    with pytest.raises(OSError, match="outside the output folder"):
        free_name(tmp_path, "../elsewhere", "x.png")
    assert Saved(tmp_path).result_of(Job("", GRAPH), [("", name, b"")]).error is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["picture.png", "picture_00001_.png"])
def test_a_link_that_leads_nowhere_is_neither_followed_nor_replaced(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / "gone")
    (kept,) = Saved(tmp_path).keep(Job("", GRAPH), [("", name, b"new")])
    assert kept.name != name and kept.read_bytes() == b"new"
    assert (tmp_path / name).is_symlink() and not (tmp_path / "gone").exists()


def test_what_a_killed_run_began_is_finished_under_its_names(tmp_path):
    made = [("a", "x_00001_.png", b"1"), ("a", "x_00002_.png", b"2")]
    job = Job("a", GRAPH)
    whole = Saved(tmp_path).keep(job, made)
    record = (tmp_path / RECORD).read_bytes()
    whole[1].unlink()
    with (tmp_path / RECORD).open("ab") as file:
        file.write(b'{"job": "b", "digest": "0", "fil')  # cut off by a kill
    again = Saved(tmp_path)
    assert again.files_of(job) == []
    assert (tmp_path / RECORD).read_bytes() == record
    assert again.keep(job, made) == whole and [path.read_bytes() for path in whole] == [b"1", b"2"]
    assert Saved(tmp_path).files_of(job) == whole


def test_a_picture_that_changed_is_run_again(tmp_path):
    (tmp_path / "p.png").write_bytes(b"one")
    job = Job("p", {"1": {"class_type": "LoadImage", "inputs": {"image": str(tmp_path / "p.png")}}})
    saved = Saved(tmp_path / "out")
    files = saved.keep(job, [("", "p_00001_.png", b"")])
    assert saved.files_of(replace(job)) == files
    (tmp_path / "p.png").write_bytes(b"two")
    assert saved.files_of(replace(job)) == []


def test_a_picture_that_changes_while_it_is_run_is_run_again(tmp_path):
    (tmp_path / "p.png").write_bytes(b"one")
    job = Job("p", {"1": {"class_type": "LoadImage", "inputs": {"image": str(tmp_path / "p.png")}}})
    saved = Saved(tmp_path / "out")
    assert saved.files_of(job) == []
    (tmp_path / "p.png").write_bytes(b"two")
    saved.keep(job, [("", "p_00001_.png", b"made of one")])
    assert Saved(tmp_path / "out").files_of(replace(job)) == []


def test_an_unreadable_picture_is_left_to_the_run(tmp_path, monkeypatch):
    Saved(tmp_path).keep(Job("p", GRAPH), [("p", "x.png", b"")])
    job = Job("p", {"1": {"class_type": "LoadImage", "inputs": {"image": str(tmp_path)}}})
    monkeypatch.setattr(jobs, "is_file", lambda name: True)
    assert Saved(tmp_path).files_of(job) == []
    assert isinstance(Saved(tmp_path).result_of(job, []).error, OSError)


def test_two_workflows_on_the_same_pictures_are_both_remembered(tmp_path):
    saved = Saved(tmp_path)
    both = [Job("p", GRAPH), Job("p", {"1": {"class_type": "LoadImageMask", "inputs": {}}})]
    kept = [saved.keep(job, [("p", "x.png", b"")]) for job in both]
    assert [Saved(tmp_path).files_of(replace(job)) for job in both] == kept and kept[0] != kept[1]


def test_a_folder_that_nothing_can_be_saved_in_is_told_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="nothing can be saved there .*: choose another folder"):
        Saved(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda *asked: False)
    with pytest.raises(OSError, match="nothing can be saved there .*: choose another folder"):
        Saved(tmp_path / "read-only")


def test_a_record_of_a_stranger_names_no_file_elsewhere(tmp_path):
    (tmp_path / RECORD).write_text(
        '{"job": "p", "digest": "", "files": ["../x.png"]}\n[]\nnull\n{"job": 1}\n'
    )
    assert Saved(tmp_path).files_of(Job("p", GRAPH)) == [] and (tmp_path / RECORD).read_text() == ""


def test_files_that_differ_in_case_alone_are_kept_where_that_is_one_name(tmp_path, monkeypatch):
    def without_case(path, write):
        there = path.parent.is_dir() and any(
            each.lower() == path.name.lower() for each in os.listdir(path.parent)
        )
        return not there and write_new(path, write)

    monkeypatch.setattr("figura.headless.saved.write_new", without_case)
    store = Saved(tmp_path)
    names = ["A_00001_.png", "A_00002_.png", "a_00001_.png", "a_00001_.png"]
    kept = [store.keep(Job("", GRAPH), [("", name, name.encode())])[0] for name in names]
    assert [path.name for path in kept] == ["A_00001_.png", "A_00002_.png", "a_00003_.png", "a_00004_.png"]
