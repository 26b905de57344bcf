"""Every row of docs/files.md: what loads computes the same, what does not is named."""

from pathlib import Path

import pytest
from figura.tests.models.diffusion import file_kinds, full_size
from figura.tests.models.diffusion.file_kinds import KINDS, LOADED, NO_TENSORS, REFUSED, forms_of

CASES = [(kind, form) for kind in KINDS for form in forms_of(kind)]
PAGE = Path(file_kinds.__file__).parents[3] / "docs" / "files.md"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return full_size.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize(("kind", "form"), CASES, ids=[f"{kind.name}-{form}" for kind, form in CASES])
def test_a_kind_of_file_does_what_its_row_says(kind, form, tmp_path, tokenizer):
    row = file_kinds.try_kind(kind, form, tmp_path, tokenizer)
    if kind.says:
        assert row.result == REFUSED and kind.says in row.sentence and "file.safetensors" in row.sentence
    else:
        assert row.result == LOADED, row.sentence
        assert row.difference is None or row.difference <= 1e-5


@pytest.mark.parametrize("name", NO_TENSORS)
def test_what_holds_no_tensors_is_named(name, tmp_path, tokenizer):
    row = file_kinds.try_no_tensors(name, tmp_path, tokenizer)
    assert row.result == REFUSED and NO_TENSORS[name][1] in row.sentence


def test_the_page_shows_every_kind():
    text = PAGE.read_text(encoding="utf-8")
    for name in [kind.name for kind in KINDS] + list(NO_TENSORS):
        assert f"| {name} |" in text, f"write the page again: {file_kinds.HEAD.splitlines()[-1]}"
