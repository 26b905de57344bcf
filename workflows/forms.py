"""The two forms of a workflow: the API form, which a server runs, and the UI form, which the page opens."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from ..headless.graph import InputSpec
from ..models import store
from .flow import Flow, Group, Node, Note, Output, has_seed_control, is_widget, output_names, type_name

SCHEMA_VERSION = 0.4
IDS = uuid.UUID("5f1b1a4e-6a0d-4c57-9a53-4f2a7f6d3c10")

NODE_WIDTH = 300
GAP = 40
TITLE_HEIGHT = 30
SLOT_HEIGHT = 20
FIELD_HEIGHT = 28
TEXT_HEIGHT = 110
IMAGE_HEIGHT = 270
# The point editor, which the page shows in place of the text field `points`.
HAS_EDITOR = ("FiguraPointPrompt",)
EDITOR_WIDTH, EDITOR_HEIGHT = 560, 480
GROUP_MARGIN = 20
GROUP_TITLE = 60
NOTE_SIZE = (420, 520)
SHOWS_IMAGE = ("SaveImage", "PreviewImage", "MaskPreview", "LoadImage")
# These grow by a preview while they run, and keep it.
SHOWS_PREVIEW = (
    "FiguraPHACSampler",
    "FiguraInpaintRefiner",
    "FiguraHandSampler",
    "FiguraBodyOutpaint",
    "FiguraHumanSDSampler",
    "FiguraPoCoLDSampler",
    "FiguraCFLDSampler",
    "KSampler",
)
PREVIEW_HEIGHT = 270
BADGE_HEIGHT = 48
"""Of the line with the pack's name that Nodes 2.0 puts below every node."""

Slots = list[dict[str, Any]]


def api_form(flow: Flow) -> dict[str, Any]:
    """The workflow as POST /prompt takes it, with the nodes' titles."""
    return {
        str(node.id): {
            "inputs": {name: _api_value(node.values[name]) for name in node.specs if name in node.values},
            "class_type": node.class_type,
            "_meta": {"title": node_title(node)},
        }
        for node in flow.nodes
    }


def _api_value(value: Any) -> Any:
    return [str(value.node.id), value.slot] if isinstance(value, Output) else value


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


FILE_INPUTS = {"CheckpointLoaderSimple": "ckpt_name", "ControlNetLoader": "control_net_name"}
"""Loaders of ComfyUI, and their input that names a model file."""


def ui_form(flow: Flow) -> dict[str, Any]:
    """The workflow as the page saves it (litegraph format 0.4)."""
    links = _links(flow)
    places, frames = _layout(flow)
    ids = {(dst, name): link[0] for link, (dst, name) in links}
    nodes = [_ui_node(node, order, places[node.id], ids, links) for order, node in enumerate(flow.nodes)]
    notes = [_ui_note(note, len(nodes) + 1 + index, index) for index, note in enumerate(flow.notes)]
    return {
        "id": str(uuid.uuid5(IDS, flow.name)),
        "revision": 0,
        "last_node_id": len(nodes) + len(notes),
        "last_link_id": len(links),
        "nodes": nodes + notes,
        "links": [link for link, _ in links],
        "groups": [_ui_group(index + 1, group, frames[index]) for index, group in enumerate(flow.groups)],
        "config": {},
        "extra": {"ds": {"scale": 0.6, "offset": [NOTE_SIZE[0] + 3 * GAP, 120]}},
        "version": SCHEMA_VERSION,
    }


def _links(flow: Flow) -> list[tuple[list[Any], tuple[int, str]]]:
    """Each link as [id, source, source slot, target, target slot, type], with (target, input name)."""
    found: list[tuple[list[Any], tuple[int, str]]] = []
    for node in flow.nodes:
        for slot, spec in enumerate(_slot_order(node)):
            value = node.values.get(spec.name)
            if isinstance(value, Output):
                link = [len(found) + 1, value.node.id, value.slot, node.id, slot, value.type]
                found.append((link, (node.id, spec.name)))
    return found


def _slot_order(node: Node) -> list[InputSpec]:
    """Inputs in the order of the page's slots: sockets first, then the fields, which can be linked too."""
    specs = list(node.specs.values())
    return [spec for spec in specs if not is_widget(spec)] + [spec for spec in specs if is_widget(spec)]


