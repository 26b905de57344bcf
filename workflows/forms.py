"""The two forms of a workflow: the API form, which a server runs, and the UI form, which the page opens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from ..headless.graph import InputSpec
from ..models import store
from .flow import (
    IDS,
    Flow,
    Group,
    Inlet,
    Node,
    Note,
    Output,
    Subgraph,
    has_seed_control,
    is_widget,
    output_names,
    type_name,
)
from .layout import NOTE_WIDTH, Frame, lay_out, node_height, node_width, note_height

SCHEMA_VERSION = 0.4
# What stands for the subgraph itself, in links inside it.
INPUT_NODE, OUTPUT_NODE = -10, -20
ENDS_WIDTH = 140
PAGE_FETCHES = (".safetensors", ".sft", ".ckpt", ".pth", ".pt")
CATEGORY = "Figura"

Slots = list[dict[str, Any]]


def api_form(flow: Flow) -> dict[str, Any]:
    """The workflow as POST /prompt takes it, with the nodes' titles; those of a subgraph are 5:101 ..."""
    graph: dict[str, Any] = {}
    for node in flow.nodes:
        if isinstance(node.node_class, Subgraph):
            inside = [(each, f"{node.id}:{each.id}") for each in node.node_class.nodes]
            graph |= {number: _api_node(each, node) for each, number in inside}
        else:
            graph[str(node.id)] = _api_node(node)
    return graph


def _api_node(node: Node, outer: Node | None = None) -> dict[str, Any]:
    """One node; outer: the subgraph's node that it stands in."""
    given = {name: node.values[name] for name in node.specs if name in node.values}
    values = {name: _api_value(value, outer) for name, value in given.items()}
    return {
        "inputs": {name: value for name, value in values.items() if value is not None},
        "class_type": node.class_type,
        "_meta": {"title": node_title(node)},
    }


def _api_value(value: Any, outer: Node | None) -> Any:
    if isinstance(value, Inlet) and outer is not None:
        return _api_value(outer.values.get(value.spec.name), None)
    if not isinstance(value, Output):
        return value
    number = f"{outer.id}:{value.node.id}" if outer else str(value.node.id)
    if isinstance(value.node.node_class, Subgraph):
        inner = list(value.node.node_class.outlets.values())[value.slot]
        return [f"{number}:{inner.node.id}", inner.slot]
    return [number, value.slot]


def node_title(node: Node) -> str:
    """The title given, or the class's display name."""
    return node.title or display_name(node.class_type)


def display_name(class_type: str) -> str:
    from ..nodes import NODE_DISPLAY_NAME_MAPPINGS

    return str(NODE_DISPLAY_NAME_MAPPINGS.get(class_type, STOCK_TITLES.get(class_type, class_type)))


STOCK_TITLES = {
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "SaveImage": "Save Image",
    "PreviewImage": "Preview Image",
    "MaskPreview": "Preview Mask",
    "MaskToImage": "Convert Mask to Image",
    "ImageToMask": "Convert Image to Mask",
    "CheckpointLoaderSimple": "Load Checkpoint",
    "ControlNetLoader": "Load ControlNet Model",
    "ControlNetApplyAdvanced": "Apply ControlNet",
    "PrimitiveInt": "Int",
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "VAEEncode": "VAE Encode",
    "VAEDecode": "VAE Decode",
    "SetLatentNoiseMask": "Set Latent Noise Mask",
    "EmptyLatentImage": "Empty Latent Image",
    "ImageScale": "Upscale Image",
}


