"""API-format graphs: reading, validating, ordering. Nothing is run here.

A graph is a dict: node id -> {"class_type": name, "inputs": {name: constant or [node id, output slot]}}.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models.sentences import printable, shown
from .unknown import unknown_class

Graph = dict[str, dict[str, Any]]
Classes = Mapping[str, type]
LINK_ANY = "*"
LINKED_ONLY = ("IMAGE", "MASK", "LATENT", "MODEL", "CLIP", "VAE", "CONDITIONING", "CONTROL_NET")
OURS = "FIGURA_"
"""Values of these types cannot be written in a file."""
HISTORY_GRAPH = 2
"""Where the graph stands in a prompt of a server's history or queue."""
DEEPEST = 100
"""Levels of lists and objects that a graph may have; real ones have about 6."""
MOST_PROBLEMS = 20
"""Problems that are told; the others are counted."""
LONGEST_NAME = 80
CONVERTERS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a graph, and where."""

    node_id: str
    class_type: str
    input_name: str
    message: str

    def __str__(self) -> str:
        place = f"node {_name(self.node_id)}" + (f" ({_name(self.class_type)})" if self.class_type else "")
        where = f", input {self.input_name!r}" if self.input_name else ""
        return printable(f"{place}{where}: {self.message}")


def _name(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


class GraphError(ValueError):
    """The graph cannot run; `problems` names every node and input that is wrong, the text the first ones."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else _summary(self.problems))


def _summary(problems: Sequence[Problem]) -> str:
    more = len(problems) - MOST_PROBLEMS
    lines = [*map(str, problems[:MOST_PROBLEMS]), *([f"and {more} more problems"] if more > 0 else [])]
    return "\n".join(lines)


@dataclass(frozen=True)
class InputSpec:
    """One declared input of a node class."""

    name: str
    type: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True

    @property
    def choices(self) -> list[Any] | None:
        """The values of a combo, or None for any other type."""
        if isinstance(self.type, (list, tuple)):
            return list(self.type)
        return list(self.options.get("options", [])) if self.type == "COMBO" else None


def load_graph(path: str | Path) -> Graph:
    """Read an API-format workflow file; GraphError for anything else, also for the UI's format."""
    try:
        graph = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # no JSON, no text, a number of 5000 digits, brackets
        raise GraphError(
            f"{path} is not JSON ({error}): give a workflow saved with 'Export (API)'"
        ) from error
    return check_shape(graph, str(path))


def check_shape(graph: Any, name: str = "the graph") -> Graph:
    """A private copy of `graph` if it has the shape of the API format; else GraphError says what it is.

    What a server takes, {"prompt": graph, ...}, is unwrapped, also where that is a text of JSON, as pictures
    hold it; and so are what the page gives, {"output": graph, "workflow": ...}, and a prompt of the history,
    [number, id, graph, ...].
    """
    graph = _unwrapped(graph)
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise GraphError(
            f"{name} is a workflow in the UI's format: save it with 'Export (API)', or see workflows/api/"
        )
    if _is_deeper(graph, DEEPEST):
        raise GraphError(f"{name} is nested more than {DEEPEST} levels deep: the file may be damaged")
    if not isinstance(graph, dict) or not graph:
        raise GraphError(f"{name} holds no nodes: give a workflow saved with 'Export (API)'")
    for node_id, node in graph.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise GraphError([Problem(str(node_id), "", "", "has no class_type: the file may be damaged")])
        if node.get("inputs") is not None and not isinstance(node["inputs"], dict):
            raise GraphError([Problem(str(node_id), node["class_type"], "", "its inputs are not an object")])
    return {str(key): {**node, "inputs": dict(node.get("inputs") or {})} for key, node in graph.items()}


def _unwrapped(value: Any) -> Any:
    for key in ("prompt", "output"):
        inner = value.get(key) if isinstance(value, dict) else None
        if isinstance(inner, list) and len(inner) > HISTORY_GRAPH:
            inner = inner[HISTORY_GRAPH]
        if isinstance(inner, str):
            with contextlib.suppress(ValueError, RecursionError):
                inner = json.loads(inner)
        if isinstance(inner, dict) and "class_type" not in inner:
            value = inner
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie within each other more than so many levels deep; level by level."""
    layer = [value]
    for _ in range(levels):
        holders = [each for each in layer if isinstance(each, (dict, list))]
        layer = [part for each in holders for part in (each.values() if isinstance(each, dict) else each)]
        if not layer:
            return False
    return any(isinstance(each, (dict, list)) for each in layer)


def is_link(value: Any) -> bool:
    """Whether an input value is a link [node id, output slot]."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], (str, int))
        and _is_slot(value[1])
    )


