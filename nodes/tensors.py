"""The host's types at the nodes' doors: layouts, checks, boxes, and the one rule for matching batches.

The rule: a batch of one serves every picture; otherwise all batches must have the same length.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..models.sentences import shown
from ..people.boxes import EMPTY, Box
from ..people.keypoints import Person, Pose

FURTHEST = 1e9
"""Pixels; whatever lies further away was never a place in a picture."""
LARGEST_PICTURE = 2**28
"""Pixels of one picture, 16384 x 16384."""
BATCH_FIX = "Give one for all pictures or one for each (for example with Repeat Image Batch)."


def plain_image(image: Any, name: str = "image") -> torch.Tensor:
    """An IMAGE as float32 (B, H, W, C), C from 1 to 4, on its own device, not clamped.

    One picture may lack the batch. Raises TypeError and ValueError, naming the input, for other shapes and
    types, empty batches, tensors without values, whole numbers, NaN and infinity.
    """
    tensor = _tensor(image, name, "an IMAGE (batch, height, width, channels)")
    tensor = tensor[None] if tensor.ndim == 3 else tensor
    if tensor.ndim != 4 or tensor.shape[3] not in (0, 1, 2, 3, 4):
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}; an IMAGE is (batch, height, width, channels) with 1 to "
            "4 channels. Is a MASK or a LATENT connected? Convert it to an image first."
        )
    _check_filled(tensor, name, tensor.shape[1] * tensor.shape[2])
    if not tensor.is_floating_point() and tensor.dtype != torch.bool:
        raise ValueError(
            f"{name} holds whole numbers ({_dtype(tensor)}); an IMAGE holds 0 to 1. Divide it by its largest "
            "value, 255 for 8 bits."
        )
    return _finite(tensor.to(torch.float32), name)


def image_to_bchw(image: Any, name: str = "image") -> torch.Tensor:
    """An IMAGE (B, H, W, C) as float32 (B, 3, H, W), not clamped.

    Grey pictures (C = 1, or 2 with alpha) are repeated to three channels. Of pictures with an alpha channel
    (C = 2 or 4) the alpha is dropped and the stored colours are kept, as the host's own loader does.
    Raises as plain_image does.
    """
    tensor = plain_image(image, name)
    colours = tensor[..., :3] if tensor.shape[3] >= 3 else tensor[..., :1].expand(*tensor.shape[:3], 3)
    return colours.permute(0, 3, 1, 2)


def image_with_alpha(image: Any, name: str = "image") -> torch.Tensor:
    """An IMAGE as float32 (B, 3, H, W), or (B, 4, H, W) if it has alpha. Raises as plain_image does."""
    alpha = alpha_of(image, name)
    return with_alpha(image_to_bchw(image, name), None if alpha is None else alpha.clamp(0, 1))


def alpha_of(image: Any, name: str = "image") -> torch.Tensor | None:
    """The alpha (B, 1, H, W) of an IMAGE, every bit as it came; None for one without (C = 1 or 3)."""
    tensor = plain_image(image, name)
    return tensor[..., -1][:, None] if tensor.shape[3] in (2, 4) else None


def with_alpha(pixels: torch.Tensor, alpha: torch.Tensor | None) -> torch.Tensor:
    """Pixels (B, 3, H, W) with alpha (B or 1, 1, H, W) as their fourth channel; as they are for None."""
    if alpha is None:
        return pixels
    return torch.cat([pixels, repeat_batch(alpha, len(pixels)).to(pixels)], dim=1)


def bchw_to_image(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels (B, C, H, W) as the host's IMAGE (B, H, W, C), float32 on the CPU."""
    return pixels.detach().to("cpu", torch.float32).permute(0, 2, 3, 1).contiguous()


