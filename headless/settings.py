"""What --set, --points and --text change in a graph: one constant of one node at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .graph import Classes, Graph, GraphError, InputSpec, input_specs, is_link
from .unknown import PACK

POINT_PROMPT, TEXT_ENCODER = f"{PACK}PointPrompt", "CLIPTextEncode"
ON_THE_WAY = ("positive", "conditioning")
"""Beginnings of the names of inputs through which a text comes to what draws."""
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def apply_setting(graph: Graph, text: str, classes: Classes) -> tuple[str, str]:
    """Change one input in place: "NODE.INPUT=VALUE"; gives the node's id and the input's name.

    NODE is an id, or a title or class that occurs once; titles also without what stands in brackets at their
    end. VALUE is read as the type that the node's class declares for the input: texts are taken as they are.
    Raises GraphError.
    """
    target, equals, value = text.partition("=")
    node_name, dot, input_name = target.rpartition(".")
    if not (equals and dot and node_name and input_name):
        raise GraphError(f"--set {text!r} is not of the form NODE.INPUT=VALUE, for example 3.seed=7")
    node_id = node_named(graph, node_name)
    node = graph[node_id]
    specs = input_specs(classes[node["class_type"]]) if node["class_type"] in classes else {}
    if input_name not in node["inputs"] and input_name not in specs:
        known = ", ".join({**node["inputs"], **specs}) or "none"
        raise GraphError(f"--set {target}: node {node_name} ({node['class_type']}) has the inputs {known}")
    try:
        node["inputs"][input_name] = _read(value, specs.get(input_name), node["inputs"].get(input_name))
    except ValueError as error:
        raise GraphError(f"--set {target}: got {value[:60]!r}, but {error}") from error
    return node_id, input_name


def node_named(graph: Graph, name: str) -> str:
    """The id of the node with that id, title or class; GraphError when there is none or more than one."""
    if name in graph:
        return name
    found = [key for key, node in graph.items() if name.lower() in _names(node)]
    if len(found) == 1:
        return found[0]
    problem = "more than one node is" if found else "no node is"
    known = ", ".join(f"{key} ({title_of(graph[key])})" for key in found or graph)
    raise GraphError(f"--set: {problem} called {name!r}; use one of the ids {known}")


def title_of(node: dict[str, Any]) -> str:
    """What the page shows above a node: its title, else its class."""
    meta = node.get("_meta")
    return str(meta.get("title") or "" if isinstance(meta, dict) else "") or str(node["class_type"])


def same_everywhere(option: str, input_name: str, value: str, nodes: Sequence[str]) -> list[str]:
    """Settings that give one value to an input of several nodes.

    Args:
        option: the user's own option that stands behind it, for the error.
        input_name: of the input.
        value: as in "NODE.INPUT=VALUE".
        nodes: their ids.

    Raises GraphError when there is none.
    """
    if not nodes:
        raise GraphError(
            f"{option}: no node of this workflow takes it; --set NODE.{input_name}=VALUE changes any other"
        )
    return [f"{key}.{input_name}={value}" for key in nodes]


def point_prompts(graph: Graph) -> list[str]:
    """Ids of the nodes that `--points` is for."""
    return [key for key, node in graph.items() if node["class_type"] == POINT_PROMPT]


def text_nodes(graph: Graph, nodes: Iterable[str] | None = None) -> list[str]:
    """Ids of the nodes whose input "text" says what `nodes` are to draw, in the graph's order.

    These are Figura's own with such an input, and the stock text encoders that an input "positive" takes
    from, through ControlNets and the like as well. What is not wanted is not among them.

    Args:
        graph: is not changed.
        nodes: ids; None is all of the graph.
    """
    nodes = list(graph if nodes is None else nodes)
    own = {key for key in nodes if is_ours(graph[key]) and "text" in graph[key]["inputs"]}
    return [key for key in graph if key in own | _positive_texts(graph, nodes)]


def _positive_texts(graph: Graph, nodes: Sequence[str]) -> set[str]:
    waiting = [link[0] for key in nodes if is_link(link := graph[key]["inputs"].get("positive"))]
    seen: set[str] = set()
    while waiting:
        here = waiting.pop()
        if here in graph and here not in seen:
            seen.add(here)
            waiting += [
                link[0] for name, link in graph[here]["inputs"].items()
                if is_link(link) and name.startswith(ON_THE_WAY)
            ]  # fmt: skip
    return {key for key in seen if graph[key]["class_type"] == TEXT_ENCODER}


def is_ours(node: Mapping[str, Any]) -> bool:
    """Whether a node is one of Figura's."""
    return str(node["class_type"]).startswith(PACK)


def _names(node: dict[str, Any]) -> set[str]:
    title = title_of(node).lower()
    return {title, title.rpartition(" (")[0] if title.endswith(")") else title, node["class_type"].lower()}


def _read(text: str, spec: InputSpec | None, current: Any) -> Any:
    """A value of the declared type; ValueError says what is accepted. Without a declaration: as it was."""
    if spec is None:
        return _read_like(text, current)
    if spec.choices is not None:
        return next((choice for choice in spec.choices if str(choice) == text), text)
    if spec.type == "STRING":
        return text
    if spec.type == "BOOLEAN":
        return _boolean(text)
    if spec.type in ("INT", "FLOAT"):
        return _number(text, whole=spec.type == "INT")
    value = _json_or_text(text)
    if not is_link(value):
        raise ValueError(f'a {spec.type} comes from another node: a link like ["3", 0] is accepted')
    return value


def _read_like(text: str, current: Any) -> Any:
    """A value of the kind that an input of a node has now that only a server knows, or a link."""
    if isinstance(current, str):
        return text
    value = _json_or_text(text)
    if is_link(value):
        return value
    if isinstance(current, bool):
        return _boolean(text)
    if isinstance(current, (int, float)):
        return _whole_or_not(text)
    # ComfyUI takes every text for true; of a boolean it makes the text again where one is wanted.
    return {"True": True, "False": False}.get(text, value)


def _whole_or_not(text: str) -> int | float:
    """A number; the page writes 1.0 as 1, so that a whole one may become any other."""
    try:
        return _number(text, whole=True)
    except ValueError:
        return _number(text, whole=False)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _boolean(text: str) -> bool:
    if text.lower() not in YES + NO:
        raise ValueError("true or false is accepted")
    return text.lower() in YES


def _number(text: str, whole: bool) -> int | float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        raise ValueError("a whole number is accepted" if whole else "a number is accepted") from None
