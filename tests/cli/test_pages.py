"""Pages of docs/ that are made from the code."""

import re

import pytest
from figura import NODE_CLASS_MAPPINGS
from figura.cli import pages
from figura.models import store


@pytest.mark.parametrize("name, text", [("nodes", pages.nodes_page), ("models", pages.models_page)])
def test_the_page_is_up_to_date(name, text):
    assert (pages.DOCS / f"{name}.md").read_text(encoding="utf-8") == text()


def test_every_node_has_a_section_and_every_node_that_makes_a_picture_shows_one():
    page = pages.nodes_page()
    assert set(re.findall(r"web/docs/(\w+)\.md", page)) == set(NODE_CLASS_MAPPINGS)
    shown = set(re.findall(r"\(nodes/(\w+)\.jpg\)", page))
    assert shown == {name for name in NODE_CLASS_MAPPINGS if "Load" not in name}


def test_every_known_file_is_listed_with_its_page():
    page = pages.models_page()
    assert all(f"`{file.name}`" in page and file.page in page for file in store.known_files())
