"""Where the nodes of a workflow stand: groups in rows, so that the page opens the whole as large as it can.

ComfyUI shows a template that it opens whole, at three quarters of the window. Below a zoom of 0.572 its
canvas draws no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from ..headless.graph import InputSpec
from ..models import store
from .flow import Flow, Group, Node, Note, Subgraph, has_seed_control, is_widget

WINDOW = (1920, 1010)
"""Of the canvas on a screen of 1920 x 1080, in pixels, where the page has a bar above it."""
SHOWN_SHARE = 0.75
LEAST_ZOOM = 0.572

GAP, BETWEEN = 24, 10
TITLE_HEIGHT = 30
SLOT_HEIGHT, FIELD_HEIGHT, TEXT_HEIGHT = 20, 25, 80
VUE_BASE, VUE_SLOT, VUE_FIELD, VUE_TEXT = 42, 21, 28, 80
"""The same in Nodes 2.0, whose nodes are taller: bodies grow to these heights when the page draws them."""
NODE_WIDTH = 250
NARROW = {"PreviewImage": 225, "MaskPreview": 225}
SHOWS_IMAGE = {"SaveImage": 160, "PreviewImage": 160, "MaskPreview": 160, "LoadImage": 220}
"""Nodes that show a picture, and its height."""
SIZE_LINE = 50
"""What Nodes 2.0 adds round a picture: its size in pixels below it, and the margins."""
ERROR_LINE = 36
"""What Nodes 2.0 adds below a node whose model file is not there."""
# The point editor, which the page shows in place of the text field `points`.
HAS_EDITOR = ("FiguraPointPrompt",)
EDITOR_WIDTH, EDITOR_HEIGHT = 510, 400
# These grow by a preview while they run, and keep it.
SHOWS_PREVIEW = (
    "FiguraPHACSampler",
    "FiguraInpaintRefiner",
    "FiguraHandSampler",
    "FiguraBodyOutpaint",
    "FiguraHumanSDSampler",
    "FiguraPoCoLDSampler",
    "FiguraCFLDSampler",
)
PREVIEW_HEIGHT = 250
GROUP_MARGIN = 14
GROUP_TITLE = 34
NOTE_WIDTH = 430
NOTE_LINE, NOTE_LETTERS = 19, 56
"""Height of a line of a note, and how many letters it holds."""

Place = tuple[int, int]
Frame = tuple[int, int, int, int]


@dataclass
class Block:
    """What stands together: a group's nodes, or the notes. places: node or note -> its place in the block."""

    frame: Group | None
    width: int = 0
    height: int = 0
    places: list[tuple[Node | Note, Place]] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """places: node or note -> x, y of its body. frames: of the groups, in order. size: of everything."""

    places: dict[Node | Note, Place]
    frames: list[Frame]
    size: Place

    @property
    def zoom(self) -> float:
        """At which the page opens it."""
        return opening_zoom(self.size)


def opening_zoom(size: Place) -> float:
    """The zoom at which the page shows something of this width and height, at most 1."""
    return min(1.0, *(SHOWN_SHARE * room / side for room, side in zip(WINDOW, size, strict=True)))


def lay_out(flow: Flow) -> Layout:
    """The layout that opens largest; of equal ones the lowest."""
    heights = range(360, 1500, 20)
    tries = [layout for height in heights for layout in _rows_of_each_width(flow, height)]
    return max(tries, key=lambda layout: (layout.zoom, -layout.size[1]))


def _rows_of_each_width(flow: Flow, height: int) -> Iterator[Layout]:
    blocks = [_note_block(flow.notes, height)] if flow.notes else []
    blocks += [_group_block(group, height) for group in flow.groups]
    shelves = list(_shelves(blocks, height))
    widths = [max(block.width for block in shelf) for shelf in shelves]
    for count in range(1, len(shelves) + 1):
        yield _placed(shelves, widths, sum(widths[:count]) + GAP * (count - 1))


def _shelves(blocks: Sequence[Block], height: int) -> Iterator[list[Block]]:
    """Blocks of a row, those together that stand below each other."""
    shelf: list[Block] = []
    for block in blocks:
        if shelf and sum(each.height + GAP for each in shelf) + block.height > height:
            yield shelf
            shelf = []
        shelf.append(block)
    yield shelf


def _placed(shelves: Sequence[Sequence[Block]], widths: Sequence[int], limit: int) -> Layout:
    """Shelves from left to right, in rows no wider than `limit`, or of one shelf."""
    places: dict[Node | Note, Place] = {}
    frames: list[Frame] = []
    x = y = bottom = right = 0
    for shelf, width in zip(shelves, widths, strict=True):
        if x and x + width > limit:
            x, y = 0, bottom + GAP
        top = y
        for block in shelf:
            places |= {item: (x + dx, top + dy) for item, (dx, dy) in block.places}
            if block.frame:
                frames.append((x, top, block.width, block.height))
            top += block.height + GAP
        bottom, right = max(bottom, top - GAP), max(right, x + width)
        x += width + GAP
    return Layout(places, frames, (right, bottom))