def links_of(node: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(input name, source node id, source slot) of every linked input."""
    for name, value in node["inputs"].items():
        if is_link(value):
            yield name, str(value[0]), value[1]


def input_specs(node_class: Any) -> dict[str, InputSpec]:
    """Declared inputs of a class, in order, required first."""
    declared = node_class.INPUT_TYPES()
    specs = {}
    for group in ("required", "optional"):
        for name, spec in declared.get(group, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            specs[name] = InputSpec(name, spec[0], options, group == "required")
    return specs


def needs(graph: Graph, node_id: str) -> set[str]:
    """Ids of a node and of all it takes from, near and far."""
    found: set[str] = set()
    waiting = [node_id]
    while waiting:
        here = waiting.pop()
        if here in graph and here not in found:
            found.add(here)
            waiting += [source for _, source, _ in links_of(graph[here])]
    return found


def output_nodes(graph: Graph, classes: Classes) -> list[str]:
    """Ids of the nodes whose class is an output node."""
    return [
        node_id
        for node_id, node in graph.items()
        if getattr(classes.get(node["class_type"]), "OUTPUT_NODE", False)
    ]


def execution_order(graph: Graph, outputs: Sequence[str]) -> list[str]:
    """Every node the outputs need, each after the nodes it takes from. GraphError for a cycle."""
    order: list[str] = []
    done: set[str] = set()
    for output in outputs:
        stack = [(output, iter(list(links_of(graph[output]))))]
        path = {output: None}  # in order, and quick to look into
        while stack:
            node_id, links = stack[-1]
            source = next((s for _, s, _ in links if s not in done and s in graph), None)
            if source is None:
                stack.pop()
                path.popitem()
                if node_id not in done:
                    done.add(node_id)
                    order.append(node_id)
            elif source in path:
                raise GraphError([_cycle(graph, list(path), source)])
            else:
                stack.append((source, iter(list(links_of(graph[source])))))
                path[source] = None
    return order


def validate(graph: Graph, classes: Classes) -> list[str]:
    """Check the whole graph and turn its constants into their declared types, in place.

    Returns the node ids in the order they can run. Raises GraphError that names every problem found.
    """
    _check_classes(graph, classes)
    outputs = output_nodes(graph, classes)
    if not outputs:
        raise GraphError(
            "the graph has no output node, so nothing would be kept: add SaveImage or PreviewImage"
        )
    order = execution_order(graph, outputs)
    problems = [problem for node_id in order for problem in _check_node(graph, node_id, classes)]
    if problems:
        raise GraphError(problems)
    return order


def _check_classes(graph: Graph, classes: Classes) -> None:
    """GraphError for nodes of unknown classes. What is meant is guessed for those that are told."""
    unknown = [node_id for node_id, node in graph.items() if node["class_type"] not in classes]
    names = [graph[node_id]["class_type"] for node_id in unknown]
    said = [unknown_class(_name(name), classes) for name in names[:MOST_PROBLEMS]]
    said += ["unknown node type"] * (len(names) - len(said))
    if unknown:
        raise GraphError(
            [Problem(node_id, name, "", what) for node_id, name, what in zip(unknown, names, said)]
        )


def _check_node(graph: Graph, node_id: str, classes: Classes) -> Iterator[Problem]:
    node = graph[node_id]
    node_class = classes[node["class_type"]]
    own_checks = _own_checks(node_class)
    found = False
    for spec in input_specs(node_class).values():
        message = _check_input(graph, node, spec, classes, own_checks)
        if message:
            found = True
            yield Problem(node_id, node["class_type"], spec.name, message)
    if not found:
        yield from _custom_check(node_id, node, node_class)


def _check_input(
    graph: Graph, node: dict[str, Any], spec: InputSpec, classes: Classes, own_checks: set[str] | None
) -> str:
    """What is wrong with one input, or an empty string."""
    if spec.name not in node["inputs"]:
        return f"is missing, a {_type_name(spec)} is required" if spec.required else ""
    value = node["inputs"][spec.name]
    if isinstance(value, list):
        return _check_link(graph, value, spec, classes)
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    if spec.type in LINKED_ONLY or str(spec.type).startswith(OURS):
        return f"got {shown(value)}, but a link to a node that gives a {spec.type} is accepted"
    try:
        value = _convert(value, spec)
    except (TypeError, ValueError, OverflowError):
        return f"got {shown(value)}, but a {_type_name(spec)} is accepted"
    node["inputs"][spec.name] = value
    checked_by_node = own_checks is None or spec.name in own_checks
    return "" if checked_by_node else _check_value(value, spec)


def _check_link(graph: Graph, link: list[Any], spec: InputSpec, classes: Classes) -> str:
    if not is_link(link):
        return f"got the list {shown(link)}, but a link [node id, output slot] or a constant is accepted"
    source = graph.get(str(link[0]))
    if source is None:
        return f"is linked to node {_name(str(link[0]))}, which is not in the graph"
    given = getattr(classes[source["class_type"]], "RETURN_TYPES", ())
    if link[1] >= len(given):
        return f"is linked to output {shown(link[1])} of {_source_name(link, source)}, which has {len(given)}"
    if types_match(given[link[1]], spec.type):
        return ""
    wanted = _type_name(spec)
    return f"is linked to a {given[link[1]]} of {_source_name(link, source)}, but a {wanted} is accepted"


def _source_name(link: Sequence[Any], source: Mapping[str, Any]) -> str:
    return f"node {link[0]} ({source['class_type']})"


def types_match(given: Any, wanted: Any) -> bool:
    """ComfyUI's rule: equal, or one is "*", or two comma lists share a type, or a combo meets a combo."""
    if given == wanted or LINK_ANY in (given, wanted):
        return True
    if isinstance(wanted, (list, tuple)) or isinstance(given, (list, tuple)):
        return "COMBO" in (given, wanted)
    return bool(_type_set(given) & _type_set(wanted)) or LINK_ANY in _type_set(given) | _type_set(wanted)


def _check_value(value: Any, spec: InputSpec) -> str:
    choices = spec.choices
    if choices is not None:
        return "" if value in choices else f"got {shown(value)}, but {_listed(choices)} is accepted"
    if isinstance(value, float) and not math.isfinite(value):
        return f"got {value}, but a finite number is accepted"
    low, high = spec.options.get("min"), spec.options.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        return f"got {shown(value)}, but {_range(low, high)} is accepted"
    return ""


def _custom_check(node_id: str, node: dict[str, Any], node_class: Any) -> Iterator[Problem]:
    """Ask the class's own VALIDATE_INPUTS; like in ComfyUI, linked inputs arrive as None."""
    check = getattr(node_class, "VALIDATE_INPUTS", None)
    if check is None:
        return
    names = accepted_names(check)
    constants = constant_inputs(node, node_class)
    given = (
        constants if names is None else {name: value for name, value in constants.items() if name in names}
    )
    answer = check(**given)
    if answer is not True:
        about = ", ".join(names or given) or ""
        yield Problem(
            node_id, node["class_type"], about, str(answer) if answer else "was refused by the node"
        )


def constant_inputs(node: Mapping[str, Any], node_class: Any) -> dict[str, Any]:
    """Declared inputs as VALIDATE_INPUTS and IS_CHANGED see them: constants as they are, links as None."""
    specs = input_specs(node_class)
    return {
        name: None if is_link(value) else value for name, value in node["inputs"].items() if name in specs
    }


def accepted_names(function: Any) -> list[str] | None:
    """Argument names of a function; None when it takes any (**kwargs)."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]


def _own_checks(node_class: Any) -> set[str] | None:
    """Inputs the class checks itself, which switches the range checks off; None stands for all of them."""
    check = getattr(node_class, "VALIDATE_INPUTS", None)
    if check is None:
        return set()
    names = accepted_names(check)
    return None if names is None else set(names)


def _convert(value: Any, spec: InputSpec) -> Any:
    if value is None and spec.type in CONVERTERS:
        raise TypeError
    return CONVERTERS[spec.type](value) if isinstance(spec.type, str) and spec.type in CONVERTERS else value


def _cycle(graph: Graph, path: Sequence[str], back_to: str) -> Problem:
    loop = [*path[path.index(back_to) :], back_to]
    message = f"the links form a cycle: {' <- '.join(loop)}; remove one of them"
    return Problem(back_to, graph[back_to]["class_type"], "", message)


def _is_slot(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _type_set(names: Any) -> set[str]:
    return {name.strip() for name in str(names).split(",")}


def _type_name(spec: InputSpec) -> str:
    return f"choice of {_listed(spec.choices)}" if spec.choices is not None else str(spec.type)


def _listed(choices: Sequence[Any], most: int = 20) -> str:
    shown = ", ".join(map(repr, choices[:most]))
    return f"one of {shown}" + (f" and {len(choices) - most} more" if len(choices) > most else "")


def _range(low: Any, high: Any) -> str:
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return f"{low} to {high}"
