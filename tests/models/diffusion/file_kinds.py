"""Every kind of public file in every format it comes in: what the loaders make of it.

`python -m figura.tests.models.diffusion.file_kinds docs/files.md` writes the table; test_file_kinds.py holds
every row. Files are small and random, of the true key layout.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, ControlNetModel
from figura.models.diffusion import single_file
from figura.models.diffusion.single_file import INPAINT_CHANNELS, TEXT_CHANNELS
from figura.models.perception.sam_networks import SamConfig, build_sam, load_sam
from figura.models.perception.sam_tiny import TinyViTConfig
from figura.models.phac.checkpoint import load_refiner
from figura.tests.models.diffusion import full_size
from figura.tests.models.diffusion import ldm_layout as ldm
from figura.tests.models.pix2gestalt import released
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
Loader = Callable[[Path, Path], Any]
REFUSED, LOADED = "refused", "loaded"
LOADERS: dict[str, Loader] = {
    "Load PHAC (9 channels)": partial(single_file.load_stack, channels=INPAINT_CHANNELS, pix2gestalt=True),
    "Load Hands (4 channels)": partial(single_file.load_stack, channels=TEXT_CHANNELS),
    "as a U-Net alone": lambda path, words: single_file.load_stack(path, words, parts=_parts(words)),
    "as a ControlNet": lambda path, words: single_file.load_controlnet(path),
    "as an autoencoder": lambda path, words: single_file.load_autoencoder(path),
    "Load SAM": lambda path, words: load_sam(path),
    "Load Refiner": load_refiner,
}
PHAC, HANDS, UNET, CONTROL, VAE, SAM, REFINER = LOADERS


class Kind(NamedTuple):
    """A kind of file. made: (tensors, the network they are of or None). loader: who is given it.

    says: part of the sentence by which it is refused; empty when it loads.
    """

    name: str
    made: Callable[[], tuple[Tensors, Any]]
    loader: str
    says: str = ""


class Row(NamedTuple):
    """What came of one kind in one format. difference: the largest from diffusers' own answer, or None."""

    kind: str
    form: str
    loader: str
    result: str
    sentence: str
    difference: float | None


def _checkpoint(channels: int = 9, **config: Any) -> tuple[Tensors, Any]:
    network = full_size.unet(channels, **config)
    return full_size.sd15_tensors(network), network


def _old_merge() -> tuple[Tensors, Any]:
    tensors, network = _checkpoint()
    old = {key.replace("transformer.text_model.", "transformer."): value for key, value in tensors.items()}
    return old, network


def _scaled_fp8(scale_name: str) -> tuple[Tensors, Any]:
    """One matrix in fp8 with its scale; the network holds what that means, which fp16 holds exactly."""
    tensors, network = _checkpoint()
    name, scale = "model.diffusion_model.out.2", torch.tensor(2.0**-12)
    stored = (tensors[f"{name}.weight"] / scale).to(torch.float8_e4m3fn)
    network.conv_out.weight.data = stored.float() * scale
    scaled = {f"{name}.weight": stored, f"{name}.{scale_name}": scale}
    return {**tensors, **scaled, "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)}, network


def _unet(prefix: str | None) -> tuple[Tensors, Any]:
    network = full_size.unet(9)
    return (
        network.state_dict() if prefix is None else ldm.unet_to_ldm(network.state_dict(), 1, prefix)
    ), network


def _control(prefix: str | None) -> tuple[Tensors, Any]:
    control = ControlNetModel.from_unet(
        full_size.unet(4), conditioning_embedding_out_channels=(16, 32, 96, 256)
    )
    for parameter in control.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    named = control.state_dict() if prefix is None else ldm.controlnet_to_ldm(control.state_dict(), 1, prefix)
    return named, control


def _vae(prefix: str | None, channels: int = 4) -> tuple[Tensors, Any]:
    network = full_size.vae()
    if channels != 4:
        network = AutoencoderKL.from_config({**network.config, "latent_channels": channels})
    named = network.state_dict() if prefix is None else ldm.vae_to_ldm(network.state_dict(), 4, prefix)
    return named, network


SMALL_SAM = SamConfig(
    embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,), out_chans=32, mask_in_chans=8,
    decoder_mlp_dim=64, iou_head_hidden_dim=32,
)  # fmt: skip
SMALL_TINY_VIT = TinyViTConfig(dims=(8, 12, 16, 320), heads=(0, 2, 2, 4), depths=(1, 1, 2, 1))


def _sam(hq: bool = False) -> tuple[Tensors, Any]:
    return dict(build_sam(replace(SMALL_SAM, hq=hq)).state_dict()), None


def _mobile_sam() -> tuple[Tensors, Any]:
    """With the classifier, which the published file holds as well."""
    sam = build_sam(replace(SMALL_SAM, tiny=SMALL_TINY_VIT))
    classifier = {"image_encoder.norm_head.weight": torch.ones(320), "image_encoder.head.bias": torch.ones(9)}
    return {**sam.state_dict(), **classifier}, None


def _keys(*keys: str) -> Callable[[], tuple[Tensors, Any]]:
    return lambda: ({key: torch.zeros(2, 2) for key in keys}, None)