def _note_block(notes: Sequence[Note], height: int) -> Block:
    block = Block(None)
    sizes = [(note, NOTE_WIDTH, note_height(note) + TITLE_HEIGHT) for note in notes]
    _fill(block, sizes, height, (0, TITLE_HEIGHT))
    return block


def _group_block(group: Group, height: int) -> Block:
    block = Block(group)
    sizes = [(node, node_width(node), _room(node) + TITLE_HEIGHT) for node in group.nodes]
    top = GROUP_TITLE + TITLE_HEIGHT
    _fill(block, sizes, height - GROUP_TITLE - GROUP_MARGIN, (GROUP_MARGIN, top))
    block.width += 2 * GROUP_MARGIN
    block.height += GROUP_TITLE + GROUP_MARGIN
    return block


def _fill(block: Block, sizes: Sequence[tuple[Node | Note, int, int]], height: int, start: Place) -> None:
    """Put items of a width and a height below each other, in as many columns as `height` asks for.

    Narrow ones stand side by side where the widest leaves room.
    """
    widest = max(width for _, width, _ in sizes)
    left = x = y = line = bottom = 0
    for item, width, tall in sizes:
        if x + width > left + widest:
            x, y = left, line
        if y and y + tall > height:
            left += widest + GAP
            x, y, line = left, 0, 0
        block.places.append((item, (start[0] + x, start[1] + y)))
        x, line = x + width + BETWEEN, max(line, y + tall + BETWEEN)
        bottom = max(bottom, y + tall)
    block.width, block.height = left + widest, bottom


def note_height(note: Note) -> int:
    """About what its text needs."""
    lines = (max(1, -(-len(line) // NOTE_LETTERS)) for line in paragraphs(note.text))
    return 50 + sum(map(partial(int.__mul__, NOTE_LINE), lines))


def paragraphs(text: str) -> list[str]:
    """A text in Markdown by what stands on lines of its own: paragraphs, items, and what parts them."""
    joined: list[str] = []
    for line in map(str.strip, text.splitlines()):
        starts = not line or line[0] in "-*|" or line[0].isdigit()
        if starts or not joined or not joined[-1]:
            joined.append(line)
        else:
            joined[-1] += f" {line}"
    return joined


def node_width(node: Node) -> int:
    """Of its body in pixels of the graph."""
    return EDITOR_WIDTH if node.class_type in HAS_EDITOR else NARROW.get(node.class_type, NODE_WIDTH)


def node_height(node: Node) -> int:
    """About the height the classic canvas gives the node's body."""
    fields = sum(_field_height(spec) for spec in node.specs.values() if is_widget(spec))
    return _sockets(node) * SLOT_HEIGHT + fields + _picture(node) + 10


def _room(node: Node) -> int:
    """The height that the node takes in the end, in either renderer."""
    fields = [spec for spec in node.specs.values() if is_widget(spec)]
    texts = sum(bool(spec.options.get("multiline")) for spec in fields)
    single = VUE_FIELD * (len(fields) - texts)
    line = SIZE_LINE if node.class_type in SHOWS_IMAGE else 0
    if any(value in _public_files() for value in node.values.values() if isinstance(value, str)):
        line += ERROR_LINE
    vue = VUE_BASE + VUE_SLOT * _sockets(node) + single + VUE_TEXT * texts + _picture(node) + line
    return max(node_height(node), vue) + (PREVIEW_HEIGHT if _shows_preview(node) else 0)


@cache
def _public_files() -> frozenset[str]:
    """Names of the files that a user has or has not."""
    return frozenset(file.name for file in store.known_files())


def _shows_preview(node: Node) -> bool:
    """Of a node or of one inside it: a subgraph shows what its nodes show."""
    inside = node.node_class.nodes if isinstance(node.node_class, Subgraph) else [node]
    return any(each.class_type in SHOWS_PREVIEW for each in inside)


def _sockets(node: Node) -> int:
    sockets = sum(not is_widget(spec) for spec in node.specs.values())
    return max(sockets, len(node.node_class.RETURN_TYPES))


def _picture(node: Node) -> int:
    """Height of the picture it shows, or of what the editor has more than a text."""
    editor = EDITOR_HEIGHT - TEXT_HEIGHT if node.class_type in HAS_EDITOR else 0
    return SHOWS_IMAGE.get(node.class_type, 0) + editor


def _field_height(spec: InputSpec) -> int:
    own = TEXT_HEIGHT if spec.options.get("multiline") else FIELD_HEIGHT
    added = has_seed_control(spec) or spec.options.get("image_upload")
    return own + (FIELD_HEIGHT if added else 0)
