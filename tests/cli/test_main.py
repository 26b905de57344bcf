"""The command line."""

import json
from pathlib import Path

import pytest
import torch
from figura.cli import main as cli
from figura.training.reports.document import report, write_report
from PIL import Image
from safetensors.torch import save_file

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "none.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


@pytest.fixture
def workflow(tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(GRAPH))
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    return path


def test_run_saves_and_lists_the_pictures(workflow, tmp_path, capsys):
    status = cli.main(
        ["run", str(workflow), "--input", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    )
    assert status == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "out" / "x_00001_.png")]


def test_one_bad_picture_does_not_keep_the_others_from_running(workflow, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no picture")
    status = cli.main(["run", str(workflow), "--input", str(tmp_path), "--output", str(tmp_path / "out")])
    told = capsys.readouterr()
    assert status == 1
    assert told.out.splitlines() == [str(tmp_path / "out" / "b" / "x_00001_.png")]
    assert "a: node 1 (LoadImage)" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "{}/gone.json"], "gone.json: No such file"),
        (["run", "{}/graph.json"], "no image file 'none.png'"),
        (["run", "{}/graph.json", "--set", "1.imag=x"], "has the inputs image"),
        (["run", "{}/a.png"], "is not JSON"),
        (["run", "{}/graph.json", "--server", "127.0.0.1:9"], "cannot be reached"),
        (["models", "get", "nothing"], "unknown model file 'nothing'"),
        (["models", "convert", "{}/a.png"], "nothing to convert"),
    ],
)
def test_errors_are_one_line_and_status_1(workflow, tmp_path, capsys, words, said):
    assert cli.main([word.format(tmp_path) for word in words]) == 1
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_a_stop_is_no_error(monkeypatch, capsys, workflow):
    monkeypatch.setattr(cli, "make_jobs", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["run", str(workflow)]) == 130
    assert capsys.readouterr().err == "figura: stopped\n"


def test_models_list_names_every_file_with_its_licence(capsys):
    from figura.models import store

    assert cli.main(["models", "list"]) == 0
    told = capsys.readouterr().out
    assert all(file.name in told and file.licence in told for file in store.known_files())


def test_models_verify_tells_bad_from_good(tmp_path, capsys):
    save_file({"w": torch.zeros(3)}, tmp_path / "own.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "own.safetensors").read_bytes()[:-4])
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"short")
    names = ("own.safetensors", "cut.safetensors", "sam_vit_b_01ec64.pth", "gone.pth")
    assert cli.main(["models", "verify", *(str(tmp_path / name) for name in names)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("ok ") and told.out.count("ok ") == 1 and "own.safetensors" in told.out
    for said in ("cut.safetensors is truncated", "5 bytes instead of 375042383", "gone.pth"):
        assert said in told.err


def test_train_options_belong_to_training(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert "usage: figura train" in capsys.readouterr().out


def test_reports_have_the_agreed_form(tmp_path):
    content = report("phac", 2, 10_000_000, "cpu", 1, {"joint_err.pose": 0.25})
    path = write_report(tmp_path / "sub" / "r.json", content)
    assert json.loads(path.read_text()) == {
        "name": "phac", "samples": 2, "seed": 10_000_000, "device": "cpu", "threads": 1,
        "metrics": {"joint_err.pose": 0.25},
    }  # fmt: skip


def test_a_report_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="metric a is nan"):
        report("x", 1, 0, "cpu", 1, {"a": float("nan")})


def test_eval_hands_its_options_over_and_shows_the_figures(monkeypatch, capsys):
    from figura.training.evaluation import command as reports

    asked = []

    def measure(*args, **options):
        asked.append((args, options))
        return report("phac", 2, 10_000_007, "cpu", 1, {"visible_iou": 0.91234567})

    monkeypatch.setattr(reports, "eval_command", measure)
    assert cli.main(["eval", "phac", "--samples", "2", "--seed", "7", "--json", "r.json", "--prompts"]) == 0
    options = {"device": "cpu", "sheet_samples": 32, "prompts": True}
    assert asked == [(("phac", 2, 7, Path("r.json")), options)]
    assert capsys.readouterr().out == "visible_iou 0.91235\n"
