"""Loads CFLD: the shipped mini model, the authors' released files, and what the recipes train.

A file of the kind "cfld" is a change to a text-to-image U-Net: `model.*` are the networks beside it, `unet.*`
the keys and values of its upward cross-attention. The authors' two pickles (`pytorch_model.bin`, the
networks, and `pytorch_model_1.bin`, a whole U-Net of which only 18 matrices are theirs) become such a file
once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..convert import SOURCE, STATE, check_unchanged, made_where_it_can_be, state_of
from ..diffusion import single_file
from ..diffusion.checkpoint import (
    METADATA_KEY,
    built,
    config_from_metadata,
    config_to_metadata,
    load_file,
    parse_metadata,
    raw_metadata,
    save_module,
)
from ..diffusion.controlnet import UNET_PREFIX, under
from ..diffusion.networks import MINI_SIZE, load_unet, load_vae
from ..store import SAFE_SUFFIXES
from .attention import key_value_names
from .config import CFLDConfig, released_config
from .networks import CFLDModel, CFLDNetworks

log = logging.getLogger(__name__)

FILE_KIND = "cfld"
MODEL_PREFIX, RELEASED_PREFIX = "model.", "model."
MINI_FILE = "cfld.safetensors"
MODEL_FILE, UNET_FILE, DELTA_FILE = "pytorch_model.bin", "pytorch_model_1.bin", "cfld_released.safetensors"
BUFFERS = (".attn_mask", ".relative_position_index")
"""What the released files hold beside weights; it follows from the sizes."""
SWAPPED = f"the two files are swapped: {MODEL_FILE} holds the networks, {UNET_FILE} the U-Net"
SHOWN = 3


def load_mini_cfld(folder: str | Path, name: str = MINI_FILE) -> CFLDModel:
    """The mini networks from the files in `folder`. Raises FileNotFoundError for a missing file and
    ValueError for an unusable one, both naming it.
    """
    folder = Path(folder)
    networks, key_values = load_change(folder / name)
    vae, unet = load_vae(folder / "vae.safetensors"), load_unet(folder / "base.safetensors")
    return CFLDModel(vae, unet, networks, key_values, MINI_SIZE, f"mini {Path(name).stem}").eval()


def load_cfld(
    path: str | Path,
    checkpoint: str | Path | None = None,
    *,
    vae: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> CFLDModel:
    """CFLD at full size from a file of the kind "cfld", or from either of the released pickles, which are
    converted first (`as_delta`).

    Args:
        path: the file.
        checkpoint: Stable Diffusion 1.5, a single file; None: the model can only patch a stock one.
        vae: another file for the autoencoder; None: that of `checkpoint`.
        dtype: of all networks.

    Raises:
        FileNotFoundError, ValueError: naming the file, what it is and what is wanted.
    """
    path = as_delta(Path(path))
    networks, key_values = load_change(path)
    networks = nn.Module.to(networks, dtype)
    key_values = {name: value.to(dtype) for name, value in key_values.items()}
    size = single_file.SIZES[single_file.SD15]
    if checkpoint is None:
        return CFLDModel(None, None, networks, key_values, size, path.name).eval()
    unet = single_file.load_unet(checkpoint, single_file.SD15, dtype=dtype)
    autoencoder = single_file.load_autoencoder(checkpoint if vae is None else vae, dtype)
    return CFLDModel(autoencoder, unet, networks, key_values, size, path.name).eval()


def load_change(path: str | Path) -> tuple[CFLDNetworks, dict[str, Tensor]]:
    """The networks in float32 and eval mode, and the U-Net's matrices, of a file of the kind "cfld"."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    networks = built(
        lambda: CFLDNetworks(config_from_metadata(CFLDConfig, meta["config"].get(FILE_KIND, {}))),
        under(tensors, MODEL_PREFIX),
        str(path),
    )
    return networks.eval(), {name: value.float() for name, value in under(tensors, UNET_PREFIX).items()}


