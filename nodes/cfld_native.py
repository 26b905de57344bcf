"""CFLD on a stock Stable Diffusion 1.5 MODEL, for ComfyUI's own samplers.

What differs between the branches of the guidance travels in their CONDITIONINGs, which ComfyUI puts together
into batches itself: nothing here has to know which branch is which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..host import get_host
from ..models.cfld.attention import fitted
from ..models.cfld.checkpoint import check_unet_shapes
from ..models.cfld.config import CFLDConfig
from ..models.cfld.networks import CFLDModel
from ..models.cfld.pipeline import check_mix, looks, pose_images
from ..models.cfld.sampling import Branch, branches_of
from .cfld import CATEGORY, CFLD_INPUT, MIX_INPUT, NO_MIX, POSE_INPUT, SECOND_INPUT, SOURCE_INPUT, read_inputs
from .common import working_memory
from .inputs import stock_model_input

KEY = "figura_cfld"
RESIDUAL, BIAS = f"{KEY}_residual_", f"{KEY}_bias_"
"""Before the level of a residual, and before the number of the output block of a bias."""
FIRST_WEIGHT, STOCK_CHANNELS = "diffusion_model.input_blocks.0.0.weight", 4
"""Of Stable Diffusion 1.5: the first convolution, and how many channels it takes."""
WHOLE_NETWORK = "diffusion_model"
"""ComfyUI's name of the wrapper round a call of the U-Net."""
SET = "set"
"""ComfyUI's name of a patch that takes a matrix' place."""
ATTENTION = re.compile(r"up_blocks\.(\d+)\.attentions\.(\d+)\.(.+)")
Conditioning = list[list[Any]]


