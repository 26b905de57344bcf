"""The command line."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from figura.cli import main as cli
from figura.cli import run
from figura.cli.console import ProgressLine
from figura.headless.jobs import Job, JobResult
from figura.models import sentences
from figura.models.sentences import typed, where_typed
from figura.training.data import command as data_command
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
        (["run", "{}/gone.json"], "gone.json is neither a file nor a shipped workflow"),
        (["run", "{}/graph.json"], "no image file 'none.png'"),
        (["run", "{}/graph.json", "--set", "1.imag=x"], "has the inputs image"),
        (["run", "{}/a.png"], "is not JSON"),
        (["run", "{}/graph.json", "--server", "127.0.0.1:9"], "cannot be reached"),
        (
            ["run", "{}/graph.json", "--server", "127.0.0.1:9", "--stages"],
            "--stages is for runs on this machine",
        ),
        (
            ["run", "{}/graph.json", "--server", "x:9", "--device", "cpu"],
            "--device is for runs on this machine",
        ),
        (
            ["run", "{}/graph.json", "--set", "1.image=a.png", "--server", "http://"],
            "an address like http://127",
        ),
        (
            ["run", "{}/graph.json", "--set", "1.image=a.png", "--server", "x:9", "--patience", "0"],
            "--patience is 0; a number of seconds above 0",
        ),
        (["eval", "synth", "--sheet-samples", "0"], "--sheet-samples is 0; 1 or more"),
        (["bench", "import", "--count", "-1"], "--count is -1; 1 or more"),
        (["train", "coarse_outputs", "--sampling-steps", "0"], "--sampling-steps is 0; 1 or more"),
        (["data", "synth", "--count", "0"], "--count is 0; 1 or more"),
        (["eval", "phac", "--device", "cuba"], "device 'cuba' cannot be used here"),
        (["run", "phac_pose", "--input", "{}/a.png"], "no LoadImage node: take another, such as phac_photo"),
        (["run", "phac_foto"], "did you mean phac_photo? Shipped are cfld_edit, "),
        (["run", "{}"], "is neither a file"),
        (["run", "{}/graph.json", "--device", "cuba"], "device 'cuba' cannot be used here"),
        (["run", "{}/graph.json", "--points", "{}/gone.json"], "gone.json: no such file or folder"),
        (["run", "{}/graph.json", "--points", "{}/a.png"], "this is no text file"),
        (["run", "{}/graph.json", "--text", "x"], "--text: no node of this workflow takes it"),
        (["run", "{}/graph.json", "--output", "{}/a.png"], "a.png: nothing can be saved there"),
        (["run", "{}/graph.json", "--output", "{}/a.png/in"], "nothing can be saved there"),
        (["eval", "synth", "--json", "{}"], "is a folder"),
        (["eval", "synth", "--table", "{}/a.png/t.md"], "a.png is no folder"),
        (["eval", "synth", "--sheet", "{}"], "is a folder"),
        (["bench", "compare", "--json", "{}"], "is a folder"),
        (["check", "parity", "cfld", "--released", "{}", "--out", "{}"], "is a folder"),
        (["train", "complete_pose", "--data", "{}", "--out", "{}"], "is a folder"),
        (["eval", "synth", "--weights", "{}"], "--weights is for methods with networks"),
        (["models", "verify", "{}"], "is a folder"),
        (["models", "verify", "{}/a.png"], "a.png is no model file: they end in .safetensors"),
        (["models", "get", "nothing"], "unknown model file 'nothing'; known are "),
        (["models", "get", "sam_vit_b"], "did you mean sam_vit_b_01ec64.pth? Known are "),
        (["models", "get", "mobile_sam.pt", "--folder", "{}/a.png"], "a.png is no folder"),
        (["models", "convert", "{}/a.png"], "nothing to convert"),
    ],
)
def test_errors_are_one_line_and_status_1(workflow, tmp_path, capsys, words, said):
    assert cli.main([word.format(tmp_path) for word in words]) == 1
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_a_stop_is_no_error(monkeypatch, capsys, workflow):
    monkeypatch.setattr(run, "make_jobs", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
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


def test_models_verify_looks_at_all_shipped_files_of_itself(tmp_path, monkeypatch, capsys):
    from figura.models import store, verify

    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"w": torch.zeros(3)}, tmp_path / name)
    verify.write_sums()
    assert cli.main(["models", "verify"]) == 0
    (tmp_path / "a.safetensors").unlink()
    save_file({"w": torch.ones(3)}, tmp_path / "b.safetensors")
    capsys.readouterr()
    assert cli.main(["models", "verify"]) == 1
    told = capsys.readouterr().err
    assert "a.safetensors: No such file" in told and "not the file that was shipped" in told


def test_a_missing_package_is_named_with_the_remedy(monkeypatch, capsys, workflow):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert cli.main(["run", str(workflow), "--set", "1.image=a.png", "--server", "127.0.0.1:9"]) == 1
    assert capsys.readouterr().err == (
        "figura: this needs the Python package aiohttp, which is not installed: pip install aiohttp\n"
    )


def test_commands_are_named_as_they_were_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/figura", "run"])
    assert typed("run x") == "figura run x" and cli.build_parser().prog == "figura"
    monkeypatch.setattr(sys, "argv", [r"/venv/Scripts/figura.exe", "run"])
    assert typed("run x") == "figura run x"
    for started in ("/packs/figura/__main__.py", "/ComfyUI/main.py"):
        monkeypatch.setattr(sys, "argv", [started, "run"])
        assert typed("run x") == "python -m figura run x" and cli.build_parser().prog == "python -m figura"


def test_in_comfyui_commands_are_named_by_the_packs_folder_and_say_where(monkeypatch, capsys):
    assert where_typed() == ""
    monkeypatch.setattr(sentences, "PACK", Path("/ComfyUI/custom_nodes/ComfyUI-Figura"))
    monkeypatch.setattr(sys, "argv", ["/ComfyUI/main.py"])
    assert typed("models list") == "python ComfyUI-Figura models list"
    monkeypatch.setattr(sys, "argv", ["figura", "run"])  # typed there as `python figura run`
    assert typed("models list") == "python ComfyUI-Figura models list"
    assert where_typed() == " (in /ComfyUI/custom_nodes, with ComfyUI's Python)"
    assert Path(sentences.trained_weights()) == Path("/ComfyUI/data/weights")
    assert data_command.build_parser().prog == "python ComfyUI-Figura data"
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert capsys.readouterr().out.startswith("usage: python ComfyUI-Figura train")


@pytest.mark.parametrize("options", [[], ["-I"]], ids=["any Python", "one that ignores the working folder"])
def test_the_packs_folder_is_a_command_whatever_its_name(tmp_path, options):
    (tmp_path / "ComfyUI-Figura").symlink_to(sentences.PACK, target_is_directory=True)
    words = [sys.executable, *options, "ComfyUI-Figura", "models", "verify", "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "models verify" in done.stdout, done.stderr


def test_train_options_belong_to_training(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert f"usage: {typed('train')} " in capsys.readouterr().out


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


def test_models_go_on_after_one_that_cannot_be_converted(tmp_path, capsys):
    torch.save({"w": torch.zeros(3)}, tmp_path / "good.pth")
    (tmp_path / "bad.pth").write_bytes(b"bad")
    into = tmp_path / "new"
    into.mkdir()
    words = [str(tmp_path / "bad.pth"), str(tmp_path / "good.pth"), "--output", str(into)]
    assert cli.main(["models", "convert", *words]) == 1
    told = capsys.readouterr()
    assert told.out == f"{into / 'good.safetensors'}\n" and "bad.pth" in told.err
    assert [path.name for path in into.iterdir()] == ["good.safetensors"]


def test_what_bitsandbytes_lacks_is_not_told_as_a_fault_of_figura():
    assert cli.main(["models", "list"]) == 0
    assert not logging.getLogger("bitsandbytes.backends.cpu.ops").isEnabledFor(logging.WARNING)


def test_a_name_that_is_no_path_here_is_taken_from_the_model_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"w": torch.zeros(3)}, folder / "epoch=000005.ckpt")
    monkeypatch.setattr("figura.cli.models._folders", lambda kind: [folder] if kind == "checkpoint" else [])
    assert cli.main(["models", "verify", "epoch=000005.ckpt"]) == 0
    assert cli.main(["models", "convert", "epoch=000005.ckpt"]) == 0
    assert str(folder / "epoch=000005.safetensors") in capsys.readouterr().out
    assert cli.main(["models", "convert", "other.ckpt"]) == 1
    assert "other.ckpt" in capsys.readouterr().err


def test_models_go_on_after_one_that_cannot_be_fetched(tmp_path, monkeypatch, capsys):
    from figura.models import fetch, store

    monkeypatch.setattr("figura.cli.models._folders", lambda kind: [tmp_path])
    asked = []

    def get(file, folder, **_):
        asked.append(file.name)
        if len(asked) == 1:
            raise OSError(28, "No space left on device", str(folder))
        return folder / file.name

    monkeypatch.setattr(fetch, "get", get)
    names = [file.name for file in store.known_files()][:2]
    assert cli.main(["models", "get", *names]) == 1
    assert asked == names and str(tmp_path / names[1]) in capsys.readouterr().out


def test_a_model_in_a_folder_of_its_kinds_folder_is_present(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("figura.cli.models._folders", lambda kind: [tmp_path / kind])
    place = tmp_path / "sam" / "vit" / "sam_vit_b_01ec64.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    assert cli.main(["models", "list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "sam_vit_b_01ec64.pth" in line]
    assert line.startswith("present")
    assert cli.main(["models", "get", "sam_vit_b_01ec64.pth"]) == 0
    assert capsys.readouterr().out == f"{place} is already here\n"


def test_a_name_that_the_terminal_has_no_letters_for_ends_no_batch(workflow, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("\u4eba\u7269.png", "z.png"):
        Image.new("RGB", (4, 4), "red").save(pictures / name)
    (tmp_path / "figura").symlink_to(Path(run.__file__).parents[1])
    words = ["run", str(workflow), "--input", str(pictures), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "figura", *words], cwd=tmp_path, capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert len(done.stdout.splitlines()) == 2 and b"\\u4eba\\u7269" in done.stdout


def test_in_custom_nodes_nothing_is_written_that_comfyui_takes_for_a_pack(tmp_path, monkeypatch):
    from figura.models.files import default_folder

    inside = tmp_path / "ComfyUI" / "custom_nodes"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert default_folder("output") == tmp_path / "ComfyUI" / "output"
    args = cli.build_parser().parse_args(["run", "phac_pose"])
    assert args.output == tmp_path / "ComfyUI" / "output"
    monkeypatch.chdir(tmp_path)
    assert default_folder("output") == Path("output")


def test_bench_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    from figura.training.bench import command

    figures = report("synth", 16, 0, "cpu", 1, {"people_per_s": 12.5})
    monkeypatch.setitem(command.BENCHES, "synth", lambda **_: figures)
    words = ["--json", str(tmp_path / "b.json"), "--table", str(tmp_path / "b.md")]
    assert cli.main(["bench", "synth", *words]) == 0
    assert capsys.readouterr().out == "people_per_s 12.5\n"
    assert json.loads((tmp_path / "b.json").read_text())["metrics"] == {"people_per_s": 12.5}
    assert "people_per_s" in (tmp_path / "b.md").read_text()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_one_line_on_a_terminal_and_one_for_each_bar_elsewhere():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        line = ProgressLine(stream)
        for done in (1, 2):
            line.report("node 1", done, 2)
    half, full = "#" * 12 + "-" * 12, "#" * 24
    assert terminal.getvalue() == f"\rnode 1 [{half}] 1/2\rnode 1 [{full}] 2/2\n"
    assert file.getvalue() == "node 1: 2/2\n"


def test_a_saved_file_is_said_in_place_of_the_bar(monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    line = ProgressLine(terminal)
    line.report("node 1", 1, 2)
    run.BatchTable(line).tell(JobResult(Job("a", {}), [Path("a.png")]))
    bar = terminal.getvalue().split("\r")[1]
    assert terminal.getvalue() == f"\r{bar}\r{' ' * len(bar)}\ra.png\n"


def test_an_unfinished_bar_makes_room_for_what_went_wrong():
    terminal = Terminal()
    with pytest.raises(OSError, match="full"), ProgressLine(terminal) as line:
        line.report("node 1", 1, 2)
        raise OSError("full")
    assert terminal.getvalue().endswith("\r") and not terminal.getvalue().split("\r")[-2].strip()


@pytest.mark.parametrize(("chosen", "kept"), [(None, "passive"), ("active", "active")])
def test_threads_wait_without_spinning_before_torch_is_loaded(chosen, kept):
    code = (
        "import os, runpy, sys\n"
        f"runpy.run_path({str(Path(__file__).parents[1] / 'conftest.py')!r})\n"
        "from figura.cli import main\n"
        "said = lambda: f\"{os.environ['OMP_WAIT_POLICY']} {'torch' in sys.modules}\"\n"
        "main.build_parser = lambda: sys.exit(said())\n"
        "main.main(['models', 'list'])\n"
    )
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = own | ({} if chosen is None else {"OMP_WAIT_POLICY": chosen})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr.strip().splitlines()[-1] == f"{kept} False"
