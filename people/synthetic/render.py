"""Pictures of synthetic people with the truth about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .body import Body, openpose_points, pose_body, sample_proportions
from .capsules import Capsules, rasterize
from .captions import describe
from .clothes import sample_outfits
from .draws import Draws
from .figure import Figure, dress
from .gestures import close_camera, pose_showing, raise_hands, showing
from .poses import sample_poses
from .shading import shade
from .surroundings import paint_background, place_occluder

HELD_OUT_FIRST_SEED = 10_000_000
WHOLE, HANDS_RAISED = VIEWS = ("whole person", "hands raised")
SCENE, WHITE = BACKGROUNDS = ("scene", "white")
HAND_LABELS = (3, 4)
SEEN_SHARE = 0.7
_SUPERSAMPLING = 2
_FINGERS_FROM = 192  # below this size in pixels a finger is thinner than a pixel


@dataclass(frozen=True)
class SyntheticPeople:
    """B people, one a picture of S x S pixels. Pictures are (B, 3, S, S) 0..1, masks (B, 1, S, S) of 0 and 1.

    occluded: what a camera sees; unoccluded: without the thing in front; complete: the whole person in front
    of what hid them; cutout: the person alone on white. joints (B, 18, 3) and hands (B, 2, 21, 3):
    x_px, y_px and 1 where the point is in the picture and turned to the camera enough to be told, else 0;
    hands are right, left; of people who show hands only those count. joint_visible (B, 18) bool: not covered
    by the occluder. densepose_i (B, S, S)
    uint8 0..24, densepose_uv (B, 2, S, S) 0..1, of the whole person.
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
) -> SyntheticPeople:
    """The people of these seeds; with `pose_seeds`, the same people held as the people of those seeds are.

    occlusion: share of the person that is hidden, 0..0.9; None draws it between 0.08 and 0.6 for each.
    view: "whole person", or "hands raised", framed from the head to the hips. background: "scene", or
    "white" as in a studio. Raises ValueError for a size below 16, a share outside 0..0.9, another view or
    another background.
    """
    if size < 16:
        raise ValueError(f"size is {size}; a picture of a person needs at least 16 pixels a side")
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}; it is one of {', '.join(VIEWS)}")
    if background not in BACKGROUNDS:
        raise ValueError(f"background is {background!r}; it is one of {', '.join(BACKGROUNDS)}")
    if occlusion is not None and not 0 <= occlusion <= 0.9:
        raise ValueError(f"occlusion is {occlusion}; the hidden share must lie between 0 and 0.9")
    streams = {name: Draws(seeds, name, device, 20_000 if name in ("background", "occluder") else 256)
               for name in ("body", "clothes", "camera", "background", "occluder")}  # fmt: skip
    pose_draws = Draws(pose_seeds or seeds, "pose", device, 256)
    proportions, poses = sample_proportions(streams["body"]), sample_poses(pose_draws)
    outfit = sample_outfits(streams["clothes"], proportions.woman)
    camera = streams["camera"]
    if view == HANDS_RAISED:
        poses, raised = raise_hands(poses, pose_draws)
        body, share = pose_showing(proportions, poses, raised, camera.uniform(0.86, 0.97).reshape(-1))
        figure = dress(body, outfit, fingers=True)
        scale, centre = close_camera(camera, body, raised, share, size)
        captions = [showing(text, int(count)) for text, count in
                    zip(describe(body, outfit, poses), raised.sum(1), strict=True)]  # fmt: skip
    else:
        body, raised = pose_body(proportions, poses), None
        figure = dress(body, outfit, fingers=size >= _FINGERS_FROM)
        scale, centre = _camera(camera, figure, size)
        captions = describe(body, outfit, poses)
    light = lamp(camera)
    colour, coverage, part, uv = draw_figure(figure, body, outfit, scale, centre, size, light)
    behind = torch.ones_like(colour) if background == WHITE else paint_background(streams["background"], size)
    joints, joints_seen = openpose_points(body)
    joints = to_pixels(joints, scale, centre, joints_seen, size)
    hands = to_pixels(
        body.hands,
        scale,
        centre,
        torch.ones(body.hands.shape[:3], dtype=torch.bool, device=joints.device),
        size,
    )
    if raised is not None:
        hands[..., 2] *= (raised & hands_seen(hands, part))[..., None]
    amodal = (coverage >= 0.5).float()
    hidden = streams["occluder"].uniform(0.08, 0.6).reshape(-1)
    hidden = torch.full_like(hidden, occlusion) if occlusion is not None else hidden
    in_front, thing = place_occluder(streams["occluder"], amodal, joints, hidden)
    visible = amodal * (in_front < 0.5)
    unoccluded = colour + behind * (1 - coverage)
    occluded = torch.lerp(unoccluded, thing, in_front)
    return SyntheticPeople(
        occluded=occluded, unoccluded=unoccluded,
        complete=colour + torch.lerp(behind, thing, in_front) * (1 - coverage),
        cutout=colour + (1 - coverage),
        amodal_mask=amodal, visible_mask=visible, invisible_mask=amodal - visible,
        joints=joints, joint_visible=(joints[..., 2] > 0) & (_at(in_front, joints) < 0.5), hands=hands,
        densepose_i=part, densepose_uv=uv, captions=captions,
    )  # fmt: skip


