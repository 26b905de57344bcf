"""A file of ours that a saved graph names and that is not here: ComfyUI's page offers it for download."""

import pytest
from figura.models import store
from figura.tests.browser.conftest import RENDERERS, page_job, run_script

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]
LIMIT_S = 900
FILE = "sam_vit_b_01ec64.pth"


@pytest.mark.parametrize("renderer", list(RENDERERS))
def test_a_missing_file_is_listed_with_a_button_that_fetches_it(comfyui, renderer: str) -> None:
    job = page_job(comfyui, renderer, "missing") | {
        "type": "FiguraLoadSAM",
        "field": "sam_name",
        "file": FILE,
    }
    seen = run_script("missing.mjs", job, LIMIT_S)
    (saved,) = seen["saved"]
    known = store.known_file(FILE)
    assert (saved["name"], saved["directory"], saved["hash"]) == (FILE, known.folder, known.sha256)
    if not seen["tells"]:
        pytest.skip("this front end says nothing of missing models in a graph that a script loads")
    assert seen["listed"] and any("Download" in text for text in seen["buttons"])
    assert seen["asked"] == [saved["url"]]
