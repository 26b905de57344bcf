"""What the nodes that load and run diffusion models share: choices of files, matching pictures, progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion import placement
from ..models.diffusion.compose import said_of_empty
from ..models.diffusion.latent_model import LatentModel
from ..models.diffusion.preview import preview_image
from ..models.phac.prepare import in_frame
from ..people.crops import CropPlan, resampled, same_shape
from ..people.naming import in_picture
from ..people.prompts import PointPrompt
from .inputs import AUTOMATIC
from .tensors import broadcast_batches, check_same_size, image_to_bchw, image_with_alpha, mask_to_b1hw

log = logging.getLogger(__name__)

CATEGORY = "Figura/PHAC"
FULL_SIZE_PARAMETERS = 860_000_000
SAME_SHAPE = 0.01
"""By how much the sides' ratios of pictures of one shape may differ: sides are whole pixels."""
MASK_NAMES = ("visible_mask", "invisible_mask", "exact_mask")


def found(file_kind: str) -> list[str]:
    """The files of a kind that a loader can offer, without mini."""
    names = store.find(file_kind, get_host().model_folders(file_kind))
    return [name for name in names if name != store.MINI]


def tell_unused(model: str, **chosen: str) -> None:
    """Say which choices of a loader do not count with that model. chosen: the file's name by its input."""
    for name, choice in chosen.items():
        if choice != AUTOMATIC:
            log.warning(
                "%s: %s is not used with %s, which has its own: choose another model for it to count",
                name, choice, model,
            )  # fmt: skip


def find_stack(model: str, text_and_vae: str) -> tuple[Path, Path | None]:
    """Paths of a checkpoint and of the file its other parts come from (None: itself)."""
    host = get_host()
    parts = None if text_and_vae == AUTOMATIC else host.find_model("checkpoint", text_and_vae)
    return host.find_model("checkpoint", model), parts


def stack_options(vae: str) -> dict[str, Any]:
    """How the loaders of PHAC read a checkpoint: the same way, so that both hold one file once (sharing.py).

    vae: the name of another autoencoder's file, or AUTOMATIC for the checkpoint's own.
    """
    host = get_host()
    path = None if vae == AUTOMATIC else host.find_model("vae", vae)
    return {"vae": path, "dtype": host.dtype(FULL_SIZE_PARAMETERS), "wide": host.wide_dtype()}


def warn_of_weak(**masks: Tensor | None) -> None:
    """Log which masks (B,1,H,W) hold something and never more than 0.5, which is where masks begin: they
    count as empty, and what is made of them looks as if they had not been connected.
    """
    for name, mask in masks.items():
        for index, each in enumerate([] if mask is None else list(mask)):
            if 0 < float(each.max()) <= 0.5:
                which = in_picture(name, index, 1 if mask is None else len(mask))
                log.warning("%s %s: it counts as empty", which, said_of_empty(each))


def prompted_batch(
    image: Tensor, visible_mask: Tensor, prompt: Sequence[PointPrompt], draw_mask: Tensor | None = None
) -> tuple[Any, ...]:
    """Host pictures and masks as (B,C,H,W) of one size, with a prompt for each; as many as the longest has.

    Args:
        image: (B,H,W,C).
        visible_mask: (B,H,W).
        prompt: of each picture, or one for all.
        draw_mask: (B,H,W), or None, which stays None.

    Returns:
        Pictures, visible masks, prompts and draw masks.

    Raises:
        ValueError: for sizes or batch lengths that do not agree.
    """
    images, masks = image_to_bchw(image), mask_to_b1hw(visible_mask, "visible_mask")
    drawn = None if draw_mask is None else mask_to_b1hw(draw_mask, "draw_mask")
    check_same_size(image=images, visible_mask=masks, **({} if drawn is None else {"draw_mask": drawn}))
    warn_of_other_shape(prompt, (images.shape[-2], images.shape[-1]))
    return broadcast_batches(image=images, visible_mask=masks, prompt=list(prompt), draw_mask=drawn)