def plain_mask(mask: Any, name: str = "mask") -> torch.Tensor:
    """A MASK as float32 (B, H, W), clamped to 0..1, on its own device.

    (H, W), (B, 1, H, W) and (B, H, W, 1) are taken, too. Raises as plain_image does.
    """
    tensor = _tensor(mask, name, "a MASK (batch, height, width)")
    if tensor.ndim == 4 and 1 in (tensor.shape[1], tensor.shape[3]):
        tensor = tensor[:, 0] if tensor.shape[1] == 1 else tensor[..., 0]
    tensor = tensor[None] if tensor.ndim == 2 else tensor
    if tensor.ndim != 3:
        raise ValueError(
            f"{name} has shape {tuple(mask.shape)}; a MASK is (batch, height, width). Is an IMAGE connected? "
            "Use Convert Image to Mask."
        )
    _check_filled(tensor, name, tensor.shape[1] * tensor.shape[2])
    return _finite(tensor.to(torch.float32), name).clamp(0, 1)


def mask_to_b1hw(mask: Any, name: str = "mask") -> torch.Tensor:
    """A MASK as float32 (B, 1, H, W), clamped to 0..1. Takes and refuses what plain_mask does."""
    return plain_mask(mask, name)[:, None]


def b1hw_to_mask(mask: torch.Tensor) -> torch.Tensor:
    """A mask (B, 1, H, W) as the host's MASK (B, H, W), float32 on the CPU."""
    return mask.detach().to("cpu", torch.float32)[:, 0].contiguous()