class FiguraApplyCFLD:
    """A stock MODEL that draws a person of a picture in a pose."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": stock_model_input(
                    "Stable Diffusion 1.5, of Load Checkpoint. Not SD2, SDXL or an inpainting model."
                ),
                "cfld": CFLD_INPUT,
                "source": SOURCE_INPUT,
                "pose_keypoint": POSE_INPUT,
            },
            "optional": {"second_source": SECOND_INPUT, "mix": MIX_INPUT},
        }

    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING", "CONDITIONING")
    RETURN_NAMES = ("model", "positive", "pose_only", "negative")
    OUTPUT_TOOLTIPS = (
        "The model with CFLD's trained matrices, for any sampler.",
        "Looks and pose: positive of KSampler, cond1 of Dual CFG Guider.",
        "The pose alone: cond2 of Dual CFG Guider.",
        "Neither: negative of both.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["cfld", "pose transfer", "repose", "change pose", "patch model"]
    DESCRIPTION = (
        "Patches a stock Stable Diffusion 1.5 model with CFLD, so that stock samplers draw the person of a "
        "picture in a pose: KSampler with cfg 2, or Dual CFG Guider with both weights. Use a square latent "
        "of 512 x 512 and resize the decoded picture to the pose's shape (11 wide, 16 high)."
    )

    def run(
        self,
        model: Any,
        cfld: CFLDModel,
        source: Tensor,
        pose_keypoint: Any,
        second_source: Tensor | None = None,
        mix: float = NO_MIX,
    ) -> tuple[Any, Conditioning, Conditioning, Conditioning]:
        """The patched model, and a conditioning for each branch of the guidance."""
        patched = patch_model(model, cfld)
        given = read_inputs(source, pose_keypoint, second_source, mix)
        check_mix(given.second, given.mix)
        drawn = pose_images(given.poses, cfld.networks.config)
        with get_host().managed(cfld.networks, memory=working_memory(cfld)), torch.no_grad():
            none, posed, full = branches_of(cfld, looks(cfld, given), drawn)
        config = cfld.networks.config
        positive, pose_only, negative = (conditioning(each, full, config) for each in (full, posed, none))
        return patched, positive, pose_only, negative


# What travels in a conditioning


class Carried:
    """A tensor (B,...) in a conditioning, with the interface of ComfyUI's own."""

    def __init__(self, cond: Tensor) -> None:
        self.cond = cond

    def _copy_with(self, cond: Tensor) -> Carried:
        """The same with other numbers: ComfyUI's context windows cut batches into parts."""
        return Carried(cond)

    def process_cond(self, batch_size: int, **_: Any) -> Carried:
        """For a batch of that size: repeated, or cut."""
        repeats = -(-batch_size // len(self.cond))
        return self._copy_with(self.cond.repeat(repeats, *[1] * (self.cond.ndim - 1))[:batch_size])

    def can_concat(self, other: Carried) -> bool:
        return self.cond.shape == other.cond.shape and self.cond.device == other.cond.device

    def concat(self, others: Sequence[Carried]) -> Tensor:
        return torch.cat([self.cond, *(other.cond for other in others)])

    def size(self) -> list[int]:
        return list(self.cond.shape)


def conditioning(branch: Branch, full: Branch, config: CFLDConfig) -> Conditioning:
    """A CONDITIONING of a branch. What it lacks beside `full` is zero, so that all branches fit one batch."""
    tensors = {}
    for level, like in enumerate(full.residuals):
        tensors[f"{RESIDUAL}{level}"] = (
            branch.residuals[level] if branch.residuals else torch.zeros_like(like)
        )
    for number, like in zip(config.upward, full.biases):
        given = branch.biases[config.upward.index(number)] if branch.biases else torch.zeros_like(like)
        tensors[f"{BIAS}{number}"] = given
    carried = {name: Carried(tensor.float().cpu()) for name, tensor in tensors.items()}
    return [[branch.prompt.float().cpu().contiguous(), {"model_conds": carried}]]


# The patches


def patch_model(model: Any, cfld: CFLDModel) -> Any:
    """A clone of a stock MODEL with CFLD's matrices, that adds what its conditionings carry.

    Raises TypeError for something else than a MODEL, and ValueError for one of another shape.
    """
    if not hasattr(model, "set_model_attn2_replace"):
        raise TypeError(
            f"model must be a MODEL of ComfyUI; got {type(model).__name__}. Connect Load Checkpoint to "
            "'model'"
        )
    config = cfld.networks.config
    names = {name: host_name(name, config) for name in cfld.key_values}
    state = model.model_state_dict("diffusion_model.output_blocks.")
    shapes = {name: tuple(state[own].shape) for name, own in names.items() if own in state}
    check_unet_shapes(shapes, cfld, "model")
    first = model.model_state_dict(FIRST_WEIGHT)[FIRST_WEIGHT]
    if first.shape[1] != STOCK_CHANNELS:
        raise ValueError(
            f"model takes {first.shape[1]} channels, as inpainting models do; CFLD was trained on one that "
            f"takes {STOCK_CHANNELS}. Connect the plain Stable Diffusion 1.5"
        )
    patched = model.clone()
    set_beneath(patched, {names[name]: value for name, value in cfld.key_values.items()})
    if model.get_wrappers(WHOLE_NETWORK, KEY):
        return patched  # of another Apply CFLD, which has done the rest: twice, nothing would arrive
    patched.add_wrapper_with_key(WHOLE_NETWORK, KEY, hand_over)
    patched.set_model_input_block_patch(AddResidual(config.input_blocks))
    replaced = (
        patched.model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn2", {})
    )
    for number in config.upward:
        before = replaced.get(("output", number, 0))
        patched.set_model_attn2_replace(BiasedAttention(number, before), "output", number, 0)
    return patched


def set_beneath(patched: Any, matrices: Mapping[str, Tensor]) -> None:
    """Put matrices in the place of the model's, beneath what LoRAs add, which count before this node, too.

    ComfyUI goes through a matrix' patches in their order, so that one that sets it undoes those before.
    """
    before = {name: patched.patches.pop(name, []) for name in matrices}
    patched.add_patches({name: (SET, (value,)) for name, value in matrices.items()})
    for name, patches in before.items():
        patched.patches[name] = [*patched.patches[name], *added_last(patches)]


def added_last(patches: Sequence[Any]) -> list[Any]:
    """Those of a matrix' patches that add to it, after the last that sets it or mixes another one in."""
    added: list[Any] = []
    for patch in patches:
        _, value, share_kept, *_ = patch
        sets = isinstance(value, tuple) and len(value) == 2 and value[0] == SET
        added = [] if sets or share_kept != 1 else [*added, patch]
    return added


def host_name(name: str, config: CFLDConfig) -> str:
    """ComfyUI's name of a matrix that diffusers calls up_blocks.I.attentions.J...: output_blocks.K.1..."""
    found = ATTENTION.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no matrix of the upward cross-attention")
    up, number, rest = found.groups()
    return f"diffusion_model.output_blocks.{int(up) * (config.layers + 1) + int(number)}.1.{rest}"


def hand_over(
    executor: Any,
    x: Tensor,
    timesteps: Tensor | None = None,
    context: Tensor | None = None,
    y: Tensor | None = None,
    control: Any = None,
    transformer_options: Mapping[str, Any] | None = None,
    **others: Any,
) -> Tensor:
    """Wrapper round the U-Net: takes the carried tensors out of its arguments, to where patches see them.

    Args:
        executor: ComfyUI's call of the U-Net.
        x: latents (B,4,h,w).
        timesteps: (B,).
        context: states of the texts (B,L,D).
        y: of the models that have it; untouched.
        control: what ControlNets add; untouched.
        transformer_options: what patches see; the carried tensors are added under KEY.
        others: further arguments, the carried ones among them.
    """
    carried = {name: others.pop(name) for name in list(others) if name.startswith(KEY)}
    options = {**(transformer_options or {}), KEY: carried}
    return executor(x, timesteps, context, y, control, options, **others)


class AddResidual:
    """Patch after the input blocks: adds the carried residual of the level that ends there."""

    def __init__(self, input_blocks: Sequence[int]) -> None:
        self.names = {("input", number): f"{RESIDUAL}{level}" for level, number in enumerate(input_blocks)}

    def __call__(self, hidden: Tensor, options: Mapping[str, Any]) -> Tensor:
        """hidden: (B,C,h,w)."""
        residual = options.get(KEY, {}).get(self.names.get(options["block"]))
        if residual is None:
            return hidden
        return hidden + fitted(residual, (hidden.shape[-2], hidden.shape[-1])).to(hidden)


class BiasedAttention:
    """In place of an output block's cross-attention: the same with the carried bias on the queries.

    before: what another node had put there; it then gets the biased queries.
    """

    def __init__(self, number: int, before: Any = None) -> None:
        self.name, self.before = f"{BIAS}{number}", before

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, options: Mapping[str, Any]) -> Tensor:
        """q (B,N,C), k and v (B,L,C), projected -> (B,N,C) before the output projection."""
        bias = options.get(KEY, {}).get(self.name)
        if bias is not None:
            # Not by the latents: Kohya Deep Shrink makes the maps of a level smaller.
            height, width = options["activations_shape"][-2:]
            q = q + fitted(bias, (height, width)).flatten(2).transpose(1, 2).to(q)
        if self.before is not None:
            return self.before(q, k, v, options)
        q, k, v = (each.unflatten(-1, (options["n_heads"], -1)).transpose(1, 2) for each in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


NODE_CLASS_MAPPINGS = {"FiguraApplyCFLD": FiguraApplyCFLD}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraApplyCFLD": "Apply CFLD (Figura)"}
