"""--set, --points and --text."""

import pytest
from figura.headless.graph import GraphError, load_graph
from figura.headless.settings import apply_setting, same_everywhere, text_nodes, title_of
from figura.headless.shipped import find_workflow, workflow_names


class Sampler:
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "seed": ("INT", {}), "cfg": ("FLOAT", {}), "text": ("STRING", {}), "model": ("MODEL",),
                "fast": ("BOOLEAN", {}), "method": (["a", "b"],), "level": ([1, 2],),
            },
            "optional": {"points": ("STRING", {})},
        }  # fmt: skip


CLASSES = {"KSampler": Sampler}


def graph():
    return {
        "3": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Photo v1.0"}},
        "7": {
            "class_type": "KSampler", "inputs": {"seed": 0, "text": ["3", 0], "model": ["3", 0]},
            "_meta": {"title": "My Sampler (Figura)"},
        },
        "8": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "out"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": ["7", 0]}},
        "10": {
            "class_type": "Unknown",
            "inputs": {"a_text": "7", "a_number": 7, "a_switch": True, "a_link": ["3", 0]},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "node", "name", "value"),
    [
        ("7.seed=42", "7", "seed", 42),
        ("7.cfg=2", "7", "cfg", 2.0),
        ("7.fast=False", "7", "fast", False),
        ("7.method=b", "7", "method", "b"),
        ("7.level=2", "7", "level", 2),
        ('7.model=["3", 0]', "7", "model", ["3", 0]),
        ("KSampler.text=a = b.c", "7", "text", "a = b.c"),
        ("My Sampler (Figura).seed=1", "7", "seed", 1),
        ("my sampler.seed=1", "7", "seed", 1),
        ('My Sampler.points={"people": [{"x": 1.5}]}', "7", "points", '{"people": [{"x": 1.5}]}'),
        ("7.text=true", "7", "text", "true"),
        ("7.text=", "7", "text", ""),
        ('7.text="7"', "7", "text", '"7"'),
        ("Photo v1.0.image=y.png", "3", "image", "y.png"),
        ("10.a_text=42", "10", "a_text", "42"),
        ("10.a_number=42", "10", "a_number", 42),
        ("10.a_number=4.5", "10", "a_number", 4.5),
        ("10.a_switch=False", "10", "a_switch", False),
        ("10.a_switch=off", "10", "a_switch", False),
        ("10.a_switch=1", "10", "a_switch", True),
        ('10.a_switch=["3", 0]', "10", "a_switch", ["3", 0]),
        ("10.a_link=False", "10", "a_link", False),
        ("10.a_link=7", "10", "a_link", 7),
    ],
)
def test_a_setting_changes_one_input_as_its_type_says(setting, node, name, value):
    changed = graph()
    assert apply_setting(changed, setting, CLASSES) == (node, name)
    given = changed[node]["inputs"].pop(name)
    assert given == value and type(given) is type(value)
    expected = graph()
    expected[node]["inputs"].pop(name, None)
    assert changed == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed=3", "not of the form"),
        ("7.seed", "not of the form"),
        ("5.seed=3", "no node is called '5'; use one of the ids 3 \\(Photo v1.0\\), 7"),
        (
            "SaveImage.filename_prefix=x",
            "more than one node is called 'SaveImage'; use .* 8 .*, 9",
        ),
        ("7.sed=3", "has the inputs seed, text, model, cfg, fast, method, level, points"),
        ("7.seed=3.5", "--set 7.seed: got '3.5', but a whole number is accepted"),
        ("7.cfg=much", "a number is accepted"),
        ("7.fast=quick", "true or false is accepted"),
        ("7.model=x", "a MODEL comes from another node"),
        ("10.a_number=many", "--set 10.a_number: got 'many', but a number is accepted"),
        ("10.a_switch=quick", "--set 10.a_switch: got 'quick', but true or false is accepted"),
    ],
)
def test_a_wrong_setting_says_what_is_accepted(setting, said):
    with pytest.raises(GraphError, match=said):
        apply_setting(graph(), setting, CLASSES)


def test_one_value_for_several_nodes():
    assert same_everywhere("--text", "text", "hello", ["7", "8"]) == ["7.text=hello", "8.text=hello"]
    with pytest.raises(GraphError, match="--text: no node of this workflow takes it; --set NODE.text=VALUE"):
        same_everywhere("--text", "text", "hello", [])


def conditioned():
    """A sampler behind a ControlNet and a mask of areas; an encoder that nothing draws with."""
    return {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a man", "clip": ["9", 1]}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["9", 1]}},
        "3": {"class_type": "ConditioningSetMask", "inputs": {"conditioning": ["1", 0], "mask": ["9", 0]}},
        "4": {
            "class_type": "ControlNetApplyAdvanced",
            "inputs": {"positive": ["3", 0], "negative": ["2", 0]},
        },
        "5": {"class_type": "KSampler", "inputs": {"positive": ["4", 0], "negative": ["4", 1]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "unused"}},
        "7": {"class_type": "FiguraPHACSampler", "inputs": {"text": "a man"}},
        "8": {"class_type": "FiguraPointPrompt", "inputs": {"points": ""}},
    }


def test_texts_that_say_what_is_drawn_are_found_behind_controlnets_too():
    assert text_nodes(conditioned()) == ["1", "7"]
    assert text_nodes(conditioned(), ["5"]) == ["1"] and text_nodes(conditioned(), ["6", "7"]) == ["7"]


def test_a_loop_of_conditionings_ends():
    graph = conditioned()
    graph["3"]["inputs"]["conditioning"] = ["4", 0]
    assert text_nodes(graph, ["5"]) == []


@pytest.mark.parametrize("name", workflow_names())
def test_every_shipped_text_about_the_picture_is_reached_and_no_unwanted_one(name):
    graph = load_graph(find_workflow(name))
    reached = [graph[key] for key in text_nodes(graph)]
    assert not [node for node in reached if title_of(node) == "Not wanted"]
    said = [n for n in graph.values() if n["class_type"] == "CLIPTextEncode" and title_of(n) == "Text"]
    assert all(node in reached for node in said)
