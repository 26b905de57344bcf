"""--set and --input."""

import pytest
from figura.headless import jobs
from figura.headless.graph import GraphError
from figura.headless.jobs import apply_setting, make_jobs


def graph():
    return {
        "3": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Photo v1.0"}},
        "7": {"class_type": "KSampler", "inputs": {"seed": 0, "text": "", "model": ["3", 0]}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "out"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": ["7", 0]}},
    }


@pytest.mark.parametrize(
    ("setting", "node", "name", "value"),
    [
        ("7.seed=42", "7", "seed", 42),
        ("KSampler.text=a = b.c", "7", "text", "a = b.c"),
        ("Photo v1.0.image=y.png", "3", "image", "y.png"),
        ("7.text=", "7", "text", ""),
        ('7.text="7"', "7", "text", "7"),
    ],
)
def test_a_setting_changes_one_constant(setting, node, name, value):
    changed = graph()
    apply_setting(changed, setting)
    assert changed[node]["inputs"].pop(name) == value
    expected = graph()
    expected[node]["inputs"].pop(name)
    assert changed == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed=3", "not of the form"),
        ("7.seed", "not of the form"),
        ("5.seed=3", "no node is called '5'"),
        ("SaveImage.filename_prefix=x", "more than one node is called 'SaveImage'"),
        ("7.sed=3", "has the inputs seed, text, model"),
    ],
)
def test_a_wrong_setting_says_what_is_there(setting, said):
    with pytest.raises(GraphError, match=said):
        apply_setting(graph(), setting)


def test_without_input_there_is_one_job():
    (job,) = make_jobs(graph(), ["7.seed=1"], [])
    assert job.graph["7"]["inputs"]["seed"] == 1


def test_one_picture_goes_to_the_only_loader(tmp_path):
    (tmp_path / "p.png").touch()
    (job,) = make_jobs(graph(), [], [tmp_path / "p.png"])
    assert job.graph["3"]["inputs"]["image"] == str(tmp_path / "p.png")
    assert job.graph["8"]["inputs"]["filename_prefix"] == "out"


def test_a_folder_gives_one_job_each_with_folders_of_their_own(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt", "b.webp"):
        (tmp_path / name).touch()
    made = make_jobs(graph(), [], [tmp_path])
    assert [job.name for job in made] == ["a", "b", "b-2"]
    assert [job.graph["8"]["inputs"]["filename_prefix"] for job in made] == ["a/out", "b/out", "b-2/out"]
    assert made[0].graph["9"]["inputs"]["filename_prefix"] == ["7", 0]


def test_missing_pictures_and_loaders_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        make_jobs(graph(), [], [tmp_path / "gone.png"])
    with pytest.raises(FileNotFoundError, match="no picture"):
        make_jobs(graph(), [], [tmp_path])
    (tmp_path / "p.png").touch()
    with pytest.raises(GraphError, match="no LoadImage node"):
        make_jobs({"1": {"class_type": "A", "inputs": {}}}, [], [tmp_path / "p.png"])


def test_a_picture_that_comes_with_the_pack_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "SHIPPED_PICTURES", tmp_path)
    (tmp_path / "x.png").touch()
    (job,) = make_jobs(graph(), [], [])
    assert job.graph["3"]["inputs"]["image"] == str(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    (job,) = make_jobs(graph(), [], [])
    assert job.graph["3"]["inputs"]["image"] == "x.png"