def warn_of_other_shape(prompts: Sequence[PointPrompt] | None, size: tuple[int, int]) -> None:
    """Log the first prompt of a picture that has another shape than (height, width): it is stretched to that,
    as one of a whole picture to a crop of it.
    """
    height, width = size
    for index, prompt in enumerate(prompts or ()):
        if abs(prompt.width * height / (prompt.height * width) - 1) > SAME_SHAPE:
            log.warning(
                "%s is of a picture of %d x %d pixels, and image has %d x %d: it is stretched to its shape. "
                "For a crop take the prompt of Crop Person",
                in_picture("prompt", index, len(prompts or ())), prompt.width, prompt.height, width, height,
            )  # fmt: skip
            return


def same_batch(
    image: Tensor, coarse: Tensor, *masks: Tensor, crop: Sequence[CropPlan] | None = None
) -> tuple[Tensor, ...]:
    """Host pictures and masks as (B,C,H,W) of one size and batch length. Coarse keeps its alpha; it is put
    where `crop` says that it was cut from, or, without one, resized to the image.
    """
    images, drawn = image_to_bchw(image), image_with_alpha(coarse, "coarse")
    if crop is None:
        drawn = resized_to(drawn, images)
    else:
        frame = (images.shape[-2], images.shape[-1])
        check_crop(drawn, crop, frame)
        drawn, plans = broadcast_batches(coarse=drawn, crop=list(crop))
        drawn = in_frame(drawn, plans, frame)
    own = {name: mask_to_b1hw(mask, name) for name, mask in zip(MASK_NAMES, masks)}
    check_same_size(image=images, **own)
    warn_of_weak(**{name: mask for name, mask in own.items() if name != "invisible_mask"})
    return broadcast_batches(image=images, coarse=drawn, **own)


def check_crop(coarse: Tensor, crop: Sequence[CropPlan], frame: tuple[int, int]) -> None:
    """ValueError unless crops are of pictures of (height, width) `frame`, and coarse has the crops' shape."""
    height, width = frame
    h, w = coarse.shape[-2:]
    for plan in crop:
        if (plan.source_height, plan.source_width) != frame:
            raise ValueError(
                f"crop was cut from a picture of {plan.source_width} x {plan.source_height} pixels, but "
                f"image has {width} x {height}: connect the image and the crop of one Coarse Prepare"
            )
        if not same_shape((h, w), (plan.model_height, plan.model_width)):
            raise ValueError(
                f"coarse has {w} x {h} pixels and its crop {plan.model_width} x {plan.model_height}: connect "
                "the picture that was made from this crop, or disconnect 'crop' if coarse shows the whole "
                "picture"
            )


def resized_to(images: Tensor, like: Tensor) -> Tensor:
    """Pictures at the height and width of others; untouched at that size. ValueError for another aspect."""
    (height, width), (h, w) = like.shape[-2:], images.shape[-2:]
    if (h, w) == (height, width):
        return images
    if not same_shape((h, w), (height, width)):
        raise ValueError(
            f"coarse has {w} x {h} pixels and image has {width} x {height}: they must show the same view. "
            "Crop or pad coarse to the shape of image, or, if it is a crop of Coarse Prepare, connect that "
            "node's 'crop' too"
        )
    return resampled(images, (height, width))


class WithAutoencoder(Protocol):
    """A model whose latents can be shown."""

    vae: Any


def progress_of(model: WithAutoencoder, node_id: str | None) -> Callable[[int, int, Tensor], None]:
    """A step function that moves the node's bar, shows previews, and stops when the user cancels."""
    host = get_host()
    bars: dict[int, Any] = {}

    def on_step(done: int, total: int, clean: Tensor) -> None:
        if total not in bars:  # the first, or more steps because memory ran out
            bars[total] = host.progress(total, node_id)
        bars[total].step(done, lambda: preview_image(model.vae, clean))

    return on_step


def working_memory(model: LatentModel) -> int:
    """A generous guess, in bytes, of what IMAGES_AT_ONCE pictures need beside the weights."""
    return placement.working_memory(model.size)
