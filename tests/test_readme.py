"""What the README promises is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = sorted({link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link})


@pytest.mark.parametrize("link", LINKS)
def test_every_linked_file_exists(link):
    assert (ROOT / link).is_file()


def test_every_workflow_is_listed():
    names = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    assert names == set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_recipe_is_in_the_training_section():
    from figura.training.recipes import recipe_names

    looped = " ".join(re.findall(r"for recipe in ([\w ]+);", README)).split()
    alone = re.findall(r"figura train (\w+)", README)
    data = {"data", "hands_data", "pairs_data", "coarse_outputs"}
    # For the comparison alone; the comment beside the loop names it.
    assert {*looped, *alone, "hands_without_mask"} == {*recipe_names(), *data}