def hands_seen(hands: Tensor, part: Tensor) -> Tensor:
    """(B,2) bool: whether hands (B,2,21,3) show where most of their joints are; part: DensePose (B,S,S)."""
    label = torch.tensor(HAND_LABELS, device=part.device)[None, :, None]
    shown = torch.stack([_at(part[:, None], side) for side in hands.unbind(1)], 1) == label
    return (shown & (hands[..., 2] > 0)).float().mean(2) >= SEEN_SHARE


def _camera(draws: Draws, figure: Figure, size: int) -> tuple[Tensor, Tensor]:
    """Pixels per metre (B,) and where the pelvis lands (B, 2): the whole person in the picture, large,
    anywhere.
    """
    radius = torch.maximum(figure.start_radius, figure.end_radius)[..., None]
    shown = radius > 0
    points = torch.stack([figure.start[..., :2], figure.end[..., :2]])
    low = torch.where(shown, points - radius, torch.inf).amin((0, 2))
    high = torch.where(shown, points + radius, -torch.inf).amax((0, 2))
    extent = high - low
    scale = size * draws.uniform(0.74, 0.94).reshape(-1) / extent.amax(1)
    free = size - extent * scale[:, None]
    corner = free * (0.04 + 0.92 * draws.uniform(0, 1, 2))
    centre = torch.stack([corner[:, 0] - low[:, 0] * scale, corner[:, 1] + high[:, 1] * scale], 1)
    return scale, centre


def lamp(draws: Draws) -> Tensor:
    direction = torch.stack(
        [draws.uniform(-0.8, 0.8), draws.uniform(0.1, 0.9), draws.uniform(0.5, 1.0)], 1
    ).reshape(-1, 3)
    return direction / direction.norm(dim=1, keepdim=True)


def draw_figure(
    figure: Figure, body: Body, outfit, scale: Tensor, centre: Tensor, size: int, light: Tensor
) -> tuple[Tensor, ...]:
    """Colour times coverage (B, 3, S, S), coverage (B, 1, S, S), DensePose part (B, S, S) and uv (B,
    2, S, S).
    """
    fine = size * _SUPERSAMPLING
    per_metre, middle = scale * _SUPERSAMPLING, centre * _SUPERSAMPLING
    flip = torch.tensor([1.0, -1.0, 1.0], device=scale.device)
    shift = F.pad(middle, (0, 1))[:, None, :]
    capsules = Capsules(
        figure.start * flip * per_metre[:, None, None] + shift,
        figure.end * flip * per_metre[:, None, None] + shift,
        figure.start_radius * per_metre[:, None], figure.end_radius * per_metre[:, None],
    )  # fmt: skip
    surface = rasterize(capsules, fine, fine)
    line = torch.arange(fine, device=scale.device) + 0.5
    x = (line[None, None, :] - middle[:, 0, None, None]).expand(-1, fine, -1)
    y = (middle[:, 1, None, None] - line[None, :, None]).expand(-1, -1, fine)
    metres = torch.stack([x, y, surface.z], -1) / per_metre[:, None, None, None]
    colour, part, uv = shade(surface, figure, body, outfit, metres, light)
    covered = (surface.capsule >= 0).float()[:, None]
    part, where = F.max_pool2d(part.float(), _SUPERSAMPLING, return_indices=True)
    uv = uv.flatten(2).gather(2, where.flatten(1)[:, None].expand(-1, 2, -1)).view(-1, 2, size, size)
    coverage = F.avg_pool2d(covered, _SUPERSAMPLING)
    whole = coverage[:, 0] >= 0.5
    return (
        F.avg_pool2d(colour.clamp(0, 1), _SUPERSAMPLING),
        coverage,
        (part * whole).to(torch.uint8),
        uv * whole[:, None],
    )


def to_pixels(points: Tensor, scale: Tensor, centre: Tensor, seen: Tensor, size: int) -> Tensor:
    """(B, ..., 3) points in space to x_px, y_px and 1 where they are seen and in the picture, 0 elsewhere."""
    shape = (-1,) + (1,) * (points.dim() - 2)
    x = points[..., 0] * scale.view(shape) + centre[:, 0].view(shape)
    y = centre[:, 1].view(shape) - points[..., 1] * scale.view(shape)
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    return torch.stack([x, y, (seen & inside).float()], -1)


def _at(picture: Tensor, joints: Tensor) -> Tensor:
    """(B, n): the value of a one-channel picture at each of n joints."""
    size = picture.shape[-1]
    column, line = (joints[..., i].long().clamp(0, size - 1) for i in (0, 1))
    return picture.flatten(1).gather(1, line * size + column)


def without_occluder(people: SyntheticPeople) -> SyntheticPeople:
    """The same pictures as if nothing stood in front."""
    return replace(
        people, occluded=people.unoccluded, complete=people.unoccluded, visible_mask=people.amodal_mask,
        invisible_mask=torch.zeros_like(people.amodal_mask), joint_visible=people.joints[..., 2] > 0,
    )  # fmt: skip
