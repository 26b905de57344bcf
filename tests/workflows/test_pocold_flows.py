"""PoCoLD's workflows: they can be built, and run on random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from figura.headless.runner import all_node_classes
from figura.tests.models.pocold import tiny
from figura.tests.workflows.one_step import assert_changes_inside, images_of_random_weights
from figura.workflows import pocold

CLASSES = all_node_classes()
SHOWN = {
    pocold.pocold_repose: {"Source", "Labels", "Attention", "Save person", "Truth", "Difference"},
    pocold.pocold_pose_only: {"Pose", "Labels", "Save person"},
    pocold.pocold_appearance_transfer: {
        "Source, worn", "Reference, before", "Labels", "Mask", "Save person", "Attention", "What changed",
    },
}  # fmt: skip
each_flow = pytest.mark.parametrize("describe", SHOWN, ids=lambda describe: describe.__name__)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_mini_family(tmp_path_factory.mktemp("mini"))


@each_flow
def test_it_runs_on_random_weights(describe, family: Path, tmp_path: Path) -> None:
    images = images_of_random_weights(describe, family, tmp_path, SHOWN[describe])
    if "Mask" in images:
        assert_changes_inside(images["Mask"], images["Reference, before"], images["Save person"])


def test_the_reposed_person_has_the_truths_pose() -> None:
    flow = pocold.pocold_repose(CLASSES)
    (sampler,) = [node for node in flow.nodes if node.class_type == "FiguraPoCoLDSampler"]
    (compared,) = [node for node in flow.nodes if node.class_type == "FiguraCompare"]
    example = sampler.values["source"].node
    assert sampler.values["target_densepose"] == example["other_densepose"]
    assert compared.values["image_b"] == example["other_pose"]
