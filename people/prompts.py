"""Point prompts: what a user says about the person to be completed, and the prompt picture drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from .boxes import Box
from .crops import CropPlan, box_to_crop, points_to_crop
from .keypoints import BODY_18, DETECTED, GIVEN, HAND_21, Person, Pose
from .points_json import JointPoint, PointsText, read_points_text
from .prompt_kinds import BOXES, FULL_BOX, POSE, PROMPT_KINDS, ROI_BOX, prompt_kind
from .skeleton import draw_skeleton, line_radius
from .skeleton_openpose import draw_openpose

BOX_FILL = {ROI_BOX: 128.0 / 255.0, FULL_BOX: 0.0}
JOINT_ROOM = 0.5
"""How far outside of the picture a joint of the text may lie, in shares of its sides."""


@dataclass(frozen=True)
class PointPrompt:
    """One picture's prompt, in pixels of a width x height picture.

    kind: name of one of PROMPT_KINDS. joints: (18, 3) float32 x_px, y_px, confidence. given: (18,) bool, the
    joints that are not seen in the picture but were placed (or moved, or proposed) for the hidden part.
    roi_box: the region to be completed. full_box: the whole person. positive_px, negative_px: (n, 2)
    points on and off the visible person. left_hand, right_hand: (21, 3) or None.
    """

    kind: str
    width: int
    height: int
    joints: np.ndarray
    given: np.ndarray
    roi_box: Box | None = None
    full_box: Box | None = None
    positive_px: np.ndarray | None = None
    negative_px: np.ndarray | None = None
    left_hand: np.ndarray | None = None
    right_hand: np.ndarray | None = None

    @property
    def has_joints(self) -> bool:
        """Whether this kind of prompt shows joints."""
        return PROMPT_KINDS[self.kind].joints

    @property
    def shown_boxes(self) -> dict[str, Box]:
        """The boxes that this kind of prompt shows, by their names; those that are not set are left out."""
        boxes = {name: getattr(self, name) for name in PROMPT_KINDS[self.kind].boxes}
        return {name: box for name, box in boxes.items() if box is not None}

    @property
    def box(self) -> Box | None:
        """The box in which the hidden part has to lie: the first one shown, None when there is none."""
        return next(iter(self.shown_boxes.values()), None)

    @property
    def present(self) -> np.ndarray:
        """(18,) bool: the joints that have a place."""
        return self.joints[:, 2] > 0

    @property
    def visible_joints(self) -> np.ndarray:
        """(n, 2) x_px, y_px of the joints that are seen in the picture."""
        return self.joints[self.present & ~self.given, :2]

    @property
    def tells_visible_joints_alone(self) -> bool:
        """Whether it shows joints, but none that was placed for the hidden part."""
        return self.has_joints and bool(self.present.any()) and not bool((self.present & self.given).any())

    @property
    def says_nothing(self) -> bool:
        """Whether it names no joint, no box and no point on the person."""
        boxes = self.roi_box is None and self.full_box is None
        return boxes and not self.present.any() and len(_array(self.positive_px)) == 0

    @property
    def extent(self) -> Box:
        """The box around everything that was said about the person; EMPTY for an empty prompt."""
        points = np.concatenate([self.joints[self.present, :2], _array(self.positive_px)])
        extent = Box.around_points(points).with_area()  # a box without area would be left out of a union
        for box in (self.roi_box, self.full_box):
            extent = extent if box is None else extent.union(box)
        return extent

    def cropped(self, plan: CropPlan) -> PointPrompt:
        """The prompt for the planned crop, in the crop's pixels."""
        return replace(
            self,
            width=plan.model_width,
            height=plan.model_height,
            joints=points_to_crop(self.joints, plan),
            roi_box=None if self.roi_box is None else box_to_crop(self.roi_box, plan),
            full_box=None if self.full_box is None else box_to_crop(self.full_box, plan),
            positive_px=points_to_crop(_array(self.positive_px), plan),
            negative_px=points_to_crop(_array(self.negative_px), plan),
            left_hand=None if self.left_hand is None else points_to_crop(self.left_hand, plan),
            right_hand=None if self.right_hand is None else points_to_crop(self.right_hand, plan),
        )

    def to_pose(self) -> Pose:
        """The prompt's one person as a pose; the joints are marked as detected or given."""
        marks = [GIVEN if given else DETECTED for given in self.given]
        states = tuple(mark if there else None for mark, there in zip(marks, self.present, strict=True))
        person = Person(self.joints, self.left_hand, self.right_hand, states=states)
        return Pose((person,), self.width, self.height)


