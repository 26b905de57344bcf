"""Every command that README and docs show is understood, and those that are quick are run."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from figura.cli import main as cli
from figura.headless.graph import load_graph
from figura.headless.runner import all_node_classes
from figura.headless.settings import apply_setting
from figura.headless.shipped import find_workflow, workflow_names
from figura.training.data import command as data_command
from figura.training.run.command import add_train_arguments

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("[A-Z]*.md")), *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LOOP = re.compile(r"for (\w+) in ([^;]+);")
TRAIN = "figura.training.run.command"
ENDS = ("&&", "||", "|", ";", ">", "done")
QUICK = (["models", "list"], ["models", "verify"])


def shown_commands(text: str) -> Iterator[list[str]]:
    """The words behind `figura` of every command in the shell blocks of a page."""
    for block in BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        values = {name: words.split()[0] for name, words in LOOP.findall(block)}
        for line in lines:
            for name, value in values.items():
                line = line.replace(f"${name}", value)
            yield from _commands_of(shlex.split(line.removeprefix("$ "), comments=True))


def _commands_of(words: list[str]) -> Iterator[list[str]]:
    for index, word in enumerate(words):
        first = index == 0 or words[index - 1] in (*ENDS, "do", "-m")
        if (word == "figura" and first) or word.endswith("bin/figura") or word == TRAIN:
            rest = words[index + 1 :]
            end = next((place for place, other in enumerate(rest) if other in ENDS), len(rest))
            given = [other.rstrip(";") for other in rest[:end]]
            yield ["train", *given] if word == TRAIN else given


COMMANDS = sorted({tuple(words) for page in set(PAGES) for words in shown_commands(page.read_text("utf-8"))})
each_command = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])


@each_command
def test_it_is_understood(words, capsys):
    parser = cli.build_parser()
    if words[0] == "train":
        parser = argparse.ArgumentParser(prog="figura train")
        add_train_arguments(parser)
        words = words[1:]
    elif words[0] == "data":
        parser, words = data_command.build_parser(), words[1:]
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, capsys.readouterr().err
        return
    for setting in getattr(args, "settings", []):
        apply_setting(load_graph(find_workflow(args.workflow)), setting, all_node_classes())
    if hasattr(args, "workflow") and "." not in args.workflow:
        assert args.workflow in workflow_names()


@pytest.mark.parametrize("words", [words for words in COMMANDS if list(words[:2]) in QUICK])
def test_a_quick_one_runs(words):
    assert cli.main(list(words)) == 0


READ_IN_COMFYUI = [
    *sorted((ROOT / "web" / "docs").glob("*.md")),
    *sorted((ROOT / "locales").rglob("*.json")),
    *sorted((ROOT / "workflows").glob("*.json")),
    *sorted((ROOT / "subgraphs").glob("*.json")),
    ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml",
]
IN_PROSE = re.compile(r"`(?P<before>(?:\S+ )?)figura (?:demo|run|train|data|eval|bench|check|models)\b")
OWN_PAGES = {"cli.md", "training.md", "parity.md"}
"""The page that says how commands are typed, that of those who train, and one that a command writes."""


@pytest.mark.parametrize("page", READ_IN_COMFYUI, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_comfyui_shows_names_commands_as_they_are_typed_there(page):
    """`figura` alone is no command there; and the folder that `python figura` works in is named."""
    text = page.read_text(encoding="utf-8")
    found = [match["before"] for match in IN_PROSE.finditer(text)]
    assert set(found) <= {"python "}
    assert not found or "`custom_nodes`" in text and "ComfyUI's Python" in text


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_other_pages_that_name_commands_lead_to_how_they_are_typed(page):
    text = page.read_text(encoding="utf-8")
    if page.name not in OWN_PAGES and IN_PROSE.search(text):
        assert "(cli.md)" in text


def test_commands_are_found():
    page = """
```sh
# figura no --command
.venv/bin/figura demo --output output    # why
for recipe in phac hands; do
    figura train $recipe --data data; done
figura run x --set "A B.points=$(cat p.json)" \\
    --output out && python -m figura models list > list.txt
accelerate launch -m figura.training.run.command phac --data data
git clone https://example.org/figura
```
`figura inline`
"""
    assert list(shown_commands(page)) == [
        ["demo", "--output", "output"],
        ["train", "phac", "--data", "data"],
        ["run", "x", "--set", "A B.points=$(cat p.json)", "--output", "out"],
        ["models", "list"],
        ["train", "phac", "--data", "data"],
    ]
    assert len(COMMANDS) > 9