KINDS = (
    Kind("SD1.5 inpainting checkpoint", _checkpoint, PHAC),
    Kind("the same, text encoder as in old merges", _old_merge, PHAC),
    Kind("the same, scaled fp8", partial(_scaled_fp8, "scale_weight"), PHAC),
    Kind("the same, scaled fp8 of newer files", partial(_scaled_fp8, "weight_scale"), PHAC),
    Kind("SD1.5 checkpoint", partial(_checkpoint, 4), HANDS),
    Kind("SD1.5 checkpoint, 4 channels", partial(_checkpoint, 4), PHAC, "a 4-channel U-Net of Stable"),
    Kind("SD1.5 inpainting, 9 channels", _checkpoint, HANDS, "a 9-channel U-Net of Stable"),
    Kind("pix2gestalt", lambda: released.small()[:2], PHAC),
    Kind("pix2gestalt, to refine", lambda: released.small()[:2], REFINER, "not for commercial use"),
    Kind("pix2gestalt, for hands", lambda: released.small()[:2], HANDS, "not for commercial use"),
    Kind("SD2 inpainting", partial(_checkpoint, use_linear_projection=True), PHAC, "Stable Diffusion 2"),
    Kind("U-Net, with prefix", partial(_unet, "model.diffusion_model."), UNET),
    Kind("U-Net, without prefix", partial(_unet, ""), UNET),
    Kind("U-Net, diffusers", partial(_unet, None), UNET),
    Kind("U-Net where all is needed", partial(_unet, ""), PHAC, "has no autoencoder"),
    Kind("ControlNet, with prefix", partial(_control, "control_model."), CONTROL),
    Kind("ControlNet, without prefix", partial(_control, ""), CONTROL),
    Kind("ControlNet, diffusers", partial(_control, None), CONTROL),
    Kind("VAE, without prefix", partial(_vae, ""), VAE),
    Kind("VAE, of a checkpoint", partial(_vae, "first_stage_model."), VAE),
    Kind("VAE, diffusers", partial(_vae, None), VAE),
    Kind("VAE of 16 channels", partial(_vae, "", 16), VAE, "16 channels"),
    Kind("Control-LoRA", _keys("lora_controlnet", "input_blocks.0.0.up"), CONTROL, "a Control-LoRA"),
    Kind("ControlNet-LLLite", _keys("lllite_unet_input.down.0.weight"), CONTROL, "a ControlNet-LLLite"),
    Kind("T2I-Adapter", _keys("body.0.block1.weight", "conv_in.weight"), CONTROL, "a T2I-Adapter"),
    Kind("IP-Adapter", _keys("image_proj.proj.weight"), CONTROL, "an IP-Adapter"),
    Kind("LoRA, kohya", _keys("lora_unet_down_blocks_0.lora_up.weight"), PHAC, "a LoRA"),
    Kind("LoRA, diffusers", _keys("unet.down_blocks.0.attn1.to_q.lora.up.weight"), PHAC, "a LoRA"),
    Kind("Flux", _keys("double_blocks.0.img_attn.qkv.weight"), PHAC, "a transformer of Flux"),
    Kind("SD3", _keys("model.diffusion_model.joint_blocks.0.qkv.weight"), PHAC, "Stable Diffusion 3"),
    Kind("textual inversion", _keys("emb_params"), PHAC, "a textual inversion"),
    Kind("T5", _keys("encoder.block.0.layer.0.SelfAttention.q.weight"), PHAC, "a T5 text encoder"),
    Kind("CLIP", _keys("text_model.embeddings.token_embedding.weight"), PHAC, "a CLIP text encoder alone"),
    Kind("upscaler", _keys("conv_first.weight", "body.0.rdb1.conv1.weight"), PHAC, "an upscaler"),
    Kind("SAM 2", _keys("sam_mask_decoder.iou_token.weight"), SAM, "SAM 2"),
    Kind("Segment Anything", _sam, SAM),
    Kind("SAM-HQ", partial(_sam, hq=True), SAM),
    Kind("MobileSAM", _mobile_sam, SAM),
    Kind("a part of MobileSAM", _keys("image_encoder.layers.0.blocks.0.conv1.c.weight"), SAM, "MobileSAM"),
)


def _safetensors(tensors: Tensors, path: Path, dtype: torch.dtype | None = None) -> Path:
    cast = {
        key: value.to(dtype) if dtype and value.dtype == torch.float32 else value
        for key, value in tensors.items()
    }
    save_file({key: value.contiguous().clone() for key, value in cast.items()}, str(path))
    return path


def _pickle(tensors: Tensors, path: Path) -> Path:
    torch.save({"state_dict": dict(tensors)} if path.suffix == ".ckpt" else dict(tensors), path)
    return path


def _as(name: str, dtype: torch.dtype | None = None) -> Callable[[Tensors, Path], Path]:
    pickled = Path(name).suffix in (".ckpt", ".pth", ".bin")
    write = _pickle if pickled else partial(_safetensors, dtype=dtype)
    return lambda tensors, folder: write(tensors, folder / name)


