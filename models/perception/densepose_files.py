"""Public DensePose weights as a network: detectron2's .pkl, or the same tensors as .pth or .safetensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..convert import read_pickle
from ..diffusion.checkpoint import check_finite, outlined, read_safetensors
from ..numpy_pickle import read_arrays
from ..store import ARRAY_SUFFIX, SAFE_SUFFIXES
from .densepose_rcnn import DensePoseRCNN, RCNNConfig

MARK = "roi_heads.densepose_predictor.index_uv_lowres.weight"
NOT_NEEDED = re.compile(
    r"pixel_(mean|std)$|.*cell_anchors|roi_heads\.densepose_predictor\.(?!ann_index_lowres|index_uv_lowres)|"
    r".*num_batches_tracked$"
)
WANTED = (
    "the DensePose network R_50_FPN or R_101_FPN is wanted, plain or DL, such as model_final_0ed407.pkl of "
    "R_50_FPN_DL_s1x"
)


def is_public(tensors: Mapping[str, object]) -> bool:
    """Whether these are the weights of a public DensePose network."""
    return MARK in tensors


def load_public(path: Path) -> DensePoseRCNN:
    """The network of a file of public weights, in evaluation mode.

    Raises FileNotFoundError, and ValueError that names the file and what is wanted: nothing in it is run, and
    nothing is allocated for tensors that it does not hold.
    """
    tensors = read_public(path)
    net = outlined(lambda: DensePoseRCNN(_config(tensors, path)), tensors, str(path))
    own = net.state_dict()
    missing = sorted(name for name in own if name not in tensors)
    unlike = sorted(name for name in own if name in tensors and own[name].shape != tensors[name].shape)
    more = sorted(name for name in tensors if name not in own and not NOT_NEEDED.match(name))
    if missing or unlike or more:
        first = (missing + unlike + more)[:3]
        raise ValueError(
            f"{path}: {len(missing)} tensors are missing, {len(unlike)} have another shape, {len(more)} are "
            f"of another network, first {first}; {WANTED}"
        )
    for name in own:
        check_finite(name, tensors[name], str(path))
    net.load_state_dict({name: tensors[name].float() for name in own}, assign=True)
    return net.requires_grad_(False).eval()


def read_public(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of any of the three kinds; a wrapping "model" is dropped from the names."""
    suffix = path.suffix.lower()
    if suffix in SAFE_SUFFIXES:
        tensors = read_safetensors(path)[0]
    else:
        tensors = read_arrays(path) if suffix == ARRAY_SUFFIX else read_pickle(path)
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def _config(tensors: Mapping[str, Tensor], path: Path) -> RCNNConfig:
    """Widths and depths of the tensors; ValueError for those of another network."""

    def width(name: str) -> int:
        if name not in tensors or tensors[name].ndim == 0:
            raise ValueError(f"{path} lacks {name}; {WANTED}")
        return int(tensors[name].shape[0])

    body, head = "backbone.bottom_up", "roi_heads.densepose_head.body_conv_fcn"
    blocks = [_count(tensors, rf"{body}\.res{level}\.(\d+)\.conv1\.weight") for level in (2, 3, 4, 5)]
    stages = tuple(
        (count, width(f"{body}.res{level}.0.conv1.weight"), width(f"{body}.res{level}.0.conv3.weight"))
        for level, count in enumerate(blocks, start=2)
    )
    config = RCNNConfig(
        stem=width(f"{body}.stem.conv1.weight"),
        stages=stages,
        pyramid=width("backbone.fpn_lateral2.weight"),
        decoder=width("roi_heads.decoder.p2.0.weight"),
        box_width=width("roi_heads.box_head.fc1.weight"),
        head_width=width(f"{head}1.weight"),
        head_convs=_count(tensors, rf"{head}(\d+)\.weight"),
        deeplab="roi_heads.densepose_head.ASPP.project.0.weight" in tensors,
        coarse=width("roi_heads.densepose_predictor.ann_index_lowres.bias"),
    )
    if config.deeplab and (config.pyramid % 32 or config.head_width % 32):
        raise ValueError(f"{path} has widths that are no multiples of 32; {WANTED}")
    return config


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbers the names have in that place."""
    return len({match[1] for name in tensors if (match := re.fullmatch(pattern, name))})