def ui_form(flow: Flow) -> dict[str, Any]:
    """The workflow as the page saves it (litegraph format 0.4)."""
    links, nodes, groups = _drawn(flow)
    parts = {node.class_type: node.node_class for node in flow.nodes if isinstance(node.node_class, Subgraph)}
    form = {
        "id": str(uuid.uuid5(IDS, flow.name)),
        "revision": 0,
        "last_node_id": max(node["id"] for node in nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": [list(link) for link in links],
        "groups": groups,
        "config": {},
        "extra": {},
        "version": SCHEMA_VERSION,
    }
    return form | (
        {"definitions": {"subgraphs": [subgraph_form(part) for part in parts.values()]}} if parts else {}
    )


Link = tuple[int, int, int, int, int, str]
"""Number, source, its slot, target, its slot, type."""


def _drawn(flow: Flow) -> tuple[list[Link], Slots, list[dict[str, Any]]]:
    """Links, nodes with notes, and groups, as in a file."""
    links, layout = _links(flow), lay_out(flow)
    nodes = [_ui_node(node, order, layout.places[node], links) for order, node in enumerate(flow.nodes)]
    last = flow.nodes[-1].id
    notes = [
        _ui_note(note, last + 1 + index, len(nodes) + index, layout.places[note])
        for index, note in enumerate(flow.notes)
    ]
    groups = [_ui_group(index + 1, group, layout.frames[index]) for index, group in enumerate(flow.groups)]
    return links, nodes + notes, groups


def _links(flow: Flow) -> list[Link]:
    found: list[Link] = []
    for node in flow.nodes:
        for slot, spec in enumerate(_slot_order(node)):
            value = node.values.get(spec.name)
            if isinstance(value, Output):
                found.append((len(found) + 1, value.node.id, value.slot, node.id, slot, value.type))
            elif isinstance(value, Inlet):
                found.append((len(found) + 1, INPUT_NODE, value.slot, node.id, slot, value.type))
    if isinstance(flow, Subgraph):
        for slot, output in enumerate(flow.outlets.values()):
            found.append((len(found) + 1, output.node.id, output.slot, OUTPUT_NODE, slot, output.type))
    return found


def subgraph_form(part: Subgraph) -> dict[str, Any]:
    """A subgraph's definition, as it stands in a workflow that uses it."""
    links, nodes, groups = _drawn(part)
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    left = -ENDS_WIDTH - 60
    right = 60 + max(node["pos"][0] + node["size"][0] for node in nodes)
    return {
        "id": part.id,
        "version": 1,
        "state": {
            "lastNodeId": nodes[-1]["id"], "lastLinkId": len(links), "lastGroupId": len(groups),
            "lastRerouteId": 0,
        },
        "revision": 0,
        "config": {},
        "name": part.title,
        "inputNode": {"id": INPUT_NODE, "bounding": [left, 0, ENDS_WIDTH, 40 + 20 * len(part.inlets)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [right, 0, ENDS_WIDTH, 40 + 20 * len(part.outlets)]},
        "inputs": [_end(part, "input", inlet.spec.name, inlet.type, links) for inlet in part.inlets],
        "outputs": [_end(part, "output", name, each.type, links) for name, each in part.outlets.items()],
        "widgets": [],
        "nodes": nodes,
        "groups": groups,
        "links": [dict(zip(names, link, strict=True)) for link in links],
        "extra": {},
        "category": CATEGORY,
        "description": part.about,
    }  # fmt: skip


def _end(part: Subgraph, side: str, name: str, kind: str, links: list[Link]) -> dict[str, Any]:
    """One input or output of the subgraph, with the links that start or end there."""
    if side == "input":
        slot = [inlet.spec.name for inlet in part.inlets].index(name)
        touching = [link[0] for link in links if link[1:3] == (INPUT_NODE, slot)]
    else:
        slot = list(part.outlets).index(name)
        touching = [link[0] for link in links if link[3:5] == (OUTPUT_NODE, slot)]
    number = str(uuid.uuid5(IDS, f"{part.name} {side} {name}"))
    return {"id": number, "name": name, "type": kind, "linkIds": touching}


def blueprint_form(part: Subgraph) -> dict[str, Any]:
    """A file of subgraphs/: the subgraph alone, which the page offers as a node."""
    return ui_form(part.alone()) | {"groups": []}


def _slot_order(node: Node) -> list[InputSpec]:
    """Inputs in the order of the page's slots: sockets first, then the fields, which can be linked too."""
    specs = list(node.specs.values())
    return [spec for spec in specs if not is_widget(spec)] + [spec for spec in specs if is_widget(spec)]


def _ui_node(node: Node, order: int, place: tuple[int, int], links: list[Link]) -> dict[str, Any]:
    arriving = {link[4]: link[0] for link in links if link[3] == node.id}
    shape = {
        "id": node.id,
        "type": node.class_type,
        "pos": list(place),
        "size": [node_width(node), node_height(node)],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [_ui_input(spec, arriving.get(slot)) for slot, spec in enumerate(_slot_order(node))],
        "outputs": _ui_outputs(node, links),
        "properties": _properties(node),
        "widgets_values": widgets_values(node),
    }
    return shape | ({"title": node.title} if node.title else {})


def _ui_input(spec: InputSpec, link: int | None) -> dict[str, Any]:
    slot: dict[str, Any] = {"name": spec.name, "type": type_name(spec.type)}
    if not spec.required:
        slot["shape"] = 7
    if is_widget(spec):
        slot["widget"] = {"name": spec.name}
    return slot | {"link": link}


def _ui_outputs(node: Node, links: list[Link]) -> Slots:
    outputs = []
    for slot, (name, declared) in enumerate(zip(output_names(node.node_class), node.node_class.RETURN_TYPES)):
        taken = [link[0] for link in links if link[1] == node.id and link[2] == slot]
        outputs.append({"name": name, "type": type_name(declared), "links": taken or None})
    return outputs


def _properties(node: Node) -> dict[str, Any]:
    if isinstance(node.node_class, Subgraph):
        fields = [["-1", inlet.spec.name] for inlet in node.node_class.inlets if is_widget(inlet.spec)]
        return {"cnr_id": "figura", "proxyWidgets": fields}
    ours = node.class_type.startswith("Figura")
    known = {"cnr_id": "figura" if ours else "comfy-core", "Node name for S&R": node.class_type}
    downloads = _downloads(node)
    return known | ({"models": downloads} if downloads else {})


def _downloads(node: Node) -> list[dict[str, str]]:
    """What the page needs to offer the files that the node names for download."""
    named = [value for value in node.values.values() if isinstance(value, str)]
    return [entry for entry in map(download, store.known_files()) if entry and entry["name"] in named]


def download(file: store.ModelFile) -> dict[str, str]:
    """A file as `properties.models` of a node names it; empty for one that the page cannot fetch whole."""
    if not file.repo or file.beside or not file.name.endswith(PAGE_FETCHES):
        return {}
    source = f"https://huggingface.co/{file.repo}/resolve/main/{file.path}"
    known = {"name": file.name, "url": source, "directory": file.folder}
    return known | ({"hash": file.sha256, "hash_type": "SHA256"} if file.sha256 else {})


def known_module() -> str:
    """The text of web/models/known.mjs: every file that the page may fetch, by its name."""
    found = [entry for entry in map(download, store.known_files()) if entry]
    table = {entry.pop("name"): entry for entry in found}
    head = "// Of models/store.toml what the page may fetch. Written by python -m figura.workflows.\n\n"
    return f"{head}export const KNOWN = {json.dumps(table, indent=2)};\n"


def widgets_values(node: Node) -> list[Any]:
    """The fields' values in the page's order, with the fields the page adds itself."""
    return [value for spec in node.specs.values() if is_widget(spec) for value in _field_values(node, spec)]


def _field_values(node: Node, spec: InputSpec) -> Iterator[Any]:
    value = node.values[spec.name]
    if isinstance(value, Inlet):
        value = value.value
    yield spec.options.get("default") if isinstance(value, Output) else value
    if has_seed_control(spec):
        yield "fixed"
    if spec.options.get("image_upload"):
        yield "image"


def _ui_note(note: Note, node_id: int, order: int, place: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": node_id,
        "type": "MarkdownNote",
        "pos": list(place),
        "size": [NOTE_WIDTH, note_height(note)],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": note.title,
        "properties": {},
        "widgets_values": [note.text],
        "color": "#432",
        "bgcolor": "#653",
    }


def _ui_group(group_id: int, group: Group, frame: Frame) -> dict[str, Any]:
    return {
        "id": group_id,
        "title": group.title,
        "bounding": list(frame),
        "color": group.color,
        "font_size": 18,
        "flags": {},
    }
