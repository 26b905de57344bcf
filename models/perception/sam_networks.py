"""Segment Anything at any size: configuration, construction and loading (`visible_mask` uses it).

The networks are the classes of the `segment_anything` package at every size; only numbers differ. The mini
configuration works on 128x128 pictures with 4x4 patches, so that its masks have the picture's own resolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..convert import read_pickle
from ..diffusion.checkpoint import (
    METADATA_KEY,
    check_config,
    check_fits,
    config_from_metadata,
    from_int8,
    outlined,
    parse_metadata,
    read_safetensors,
)
from ..reading import told
from ..store import SAFE_SUFFIXES
from . import sam_tiny
from .sam_hq import add_fine_decoder
from .sam_layouts import is_mobile, meta_names, other_model
from .sam_mini import MAPS, ConvStem, FineMasks

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

FILE_KIND = "sam"
WRAPPED = re.compile(r"^((model|module|sam)\.)+")
"""What trainers put before the names of a network that they hold."""
ENCODER = "image_encoder."
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class SamConfig:
    """Numbers of a SAM. `stem_widths`, channels at 1/2, 1/4, 1/8, 1/16 of the side, replace the linear patch
    embedding by a convolutional stem with `stem_blocks` residual blocks at 1/16. `prompt_maps`: the prompt
    enters this stem beside the picture, so that each prompt has an embedding of its own. `fine_width`:
    channels of what the picture adds to the masks at full size; 0 is SAM's own upscaling alone.
    `fine_blocks`: residual blocks that correct the masks' outlines after that. `hq`: SAM-HQ. `tiny`: the
    numbers of MobileSAM's image encoder, which takes the place of the ViT.
    """

    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4.0
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    use_rel_pos: bool = True
    out_chans: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    stem_widths: tuple[int, ...] = ()
    stem_blocks: int = 1
    prompt_maps: bool = False
    fine_width: int = 0
    fine_blocks: int = 0
    hq: bool = False
    tiny: sam_tiny.TinyViTConfig | None = None


MOBILE = SamConfig(tiny=sam_tiny.TinyViTConfig())
PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
MINI = SamConfig(
    image_size=128,
    patch_size=4,
    embed_dim=64,
    depth=1,
    num_heads=2,
    mlp_ratio=2.0,
    window_size=8,
    global_attn_indexes=(),
    use_rel_pos=False,
    out_chans=64,
    mask_in_chans=8,
    decoder_heads=4,
    decoder_mlp_dim=128,
    iou_head_hidden_dim=64,
    stem_widths=(24, 48, 80, 96),
    stem_blocks=2,
    prompt_maps=True,
    fine_width=12,
    fine_blocks=2,
)


def build_sam(config: SamConfig) -> Sam:
    """A `segment_anything` Sam with random weights, in evaluation mode."""
    modeling = _segment_anything()
    encoder = _image_encoder(modeling, config)
    sam = modeling.Sam(encoder, _prompt_encoder(modeling, config), _decoder(modeling, config))
    if config.tiny is None and encoder.pos_embed is not None:
        nn.init.trunc_normal_(sam.image_encoder.pos_embed, std=0.02)
    _make_storable(sam.prompt_encoder.pe_layer)
    sam.prompt_maps = config.prompt_maps
    sam.fine = _fine_masks(config)
    return sam.eval()


def load_sam(path: str | Path, dtype: torch.dtype = torch.float32) -> Sam:
    """A public SAM (sam_vit_b/l/h, SAM-HQ, MobileSAM; .pth or .safetensors) or this pack's mini SAM, told by
    keys and shapes. The file's tensors become the weights; no second copy of them is made.

    dtype: of a public image encoder, which holds nearly all weights. Prompts and masks stay in float32.

    Raises FileNotFoundError, or ValueError naming the file when it is damaged or holds another kind of model.
    """
    path = Path(path)
    tensors, config = read_sam(path)
    sam = outlined(lambda: build_sam(config), tensors, str(path))
    check_fits(sam, tensors, str(path))
    inside = torch.float32 if config.stem_widths else dtype
    for key in told(list(tensors)):  # one after the other, so that only one is there twice
        wanted = inside if key.startswith(ENCODER) else torch.float32
        if tensors[key].is_floating_point():
            tensors[key] = tensors[key].to(wanted)
    sam.load_state_dict(tensors, assign=True)
    for name, values in (("pixel_mean", PIXEL_MEAN), ("pixel_std", PIXEL_STD)):
        sam.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
    return sam.eval()


def read_sam(path: Path) -> tuple[dict[str, torch.Tensor], SamConfig]:
    """Tensors and configuration of a SAM file of either origin."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no SAM weights at {path}: put sam_vit_b_01ec64.pth (or vit_l, vit_h) there, or choose mini"
        )
    if path.suffix.lower() in SAFE_SUFFIXES:
        tensors, raw = read_safetensors(path)
        if METADATA_KEY in raw:
            meta = parse_metadata(path, raw)
            check_config(meta["config"], tensors, path)
            return from_int8(tensors), config_of_file(path, meta)
    else:
        tensors = read_pickle(path)
    tensors = meta_names({WRAPPED.sub("", name): each for name, each in tensors.items()})
    return tensors, config_from_tensors(tensors, str(path))