def _array(points: np.ndarray | Sequence[tuple[float, float]] | None) -> np.ndarray:
    return np.array([] if points is None else points, dtype=np.float32).reshape(-1, 2)


def parse_points(
    text: str,
    width: int,
    height: int,
    kind: str = POSE,
    pose: Pose | None = None,
    box: Box | None = None,
    person: int | None = None,
) -> PointPrompt:
    """The prompt of a width x height picture from a points text (see points_json), a detected pose and a box.

    Points of the text are rescaled when it was written for another size, and so are those of `pose`.
    Joints of `pose` are seen ones, unless it says that they were given or proposed; joints of the text
    replace them.

    Args:
        text: the points JSON; may be empty.
        width, height: of the picture in pixels.
        kind: name of the kind of prompt.
        pose: the joints that were detected, in pixels of its own size.
        box: the first box of the kind that the text has not, in pixels of the picture; an empty one is none.
        person: which person of `pose`; None takes the one nearest to the text's points, or else to the box,
            or else the one with most joints.

    Returns:
        The prompt in pixels of the picture.

    Raises:
        ValueError: for an unknown kind, a text that cannot be read, points outside the picture, joints far
            outside it, and when the kind needs joints or a box and there are none.
    """
    boxes = prompt_kind(kind).boxes
    box = None if box is None or box.is_empty else box
    said = _to_image(read_points_text(text), width, height)
    people = () if pose is None else pose.resized(height, width).people
    seen = _choose_person(people, said, box, person) or Person(np.zeros((18, 3), np.float32))
    joints, given = _merge_joints(seen, said)
    lacking = next((name for name in boxes if getattr(said, name) is None), None)
    if box is not None and lacking is not None and box.clip(height, width).is_empty:
        raise ValueError(
            f"bounding_box {tuple(box)} lies outside the picture of {width} x {height} pixels. Draw it on "
            "the person, or give the box of this picture."
        )
    prompt = PointPrompt(
        kind, width, height, joints, given,
        roi_box=said.roi_box or (box if lacking == ROI_BOX else None),
        full_box=said.full_box or (box if lacking == FULL_BOX else None),
        positive_px=_array(said.positive),
        negative_px=_array(said.negative),
        left_hand=_merge_hand(seen.left_hand, said.left_hand, said.removed_left_hand),
        right_hand=_merge_hand(seen.right_hand, said.right_hand, said.removed_right_hand),
    )  # fmt: skip
    _check_complete(prompt)
    return prompt


def nobody(width: int, height: int, kind: str = POSE) -> PointPrompt:
    """The prompt of a picture that shows nobody: a frame of a video that the person has left."""
    return PointPrompt(kind, width, height, np.zeros((18, 3), np.float32), np.zeros(18, bool))


