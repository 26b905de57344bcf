"""A real photograph goes through phac_photo at its own size."""

from figura.workflows.photograph import run_photograph

STAGES = ("Prompt", "Visible mask", "Coarse person", "Invisible mask", "Save picture", "What changed")


def test_every_stage_runs_and_only_pixels_inside_the_mask_change(tmp_path):
    run = run_photograph(tmp_path)
    assert all(run.files[stage].is_file() for stage in STAGES)
    changed = (run.result != run.photograph).any(axis=2)
    assert run.result.shape == run.photograph.shape
    assert changed.any() and not (changed & ~run.changed_mask).any()
    assert run.changed_mask.mean() < 0.5
