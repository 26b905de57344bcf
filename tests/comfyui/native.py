"""What the tests of graphs of stock nodes share: random checkpoints, single nodes, saved pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figura.models.cfld.checkpoint import FILE_KIND, change_tensors
from figura.models.cfld.config import CFLDConfig
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.tests.comfyui.server import ComfyServer, run_inside
from PIL import Image

RANDOM_CFLD = "random_cfld.safetensors"
CFLD = CFLDConfig(
    channels=(320, 320), layers=1, plain_levels=0, context=768, source_size=64, patch=4, embed=16,
    depths=(1, 1, 1), heads=(1, 2, 4), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32, 32),
    appearance_blocks=1, pose_size=64, unshuffle=4, groups=32, aspect=(11, 16),
)  # fmt: skip
"""For the U-Net of tiny_checkpoint.py: two levels of the full width."""


def write_checkpoint(server: ComfyServer, script: str, name: str, folder: str = "checkpoints") -> Path:
    """A file in one of the server's model folders, written by one of the scripts tiny_*.py."""
    place = server.base / "models" / folder / name
    run_inside(server.checkout, script, place)
    return place


def write_cfld(server: ComfyServer) -> Path:
    """Random weights of CFLD among the server's models, RANDOM_CFLD, that change tiny_checkpoint.py's."""
    torch.manual_seed(1)
    networks = CFLDNetworks(CFLD)
    for name, parameter in networks.named_parameters():
        if "zero_conv" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    matrices = {
        f"up_blocks.{up}.attentions.{number}.transformer_blocks.0.attn2.to_{kind}.weight": (
            torch.randn(320, 768) * 0.04
        )
        for up in (0, 1)
        for number in (0, 1)
        for kind in "kv"
    }
    place = server.base / "models" / "figura" / RANDOM_CFLD
    place.parent.mkdir(parents=True, exist_ok=True)
    save_module(place, FILE_KIND, change_tensors(networks, matrices), {FILE_KIND: config_to_metadata(CFLD)})
    return place


def only(graph: dict[str, Any], class_type: str) -> dict[str, Any]:
    (node,) = [node for node in graph.values() if node["class_type"] == class_type]
    return node


def saved(server: ComfyServer, graph: dict[str, Any]) -> np.ndarray:
    """Runs the graph; what its last Save Image saved, (H,W,3) in 0..255."""
    run = server.run(graph)
    assert run.end == "execution_success", run.events[-1]
    node_ids = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
    data = server.image(run.images(node_ids[-1])[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
