"""Generated hands laid where the bodies' skeletons want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..models.hands.canvas import BACKGROUNDS, Placement, make_canvas
from ..people.hands import Hand, hands_of
from ..people.keypoints import Pose, read_pose_keypoint
from ..people.naming import in_picture
from ..people.skeleton import check_canvas
from .inputs import threshold_input
from .tensors import BATCH_FIX, b1hw_to_mask, bchw_to_image, check_same_size, image_to_bchw, mask_to_b1hw

CATEGORY = "Figura/hands"


class FiguraHandCanvas:
    """Hand close-ups cut out, aligned with the bodies' hands, on a uniform background."""

    DESCRIPTION = (
        "Cuts generated hands out of their close-ups and lays each where the body's skeleton has that hand, "
        "shrunk and turned by a least-squares fit of the joints, on a uniform background. Body Outpaint, or "
        "a stock inpainting graph, draws the rest round them."
    )
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["hand", "hands", "hand fix", "fix hands", "canvas", "outpaint"]
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("canvas", "known_mask")
    OUTPUT_TOOLTIPS = (
        "One picture per body, of the size of its pose: the hands on the background.",
        "What is known: the share of each pixel that hands cover. Inverted it is what is to be drawn.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Hand close-ups, one per hand, from Hand Sampler."}),
                "mask": ("MASK", {"tooltip": "1 on the hand, one per close-up, from Hand Sampler."}),
                "hand_pose": (
                    "POSE_KEYPOINT",
                    {
                        "tooltip": "The joints of each close-up's hand, one picture per close-up, from Hand "
                        "Sampler.",
                    },
                ),
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {
                        "tooltip": "The bodies with their hands. The close-ups belong to them in order: of "
                        "each picture the first person with hands, right before left.",
                    },
                ),
                "background": (
                    list(BACKGROUNDS),
                    {
                        "default": "grey",
                        "tooltip": "Brightness of all that is no hand. Grey is neutral to the autoencoder.",
                    },
                ),
                "threshold": threshold_input("Where the mask is above this, the close-up shows the hand."),
            }
        }

    def run(
        self, image: Any, mask: Any, hand_pose: Any, pose_keypoint: Any, background: str, threshold: float
    ) -> tuple[Tensor, Tensor]:
        images, masks = image_to_bchw(image), mask_to_b1hw(mask)
        check_same_size(image=images, mask=masks)
        bodies = read_pose_keypoint(pose_keypoint)
        hands = _close_ups(read_pose_keypoint(hand_pose, name="hand_pose"), images)
        _check_counts(images, masks, hands)
        height, width = _common_size(bodies)
        canvas, known = make_canvas(
            images,
            (masks > threshold).float(),
            _assigned(hands, bodies),
            len(bodies),
            height,
            width,
            BACKGROUNDS[background],
        )
        return bchw_to_image(canvas), b1hw_to_mask(known)


def _close_ups(poses: Sequence[Pose], images: Tensor) -> list[Hand]:
    """The one hand of every close-up's pose, in the pixels of the close-ups as they came."""
    size = (images.shape[-2], images.shape[-1])
    return [_only_hand(pose, index, len(poses), size) for index, pose in enumerate(poses)]


def _only_hand(pose: Pose, index: int, count: int, size: tuple[int, int]) -> Hand:
    hands = hands_of(pose.resized(*size))
    if len(hands) != 1:
        raise ValueError(
            f"{in_picture('hand_pose', index, count)} has {len(hands)} hands; each close-up shows one. "
            "Connect hand_pose of Hand Sampler."
        )
    return hands[0]


def _check_counts(images: Tensor, masks: Tensor, hands: Sequence[Hand]) -> None:
    lengths = {"image": len(images), "mask": len(masks), "hand_pose": len(hands)}
    if len(set(lengths.values())) > 1:
        came = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"The batches do not match: {came}. One of each is needed for every hand.")


def _common_size(bodies: Sequence[Pose]) -> tuple[int, int]:
    """Height and width of the bodies' pictures. ValueError where they differ, or no picture is that large."""
    sizes = sorted({(pose.height, pose.width) for pose in bodies})
    if not sizes:
        raise ValueError(f"pose_keypoint is empty. {BATCH_FIX}")
    if len(sizes) > 1:
        both = " and ".join(f"{width} x {height}" for height, width in sizes[:2])
        raise ValueError(
            f"pose_keypoint has pictures of {both} pixels; all canvases of a batch have one size. Run them "
            "one by one."
        )
    check_canvas(*sizes[0])
    return sizes[0]


def _assigned(close_ups: Sequence[Hand], bodies: Sequence[Pose]) -> list[Placement]:
    """Each close-up with the body's hand it belongs to.

    Hand Sampler may have drawn hands of one side only: then only those of the bodies are wanted.
    """
    sides = {hand.side for hand in close_ups}
    wanted = [
        (index, hand) for index, pose in enumerate(bodies) for hand in hands_of(pose) if hand.side in sides
    ]
    without = sorted(set(range(len(bodies))) - {index for index, _ in wanted})
    if without:
        lacking = f"{sides.pop()} hand" if len(sides) == 1 else "hand"
        which = in_picture("pose_keypoint", without[0], len(bodies))
        raise ValueError(
            f"{which} has no {lacking} joints: place them, detect the pose with hands, or leave that picture "
            "out."
        )
    if [hand.side for hand in close_ups] != [hand.side for _, hand in wanted]:
        raise ValueError(
            f"{_listed(close_ups)} came in image and hand_pose, but pose_keypoint needs "
            f"{_listed([hand for _, hand in wanted])}. Give Hand Sampler and Hand Canvas the same "
            "pose_keypoint."
        )
    return [Placement(index, own, hand, len(bodies)) for own, (index, hand) in zip(close_ups, wanted)]


def _listed(hands: Sequence[Hand]) -> str:
    return f"{len(hands)} hands ({', '.join(hand.side for hand in hands)})"


NODE_CLASS_MAPPINGS = {"FiguraHandCanvas": FiguraHandCanvas}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraHandCanvas": "Hand Canvas (Figura)"}