def _to_image(said: PointsText, width: int, height: int) -> PointsText:
    scale_x, scale_y = width / (said.width or width), height / (said.height or height)
    _check_inside(said, said.width or width, said.height or height)

    def scaled(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((x * scale_x, y * scale_y) for x, y in points)

    def part(joints: dict[str, JointPoint]) -> dict[str, JointPoint]:
        return {n: JointPoint(j.x * scale_x, j.y * scale_y, j.state) for n, j in joints.items()}

    return replace(
        said,
        width=width,
        height=height,
        joints=part(said.joints),
        left_hand=part(said.left_hand),
        right_hand=part(said.right_hand),
        roi_box=said.roi_box and said.roi_box.scaled(scale_x, scale_y),
        full_box=said.full_box and said.full_box.scaled(scale_x, scale_y),
        positive=scaled(said.positive),
        negative=scaled(said.negative),
    )


def _check_inside(said: PointsText, width: float, height: float) -> None:
    """Joints may lie outside, as those of a POSE_KEYPOINT, but not so far that the size must be mistaken."""
    joints = [(name, joint) for name, joint in said.joints.items()]
    joints += [(f"left_hand.{name}", joint) for name, joint in said.left_hand.items()]
    joints += [(f"right_hand.{name}", joint) for name, joint in said.right_hand.items()]
    points = [(f"positive[{index}]", x, y) for index, (x, y) in enumerate(said.positive)]
    points += [(f"negative[{index}]", x, y) for index, (x, y) in enumerate(said.negative)]
    image = Box(0, 0, width, height)
    room = Box(-JOINT_ROOM * width, -JOINT_ROOM * height, (1 + JOINT_ROOM) * width, (1 + JOINT_ROOM) * height)
    wrong = [
        (name, joint.x, joint.y, "far outside")
        for name, joint in joints
        if not room.contains(joint.x, joint.y)
    ]
    wrong += [(name, x, y, "outside") for name, x, y in points if not image.contains(x, y)]
    for name, x, y, where in wrong:
        raise ValueError(
            f"points: {name} at ({x:g}, {y:g}) lies {where} the picture of {width:g} x {height:g} "
            "pixels. Move it inside, or set width and height to the size the points were set on."
        )
    for key in BOXES:
        box = getattr(said, key)
        if box is not None and box.intersect(image).is_empty:
            raise ValueError(f"points: {key} lies outside the picture of {width:g} x {height:g} pixels.")


def _choose_person(
    people: Sequence[Person], said: PointsText, box: Box | None, person: int | None
) -> Person | None:
    """One of the people; None when none of them has a joint. All in pixels of the picture."""
    if person is not None:
        if not 0 <= person < len(people):
            raise ValueError(
                f"person {person} was asked for, but POSE_KEYPOINT has {len(people)} people here."
            )
        return people[person]
    targets = _targets(said, box)
    return min(
        (someone for someone in people if someone.is_present),
        key=lambda someone: (_distance(someone, targets), _smallness(someone)),
        default=None,
    )


def _targets(said: PointsText, box: Box | None) -> np.ndarray:
    points = [(joint.x, joint.y) for joint in said.joints.values()] + list(said.positive)
    boxes = [each for each in (said.roi_box, said.full_box, box) if each is not None]
    return _array(points or [each.centre for each in boxes])


def _distance(person: Person, targets: np.ndarray) -> float:
    """Mean distance of the targets to the person's nearest joint; 0 when there are none."""
    joints = person.body[person.body[:, 2] > 0, :2]
    if len(targets) == 0:
        return 0.0
    return float(np.linalg.norm(targets[:, None] - joints[None], axis=2).min(axis=1).mean())


def _smallness(person: Person) -> tuple[int, float]:
    extent = Box.around_points(person.body)
    return -int((person.body[:, 2] > 0).sum()), -extent.width * extent.height


def _merge_joints(person: Person, said: PointsText) -> tuple[np.ndarray, np.ndarray]:
    joints = person.body.astype(np.float32)
    given = (joints[:, 2] > 0) & ~person.seen
    removed = [BODY_18.index(name) for name in said.removed]
    joints[removed], given[removed] = 0.0, False
    for name, joint in said.joints.items():
        index = BODY_18.index(name)
        joints[index] = (joint.x, joint.y, 1.0)
        given[index] = joint.state != DETECTED
    return joints, given


def _merge_hand(
    seen: np.ndarray | None, said: dict[str, JointPoint], removed: tuple[str, ...]
) -> np.ndarray | None:
    """A hand (21, 3): the seen one with the text's joints in it; None when neither has a joint."""
    hand = np.zeros((len(HAND_21), 3), np.float32) if seen is None else seen.astype(np.float32)
    hand[[HAND_21.index(name) for name in removed]] = 0.0
    for name, joint in said.items():
        hand[HAND_21.index(name)] = (joint.x, joint.y, 1.0)
    return hand if (hand[:, 2] > 0).any() else None


def _check_complete(prompt: PointPrompt) -> None:
    if prompt.has_joints and not prompt.present.any():
        raise ValueError(
            f"prompt_type {prompt.kind!r} needs joints, and there are none. Place joints in points, or "
            "connect a POSE_KEYPOINT in which a person was found."
        )
    for name in PROMPT_KINDS[prompt.kind].boxes:
        if name not in prompt.shown_boxes:
            raise ValueError(
                f"prompt_type {prompt.kind!r} needs a box. Set {name} in points, or connect a BOUNDING_BOX."
            )


def draw_public_prompt(
    prompts: Sequence[PointPrompt], height: int, width: int, bold: bool = False
) -> torch.Tensor:
    """The joints alone on black, as public OpenPose ControlNets know them.

    Args:
        prompts: of any kind; those set on another size are scaled.
        height, width: of the pictures in pixels.
        bold: as that of SDXL knows them.

    Returns:
        (B, 3, height, width) in 0..1.
    """
    joints = np.stack([_drawn_joints(prompt, height, width) for prompt in prompts])
    return draw_openpose(torch.from_numpy(joints), height, width, bold=bold)


def draw_prompt(prompts: Sequence[PointPrompt], height: int, width: int) -> torch.Tensor:
    """The prompt pictures (B, 3, height, width) in 0..1, on black: boxes first, the skeleton on top of them.

    The box of the entire person is a white outline, that of the region of interest is filled with
    128-grey as well. Prompts set on another size are scaled. See draw_skeleton for the look of the
    joints.
    """
    joints = np.stack([_drawn_joints(prompt, height, width) for prompt in prompts])
    boxes = torch.stack([_draw_boxes(prompt, height, width) for prompt in prompts])
    return draw_skeleton(torch.from_numpy(joints), height, width, onto=boxes.expand(-1, 3, -1, -1))


def _drawn_joints(prompt: PointPrompt, height: int, width: int) -> np.ndarray:
    scale = np.array([width / prompt.width, height / prompt.height, float(prompt.has_joints)], np.float32)
    return prompt.joints * scale


def _draw_boxes(prompt: PointPrompt, height: int, width: int) -> torch.Tensor:
    drawn = torch.zeros(1, height, width)
    for name, box in prompt.shown_boxes.items():
        scaled = box.scaled(width / prompt.width, height / prompt.height)
        drawn = torch.maximum(drawn, _draw_box(scaled, BOX_FILL[name], height, width))
    return drawn


def _draw_box(box: Box, fill: float, height: int, width: int) -> torch.Tensor:
    half = 0.5 * line_radius(height, width)
    outer = _box_coverage(box.expand(half), height, width)
    inner = _box_coverage(box.expand(-half), height, width)
    return ((outer - inner) + fill * inner)[None]


def _box_coverage(box: Box, height: int, width: int) -> torch.Tensor:
    """How much of each pixel of a (height, width) picture the box covers."""
    rows = torch.arange(height, dtype=torch.float32)
    columns = torch.arange(width, dtype=torch.float32)
    cover_y = ((rows + 1).clamp(max=box.y1) - rows.clamp(min=box.y0)).clamp(0, 1)
    cover_x = ((columns + 1).clamp(max=box.x1) - columns.clamp(min=box.x0)).clamp(0, 1)
    return cover_y[:, None] * cover_x