FORMS = {
    "fp32": _as("file.safetensors"),
    "fp16": _as("file.safetensors", torch.float16),
    "bf16": _as("file.safetensors", torch.bfloat16),
    "fp8": _as("file.safetensors", torch.float8_e4m3fn),
    ".sft": _as("file.sft"),
    ".SAFETENSORS": _as("FILE.SAFETENSORS"),
    ".ckpt": _as("file.ckpt"),
    ".pth": _as("file.pth"),
    ".bin": _as("file.bin"),
}
EXACT = "fp32"
IN_EVERY_FORM = (
    "SD1.5 inpainting checkpoint",
    "U-Net, without prefix",
    "ControlNet, with prefix",
    "VAE, diffusers",
    "pix2gestalt",
)
NO_TENSORS = {
    "GGUF": (b"GGUF\x03\x00\x00\x00" + bytes(64), "a GGUF file"),
    "pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a pointer of Git LFS",
    ),
    "web page saved as a model": (b"<!DOCTYPE html><html></html>", "a web page"),
    "empty file": (b"", "truncated"),
    "half a file": (b"\x80\x00\x00\x00\x00\x00\x00\x00{", "truncated"),
}


def forms_of(kind: Kind) -> list[str]:
    """Every format for one of each sort: what is in a file is seen after it was read, whatever its format."""
    return list(FORMS) if kind.name in IN_EVERY_FORM else [EXACT]


def _parts(words: Path) -> Path:
    """A checkpoint for its autoencoder and text encoder, beside the words."""
    path = words / "parts.safetensors"
    return path if path.is_file() else _safetensors(_checkpoint(4)[0], path)


def try_kind(kind: Kind, form: str, folder: Path, tokenizer: Path) -> Row:
    """Write the file, give it to its loader, and say what came of it."""
    torch.manual_seed(0)
    tensors, network = kind.made()
    path = FORMS[form](tensors, folder)
    try:
        loaded = LOADERS[kind.loader](path, tokenizer)
    except ValueError as error:
        return Row(kind.name, form, kind.loader, REFUSED, str(error).replace(str(folder) + "/", ""), None)
    difference = None if network is None or form != EXACT else largest_difference(loaded, network)
    return Row(kind.name, form, kind.loader, LOADED, "", difference)


def try_no_tensors(name: str, folder: Path, tokenizer: Path) -> Row:
    """The same for a file that holds no tensors at all."""
    path = folder / "file.safetensors"
    path.write_bytes(NO_TENSORS[name][0])
    try:
        single_file.load_stack(path, tokenizer)
    except ValueError as error:
        return Row(name, "", PHAC, REFUSED, str(error).replace(str(folder) + "/", ""), None)
    return Row(name, "", PHAC, LOADED, "", None)


@torch.no_grad()
def largest_difference(loaded: Any, network: Any) -> float:
    """The loaded network's answer against that of diffusers' own with the same weights, on the same input."""
    made = torch.Generator().manual_seed(1)
    network = network.eval()
    if isinstance(network, AutoencoderKL):
        image = torch.rand(1, 3, 32, 32, generator=made)
        pairs = [[net.decode(net.encode(image).latent_dist.mode()).sample for net in (loaded, network)]]
    else:
        channels = network.config.in_channels
        noisy, text = torch.randn(1, channels, 16, 16, generator=made), torch.randn(1, 7, 64, generator=made)
        if isinstance(network, ControlNetModel):
            prompt = torch.rand(1, 3, 128, 128, generator=made)
            answers = [net(noisy, 5, text, prompt, return_dict=False)[0] for net in (loaded, network)]
            pairs = [list(pair) for pair in zip(*answers, strict=True)]
        else:
            pairs = [[net(noisy, 5, text).sample for net in (loaded.networks.unet, network)]]
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)


def table(rows: list[Row]) -> str:
    """The page docs/files.md: one line a kind and result, the formats together."""
    merged: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        merged.setdefault((row.kind, row.loader, row.result, row.sentence), []).append(row)
    lines = [
        HEAD,
        "| file | formats | given | what happens | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (kind, loader, result, sentence), same in merged.items():
        forms = ", ".join(row.form for row in same if row.form)
        found = [row.difference for row in same if row.difference is not None]
        said = result if not sentence else f"{result}: {sentence}".replace("|", "\\|")
        lines.append(f"| {kind} | {forms} | {loader} | {said} | {f'{max(found):.1e}' if found else ''} |")
    return "\n".join(lines) + "\n"


HEAD = """# Files that loaders take

What Figura's loaders make of every kind of public file, in every format it comes in: safetensors in four
precisions, their other endings, and pickles. The last column is the largest absolute difference of the loaded
network's answer from that of diffusers' own network with the same weights, in fp32. Files of true key layout
with small random networks, written by `python -m figura.tests.models.diffusion.file_kinds docs/files.md`.
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        folder, words = Path(place), Path(place) / "words"
        words.mkdir()
        full_size.write_tokenizer(words)
        rows = [try_kind(kind, form, folder, words) for kind in KINDS for form in forms_of(kind)]
        rows += [try_no_tensors(name, folder, words) for name in NO_TENSORS]
    page.write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