def _ui_node(
    node: Node,
    order: int,
    place: tuple[int, int],
    ids: dict[tuple[int, str], int],
    links: list[tuple[list[Any], tuple[int, str]]],
) -> dict[str, Any]:
    shape = {
        "id": node.id,
        "type": node.class_type,
        "pos": list(place),
        "size": [_width(node), _height(node)],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [_ui_input(spec, ids.get((node.id, spec.name))) for spec in _slot_order(node)],
        "outputs": _ui_outputs(node, [link for link, _ in links]),
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


def _ui_outputs(node: Node, links: list[list[Any]]) -> Slots:
    outputs = []
    for slot, (name, declared) in enumerate(zip(output_names(node.node_class), node.node_class.RETURN_TYPES)):
        taken = [link[0] for link in links if link[1] == node.id and link[2] == slot]
        outputs.append({"name": name, "type": type_name(declared), "links": taken or None})
    return outputs


def _properties(node: Node) -> dict[str, Any]:
    ours = node.class_type.startswith("Figura")
    known = {"cnr_id": "figura" if ours else "comfy-core", "Node name for S&R": node.class_type}
    downloads = _downloads(node) if node.class_type in FILE_INPUTS else []
    return known | ({"models": downloads} if downloads else {})


def _downloads(node: Node) -> list[dict[str, str]]:
    """What the page needs to offer a missing file for download; empty for one without such a source."""
    name = node.values[FILE_INPUTS[node.class_type]]
    found = [file for file in store.known_files() if file.name == name and file.repo]
    return [
        {
            "name": file.name,
            "url": f"https://huggingface.co/{file.repo}/resolve/main/{file.path}",
            "directory": file.folder,
            **({"hash": file.sha256, "hash_type": "SHA256"} if file.sha256 else {}),
        }
        for file in found
    ]


def widgets_values(node: Node) -> list[Any]:
    """The fields' values in the page's order, with the fields the page adds itself."""
    return [value for spec in node.specs.values() if is_widget(spec) for value in _field_values(node, spec)]


def _field_values(node: Node, spec: InputSpec) -> Iterator[Any]:
    value = node.values[spec.name]
    yield spec.options.get("default") if isinstance(value, Output) else value
    if has_seed_control(spec):
        yield "fixed"
    if spec.options.get("image_upload"):
        yield "image"


def _ui_note(note: Note, node_id: int, index: int) -> dict[str, Any]:
    width, height = NOTE_SIZE
    return {
        "id": node_id,
        "type": "MarkdownNote",
        "pos": [-width - 2 * GAP, index * (height + TITLE_HEIGHT + GAP)],
        "size": [width, height],
        "flags": {},
        "order": node_id - 1,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": note.title,
        "properties": {},
        "widgets_values": [note.text],
        "color": "#432",
        "bgcolor": "#653",
    }


def _ui_group(group_id: int, group: Group, frame: tuple[int, int, int, int]) -> dict[str, Any]:
    return {
        "id": group_id,
        "title": group.title,
        "bounding": list(frame),
        "color": group.color,
        "font_size": 24,
        "flags": {},
    }


def _width(node: Node) -> int:
    return EDITOR_WIDTH if node.class_type in HAS_EDITOR else NODE_WIDTH


def _height(node: Node) -> int:
    """About the height the page gives the node."""
    specs = list(node.specs.values())
    sockets = max(sum(not is_widget(spec) for spec in specs), len(node.node_class.RETURN_TYPES))
    fields = sum(_field_height(spec) for spec in specs if is_widget(spec))
    image = IMAGE_HEIGHT if node.class_type in SHOWS_IMAGE else 0
    editor = EDITOR_HEIGHT - TEXT_HEIGHT if node.class_type in HAS_EDITOR else 0
    return sockets * SLOT_HEIGHT + fields + image + editor + 10


def _room(node: Node) -> int:
    """The height that the node takes in the end."""
    return _height(node) + BADGE_HEIGHT + (PREVIEW_HEIGHT if node.class_type in SHOWS_PREVIEW else 0)


def _field_height(spec: InputSpec) -> int:
    own = TEXT_HEIGHT if spec.options.get("multiline") else FIELD_HEIGHT
    added = has_seed_control(spec) or spec.options.get("image_upload")
    return own + (FIELD_HEIGHT if added else 0)


def _layout(flow: Flow) -> tuple[dict[int, tuple[int, int]], list[tuple[int, int, int, int]]]:
    """Places of the nodes by id, and the frames of the groups as x, y, width, height."""
    places: dict[int, tuple[int, int]] = {}
    frames = []
    left = 0
    for group in flow.groups:
        x, bottom = left, 0
        for column in _columns(group):
            y = 0
            for node in column:
                places[node.id] = (x, y)
                y += _room(node) + TITLE_HEIGHT + GAP
            bottom = max(bottom, y - GAP - TITLE_HEIGHT)
            x += max(_width(node) for node in column) + GAP
        width = x - GAP - left
        top = -GROUP_TITLE - TITLE_HEIGHT
        frames.append((left - GROUP_MARGIN, top, width + 2 * GROUP_MARGIN, bottom - top + GROUP_MARGIN))
        left += width + 2 * GROUP_MARGIN + GAP
    return places, frames


def _columns(group: Group) -> list[list[Node]]:
    columns: list[list[Node]] = []
    for node in group.nodes:
        if node.new_column or not columns:
            columns.append([])
        columns[-1].append(node)
    return columns
