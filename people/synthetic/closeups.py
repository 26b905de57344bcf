"""Single hands close up, with the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .body import LEFT, RIGHT, pose_body, sample_proportions
from .clothes import COLOUR_NAMES, SKINS, sample_outfits
from .draws import Draws
from .figure import Figure, dress
from .gestures import raise_hands
from .poses import sample_poses
from .render import HAND_LABELS, draw_figure, lamp, to_pixels
from .surroundings import paint_background

# DensePose labels of each side's arm: hand, forearm, upper arm.
_ARM_LABELS = {RIGHT: (3, 20, 22, 16, 18), LEFT: (4, 19, 21, 15, 17)}
SIDES = ("right", "left")
SKIN_NAMES = ("pale", "light", "beige", "brown", "dark")
SHARE = (0.56, 0.76)
WHOLE_BODY = 0.15


@dataclass(frozen=True)
class SyntheticHands:
    """B hands, one a picture of S x S pixels.

    pictures (B,3,S,S) 0..1; masks (B,1,S,S) 0 or 1, the hand without the arm; joints (B,21,3) x_px, y_px and
    1 where the point lies in the picture; left (B,) bool.
    """

    pictures: Tensor
    masks: Tensor
    joints: Tensor
    left: Tensor
    captions: list[str]


@torch.no_grad()
def render_hands(seeds: Sequence[int], size: int = 128, device: torch.device | str = "cpu") -> SyntheticHands:
    """The hands of these seeds: both sides, skins, sleeves, backgrounds, turned every way, mostly upright."""
    left, alone = _which(Draws(seeds, "camera", device))
    kinds = 2 * left.long() + alone.long()
    parts, places = [], []
    for kind in kinds.unique().tolist():  # alike ones together: each capsule has one window for all pictures
        place = torch.nonzero(kinds == kind)[:, 0]
        parts.append(
            _render_alike([seeds[i] for i in place.tolist()], size, device, kind >= 2, bool(kind % 2))
        )
        places.append(place)
    order = torch.cat(places).argsort()
    pictures, masks, joints = (
        torch.cat([getattr(part, name) for part in parts])[order] for name in ("pictures", "masks", "joints")
    )
    texts = [text for part in parts for text in part.captions]
    return SyntheticHands(pictures, masks, joints, left, [texts[i] for i in order.tolist()])


def _which(camera: Draws) -> tuple[Tensor, Tensor]:
    """Whether it is a left hand, and whether nothing but that arm is in the picture; (B,) bool."""
    return camera.chance(0.5), ~camera.chance(WHOLE_BODY)


def _render_alike(
    seeds: list[int], size: int, device: torch.device | str, is_left: bool, alone: bool
) -> SyntheticHands:
    streams = {name: Draws(seeds, name, device, 20_000 if name == "background" else 256)
               for name in ("body", "clothes", "camera", "background", "pose")}  # fmt: skip
    camera = streams["camera"]
    left, _ = _which(camera)
    poses, _ = raise_hands(sample_poses(streams["pose"]), streams["pose"])
    body = pose_body(sample_proportions(streams["body"]), poses)
    outfit = sample_outfits(streams["clothes"], body.proportions.woman)
    side = LEFT if is_left else RIGHT
    figure = dress(body, outfit, fingers=True)
    turn = _turns(camera)
    figure = turned(only_arm(figure, side) if alone else figure, turn)
    hand = body.hands[:, side] @ turn.transpose(1, 2)
    scale, centre = _camera(camera, hand, size)
    colour, coverage, part, _ = draw_figure(figure, body, outfit, scale, centre, size, lamp(camera))
    background = paint_background(streams["background"], size)
    inside = torch.ones_like(hand[..., 0], dtype=torch.bool)
    return SyntheticHands(
        pictures=colour + background * (1 - coverage),
        masks=without_cracks((part == HAND_LABELS[side])[:, None].float()),
        joints=to_pixels(hand, scale, centre, inside, size),
        left=left, captions=describe_hands(left, outfit),
    )  # fmt: skip


def only_arm(figure: Figure, side: int) -> Figure:
    """The figure with nothing but one arm."""
    labels = torch.tensor(_ARM_LABELS[side], device=figure.label_behind.device)
    keep = torch.isin(figure.label_behind, labels)
    values = {f.name: getattr(figure, f.name) for f in fields(figure)}
    return Figure(
        **{name: value[keep] if value.dim() == 1 else value[:, keep] for name, value in values.items()}
    )


def without_cracks(masks: Tensor, width: int = 2) -> Tensor:
    """The masks (B,1,S,S) with cracks up to twice `width` px wide filled, such as those at the wrist."""
    reach = 2 * width + 1
    grown = F.max_pool2d(masks, reach, 1, width)
    return torch.maximum(masks, 1 - F.max_pool2d(1 - grown, reach, 1, width))


def turned(figure: Figure, turn: Tensor) -> Figure:
    """The figure under rotations (B,3,3)."""
    names = ("start", "end", "front", "origin", "axis")
    return replace(figure, **{name: getattr(figure, name) @ turn.transpose(1, 2) for name in names})


def describe_hands(left: Tensor, outfit) -> list[str]:
    """For example "a left hand with brown skin, blue sleeve"."""
    tones = torch.tensor(SKINS, device=left.device)
    skins = (outfit.colour[:, 0, None] - tones).norm(dim=2).argmin(1)
    rows = zip(
        left.tolist(), skins.tolist(), outfit.sleeves.tolist(), outfit.top_colour.tolist(), strict=True
    )
    return [
        f"a {SIDES[is_left]} hand with {SKIN_NAMES[skin]} skin"
        + (f", {COLOUR_NAMES[colour]} sleeve" if sleeves == 2 else "")
        for is_left, skin, sleeves, colour in rows
    ]


def _turns(draws: Draws) -> Tensor:
    """(B,3,3): in the picture's plane mostly a little, sometimes any way; a little out of it."""
    roll = torch.where(
        draws.chance(0.75), draws.normal(0, 0.6).reshape(-1), draws.uniform(-3.1416, 3.1416).reshape(-1)
    )
    out = draws.normal(0, 0.3, 2)
    zero, one = torch.zeros_like(roll), torch.ones_like(roll)
    cos, sin = roll.cos(), roll.sin()
    plane = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
    cos, sin = out[:, 0].cos(), out[:, 0].sin()
    nod = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], 1).view(-1, 3, 3)
    cos, sin = out[:, 1].cos(), out[:, 1].sin()
    shake = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], 1).view(-1, 3, 3)
    return plane @ nod @ shake


def _camera(draws: Draws, hand: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixels per metre (B,) and where the pelvis lands (B,2): the joints' box in the middle."""
    low, high = hand[..., :2].amin(1), hand[..., :2].amax(1)
    scale = size * draws.uniform(*SHARE).reshape(-1) / (high - low).amax(1)
    middle = (low + high) / 2 * scale[:, None]
    place = size * (0.5 + draws.normal(0, 0.03, 2))
    return scale, torch.stack([place[:, 0] - middle[:, 0], place[:, 1] + middle[:, 1]], 1)
