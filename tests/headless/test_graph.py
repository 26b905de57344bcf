"""Validation of whole graphs before anything runs."""

import json

import pytest
from figura.headless.graph import (
    GraphError,
    check_shape,
    execution_order,
    load_graph,
    needs,
    types_match,
    validate,
)
from figura.headless.runner import all_node_classes
from figura.headless.stock_nodes import STOCK_NODES
from hypothesis import given
from hypothesis import strategies as st


class Picky:
    RETURN_TYPES = ("IMAGE", "FLOAT")
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "count": ("INT", {"min": 1, "max": 9}),
                "mode": (["a", "b"],),
                "style": ("COMBO", {"options": ["x", "y"]}),
            },
            "optional": {"mask": ("MASK",), "amount": ("FLOAT", {"min": 0.0}), "text": ("STRING", {})},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, text=""):
        return True if text != "bad" else "text must be good"


class TakesAll:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"count": ("INT", {"min": 1, "max": 9})}}

    @classmethod
    def VALIDATE_INPUTS(cls, **inputs):
        return True


CLASSES = {**STOCK_NODES, "Picky": Picky, "TakesAll": TakesAll}
GOOD = {"count": 3, "mode": "a", "style": "x"}
SOLID = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 4, "height": 4}}


def picky(**inputs):
    return {"1": {"class_type": "Picky", "inputs": {**GOOD, **inputs}}, "2": dict(SOLID)}


def problems(graph):
    with pytest.raises(GraphError) as caught:
        validate(check_shape(graph), CLASSES)
    return str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"count": 10}, "input 'count': got 10, but 1 to 9 is accepted"),
        ({"count": 0}, "input 'count': got 0, but 1 to 9 is accepted"),
        ({"count": "many"}, "input 'count': got 'many', but a INT is accepted"),
        ({"count": None}, "input 'count': got None"),
        ({"mode": "c"}, "input 'mode': got 'c', but one of 'a', 'b' is accepted"),
        ({"style": "z"}, "input 'style': got 'z', but one of 'x', 'y' is accepted"),
        ({"amount": float("nan")}, "input 'amount': got nan, but a finite number"),
        ({"amount": -1}, "input 'amount': got -1.0, but at least 0.0 is accepted"),
        ({"mask": ["2", 1]}, "input 'mask': is linked to output 1 of node 2 (SolidMask), which has 1"),
        ({"mask": ["9", 0]}, "input 'mask': is linked to node 9, which is not in the graph"),
        ({"mask": ["2"]}, "input 'mask': got the list ['2']"),
        (
            {"count": ["2", 0]},
            "input 'count': is linked to a MASK of node 2 (SolidMask), but a INT is accepted",
        ),
        ({"text": "bad"}, "node 1 (Picky), input 'text': text must be good"),
    ],
)
def test_every_problem_names_node_and_input(inputs, said):
    assert said in problems(picky(**inputs))


def test_all_problems_are_told_at_once():
    assert len(problems(picky(count=99, mode="c", style="z")).splitlines()) == 3


def test_a_missing_required_input_is_told_even_when_it_has_a_default():
    assert "input 'mask': is missing, a MASK is required" in problems(
        {"1": {"class_type": "MaskPreview", "inputs": {}}}
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LoadImige", "LoadImage"), ("LoadImges", "LoadImage"), ("FiguraPointPromt", "FiguraPointPrompt"),
        ("figuraPHACSamplr", "FiguraPHACSampler"),
    ],
)  # fmt: skip
def test_a_mistyped_node_type_suggests_the_nearest_name(name, meant):
    with pytest.raises(GraphError, match=f"unknown node type: did you mean {meant}[?] .* --server URL"):
        validate(check_shape({"1": {"class_type": name, "inputs": {}}}), all_node_classes())


@pytest.mark.parametrize(
    "name",
    [
        "KSamplerAdvanced", "ImageScaleBy", "PrimitiveFloat", "PrimitiveString", "LoadImageOutput",
        "CheckpointLoader", "ControlNetApply", "VAEEncodeForInpaint", "SaveImageWebsocket", "MaskComposite",
        "VAEDecodeTiled", "EmptySD3LatentImage", "ImageCrop", "LatentComposite", "ImageBlend", "LoadLatent",
        "SaveLatent", "PreviewAny", "PreviewAudio", "LoadAudio", "SaveAudio", "SaveVideo", "LoadVideo",
        "CropMask", "GrowMask", "FeatherMask", "ImageBlur", "ImageBatch", "VAELoader", "CLIPLoader",
        "UNETLoader", "LoraLoader",
    ],
)  # fmt: skip
def test_a_node_that_only_comfyui_has_is_not_taken_for_another(name):
    with pytest.raises(GraphError) as caught:
        validate(check_shape({"1": {"class_type": name, "inputs": {}}}), all_node_classes())
    assert "did you mean" not in str(caught.value) and "--server URL" in str(caught.value)


def test_a_cycle_is_named():
    graph = {
        "1": {"class_type": "InvertMask", "inputs": {"mask": ["2", 0]}},
        "2": {"class_type": "InvertMask", "inputs": {"mask": ["1", 0]}},
        "3": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}},
    }
    assert "form a cycle: 1 <- 2 <- 1" in problems(graph)