def config_of_file(path: Path, meta: Mapping[str, Any]) -> SamConfig:
    """The configuration a file of this pack carries."""
    if meta["kind"] != FILE_KIND:
        raise ValueError(
            f"{path} holds {meta['kind']!r} weights, but SAM weights are needed here: choose another file"
        )
    config = dict(meta["config"])
    first = config.pop("stem_channels", 0)  # as files had it before the widths were free
    if first:
        config["stem_widths"] = [first, 2 * first, 3 * first, 4 * first]
    return config_from_metadata(SamConfig, config)


HQ_KEY = "mask_decoder.hf_token.weight"


def config_from_tensors(tensors: Tensors, name: str) -> SamConfig:
    """Every number of a public checkpoint from its keys and shapes (decoder heads are 8 in all of them)."""
    mobile = is_mobile(tensors)
    _check_is_sam(tensors, name, () if mobile else VIT_KEYS)
    if mobile and HQ_KEY in tensors:
        raise ValueError(
            f"{name} is SAM-HQ's tiny one (sam_hq_vit_tiny), which is not supported: choose sam_hq_vit_b or "
            "larger, or mobile_sam"
        )
    encoder = _mobile_numbers(tensors) if mobile else _vit_numbers(tensors)
    return SamConfig(**encoder, hq=HQ_KEY in tensors, **_decoder_numbers(tensors))


