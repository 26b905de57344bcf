"""A workflow as a Python value: nodes with their inputs, in titled groups, notes, and subgraphs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..headless.graph import InputSpec, input_specs

IDS = uuid.UUID("5f1b1a4e-6a0d-4c57-9a53-4f2a7f6d3c10")
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


@dataclass
class Inlet:
    """One input of a subgraph, as the nodes inside see it.

    Attributes:
        slot: its place among the inputs.
        spec: what it takes, in a field or a socket.
        value: what is in the field; some pages show that of the node inside, so both hold it.
    """

    slot: int
    spec: InputSpec
    value: Any = None

    @property
    def type(self) -> str:
        return type_name(self.spec.type)


@dataclass(eq=False)
class Node:
    """One node. values: input name -> constant, Output or Inlet, for every input that is set."""

    id: int
    class_type: str
    node_class: Any
    title: str
    values: dict[str, Any] = field(default_factory=dict)

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
    """A titled frame round nodes."""

    title: str
    color: str
    nodes: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Note:
    """A text in Markdown, before everything."""

    title: str
    text: str


class Flow:
    """A workflow while it is described.

    Attributes:
        name: short, for the command line and the API form's file.
        classes: node id -> class, of the pack's nodes and the stock ones.
        title: what one gets by it; the page lists a template by its file's name, so this is that name.
    """

    first_id = 1

    def __init__(self, name: str, classes: Mapping[str, Any], title: str = "") -> None:
        self.name = name
        self.classes = classes
        self.title = title or name
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

    def add(self, class_type: str, title: str = "", **values: Any) -> Node:
        """Add a node to the current group. Inputs that are not named keep their defaults.

        Raises ValueError for an unknown class, an unknown input, or a link of the wrong type.
        """
        if class_type not in self.classes:
            raise ValueError(f"workflow {self.name}: there is no node {class_type}")
        return self._add(class_type, self.classes[class_type], title, values)

    def _add(self, class_type: str, node_class: Any, title: str, values: dict[str, Any]) -> Node:
        node = Node(self.first_id + len(self._nodes), class_type, node_class, title, values)
        self._check(node)
        for name, spec in node.specs.items():
            if is_widget(spec) and name not in values:
                node.values[name] = default_value(spec)
        self._nodes.append(node)
        if self.groups:
            self.groups[-1].nodes.append(node)
        return node

    def add_part(self, part: Subgraph, **values: Any) -> Node:
        """Add a subgraph as one node. values: its inputs, as `add` takes a node's."""
        node = self._add(part.id, part, part.title, values)
        for inlet in part.inlets:
            given = node.values.get(inlet.spec.name)
            inlet.value = inlet.value if isinstance(given, Output) else given
        return node

    def _check(self, node: Node) -> None:
        place = f"workflow {self.name}, {node.class_type}"
        for name, value in node.values.items():
            if name not in node.specs:
                raise ValueError(f"{place}: no input {name!r}; it has {', '.join(node.specs)}")
            wanted = type_name(node.specs[name].type)
            if isinstance(value, Output | Inlet) and not types_match(value.type, wanted):
                raise ValueError(f"{place}: {name} takes {wanted}, not {value.type}")
        missing = [
            name
            for name, spec in node.specs.items()
            if spec.required and not is_widget(spec) and name not in node.values
        ]
        if missing:
            raise ValueError(f"{place}: nothing is connected to {', '.join(missing)}")


class Subgraph(Flow):
    """Nodes that stand in a workflow as one; it has a node class's face, so that it is added as one."""

    # Numbers of their own: the newest page renumbers nodes that share one with the graph round them.
    first_id = 101

    def __init__(self, name: str, classes: Mapping[str, Any], title: str, about: str) -> None:
        super().__init__(name, classes, title)
        self.about = about
        self.id = str(uuid.uuid5(IDS, f"subgraph {name}"))
        self.inlets: list[Inlet] = []
        self.outlets: dict[str, Output] = {}

    def takes(self, name: str, class_type: str, of_input: str = "", **options: Any) -> Inlet:
        """Declare an input like that of a node class. Sockets are declared before fields, as pages list them.

        Args:
            name: of the input.
            class_type: whose input it is like.
            of_input: that input's name, where it is another one.
            options: what is different, such as default.
        """
        like = input_specs(self.classes[class_type])[of_input or name]
        changed = {**like.options, **options, "control_after_generate": False}
        required = like.required or is_widget(like)
        spec = replace(like, name=name, options=changed, required=required)
        inlet = Inlet(len(self.inlets), spec, default_value(spec) if is_widget(spec) else None)
        self.inlets.append(inlet)
        return inlet

    def gives(self, **outlets: Output) -> None:
        """Declare the outputs, in order."""
        self.outlets.update(outlets)

    def alone(self) -> Flow:
        """A workflow of this node, with nothing connected."""
        fields = [inlet.spec for inlet in self.inlets if is_widget(inlet.spec)]
        values = {spec.name: default_value(spec) for spec in fields}
        flow = Flow(f"only {self.name}", self.classes, self.title)
        flow._nodes.append(Node(1, self.id, self, self.title, values))
        flow.groups.append(Group(self.title, Color.STAGE, flow.nodes))
        return flow

    def INPUT_TYPES(self) -> dict[str, Any]:
        """As of a node class."""
        found: dict[str, Any] = {"required": {}, "optional": {}}
        for inlet in self.inlets:
            place = found["required" if inlet.spec.required else "optional"]
            place[inlet.spec.name] = (inlet.spec.choices or inlet.spec.type, inlet.spec.options)
        return found

    @property
    def RETURN_TYPES(self) -> tuple[str, ...]:
        return tuple(output.type for output in self.outlets.values())

    @property
    def RETURN_NAMES(self) -> tuple[str, ...]:
        return tuple(self.outlets)


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
