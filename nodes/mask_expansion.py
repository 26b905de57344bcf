"""Sequential mask expansion on any stock MODEL: a denoise mask that changes with the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..models.diffusion.mask_expansion import CONSTANT, SEQUENTIAL, MaskExpansion, ring_share
from .hand_canvas import CATEGORY
from .inputs import stock_model_input

AUTOMATIC_RING = 0.0
WHOLE_SAMPLING = "outer_sample"
"""ComfyUI's name of the wrapper round a whole sampling, which gets (noise, latent_image, sampler, sigmas,
denoise_mask, ...)."""
_NOISE_MASK_ARGUMENT = 4
MASK_FUNCTION = "denoise_mask_function"
"""ComfyUI's name of the function of a MODEL that changes noise masks."""


class FiguraSequentialMaskExpansion:
    """A stock MODEL whose noise mask keeps a ring round what is known, which shrinks over the steps."""

    DESCRIPTION = (
        "For outpainting round something on a uniform background, as in Giving a Hand to Diffusion Models: "
        "at the first steps a ring of background round what is known is kept too; it shrinks until the last "
        "step uses the mask itself, so that the seam is smoother. Works with any model and sampler."
    )
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "mask expansion", "grow mask", "denoise mask", "differential diffusion", "outpaint", "inpaint",
    ]  # fmt: skip
    FUNCTION = "run"
    RETURN_TYPES = ("MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = (
        "The model with the expanding mask, for a KSampler whose LATENT has a noise mask (Set Latent Noise "
        "Mask); without one the sampler stops with an error.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": stock_model_input(
                    "Any diffusion model. The LATENT that goes into the sampler needs a noise mask (Set "
                    "Latent Noise Mask): 1 on what is to be drawn, 0 on what is known."
                ),
                "expansion": (
                    [SEQUENTIAL, CONSTANT],
                    {
                        "default": SEQUENTIAL,
                        "tooltip": "sequential: the ring shrinks over the steps. constant: no ring, the mask "
                        "itself at every step, as without this node; to compare.",
                    },
                ),
                "ring": (
                    "FLOAT",
                    {
                        "default": AUTOMATIC_RING,
                        "min": 0.0,
                        "max": 50.0,
                        "step": 0.1,
                        "tooltip": "Width of the ring at the first step, in percent of the picture's shorter "
                        "side. 0: by the number of steps, a pixel of 512 for each (3.7 % for 20 steps, 9.6 % "
                        "from 50 on). The paper dilates once a step; how far is our choice.",
                    },
                ),
            }
        }

    def run(self, model: Any, expansion: str, ring: float) -> tuple[Any]:
        if not hasattr(model, "set_model_denoise_mask_function"):
            raise TypeError(
                f"model must be a MODEL of ComfyUI, whose noise mask can be changed at every step; got "
                f"{type(model).__name__}. Connect a loader such as Load Checkpoint to 'model'."
            )
        patched = model.clone()
        whole = expanding(ring / 100) if expansion == SEQUENTIAL else require_noise_mask
        patched.add_wrapper_with_key(WHOLE_SAMPLING, "figura_mask_expansion", whole)
        return (patched,)


def expanding(ring: float) -> Callable[..., Any]:
    """A wrapper round a whole sampling that has its noise mask expand. ring: as of ExpandingMask.

    The mask's function is set only there: a MODEL has one, and other nodes, such as Differential Diffusion,
    put theirs in its place.
    """

    def sampled(executor: Any, *args: Any, **options: Any) -> Any:
        own = executor.class_obj.model_options  # a copy for this sampling
        own[MASK_FUNCTION] = ExpandingMask(ring, own.get(MASK_FUNCTION))
        return require_noise_mask(executor, *args, **options)

    return sampled


def require_noise_mask(executor: Any, *args: Any, **options: Any) -> Any:
    """Stops a sampling without a noise mask: ComfyUI would never ask for the expanded one and stay silent."""
    mask = args[_NOISE_MASK_ARGUMENT] if len(args) > _NOISE_MASK_ARGUMENT else options.get("denoise_mask")
    if mask is None:
        raise ValueError(
            "the sampler's LATENT has no noise mask, so Sequential Mask Expansion has nothing to expand: put "
            "Set Latent Noise Mask (1 on what is to be drawn) before the sampler's 'latent_image'."
        )
    return executor(*args, **options)


class ExpandingMask:
    """ComfyUI's denoise-mask function: called before every model call with the noise mask, gives the mask to
    use there.

    ring: width at the first step as a share of the latent's shorter side; 0 goes by the number of steps.
    before: the function of other nodes, whose mask is then expanded; None: there is none.
    """

    def __init__(self, ring: float, before: Any = None) -> None:
        self.ring = ring
        self.before = before
        self._expansion: MaskExpansion | None = None

    def __call__(self, sigma: Tensor, denoise_mask: Tensor, extra_options: Mapping[str, Any]) -> Tensor:
        """sigma: (B,), the noise level of this call. denoise_mask: (B,C,h,w), or (B,C,t,h,w) of a video, 1 =
        free to change. extra_options: "sigmas" holds the run's noise levels, falling, steps + 1 of them.
        """
        if self.before is not None:
            denoise_mask = self.before(sigma, denoise_mask, extra_options=extra_options)
        sigmas = extra_options["sigmas"]
        share = self.ring or ring_share(len(sigmas) - 1)
        cells = share * min(denoise_mask.shape[-2:])
        folded = denoise_mask.reshape(-1, 1, *denoise_mask.shape[-2:])
        return self._of(folded, cells).at(fraction_of(sigma, sigmas)).reshape(denoise_mask.shape)

    def _of(self, mask: Tensor, ring: float) -> MaskExpansion:
        """The expansion of this mask; the distances of the last call are used again while the mask stays."""
        last = self._expansion
        if last is None or last.ring != ring or not _same(last.mask, mask):
            last = self._expansion = MaskExpansion(mask, ring)
        return last


def _same(one: Tensor, other: Tensor) -> bool:
    return one.device == other.device and one.dtype == other.dtype and torch.equal(one, other)


def fraction_of(sigma: Tensor, sigmas: Tensor) -> float:
    """How far the run is at a noise level: 0 at its first step, 1 at its last, linear in sigma between two.

    sigma: (B,), all equal. sigmas: (steps + 1,), falling; the last is where the run ends, not a step. Noise
    levels of flow models (1 to 0) serve as well. Levels outside count as the first or the last.
    """
    levels = sigmas[:-1].cpu().double()
    level = float(sigma.flatten()[0])
    if len(levels) < 2 or level <= float(levels[-1]):
        return 1.0
    if level >= float(levels[0]):
        return 0.0
    step = int((levels > level).sum()) - 1
    upper, lower = float(levels[step]), float(levels[step + 1])
    return (step + (upper - level) / (upper - lower)) / (len(levels) - 1)


NODE_CLASS_MAPPINGS = {"FiguraSequentialMaskExpansion": FiguraSequentialMaskExpansion}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraSequentialMaskExpansion": "Sequential Mask Expansion (Figura)"}