def _vit_numbers(tensors: Tensors) -> dict[str, Any]:
    position = tensors["image_encoder.pos_embed"]
    grid, embed_dim = position.shape[1], position.shape[3]
    patch = tensors["image_encoder.patch_embed.proj.weight"].shape[-1]
    depth = _count(tensors, "image_encoder.blocks.")
    spans = [tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
    windows = [(span[0] + 1) // 2 for span in spans]
    return {
        "image_size": grid * patch,
        "patch_size": patch,
        "embed_dim": embed_dim,
        "depth": depth,
        "num_heads": embed_dim // spans[0][1],
        "mlp_ratio": tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / embed_dim,
        "window_size": min(windows),
        "global_attn_indexes": tuple(i for i, size in enumerate(windows) if size == grid),
    }


def _mobile_numbers(tensors: Tensors) -> dict[str, Any]:
    """Of MobileSAM; no tensor tells the side of its pictures, which is 1024."""
    tiny = sam_tiny.config_of(tensors)
    return {"tiny": tiny, "embed_dim": tiny.dims[-1], "patch_size": sam_tiny.patch_size(tiny)}


def _decoder_numbers(tensors: Tensors) -> dict[str, Any]:
    decoder = "mask_decoder."
    return {
        "out_chans": tensors["image_encoder.neck.0.weight"].shape[0],
        "mask_in_chans": tensors["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        "decoder_depth": _count(tensors, decoder + "transformer.layers."),
        "decoder_mlp_dim": tensors[decoder + "transformer.layers.0.mlp.lin1.weight"].shape[0],
        "num_multimask_outputs": tensors[decoder + "mask_tokens.weight"].shape[0] - 1,
        "iou_head_depth": _count(tensors, decoder + "iou_prediction_head.layers."),
        "iou_head_hidden_dim": tensors[decoder + "iou_prediction_head.layers.0.weight"].shape[0],
    }


VIT_KEYS = (
    "image_encoder.pos_embed",
    "image_encoder.patch_embed.proj.weight",
    "image_encoder.blocks.0.attn.rel_pos_h",
)
OTHER_KEYS = (
    "image_encoder.neck.0.weight",
    "prompt_encoder.mask_downscaling.3.weight",
    "mask_decoder.mask_tokens.weight",
    "mask_decoder.transformer.layers.0.mlp.lin1.weight",
    "mask_decoder.iou_prediction_head.layers.0.weight",
)


def _check_is_sam(tensors: Tensors, name: str, encoder: tuple[str, ...]) -> None:
    missing = [key for key in (*encoder, *OTHER_KEYS) if key not in tensors]
    if missing:
        found = other_model(tensors)
        raise ValueError(
            f"{name} is {found or 'no Segment Anything'} (it has no {missing[0]!r}); accepted are sam_vit_b, "
            "_l, _h and sam_hq_vit_b, _l, _h in Meta's layout or that of transformers, and mobile_sam: "
            "choose one, or mini"
        )


def _count(tensors: Tensors, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in tensors if key.startswith(prefix)})


def _segment_anything() -> ModuleType:
    try:
        from segment_anything import modeling
    except ImportError as error:
        raise ImportError("segment-anything is not installed: pip install segment-anything") from error
    return modeling


def _image_encoder(modeling: ModuleType, config: SamConfig) -> nn.Module:
    if config.tiny is not None:
        norm = modeling.common.LayerNorm2d
        return sam_tiny.TinyViT(config.tiny, config.image_size, config.out_chans, norm)
    encoder = modeling.ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
        out_chans=config.out_chans,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=config.use_rel_pos,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    if config.stem_widths:
        maps = MAPS if config.prompt_maps else 0
        encoder.patch_embed = ConvStem(config.embed_dim, config.stem_widths, config.stem_blocks, maps)
    return encoder


def _fine_masks(config: SamConfig) -> FineMasks | None:
    if not config.fine_width:
        return None
    channels = 3 + (MAPS if config.prompt_maps else 0)
    upscaled = config.out_chans // 4, config.out_chans // 8
    return FineMasks(channels, upscaled, config.fine_width, config.fine_blocks)


def _prompt_encoder(modeling: ModuleType, config: SamConfig) -> nn.Module:
    grid = config.image_size // config.patch_size
    return modeling.PromptEncoder(
        embed_dim=config.out_chans,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_in_chans,
    )


def _decoder(modeling: ModuleType, config: SamConfig) -> nn.Module:
    decoder = modeling.MaskDecoder(
        transformer_dim=config.out_chans,
        num_multimask_outputs=config.num_multimask_outputs,
        transformer=modeling.TwoWayTransformer(
            depth=config.decoder_depth,
            embedding_dim=config.out_chans,
            num_heads=config.decoder_heads,
            mlp_dim=config.decoder_mlp_dim,
        ),
        iou_head_depth=config.iou_head_depth,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )
    return add_fine_decoder(decoder, config.embed_dim) if config.hq else decoder


@torch.no_grad()
def _make_storable(pe_layer: nn.Module) -> None:
    """Round the random point frequencies to fp16, so that a stored model sees what it was trained on."""
    matrix = pe_layer.get_buffer("positional_encoding_gaussian_matrix")
    matrix.copy_(matrix.half().float())
