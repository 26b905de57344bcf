"""DensePose labels of pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.compose import dilate
from ..models.perception.densepose import (
    MINI_FILE,
    PublicEstimator,
    estimate_labels,
    is_own,
    load_densepose_net,
    load_scripted,
)
from ..models.perception.densepose_files import load_public
from ..people.densepose import (
    PARTS,
    WHOLE_BODY,
    DensePose,
    labels_from_colours,
    mirrored,
    paint_labels,
    part_mask,
)
from ..people.naming import picture_of
from .common import found
from .inputs import model_input
from .tensors import b1hw_to_mask, bchw_to_image, image_to_bchw

log = logging.getLogger(__name__)

COLOUR_MAP = "colour map"


class FiguraDensePose:
    """Which part of the body every pixel shows."""

    DESCRIPTION = (
        "Labels every pixel of a person with the part of the body it shows (DensePose, 24 parts), by the "
        "mini estimator, by a public DensePose model, or from the colour map of a DensePose preprocessor. "
        "Gives a mask of the parts you choose, too."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = ["densepose", "body parts", "segmentation", "uv", "clothes mask", "human parsing"]
    FUNCTION = "run"
    RETURN_TYPES = ("FIGURA_DENSEPOSE", "IMAGE", "MASK")
    RETURN_NAMES = ("densepose", "preview", "mask")
    OUTPUT_TOOLTIPS = (
        "The labels, for PoCoLD Sampler.",
        "The labels in the colours of the viridis map.",
        "1 on the chosen parts: what changes in an appearance transfer by PoCoLD Sampler.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": (
                    "IMAGE",
                    {"tooltip": "A person, or with the source colour map a DensePose picture. Any size."},
                ),
                "source": model_input(
                    [COLOUR_MAP, *found("densepose")],
                    "mini comes with Figura and labels one person a picture, photographs roughly. "
                    "colour map: the image is a DensePose picture already, in viridis or parula. For finer "
                    "labels put DensePose weights of detectron2 into models/figura, such as "
                    "model_final_0ed407.pkl (R_50_FPN_DL_s1x).",
                ),
            },
            "optional": {
                "mirror": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "Give the labels of the mirror image: flipped, with left and right parts "
                        "exchanged.",
                    },
                ),
                "parts": (
                    list(PARTS),
                    {
                        "default": WHOLE_BODY,
                        "tooltip": "What the mask covers. clothes: torso, arms and legs, without hands, feet "
                        "and head.",
                    },
                ),
                "grow": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 256,
                        "tooltip": "Pixels by which the mask grows, also over what is beside its parts.",
                    },
                ),
                "run_torchscript": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "For a source that ends in .torchscript. Such a file is a program: it can "
                        "read and write every file that you can. On: run it. Do so only if you trust who "
                        "made it.",
                    },
                ),
            },
        }

    def run(
        self,
        image: Any,
        source: str,
        mirror: bool = False,
        parts: str = WHOLE_BODY,
        grow: int = 0,
        run_torchscript: bool = False,
    ) -> tuple[DensePose, Tensor, Tensor]:
        """Labels (B,H,W), their picture (B,H,W,3), and the mask (B,H,W) of the parts."""
        labels = labels_of(image_to_bchw(image), source, run_torchscript).cpu()
        for index, picture in enumerate(labels):
            if not bool(picture.any()):
                log.warning("FiguraDensePose: nobody found in %s", picture_of(index, len(labels)))
        made = DensePose(labels)
        made = mirrored(made) if mirror else made
        mask = dilate(part_mask(made.labels, parts), grow)
        return made, bchw_to_image(paint_labels(made.labels)), b1hw_to_mask(mask)


def labels_of(images: Tensor, source: str, run_torchscript: bool = False) -> Tensor:
    """Labels (B,H,W) uint8 of pictures (B,3,H,W), by an estimator or read from their colours.

    run_torchscript: whether a source that is a program may be run.
    """
    if source == COLOUR_MAP:
        return labels_from_colours(images)
    host = get_host()
    path = host.find_model("densepose", source)
    if source == store.MINI or is_own(path):
        path = Path(path) / MINI_FILE if source == store.MINI else path
        with torch.no_grad(), host.managed(load_densepose_net(path)) as net:
            return _one_by_one(images, lambda image: estimate_labels(net, image))
    scripted = path.suffix.lower() == store.SCRIPT_SUFFIX
    module = load_scripted(path, run_torchscript) if scripted else load_public(path)
    with torch.no_grad(), host.managed(module) as module:
        estimator, device = PublicEstimator(module), host.device()
        return _one_by_one(images, lambda image: estimator(image.to(device)))


def _one_by_one(images: Tensor, estimate: Callable[[Tensor], Tensor]) -> Tensor:
    """Labels (B,H,W), on the CPU, of pictures (B,3,H,W), one after the other by `estimate`."""
    progress, labels = get_host().progress(len(images)), []
    for index, image in enumerate(images):
        labels.append(estimate(image[None]).cpu())
        progress.step(index + 1)
    return torch.cat(labels)


NODE_CLASS_MAPPINGS = {"FiguraDensePose": FiguraDensePose}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraDensePose": "DensePose (Figura)"}
