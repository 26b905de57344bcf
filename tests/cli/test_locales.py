"""The nodes' texts: English is what the classes say, other languages say all of it, help pages are there."""

import inspect
import json
from pathlib import Path

import pytest
from figura.cli import locales
from figura.headless.graph import input_specs
from figura.nodes import NODE_CLASS_MAPPINGS

ROOT = Path(__file__).resolve().parents[2]

OTHERS = ("zh",)
HELP_SECTIONS = ("## Inputs", "## Outputs", "## Typical wiring", "## Limits")
every_node = pytest.mark.parametrize("node_id", sorted(NODE_CLASS_MAPPINGS))


def texts(language: str, name: str) -> dict:
    return json.loads((locales.LOCALES / language / name).read_text(encoding="utf-8"))


def test_english_and_the_lists_of_the_help_pages_are_what_the_node_classes_say():
    for path, text in locales.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m figura.cli.locales"


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("name", ["nodeDefs.json", "main.json"])
def test_other_languages_are_complete(language, name):
    assert locales.gaps(texts("en", name), texts(language, name)) == []


@pytest.mark.parametrize("language", OTHERS)
def test_texts_with_examples_keep_them(language):
    """JSON keys and file names must not be translated."""
    english, other = json.dumps(texts("en", "nodeDefs.json")), json.dumps(texts(language, "nodeDefs.json"))
    for word in ("right_knee", "roi_box", "controlnet-aux", "sam_vit_b", "models/checkpoints", "10000000"):
        assert (word in english) == (word in other), word


@pytest.mark.parametrize("path", sorted(locales.LOCALES.rglob("*.json")), ids=lambda path: path.parent.name)
def test_files_have_no_byte_order_mark(path):
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf")


def test_gaps_are_found():
    reference = {"a": {"name": "x"}, "b": "y"}
    assert locales.gaps(reference, reference) == []
    assert locales.gaps(reference, {"a": {"name": " "}, "c": "z"}) == [
        "/b: missing", "/c: not in the English texts", "/a/name: no text",
    ]  # fmt: skip


@every_node
def test_every_input_and_output_is_explained(node_id):
    node_class = NODE_CLASS_MAPPINGS[node_id]
    assert node_class.DESCRIPTION.strip().endswith((".", ")"))
    assert len(node_class.OUTPUT_TOOLTIPS) == len(node_class.RETURN_NAMES) == len(node_class.RETURN_TYPES)
    assert all(spec.options.get("tooltip", "").strip() for spec in input_specs(node_class).values())
    assert node_class.CATEGORY.startswith("Figura/")
    assert node_class.FUNCTION in dict(inspect.getmembers(node_class))


@every_node
def test_every_node_has_a_help_page(node_id):
    page = (locales.HELP / f"{node_id}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    places = [page.index(f"{heading}\n") for heading in HELP_SECTIONS]
    assert places == sorted(places)


def test_a_help_page_without_headings_is_refused():
    with pytest.raises(ValueError, match="## Inputs"):
        locales.help_page("# Title", NODE_CLASS_MAPPINGS["FiguraStitch"])


def test_there_is_no_help_page_of_a_node_that_does_not_exist():
    assert {path.stem for path in locales.HELP.glob("*.md")} == set(NODE_CLASS_MAPPINGS)


TEXT_FILES = sorted((ROOT / "locales").glob("*/*.json"))


@pytest.mark.parametrize("path", TEXT_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_text_holds_what_the_page_takes_for_a_placeholder(path):
    """vue-i18n reads braces, @ and | as syntax, and such a text hides the whole node in Nodes 2.0."""

    def texts(value):
        if not isinstance(value, dict):
            return [value]
        return [text for part in value.values() for text in texts(part)]

    assert [text for text in texts(json.loads(path.read_text("utf-8"))) if set(text) & set("{}@|")] == []
