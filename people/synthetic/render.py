"""Pictures of synthetic people with the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count

import torch
from torch import Tensor

from .camera import Camera
from .captions import describe
from .choices import BACKGROUNDS, HANDS_RAISED, SCENE, VIEWS, WHOLE
from .draws import Draws
from .gestures import raise_hands, showing
from .occluders import place
from .person import Drawing, Person, draw_person, make_person, shadows_of
from .photograph import sample_photograph
from .poses import sample_pose
from .scene import draw_surroundings, sample_scene
from .seats import seat_of
from .views import frame_person

HAND_LABELS = (3, 4)
SEEN_SHARE = 0.7
SMALLEST_SIZE = 16
MOST_HIDDEN = 0.9
PARTS = 5
"""In which a person is drawn: the body, its scene and shadows, its picture, what is in front, and behind."""
_FACE_SEEN = {0: -0.2, 14: -0.35, 15: -0.35, 16: -0.35, 17: -0.35}
"""Cosine to the camera from which nose, eyes and ears can be told."""

__all__ = ["PARTS", "SyntheticPeople", "render_people", "select", "without_occluder"]


@dataclass(frozen=True)
class SyntheticPeople:
    """B people, one a picture of S x S pixels. Pictures are (B, 3, S, S) 0..1, masks (B, 1, S, S) of 0 and 1.

    occluded: what a camera sees; unoccluded: without the thing in front; complete: the whole person in front
    of what hid them; cutout: the person alone on white. joints (B, 18, 3) and hands (B, 2, 21, 3):
    x_px, y_px and 1 where the point is in the picture and turned to the camera enough to be told, else 0;
    hands are right, left; of people who show hands only those count. joint_visible (B, 18) bool: not covered
    by the occluder. densepose_i (B, S, S)
    uint8 0..24, densepose_uv (B, 2, S, S) 0..1, of the whole person. others (B, 2, S, S): other people,
    those behind as `unoccluded` shows them and those in front.
    """

    occluded: Tensor
    unoccluded: Tensor
    complete: Tensor
    cutout: Tensor
    amodal_mask: Tensor
    visible_mask: Tensor
    invisible_mask: Tensor
    joints: Tensor
    joint_visible: Tensor
    hands: Tensor
    densepose_i: Tensor
    densepose_uv: Tensor
    others: Tensor
    captions: list[str]


@torch.no_grad()
def render_people(
    seeds: Sequence[int],
    size: int = 128,
    device: torch.device | str = "cpu",
    pose_seeds: Sequence[int] | None = None,
    occlusion: float | None = None,
    view: str = WHOLE,
    background: str = SCENE,
    photographs: Sequence[Tensor] | None = None,
    patterns: bool = True,
    on_part: Callable[[int], object] | None = None,
) -> SyntheticPeople:
    """The people of these seeds; with `pose_seeds`, the same people held as the people of those seeds are.

    Each is drawn by itself: a picture depends on its seeds and the options alone.

    Args:
        seeds: of the people.
        size: side of the pictures in pixels.
        device: where they are drawn.
        pose_seeds: whose poses they take; None: their own.
        occlusion: share of the person that is hidden, 0..0.9; None draws it between 0.08 and 0.6 for each.
        view: "whole person"; "hands raised", framed from the head to the hips; or "close", of which the
            border cuts a part off.
        background: "scene", or "white" as in a studio.
        photographs: (3,H,W) 0..1: one of them is behind half of the people in place of a drawn scene.
        patterns: False: the same clothes without their patterns.
        on_part: told how many parts are drawn, PARTS for each person; may raise, which ends the drawing.

    Raises:
        ValueError: for no seeds, a size below 16, a share outside 0..0.9, another view or another background.
    """
    _check(seeds, size, occlusion, view, background)
    poses = seeds if pose_seeds is None else pose_seeds
    drawn = count(1)

    def told() -> None:
        if on_part is not None:
            on_part(next(drawn))

    options = Options(size, device, occlusion, view, background, photographs, patterns, told)
    with torch.inference_mode():  # 7 % faster than with what gradients need
        rows = [_render(int(seed), int(pose), options) for seed, pose in zip(seeds, poses, strict=True)]
    # Stacked outside of it: networks learn from the pictures.
    stacked = {
        name: torch.stack([getattr(row, name)[0] for row in rows])
        for name in (field.name for field in fields(SyntheticPeople))
        if name != "captions"
    }
    return SyntheticPeople(**stacked, captions=[row.captions[0] for row in rows])


def _check(seeds: Sequence[int], size: int, occlusion: float | None, view: str, background: str) -> None:
    if len(seeds) == 0:
        raise ValueError("no seeds were given; one is needed for each picture")
    if size < SMALLEST_SIZE:
        raise ValueError(
            f"size is {size}; a picture of a person needs at least {SMALLEST_SIZE} pixels a side"
        )
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}; it is one of {', '.join(VIEWS)}")
    if background not in BACKGROUNDS:
        raise ValueError(f"background is {background!r}; it is one of {', '.join(BACKGROUNDS)}")
    if occlusion is not None and not 0 <= occlusion <= MOST_HIDDEN:
        raise ValueError(f"occlusion is {occlusion}; the hidden share must lie between 0 and {MOST_HIDDEN}")


@dataclass(frozen=True)
class Options:
    """What is asked of all pictures alike, as `render_people` takes it."""

    size: int
    device: torch.device | str
    occlusion: float | None
    view: str
    background: str
    photographs: Sequence[Tensor] | None
    patterns: bool
    told: Callable[[], None]
    """Called after each of the PARTS of a person."""


def _render(seed: int, pose_seed: int, options: Options) -> SyntheticPeople:
    pose_draws = Draws(pose_seed, "pose")
    pose, raised = sample_pose(pose_draws), None
    if options.view == HANDS_RAISED:
        pose, raised = raise_hands(pose, pose_draws)
    person = make_person(seed, pose, options.device, patterns=options.patterns)
    camera = frame_person(person, options.view, raised, Draws(seed, "camera"), options.size)
    options.told()
    joints, hands = joints_px(person, camera), hands_px(person, camera)
    caption = f"{describe(person.look)}, {pose.name}"
    drawing, layers = _photographed(seed, person, camera, joints, options)
    if raised is not None:
        hands[..., 2] *= (torch.tensor(raised, device=hands.device) & hands_seen(hands, drawing.part))[
            :, None
        ]
        caption = showing(caption, sum(raised))
    return _truth(drawing, layers, joints, hands, caption)


@dataclass(frozen=True)
class Layers:
    """What is behind the person (3,S,S) and which of it is other people (1,S,S); the thing in front (3,S,S),
    where that is (1,S,S), 0..1, and whether it is somebody.
    """

    behind: Tensor
    others_behind: Tensor
    thing: Tensor
    in_front: Tensor
    is_person: bool


def _photographed(
    seed: int, person: Person, camera: Camera, joints: Tensor, options: Options
) -> tuple[Drawing, Layers]:
    """The person and what is round them, each as the same exposure shows it. White stays white."""
    scene = sample_scene(seed, camera, options.photographs, seat_of(person.figure))
    light = scene.light(seed, options.device)
    shadows = shadows_of(person, light)
    options.told()
    drawing = draw_person(person, camera, light, shadows)
    options.told()
    photograph = sample_photograph(seed, options.size, options.device)
    amodal = (drawing.coverage >= 0.5).float()
    front = place(seed, options.occlusion, amodal, joints, light)
    options.told()
    behind, others = torch.ones_like(drawing.colour), torch.zeros_like(amodal)
    if options.background == SCENE:
        behind, others = draw_surroundings(scene, light, camera, options.size, shadows)
        behind = photograph.develop(behind)
    drawing = replace(drawing, colour=photograph.develop(drawing.colour))
    layers = Layers(behind, others, photograph.develop(front.image), front.coverage, front.is_person)
    options.told()
    return drawing, layers


def _truth(drawing: Drawing, layers: Layers, joints: Tensor, hands: Tensor, text: str) -> SyntheticPeople:
    """One row of everything, from the layers of the picture."""
    coverage, behind, thing, in_front = drawing.coverage, layers.behind, layers.thing, layers.in_front
    colour = drawing.colour * coverage
    amodal = (coverage >= 0.5).float()
    visible = amodal * (in_front < 0.5)
    others = torch.cat([layers.others_behind * (1 - amodal), (in_front >= 0.5).float() * layers.is_person])
    unoccluded = colour + behind * (1 - coverage)
    return SyntheticPeople(
        occluded=torch.lerp(unoccluded, thing, in_front)[None], unoccluded=unoccluded[None],
        complete=(colour + torch.lerp(behind, thing, in_front) * (1 - coverage))[None],
        cutout=(colour + (1 - coverage))[None],
        amodal_mask=amodal[None], visible_mask=visible[None], invisible_mask=(amodal - visible)[None],
        joints=joints[None], joint_visible=((joints[:, 2] > 0) & (_at(in_front, joints) < 0.5))[None],
        hands=hands[None], densepose_i=drawing.part[None], densepose_uv=drawing.part_uv[None],
        others=(others > 0.5).float()[None],
        captions=[text],
    )  # fmt: skip


def joints_px(person: Person, camera: Camera) -> Tensor:
    """(18,3) x_px, y_px and whether the joint is in the picture and, on the face, turned to the camera."""
    figure = person.figure
    points = _in_image(camera, figure.joints)
    sight = camera.eye.to(points.device) - figure.head_centre
    for index, least in _FACE_SEEN.items():
        outward = figure.joints[index] - figure.head_centre
        cosine = (outward @ sight) / (outward.norm() * sight.norm())
        points[index, 2] *= float(cosine > least)
    return points


def hands_px(person: Person, camera: Camera) -> Tensor:
    """(2,21,3) x_px, y_px and whether the point is in the picture."""
    return _in_image(camera, person.figure.hands.reshape(-1, 3)).view(2, -1, 3)


def _in_image(camera: Camera, points: Tensor) -> Tensor:
    seen = camera.project(points)
    inside = ((seen[:, :2] >= 0) & (seen[:, :2] < camera.size)).all(1)
    return torch.cat([seen[:, :2], inside[:, None].float()], 1)


def hands_seen(hands: Tensor, part: Tensor) -> Tensor:
    """(2,) bool: whether hands (2,21,3) show where most of their joints are; part: DensePose (S,S)."""
    label = torch.tensor(HAND_LABELS, device=part.device)[:, None]
    shown = torch.stack([_at(part[None], side) for side in hands]) == label
    return (shown & (hands[..., 2] > 0)).float().mean(1) >= SEEN_SHARE


def _at(image: Tensor, points: Tensor) -> Tensor:
    """(n,): the value of a one-channel picture (1,S,S) at each of n points."""
    size = image.shape[-1]
    column, line = (points[:, i].long().clamp(0, size - 1) for i in (0, 1))
    return image[0, line, column]


def without_occluder(people: SyntheticPeople) -> SyntheticPeople:
    """The same pictures as if nothing stood in front."""
    return replace(
        people, occluded=people.unoccluded, complete=people.unoccluded, visible_mask=people.amodal_mask,
        others=people.others * torch.tensor([1.0, 0.0], device=people.others.device)[:, None, None],
        invisible_mask=torch.zeros_like(people.amodal_mask), joint_visible=people.joints[..., 2] > 0,
    )  # fmt: skip


def select(people: SyntheticPeople, kept: Tensor) -> SyntheticPeople:
    """The people for whom kept (B,) bool is true."""
    parts = {field.name: getattr(people, field.name) for field in fields(people)}
    rows = {name: value[kept] for name, value in parts.items() if torch.is_tensor(value)}
    return replace(
        people, captions=[text for text, k in zip(people.captions, kept, strict=True) if k], **rows
    )
