"""Workflows by name."""

import pytest
from figura.headless.graph import load_graph
from figura.headless.shipped import find_workflow, workflow_names


@pytest.mark.parametrize("name", workflow_names())
def test_every_shipped_workflow_is_found_by_its_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_graph(find_workflow(name))


def test_a_file_goes_before_a_shipped_workflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phac_photo").write_text("{}")
    assert find_workflow("phac_photo").read_text() == "{}"


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(FileNotFoundError) as caught:
        find_workflow("phac_poze")
    assert "did you mean phac_pose? " in str(caught.value)
    assert all(name in str(caught.value) for name in workflow_names())
