"""`figura run` on this machine: what becomes of each picture of a batch."""

import json

import pytest
import torch
from figura.cli import main as cli
from figura.cli import run
from figura.headless import shown
from figura.headless.jobs import Job, JobResult, make_jobs
from figura.headless.runner import all_node_classes
from figura.host import Cancelled
from figura.host.plain import PlainHost
from PIL import Image

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "none.png"}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Visible Mask"}},
    "3": {"class_type": "Frail", "inputs": {"image": ["1", 0]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
}
SHOWS = {key: GRAPH[key] for key in "12"}


class Frail:
    """Fails, in a way of the test's choice, at pictures whose first pixel is dark."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    error: BaseException = ValueError()

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        if image[0, 0, 0, 0] < 0.5:
            raise self.error
        return (image,)


CLASSES = {**all_node_classes(), "Frail": Frail}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in (("a", "white"), ("b", "black"), ("c", "white")):
        Image.new("RGB", (4, 4), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def hosts(monkeypatch):
    """Every host that is made."""
    made, begin = [], PlainHost.__init__

    def init(self, *args, **options):
        begin(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(PlainHost, "__init__", init)
    return made


def results(pictures, stages=False):
    jobs = make_jobs(GRAPH, [], [pictures], CLASSES)
    return run.run_here(jobs, pictures.parent / "out", "cpu", CLASSES, stages)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory ran out: take a smaller picture"),
        (MemoryError(), "memory ran out: take a smaller picture"),
        (AssertionError("odd"), "odd"),
    ],
)
def test_a_picture_that_a_node_fails_at_ends_no_batch(pictures, monkeypatch, error, said):
    monkeypatch.setattr(Frail, "error", error)
    ended = list(results(pictures))
    assert [bool(result.error) for result in ended] == [False, True, False]
    assert str(ended[1].error).startswith(f"node 3 (Frail): {said}") and ended[1].job.name == "b"
    assert [len(result.files) for result in ended] == [1, 0, 1]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled("stopped")])
def test_a_stop_ends_the_batch(pictures, monkeypatch, stop):
    monkeypatch.setattr(Frail, "error", stop)
    ended = results(pictures)
    assert next(ended).error is None
    with pytest.raises(type(stop)):
        next(ended)


def test_stages_that_cannot_be_kept_end_no_batch_and_what_was_saved_is_told(pictures, monkeypatch):
    monkeypatch.setattr(Frail, "error", ValueError("dark"))
    keep = shown.keep_shown

    def full(graph, ui, temp, folder):
        if folder.name == "a":
            raise OSError(28, "the disk is full", str(folder))
        return keep(graph, ui, temp, folder)

    monkeypatch.setattr(shown, "keep_shown", full)
    ended = list(results(pictures, stages=True))
    assert [type(result.error) for result in ended][::2] == [OSError, type(None)]
    assert [path.parent.name for path in ended[0].files] == ["a"]


def test_an_error_outside_of_a_node_is_the_pictures_own(pictures, monkeypatch):
    monkeypatch.setattr(Frail, "VALIDATE_INPUTS", classmethod(lambda cls, image: {}["gone"]), raising=False)
    assert [type(result.error) for result in results(pictures)] == [KeyError] * 3


def test_shown_pictures_take_room_only_while_their_picture_is_at_work(pictures, hosts, monkeypatch):
    monkeypatch.setattr(Frail, "error", ValueError("dark"))
    for _ in results(pictures):
        assert list(hosts[-1].temp_dir().iterdir()) == []


def test_stages_of_several_pictures_lie_in_folders_of_their_own(pictures, monkeypatch):
    monkeypatch.setattr(Frail, "error", ValueError("dark"))
    ended = list(results(pictures, stages=True))
    out = pictures.parent / "out"
    assert ended[0].files[0] == out / "stages" / "a" / "visible_mask_00001_.png"
    assert ended[2].files[0] == out / "stages" / "c" / "visible_mask_00001_.png"
    (alone,) = run.run_here(
        make_jobs(GRAPH, [], [pictures / "a.png"], CLASSES), out, "cpu", CLASSES, stages=True
    )
    assert alone.files[0] == out / "stages" / "visible_mask_00001_.png"


def test_stages_that_are_alike_for_all_pictures_are_kept_for_each(tmp_path):
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
        "2": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}},
    }
    ended = list(run.run_here([Job("a", graph), Job("b", graph)], tmp_path, "cpu", stages=True))
    assert [path.parent.name for result in ended for path in result.files] == ["a", "b"]


def test_a_run_that_saves_nothing_says_so_and_is_no_error(pictures, tmp_path, capsys):
    (tmp_path / "graph.json").write_text(json.dumps(SHOWS))
    words = ["run", str(tmp_path / "graph.json"), "--input", str(pictures / "a.png")]
    assert cli.main([*words, "--output", str(tmp_path / "out")]) == 0
    said = "a: nothing was saved: the graph has no Save node; --stages keeps what Preview nodes show\n"
    assert said in capsys.readouterr().err
    assert cli.main([*words, "--output", str(tmp_path / "out"), "--stages"]) == 0
    assert "nothing was saved" not in capsys.readouterr().err


def test_the_table_of_a_batch_does_not_count_what_saved_nothing_as_saved(capsys):
    table = run.BatchTable(run.ProgressLine())
    table.tell(JobResult(Job("a", {})))
    assert table.end(1.0) == 0
    told = capsys.readouterr().err
    assert "1  nothing was saved: the graph has no Save node" in told and "  saved" not in told
    assert "0.00 pictures a second" in told


@pytest.mark.parametrize("way", [[], ["--ray"]])
def test_patience_without_a_server_is_told(pictures, tmp_path, capsys, way):
    (tmp_path / "graph.json").write_text(json.dumps(SHOWS))
    words = ["run", str(tmp_path / "graph.json"), "--set", f"1.image={pictures / 'a.png'}"]
    assert cli.main([*words, "--patience", "1800", *way]) == 1
    assert "--patience is for --server, which was not given" in capsys.readouterr().err


def test_a_graph_that_only_comfyui_can_run_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    stock = all_node_classes()["SolidMask"]
    monkeypatch.setattr(stock, "solid", lambda self, **given: pytest.fail("it ran"))
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 8, "height": 8}},
        "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}},
        "3": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["2", 0], "upscale_method": "area", "width": 4, "height": 4, "crop": "disabled",
            },
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    }  # fmt: skip
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    assert cli.main(["run", str(tmp_path / "graph.json"), "--output", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "node 3 (ImageScale): is a node of ComfyUI" in told and "--server" in told