def _tensor(value: Any, name: str, wanted: str) -> torch.Tensor:
    """The value, if it is a tensor whose numbers can be read. wanted: what is accepted, with its article."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be {wanted}, as a tensor; got {type(value).__name__}.")
    if value.layout != torch.strided or value.is_nested or value.is_quantized:
        raise TypeError(f"{name} is a sparse, nested or quantised tensor; a dense one is needed.")
    if value.is_meta:
        raise TypeError(f"{name} has a shape but no values (it lies on the device meta).")
    if value.is_complex() or not _is_readable(value.dtype):
        raise TypeError(f"{name} holds {_dtype(value)} numbers; {wanted} holds real ones.")
    return value.detach()


@functools.cache
def _is_readable(dtype: torch.dtype) -> bool:
    """Whether torch can make float32 of it: not of every type that it has a name for."""
    try:
        torch.empty(1, dtype=dtype).to(torch.float32)
    except (RuntimeError, TypeError):  # NotImplementedError is one
        return False
    return True


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_filled(tensor: torch.Tensor, name: str, pixels: int) -> None:
    if tensor.numel() == 0:
        raise ValueError(
            f"{name} is empty: its shape is {tuple(tensor.shape)}. Connect at least one picture."
        )
    if pixels > LARGEST_PICTURE:
        raise ValueError(
            f"{name} has {pixels / 1e6:.0f} million pixels a picture; at most {LARGEST_PICTURE / 1e6:.0f} "
            "million are worked on. Scale it down, or cut it into parts."
        )


def _finite(tensor: torch.Tensor, name: str) -> torch.Tensor:
    # The sum is not finite if any value is not; only then, or when it overflows, is every value looked at.
    if not math.isfinite(float(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
        raise ValueError(
            f"{name} holds NaN or infinite values. Look at the node before it: a model in half precision "
            "often makes them."
        )
    return tensor


def check_same_size(**tensors: torch.Tensor) -> None:
    """Raise ValueError unless all (B, C, H, W) tensors have the height and width of the first."""
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        if tensor.shape[-2:] != reference.shape[-2:]:
            raise ValueError(
                f"{name} has {_size(tensor)} pixels but {first} has {_size(reference)}. "
                f"Resize {name} to the size of {first}."
            )


def _size(tensor: torch.Tensor) -> str:
    return f"{tensor.shape[-1]} x {tensor.shape[-2]}"


def batch_length(**values: Any) -> int:
    """The common batch length of tensors and lists under the one rule; None values are left out.

    Raises ValueError that names two inputs that do not match, and the fix.
    """
    lengths = {name: len(value) for name, value in values.items() if value is not None}
    for name, length in lengths.items():
        if length == 0:
            raise ValueError(f"{name} is empty. {BATCH_FIX}")
    name = max(lengths, key=lambda each: lengths[each])
    for other, length in lengths.items():
        if length not in (1, lengths[name]):
            both = f"{_describe(name, values[name])}, {_describe(other, values[other])}"
            raise ValueError(f"The batches do not match: {both}. {BATCH_FIX}")
    return lengths[name]


def _describe(name: str, value: Any) -> str:
    return (
        f"{name} has shape {tuple(value.shape)}"
        if hasattr(value, "shape")
        else f"{name} has {len(value)} entries"
    )


def broadcast_batches(**values: Any) -> tuple[Any, ...]:
    """Tensors and lists, in order, repeated to the common batch length (see batch_length); None stays."""
    length = batch_length(**values)
    return tuple(None if value is None else repeat_batch(value, length) for value in values.values())


def repeat_batch(value: Any, length: int) -> Any:
    """A tensor (1, ...) or a sequence of one repeated `length` times, without copying pixels."""
    if len(value) == length:
        return value
    if isinstance(value, torch.Tensor):
        return value.expand(length, *value.shape[1:])
    return list(value) * length


def read_bounding_box(value: Any, name: str = "bounding_box") -> list[Box]:
    """A BOUNDING_BOX value as one Box per picture; several boxes of one picture become the box round them.

    Accepts the core form {"x", "y", "width", "height"}, [x0, y0, x1, y1], a list of either (one per picture),
    and a list of such lists. Raises ValueError, naming the input, for anything else.
    """
    if isinstance(value, torch.Tensor):
        value = _tensor(value, name, "a BOUNDING_BOX")
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping) or _is_corners(value):
        return [_read_box(value, name)]
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) == 0:
        raise ValueError(
            f'{name} must be {{"x", "y", "width", "height"}} or [x0, y0, x1, y1]; got {shown(value)}.'
        )
    return [_read_image(entry, name) for entry in value]


def _read_image(entry: Any, name: str) -> Box:
    if isinstance(entry, Mapping) or _is_corners(entry):
        return _read_box(entry, name)
    if not isinstance(entry, Sequence) or isinstance(entry, str):
        raise ValueError(f"{name}: a picture's boxes must be a box or a list of boxes; got {shown(entry)}.")
    union = EMPTY
    for box in entry:
        union = union.union(_read_box(box, name))
    return union


def _is_corners(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 4
        and all(isinstance(each, numbers.Real) for each in value)
    )


def _read_box(value: Any, name: str) -> Box:
    try:
        if isinstance(value, Mapping):
            x, y = float(value["x"]), float(value["y"])
            box = Box(x, y, x + float(value["width"]), y + float(value["height"]))
        else:
            box = Box(*map(float, value))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f'{name}: a box is {{"x", "y", "width", "height"}} or [x0, y0, x1, y1]; got {shown(value)}.'
        ) from None
    if not all(abs(side) < FURTHEST for side in box) or box.is_empty:
        raise ValueError(
            f"{name}: {shown(value)} has no area, or no place. Width and height must be above 0, in pixels."
        )
    return box


def write_bounding_box(boxes: Sequence[Box]) -> dict[str, int] | list[list[dict[str, int]]]:
    """Boxes, one per picture, in the core form: a dict for one picture, a list of lists of dicts for several.

    Sides are rounded outward to whole pixels.
    """
    written = [_write_box(box) for box in boxes]
    return written[0] if len(written) == 1 else [[box] for box in written]


def _write_box(box: Box) -> dict[str, int]:
    whole = box.outward()
    return {"x": int(whole.x0), "y": int(whole.y0), "width": int(whole.width), "height": int(whole.height)}


def poses_from_tensor(
    joints: torch.Tensor, height: int, width: int, hands: torch.Tensor | None = None
) -> list[Pose]:
    """One Pose of one person per picture.

    Args:
        joints: (B, 18, 3) x_px, y_px, confidence.
        height, width: of the pictures in pixels.
        hands: (B, 2, 21, 3), right and left; None for poses without hands.
    """
    people = [Person(body) for body in joints.cpu().numpy()]
    if hands is not None:
        pairs = zip(people, hands.cpu().numpy(), strict=True)
        people = [Person(person.body, left_hand=left, right_hand=right) for person, (right, left) in pairs]
    return [Pose((person,), width, height) for person in people]
