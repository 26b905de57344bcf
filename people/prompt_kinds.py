"""The kinds of point prompt, one row each. Nodes, drawing, recipes, files and reports read it.

They are PHAC's five: joints, the box of the region of interest, the box of the entire person, and joints with
either box.
"""

from __future__ import annotations

from dataclasses import dataclass

ROI_BOX, FULL_BOX = BOXES = ("roi_box", "full_box")
"""Of the part to complete, and of the whole person: the boxes of a points text."""
CORNERS = 2
"""Points that a user places for one box."""


@dataclass(frozen=True)
class PromptKind:
    """One kind of prompt.

    name: the choice of the input prompt_type, and what a weights file says its ControlNet reads. symbol: the
    paper's, empty for a kind it has not. joints: whether it shows joints. boxes: those of BOXES that it
    shows. label: what it is, in few words, for tables and help. note: a sentence about the example, for its
    workflow.
    """

    name: str
    symbol: str
    joints: bool
    boxes: tuple[str, ...]
    label: str
    note: str

    @property
    def recipe(self) -> str:
        """The recipe that trains its ControlNet; the weights file is named after it."""
        return "phac" if self.name == POSE else f"phac_{self.name}"

    @property
    def points(self) -> int:
        """How many points a user places for its boxes; joints come on top of these."""
        return CORNERS * len(self.boxes)


POSE = "pose"
"""The kind that public ControlNets read."""

PROMPT_KINDS: dict[str, PromptKind] = {
    kind.name: kind
    for kind in (
        PromptKind(
            POSE, "p_po", True, (), "joints",
            "Four points say where the hidden joints are.",
        ),
        PromptKind(
            "roi_box", "p_ib", False, (ROI_BOX,), "box of the hidden part",
            "A box round the part that is missing is all that is said: two corners.",
        ),
        PromptKind(
            "full_box", "p_eb", False, (FULL_BOX,), "box of the whole person",
            "A box round the whole person, seen and hidden, is all that is said: two corners.",
        ),
        PromptKind(
            "pose_roi_box", "p_poib", True, (ROI_BOX,), "joints and box of the hidden part",
            "Four points say where the hidden joints are, and a box what part is missing.",
        ),
        PromptKind(
            "pose_full_box", "p_poeb", True, (FULL_BOX,), "joints and box of the whole person",
            "Four points say where the hidden joints are, and a box how large the person is.",
        ),
    )
}  # fmt: skip
"""Name -> kind, in the order in which they are offered."""


def prompt_kind(name: str) -> PromptKind:
    """The kind of that name; ValueError lists the known ones."""
    if name not in PROMPT_KINDS:
        raise ValueError(f"prompt_type must be one of {', '.join(PROMPT_KINDS)}; got {name!r}.")
    return PROMPT_KINDS[name]


def explained() -> str:
    """All kinds in words, for help."""
    return " ".join(f"{kind.name}: {kind.label}." for kind in PROMPT_KINDS.values())
