"""What README, docs/ and the other pages for people promise is there."""

import re
from pathlib import Path

import pytest
from figura.workflows import all_flows

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "web" / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_BYTES = 6 * 1024


def links_of(page: Path) -> list[str]:
    """Targets of a page's links to files."""
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link and not link.startswith("/")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_linked_file_exists(page):
    missing = [link for link in links_of(page) if not (page.parent / link).is_file()]
    assert missing == []


def test_the_readme_is_short():
    assert len(README.encode()) <= MOST_BYTES


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        todo += [page.parent / link for link in links_of(page)]
    assert {path.resolve() for path in (ROOT / "docs").rglob("*.md")} <= reached


def test_every_workflow_is_listed_with_its_title():
    listed = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", listed, re.MULTILINE))
    assert found == {flow.name: flow.title for flow in all_flows()}


def test_every_template_that_the_readme_names_exists():
    named = set(re.findall(r"[Oo]pen (?:the template )?\*\*([^*]+)\*\*", README))
    assert len(named) > 1 and named <= {flow.title for flow in all_flows()}


def test_the_readme_and_the_page_of_photographs_name_templates_by_their_titles():
    pages = README + (ROOT / "docs" / "photos.md").read_text(encoding="utf-8")
    cells = re.findall(r"\| (\*[A-Z][^|`]+\*) \|", pages)
    named = {title for cell in cells for title in re.findall(r"\*([^*]+)\*", cell)}
    assert len(named) > 9 and named <= {flow.title for flow in all_flows()}
    assert re.findall(r"`((?:phac|hands|mask|humansd|cfld|pocold)_\w+)`", pages) == []


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_recipe_is_on_the_page_about_training():
    from figura.training.recipes import recipe_names
    from figura.training.run.command import DATA_STEPS

    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", page))
    assert {*recipe_names(), *DATA_STEPS} <= named