def change_tensors(networks: nn.Module, unet_tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a file of the kind "cfld" holds, of networks and all tensors of the trained U-Net."""
    tensors = {MODEL_PREFIX + name: value for name, value in networks.state_dict().items()}
    return tensors | {UNET_PREFIX + name: unet_tensors[name] for name in key_value_names(list(unet_tensors))}


# The released files


def as_delta(path: Path) -> Path:
    """`path` itself if it is safetensors; else the delta made of both released pickles, beside them, or where
    that cannot be written in the folder of temporary files.

    path: either of the two. It is made when it is missing, or was made of them in another state; a file of
    another origin at its place is a ValueError.
    """
    if path.suffix.lower() in SAFE_SUFFIXES:
        return path
    pair = released_pair(path)
    if pair is None:
        raise ValueError(
            f"{path} is a pickle of an unknown name: CFLD's released files are {MODEL_FILE} and {UNET_FILE}; "
            "keep these names, both in one folder"
        )
    for each in pair:
        if not each.is_file():
            raise FileNotFoundError(
                f"no {each.name} in {each.parent}: CFLD's released weights are two files, {MODEL_FILE} and "
                f"{UNET_FILE}; put both into one folder"
            )
    return made_where_it_can_be(
        lambda: _delta_beside(*pair), lambda twin: convert_released(*pair, twin), *pair
    )


def released_pair(path: Path) -> tuple[Path, Path] | None:
    """Networks and U-Net as the authors released them, in the folder of either; None for other files."""
    pair = path.with_name(MODEL_FILE), path.with_name(UNET_FILE)
    return pair if path in pair else None


def _delta_beside(model_file: Path, unet_file: Path) -> Path:
    pair, delta = (model_file, unet_file), model_file.with_name(DELTA_FILE)
    if not delta.exists():
        return convert_released(*pair, delta)
    made = parse_metadata(delta, header) if METADATA_KEY in (header := raw_metadata(delta)) else {}
    if made.get(SOURCE) != _names(*pair):
        raise ValueError(
            f"{delta} is there already and was not made from {_names(*pair)}: move it away, "
            "or choose it itself"
        )
    return delta if made.get(STATE) == state_of(*pair) else convert_released(*pair, delta)


def _names(model_file: Path, unet_file: Path) -> str:
    return f"{model_file.name}, {unet_file.name}"


def convert_released(
    model_file: Path,
    unet_file: Path,
    target: Path,
    *,
    base: Any = None,
    config: CFLDConfig | None = None,
    dtype: torch.dtype = torch.float16,
) -> Path:
    """Write the two released pickles as one safetensors file of the kind "cfld".

    Args:
        model_file: the released `pytorch_model.bin`: all networks but the U-Net.
        unet_file: the released `pytorch_model_1.bin`: a U-Net with the tensors of Stable Diffusion 1.5's.
        target: what to write.
        base: such a U-Net (diffusers): a word is logged when others than the 18 matrices differ in value.
        config: sizes, by default the released ones.
        dtype: what is stored of floating tensors.

    Returns:
        `target`.

    Raises:
        ValueError: for truncated or swapped files and for those of another model, naming missing and
            unexpected tensors; nothing half-written is left.
    """
    config, state = config or released_config(), state_of(model_file, unet_file)
    networks = read_networks(model_file, config)
    unet_tensors = read_unet(unet_file, config, base)
    tensors = change_tensors(networks, unet_tensors)
    check_unchanged(state, model_file, unet_file)
    origin: dict[str, Any] = {SOURCE: _names(model_file, unet_file), STATE: state}
    return save_module(
        target, FILE_KIND, tensors, {FILE_KIND: config_to_metadata(config)}, dtype=dtype, **origin
    )


def read_networks(path: Path, config: CFLDConfig) -> CFLDNetworks:
    """The networks of the released `pytorch_model.bin`, or of any file of its layout; errors as above."""
    tensors = {
        name: value for name, value in single_file.read_weights(path).items() if not name.endswith(BUFFERS)
    }
    if any(name.removeprefix(RELEASED_PREFIX).startswith(("down_blocks.", "up_blocks.")) for name in tensors):
        raise ValueError(f"{path} is a U-Net: {SWAPPED}")
    with torch.device("meta"):
        own = CFLDNetworks(config).state_dict()
    _check_tensors(path, "CFLD's networks", own, tensors)
    networks = CFLDNetworks(config)
    networks.load_state_dict({name: value.float() for name, value in tensors.items()})
    return networks.eval()


def read_unet(path: Path, config: CFLDConfig, base: Any = None) -> dict[str, Tensor]:
    """All tensors of the U-Net in the released `pytorch_model_1.bin`; errors as above."""
    tensors = {
        name.removeprefix(RELEASED_PREFIX): value for name, value in single_file.read_weights(path).items()
    }
    if any(name.startswith(("backbone.", "pose_encoder.")) for name in tensors):
        raise ValueError(f"{path} holds CFLD's networks: {SWAPPED}")
    unet = single_file.unet_tensors_of(tensors)
    matrices = key_value_names(list(unet or ()))
    wanted, widths = 2 * len(config.upward), {tensors[name].shape[1] for name in matrices}
    if unet is None or len(matrices) != wanted or widths != {config.context}:
        raise ValueError(
            f"{path} is {single_file.describe(tensors)}; the U-Net of CFLD is wanted, which is that of "
            f"{single_file.SD15}: {wanted} matrices of keys and values on the way up, for prompts of width "
            f"{config.context}"
        )
    own = stable_diffusion_tensors(config) if base is None else base.state_dict()
    _check_tensors(path, f"the U-Net of {single_file.SD15}", own, unet)
    if base is not None:
        _compare(path, own, unet)
    return unet


def stable_diffusion_tensors(config: CFLDConfig) -> dict[str, Tensor]:
    """Those of Stable Diffusion 1.5's U-Net in these sizes, by diffusers' names, without values."""
    from diffusers import UNet2DConditionModel

    levels = ["CrossAttn"] * len(config.channels) + [""] * config.plain_levels
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=config.channels + config.channels[-1:] * config.plain_levels,
            down_block_types=tuple(f"{block}DownBlock2D" for block in levels),
            up_block_types=tuple(f"{block}UpBlock2D" for block in reversed(levels)),
            layers_per_block=config.layers,
            cross_attention_dim=config.context,
            norm_num_groups=config.groups,
        )
    return unet.state_dict()


def _check_tensors(path: Path, what: str, own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    unlike = sorted(name for name in set(own) & set(tensors) if own[name].shape != tensors[name].shape)
    if missing or unexpected or unlike:
        told = [
            f"{len(names)} {what} ({', '.join(names[:SHOWN])})"
            for what, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", unlike),
            )
            if names
        ]
        raise ValueError(
            f"{path} does not hold {what}: of its tensors {'; '.join(told)}. Choose another file"
        )


def _compare(path: Path, own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """A word when the U-Net's other tensors are not the base's: then the delta is not all of the change."""
    trained = set(key_value_names(list(own)))
    other = [
        name
        for name, value in own.items()
        if name not in trained and not torch.allclose(value.float(), tensors[name].float(), 2e-3, 2e-3)
    ]
    if other:
        log.warning(
            "%s differs from this Stable Diffusion 1.5 in %d tensors beside its keys and values, first %s",
            path, len(other), other[0],
        )  # fmt: skip


def check_unet_shapes(shapes: Mapping[str, tuple[int, ...]], model: CFLDModel, name: str) -> None:
    """ValueError unless a host's U-Net has all the matrices of CFLD in their shapes.

    shapes: of the host's matrices, by the names of `model.key_values`; absent ones are left out.
    """
    wrong = [key for key, value in model.key_values.items() if shapes.get(key) != tuple(value.shape)]
    if wrong:
        raise ValueError(
            f"{name} does not fit {model.name}: {len(wrong)} of {len(model.key_values)} matrices are absent "
            f"or of another shape, first {wrong[0]}. Connect a Stable Diffusion 1.5 model, not SD2 or SDXL, "
            "and in Load CFLD a full-size file, not mini"
        )
