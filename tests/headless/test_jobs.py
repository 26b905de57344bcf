"""The pictures of a run, and what was said of others."""

import json

import pytest
from figura.headless import jobs
from figura.headless.graph import GraphError, load_graph
from figura.headless.jobs import make_jobs
from figura.headless.settings import point_prompts, text_nodes
from figura.headless.shipped import find_workflow


def graph():
    return {
        "3": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Photo v1.0"}},
        "7": {"class_type": "KSampler", "inputs": {"seed": 0, "text": "", "model": ["3", 0]}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "out"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": ["7", 0]}},
    }


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


def test_no_two_jobs_have_one_name(tmp_path):
    pictures = [tmp_path / name for name in ("1/x.png", "2/x.png", "x-2.png", "3/x.png", "x-3.png")]
    for picture in pictures:
        picture.parent.mkdir(exist_ok=True)
        picture.touch()
    assert [job.name for job in make_jobs(graph(), [], pictures)] == ["x", "x-4", "x-2", "x-5", "x-3"]


def test_a_list_names_pictures_beside_it_or_anywhere(tmp_path):
    for name in ("lists", "elsewhere"):
        (tmp_path / name).mkdir()
    for name in ("lists/b.png", "elsewhere/a.png"):
        (tmp_path / name).touch()
    listed = tmp_path / "lists" / "all.txt"
    listed.write_text(f"b.png\n\n {tmp_path}/elsewhere/a.png \n", encoding="utf-8-sig")
    assert [job.name for job in make_jobs(graph(), [], [listed])] == ["b", "a"]
    for text, said in (("b.png\ngone.png", "no such file.*gone.png"), ("\n", "no picture in this list")):
        listed.write_text(text)
        with pytest.raises(FileNotFoundError, match=said):
            make_jobs(graph(), [], [listed])
    listed.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="one picture a line"):
        make_jobs(graph(), [], [listed])


def test_missing_pictures_and_loaders_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        make_jobs(graph(), [], [tmp_path / "gone.png"])
    with pytest.raises(FileNotFoundError, match="no picture"):
        make_jobs(graph(), [], [tmp_path])
    (tmp_path / "p.png").touch()
    with pytest.raises(GraphError, match="no LoadImage node"):
        make_jobs({"1": {"class_type": "A", "inputs": {}}}, [], [tmp_path / "p.png"])


def test_a_picture_that_comes_with_the_pack_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "SHIPPED_IMAGES", tmp_path)
    (tmp_path / "x.png").touch()
    (job,) = make_jobs(graph(), [], [])
    assert job.graph["3"]["inputs"]["image"] == str(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    (job,) = make_jobs(graph(), [], [])
    assert job.graph["3"]["inputs"]["image"] == "x.png"


POINTS = '{"version": 1, "people": []}'


def of_a_person(image="figura_scene.png"):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "other.png"}},
        "3": {
            "class_type": "FiguraPointPrompt", "inputs": {"image": ["1", 0], "points": POINTS},
            "_meta": {"title": "Point Prompt (Figura)"},
        },
        "4": {"class_type": "FiguraPHACSampler", "inputs": {"prompt": ["3", 1], "text": "a tall man"}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "best quality"}},
        "6": {"class_type": "FiguraHandSampler", "inputs": {"image": ["2", 0], "text": "a hand"}},
    }  # fmt: skip


