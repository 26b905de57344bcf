"""CFLD's workflows: they can be built, and run on random weights where they need no ComfyUI."""

from __future__ import annotations

from pathlib import Path

import pytest
from figura.headless.graph import validate
from figura.headless.runner import all_node_classes
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.nodes import cfld as cfld_nodes
from figura.tests.models.cfld import tiny
from figura.tests.workflows.one_step import assert_changes_inside, images_of_random_weights
from figura.workflows import cfld
from figura.workflows.flow import Flow, Node
from figura.workflows.forms import api_form

CLASSES = all_node_classes()
SHOWN = {
    cfld.cfld_repose: {"Source", "Pose", "Save person", "Truth"},
    cfld.cfld_interpolate: {"First", "Second", "Save 25 %", "Save 50 %", "Save 75 %"},
    cfld.cfld_edit: {"Reference, before", "Source, worn", "Mask", "Save person", "What changed"},
}  # fmt: skip
each_flow = pytest.mark.parametrize(
    "describe", [*SHOWN, cfld.cfld_native], ids=lambda describe: describe.__name__
)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_mini_family(tmp_path_factory.mktemp("mini"))


def only(flow: Flow, class_type: str) -> Node:
    (node,) = [node for node in flow.nodes if node.class_type == class_type]
    return node


@each_flow
def test_the_api_form_is_valid_also_where_a_file_is_missing(describe, tmp_path: Path) -> None:
    with use_host(PlainHost(models_dir=tmp_path)):
        assert validate(api_form(describe(CLASSES)), CLASSES)


@pytest.mark.parametrize("describe", SHOWN, ids=lambda describe: describe.__name__)
def test_it_runs_on_random_weights(describe, family: Path, tmp_path: Path) -> None:
    images = images_of_random_weights(describe, family, tmp_path, SHOWN[describe])
    if "Mask" in images:
        assert_changes_inside(images["Mask"], images["Reference, before"], images["Save person"])
    if "Save 25 %" in images:
        assert (images["Save 25 %"] != images["Save 75 %"]).any()


def test_the_reposed_person_has_the_truths_pose() -> None:
    flow = cfld.cfld_repose(CLASSES)
    graph = {node["_meta"]["title"]: node["inputs"] for node in api_form(flow).values()}
    example = only(flow, "FiguraExamplePerson")
    outputs = list(example.node_class.RETURN_NAMES)
    pose, truth = (outputs.index(name) for name in ("other_pose_keypoint", "other_pose"))
    assert graph["CFLD Sampler (Figura)"]["pose_keypoint"] == [str(example.id), pose]
    assert graph["Truth"]["images"] == [str(example.id), truth]


def test_only_the_mix_differs_between_the_samplers() -> None:
    flow = cfld.cfld_interpolate(CLASSES)
    samplers = [node.values for node in flow.nodes if node.class_type == "FiguraCFLDSampler"]
    assert [values["mix"] for values in samplers] == list(cfld.MIXES)
    assert all({**values, "mix": 0} == {**samplers[0], "mix": 0} for values in samplers)


def test_the_native_graph_feeds_the_stock_sampler_as_the_help_page_says() -> None:
    flow = cfld.cfld_native(CLASSES)
    sampler, applied = only(flow, "KSampler"), only(flow, "FiguraApplyCFLD")
    for name in ("model", "positive", "negative"):
        assert sampler.values[name] == applied[name]
    assert sampler.values["cfg"] == 2 and applied.values["mix"] == cfld_nodes.NO_MIX
    latent, shaped = only(flow, "EmptyLatentImage"), only(flow, "ImageScale")
    assert latent.values["width"] == latent.values["height"] == 512
    assert shaped.values["width"] * 16 == shaped.values["height"] * 11
