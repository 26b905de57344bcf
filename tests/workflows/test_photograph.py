"""A real photograph goes through phac_photo at its own size."""

import pytest
from figura.workflows.photo import ROI_BOX
from figura.workflows.photograph import PhotoRun, run_photograph

STAGES = ("Prompt", "Visible mask", "Coarse person", "Invisible mask", "Save picture", "What changed")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> PhotoRun:
    return run_photograph(tmp_path_factory.mktemp("photograph"))


def test_every_stage_runs_and_only_pixels_inside_the_mask_change(run):
    assert all(run.files[stage].is_file() for stage in STAGES)
    changed = (run.result != run.photograph).any(axis=2)
    assert run.result.shape == run.photograph.shape
    assert changed.any() and not (changed & ~run.changed_mask).any()
    assert run.changed_mask.mean() < 0.5


def test_a_good_part_of_what_the_board_hides_is_drawn(run):
    x0, y0, x1, y1 = ROI_BOX
    assert run.changed_mask[y0:y1, x0:x1].mean() > 0.25
