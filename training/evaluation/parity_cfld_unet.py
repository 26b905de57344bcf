"""CFLD's U-Net beside the authors', which is written for diffusers 0.19: it runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...models.cfld.attention import predict_noise, take_query_biases
from .parity import NETWORK_LIMIT, RELATIVE, Row, relative
from .parity_checkouts import randomised

PART = "U-Net with residuals and biases, at a fifth of its width"
SIZES: dict[str, Any] = {
    "block_out_channels": (64, 128, 256, 256), "cross_attention_dim": 768, "attention_head_dim": 8,
}  # fmt: skip
CHANNELS, PROMPT, SIDE = 4, 16, 32
THEIRS = """
import importlib.machinery, importlib.util, json, sys, types
older, file, place = sys.argv[1:]
sys.path.insert(0, older)
find = importlib.util.find_spec
absent = ("transformers", "peft", "flax", "onnxruntime")
importlib.util.find_spec = lambda name, *rest: None if name.split(".")[0] in absent else find(name, *rest)
import torch
from safetensors.torch import load_file, save_file
def attention(query, key, value, attn_bias=None, op=None, scale=None):
    return ((query @ key.mT) * (scale or query.shape[-1] ** -0.5)).softmax(-1) @ value
for name in ("xformers", "xformers.ops"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
sys.modules["xformers"].ops = sys.modules["xformers.ops"]
sys.modules["xformers.ops"].memory_efficient_attention = attention
import huggingface_hub, huggingface_hub.constants
for name in ("cached_download", "HfFolder", "Repository"):
    if not hasattr(huggingface_hub, name):
        setattr(huggingface_hub, name, type(name, (), {}))
huggingface_hub.constants.hf_cache_home = "."
spec = importlib.util.spec_from_file_location("cfld_unet", file)
code = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code)
code.xformers = sys.modules["xformers"]
unet = code.ResidualUNet2DConditionModel(**json.load(open(f"{place}/sizes.json"))).eval()
given = load_file(f"{place}/given.safetensors")
unet.load_state_dict({k[5:]: v for k, v in given.items() if k.startswith("unet.")})
for module in unet.modules():
    if isinstance(module, code.ResidualAttention):
        module.set_processor(code.ResidualXFormersAttnProcessor())
biases = {f"block_{k[5:]}_cross_attn_q": v for k, v in given.items() if k.startswith("bias.")}
residuals = [given[f"residual.{level}"] for level in range(3)]
with torch.no_grad():
    made = unet(given["latents"], torch.tensor(401), given["prompt"],
                down_block_additional_residuals=residuals,
                up_block_additional_residuals=biases).sample
save_file({"noise": made.contiguous()}, f"{place}/made.safetensors")
"""


def compare_unet(folder: Path, older: Path | None) -> Row:
    """The noise of one pass. older: folder with diffusers 0.19."""
    if older is None:
        return _not_compared("--diffusers DIR (pip install --no-deps --target DIR diffusers==0.19.3)")
    from diffusers import UNet2DConditionModel

    ours = randomised(UNet2DConditionModel(**SIZES))
    given = _inputs()
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "sizes.json").write_text(json.dumps(SIZES))
        weights = {f"unet.{name}": value.contiguous() for name, value in ours.state_dict().items()}
        save_file(given | weights, str(Path(place) / "given.safetensors"))
        words = [str(older.absolute()), str(folder.absolute() / "models" / "unet.py"), place]
        done = subprocess.run(
            [sys.executable, "-c", THEIRS, *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ValueError(f"CFLD's U-Net did not run with {older}: {done.stderr.strip()[-500:]}")
        theirs = load_file(str(Path(place) / "made.safetensors"))["noise"]
    take_query_biases(ours)
    own = predict_noise(
        ours, given["latents"], torch.tensor(401), given["prompt"],
        [given[f"residual.{level}"] for level in range(3)],
        [given[f"bias.{number}"].mT.unflatten(2, (_side(number), -1)) for number in range(11, 2, -1)],
    )  # fmt: skip
    return Row(PART, relative(theirs, own), NETWORK_LIMIT, RELATIVE)


def _side(number: int) -> int:
    """Of the maps of an upward cross-attention, by the number the authors give it: 9 to 11 are the finest."""
    return SIDE // 2 ** (3 - number // 3)


def _inputs() -> dict[str, Tensor]:
    """Latents, prompt, residuals of three levels, and biases (1,n,c) by the authors' numbers 3 to 11."""
    generator = torch.Generator().manual_seed(13)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    widths = SIZES["block_out_channels"]
    given = {"latents": draw(1, CHANNELS, SIDE, SIDE), "prompt": draw(1, PROMPT, 768)}
    for level in range(3):
        given[f"residual.{level}"] = draw(1, widths[level], SIDE // 2**level, SIDE // 2**level)
    for number in range(3, 12):
        given[f"bias.{number}"] = draw(1, _side(number) ** 2, widths[3 - number // 3])
    return given


def _not_compared(needs: str) -> Row:
    return Row(PART, float("nan"), NETWORK_LIMIT, RELATIVE, f"not compared: needs {needs}")