class TestAnotherImage:
    def test_its_points_are_asked_for(self):
        with pytest.raises(GraphError) as caught:
            make_jobs(of_a_person(), ["1.image=me.png"], [])
        assert str(caught.value) == (
            "the points of node 3 (Point Prompt) were set on figura_scene.png, not on me.png: give the file "
            'of your own with --points FILE, or --set "Point Prompt.points=" where a pose is connected'
        )

    def test_points_of_the_users_are_taken_and_texts_of_the_old_picture_left_out(self, caplog):
        (job,) = make_jobs(of_a_person(), ["1.image=me.png", "Point Prompt.points=[]"], [])
        assert job.graph["3"]["inputs"]["points"] == "[]"
        assert job.graph["4"]["inputs"]["text"] == "" and "--text TEXT" in caplog.text
        assert job.graph["5"]["inputs"]["text"] == "best quality"
        assert job.graph["6"]["inputs"]["text"] == "a hand"

    def test_a_text_of_the_users_is_taken(self, caplog):
        words = ["1.image=me.png", "3.points=", "4.text=a small man"]
        (job,) = make_jobs(of_a_person(), words, [])
        assert job.graph["4"]["inputs"]["text"] == "a small man" and not caplog.text

    @pytest.mark.parametrize(
        "name", ["phac_native_sd15", "phac_native_sdxl", "phac_native_one_pass", "refine_anything"]
    )
    def test_no_stock_text_speaks_of_the_old_picture(self, name, caplog):
        shipped = load_graph(find_workflow(name))
        loader = next(key for key, node in shipped.items() if node["class_type"] == "LoadImage")
        own = [f"{key}.points=" for key in point_prompts(shipped)]
        (job,) = make_jobs(shipped, [f"{loader}.image=me.png", *own], [])
        assert {job.graph[key]["inputs"]["text"] for key in text_nodes(shipped)} == {""}
        assert "--text TEXT" in caplog.text

    def test_each_picture_has_the_points_of_its_name(self, tmp_path):
        pictures, points = tmp_path / "pictures", tmp_path / "points"
        pictures.mkdir(), points.mkdir()
        for name in ("a", "b"):
            (pictures / f"{name}.png").touch()
            (points / f"{name}.json").write_text(json.dumps({"positive": [[ord(name), 1]]}))
        graph = {key: node for key, node in of_a_person("mine.png").items() if key in "134"}
        one, two = make_jobs(graph, [], [pictures], points=points)
        assert [job.graph["3"]["inputs"]["points"] for job in (one, two)] == [
            '{"positive": [[97, 1]]}', '{"positive": [[98, 1]]}',
        ]  # fmt: skip
        said, _ = make_jobs(graph, ["3.points="], [pictures], points=points)
        assert said.graph["3"]["inputs"]["points"] == ""
        with pytest.raises(GraphError, match="goes with pictures"):
            make_jobs(graph, [], [], points=points)
        (points / "b.json").unlink()
        with pytest.raises(FileNotFoundError, match=r"there is no b.json for b.png"):
            make_jobs(graph, [], [pictures], points=points)

    def test_texts_of_the_users_own_workflow_stay(self):
        (job,) = make_jobs(of_a_person("mine.png"), ["1.image=me.png", "3.points="], [])
        assert job.graph["4"]["inputs"]["text"] == "a tall man"

    def test_the_picture_the_workflow_was_made_for_needs_nothing(self, tmp_path):
        (job,) = make_jobs(of_a_person("mine.png"), ["1.image=elsewhere/mine.png [input]"], [])
        assert job.graph["3"]["inputs"]["points"] == POINTS
        (tmp_path / "mine.png").touch()
        one_loader = {key: node for key, node in of_a_person("mine.png").items() if key in "134"}
        (job,) = make_jobs(one_loader, [], [tmp_path / "mine.png"])
        assert job.graph["4"]["inputs"]["text"] == "a tall man"
        (tmp_path / "mine2.png").touch()
        with pytest.raises(GraphError, match="not on mine2.png"):
            make_jobs(one_loader, [], [tmp_path])


def test_hidden_files_and_unknown_formats_are_passed_over_and_said(tmp_path, caplog):
    for name in ("b.png", "a.JPG", ".hidden.png", "._a.jpg", "notes.txt", "c.heic", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    jobs = make_jobs(graph, [], [tmp_path])
    assert [job.name for job in jobs] == ["a", "b"]
    assert "passed over ._a.jpg, .hidden.png, Thumbs.db, c.heic, notes.txt: hidden" in caplog.text


@pytest.mark.parametrize(
    "name", ["x" * 300, "x" * 300 + ".png", "x" * 5000, "a\0b.png", "folder/" + "y" * 300]
)
def test_a_name_that_no_file_can_have_stays_as_it_is(name):
    (job,) = make_jobs({"1": {"class_type": "LoadImage", "inputs": {"image": name}}}, [], [])
    assert job.graph["1"]["inputs"]["image"] == name and list(jobs.local_images(job)) == []


def test_a_folder_of_many_other_files_is_read_in_one_go(tmp_path, monkeypatch):
    for name in ("a.png", "b.txt"):
        (tmp_path / name).touch()
    compared = []
    monkeypatch.setattr(
        type(tmp_path), "__eq__", lambda one, other: compared.append(1) or str(one) == str(other)
    )
    monkeypatch.setattr(type(tmp_path), "__hash__", lambda one: hash(str(one)))
    for number in range(40):
        (tmp_path / f"{number}.txt").touch()
        (tmp_path / f"{number}.png").touch()
    jobs._pictures_in(tmp_path)
    assert len(compared) < 200


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (["A", "a"], ["A", "a-2"]),
        (["a", "A-2", "A"], ["a", "A-2", "A-3"]),
        (["Stra\u00dfe", "strasse"], ["Stra\u00dfe", "strasse-2"]),
        (["caf\u00e9", "cafe\u0301"], ["caf\u00e9", "cafe\u0301-2"]),
    ],
)
def test_folders_of_jobs_meet_on_no_file_system(tmp_path, stems, names):
    pictures = [tmp_path / str(number) / f"{stem}.png" for number, stem in enumerate(stems)]
    for path in pictures:
        path.parent.mkdir()
        path.touch()
    assert [job.name for job in make_jobs(graph(), [], pictures)] == names
