"""A workflow as a Python value: nodes with their inputs, in titled groups of columns, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..headless.graph import InputSpec, input_specs

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
SEED_NAMES = ("seed", "noise_seed")


class Color:
    """Colours of groups, by what is done in them."""

    INPUT = "#3f789e"
    PROMPT = "#8A8"
    MASK = "#a1309b"
    STAGE = "#b58b2a"
    RESULT = "#3f789e"


@dataclass(frozen=True)
class Output:
    """One output of a node: what a link starts from."""

    node: Node
    slot: int

    @property
    def type(self) -> str:
        return type_name(self.node.node_class.RETURN_TYPES[self.slot])


@dataclass(eq=False)
class Node:
    """One node. values: input name -> constant or Output, for every input that is set."""

    id: int
    class_type: str
    node_class: Any
    title: str
    values: dict[str, Any] = field(default_factory=dict)
    new_column: bool = False

    def __getitem__(self, name: str) -> Output:
        """The output of that name."""
        names = output_names(self.node_class)
        if name not in names:
            raise KeyError(f"{self.class_type} has no output {name!r}; it has {', '.join(names)}")
        return Output(self, names.index(name))

    @property
    def specs(self) -> dict[str, InputSpec]:
        return input_specs(self.node_class)


@dataclass
class Group:
    """A titled frame round nodes; in it they stand in columns."""

    title: str
    color: str
    nodes: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Note:
    """A text in Markdown, left of everything."""

    title: str
    text: str


class Flow:
    """A workflow while it is described. classes: node id -> class, of the pack's nodes and the stock ones."""

    def __init__(self, name: str, classes: Mapping[str, Any]) -> None:
        self.name = name
        self.classes = classes
        self.groups: list[Group] = []
        self.notes: list[Note] = []
        self._nodes: list[Node] = []

    @property
    def nodes(self) -> list[Node]:
        """All nodes, in the order of their ids."""
        return list(self._nodes)

    def note(self, title: str, text: str) -> None:
        self.notes.append(Note(title, text))

    @contextmanager
    def group(self, title: str, color: str) -> Iterator[None]:
        """Nodes added inside the block stand in a frame of this title."""
        self.groups.append(Group(title, color))
        yield

    def add(self, class_type: str, title: str = "", *, new_column: bool = False, **values: Any) -> Node:
        """Add a node to the current group. Inputs that are not named keep their defaults.

        Raises ValueError for an unknown class, an unknown input, or a link of the wrong type.
        """
        if class_type not in self.classes:
            raise ValueError(f"workflow {self.name}: there is no node {class_type}")
        node = Node(len(self._nodes) + 1, class_type, self.classes[class_type], title, values, new_column)
        self._check(node)
        for name, spec in node.specs.items():
            if is_widget(spec) and name not in values:
                node.values[name] = default_value(spec)
        self._nodes.append(node)
        self.groups[-1].nodes.append(node)
        return node

    def _check(self, node: Node) -> None:
        place = f"workflow {self.name}, {node.class_type}"
        for name, value in node.values.items():
            if name not in node.specs:
                raise ValueError(f"{place}: no input {name!r}; it has {', '.join(node.specs)}")
            wanted = type_name(node.specs[name].type)
            if isinstance(value, Output) and not types_match(value.type, wanted):
                raise ValueError(f"{place}: {name} takes {wanted}, not {value.type}")
        missing = [
            name
            for name, spec in node.specs.items()
            if spec.required and not is_widget(spec) and name not in node.values
        ]
        if missing:
            raise ValueError(f"{place}: nothing is connected to {', '.join(missing)}")


def type_name(declared: Any) -> str:
    """The name a type has in a workflow file; a list of choices is COMBO."""
    return declared if isinstance(declared, str) else "COMBO"


def types_match(given: str, wanted: str) -> bool:
    """ComfyUI's rule: equal, any, or one of several joined by commas."""
    return "*" in (given, wanted) or bool(set(given.split(",")) & set(wanted.split(",")))


def is_widget(spec: InputSpec) -> bool:
    """Whether the page shows a field for this input; other inputs are only sockets."""
    return type_name(spec.type) in WIDGET_TYPES and not spec.options.get("forceInput", False)


def default_value(spec: InputSpec) -> Any:
    """What the page puts into a field nobody touched."""
    if "default" in spec.options:
        return spec.options["default"]
    if spec.choices is not None:
        return spec.choices[0] if spec.choices else ""
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}[spec.type]


def has_seed_control(spec: InputSpec) -> bool:
    """Whether the page adds "control after generate" below this field."""
    asked = spec.options.get("control_after_generate", spec.name in SEED_NAMES)
    return spec.type == "INT" and bool(asked)


def output_names(node_class: Any) -> list[str]:
    """The outputs' names as the page shows them."""
    types = [type_name(declared) for declared in node_class.RETURN_TYPES]
    return list(getattr(node_class, "RETURN_NAMES", types))