def test_a_graph_without_output_node_is_refused():
    assert "no output node" in problems({"1": dict(SOLID)})


def test_range_checks_are_off_for_inputs_the_node_checks_itself():
    assert validate({"1": {"class_type": "TakesAll", "inputs": {"count": 99}}}, CLASSES) == ["1"]


def test_constants_become_their_declared_type():
    graph = check_shape(picky(count="4", amount=1, text=7))
    validate(graph, CLASSES)
    assert graph["1"]["inputs"] == {**GOOD, "count": 4, "amount": 1.0, "text": "7"}


def test_nodes_that_no_output_needs_are_not_checked():
    graph = picky()
    graph["2"] = {"class_type": "SolidMask", "inputs": {}}
    assert validate(check_shape(graph), CLASSES) == ["1"]


def test_the_callers_graph_is_not_changed():
    graph = picky(count="4")
    before = json.dumps(graph)
    validate(check_shape(graph), CLASSES)
    assert json.dumps(graph) == before


def test_a_ui_workflow_is_recognised(tmp_path):
    path = tmp_path / "ui.json"
    path.write_text('{"nodes": [], "links": []}')
    with pytest.raises(GraphError, match="UI's format"):
        load_graph(path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "3", '{"1": 4}', '{"1": {"class_type": "A", "inputs": []}}']
)
def test_files_that_are_no_graph_are_refused(tmp_path, text):
    path = tmp_path / "graph.json"
    path.write_text(text)
    with pytest.raises(GraphError):
        load_graph(path)


@pytest.mark.parametrize(
    ("given_type", "wanted", "match"),
    [
        ("IMAGE", "IMAGE", True),
        ("IMAGE", "MASK", False),
        ("*", "MASK", True),
        ("IMAGE", "*", True),
        ("IMAGE,MASK", "MASK,LATENT", True),
        (["a"], "COMBO", True),
        ("COMBO", ["a"], True),
        ("STRING", ["a"], False),
    ],
)
def test_types_match_as_in_comfyui(given_type, wanted, match):
    assert types_match(given_type, wanted) is match


def test_a_long_chain_needs_no_recursion():
    graph = {"0": dict(SOLID)}
    for index in range(1, 3000):
        graph[str(index)] = {"class_type": "InvertMask", "inputs": {"mask": [str(index - 1), 0]}}
    assert execution_order(graph, ["2999"])[-1] == "2999"


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_order_puts_sources_first_or_reports_a_cycle(edges):
    graph = {str(node): {"class_type": "N", "inputs": {}} for node in range(8)}
    for target, source in edges:
        graph[str(target)]["inputs"][f"from_{source}"] = [str(source), 0]
    try:
        order = execution_order(graph, list(graph))
    except GraphError as error:
        assert "cycle" in str(error)
        return
    assert sorted(order) == sorted(graph)
    assert all(order.index(str(source)) < order.index(str(target)) for target, source in edges)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["count", "mode", "style", "mask", "amount", "text"]), JSON_VALUES))
def test_any_values_either_validate_or_give_a_graph_error(inputs):
    try:
        validate(check_shape({"1": {"class_type": "Picky", "inputs": inputs}}), CLASSES)
    except GraphError as error:
        assert all(problem.node_id == "1" for problem in error.problems)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "as a server takes it"])
def test_prompts_as_other_programs_write_them_are_read(tmp_path, mark, wrapped):
    graph = {"1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}}}
    text = json.dumps({"prompt": graph, "client_id": "me"} if wrapped else graph)
    (tmp_path / "g.json").write_text(mark + text, encoding="utf-8")
    assert load_graph(tmp_path / "g.json") == graph


@pytest.mark.parametrize(
    "wrap",
    [
        lambda graph: {"prompt": json.dumps(graph), "workflow": "{}"},
        lambda graph: {"output": graph, "workflow": {"nodes": []}},
        lambda graph: {"prompt": [3, "id", graph, {}, ["1"]], "outputs": {}},
    ],
)
def test_prompts_of_pictures_pages_and_histories_are_read(wrap):
    graph = {"1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}}}
    assert check_shape(wrap(graph)) == graph


@pytest.mark.parametrize("name", ["prompt", "output"])
def test_a_node_may_be_called_prompt(name):
    graph = {name: {"class_type": "SaveImage", "inputs": {}}}
    assert check_shape(graph) == graph


@pytest.mark.parametrize("prompt", ["no JSON", [1, 2], [1, 2, 3], 7])
def test_what_is_no_graph_in_a_prompt_is_refused(prompt):
    with pytest.raises(GraphError, match="node prompt: has no class_type"):
        check_shape({"prompt": prompt})


def test_what_a_node_needs_is_found_through_others_and_circles():
    graph = {
        "1": {"class_type": "A", "inputs": {"x": ["2", 0]}},
        "2": {"class_type": "A", "inputs": {"x": ["3", 0], "y": ["9", 0]}},
        "3": {"class_type": "A", "inputs": {"x": ["1", 0]}},
        "4": {"class_type": "A", "inputs": {"x": 3}},
    }
    assert needs(graph, "1") == {"1", "2", "3"} and needs(graph, "4") == {"4"}
