"""HumanSD beside a checkout of the authors' code, for `figura check parity`.

Their U-Net, autoencoder and text encoder are written to a checkpoint of the released layout, which the loader
of the node then reads.
"""

from __future__ import annotations

import colorsys
import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...models.diffusion.guidance import cfg
from ...models.diffusion.predict import predict_once
from ...models.humansd.checkpoint import RELEASED_CFG, load_humansd
from ...models.humansd.networks import HumanSD
from .parity import NETWORK_LIMIT, RELATIVE, Row, lacking, relative
from .parity_checkouts import Anything, is_there, randomised, released_modules, stand_ins
from .parity_humansd_loss import PARTS, compare_losses
from .parity_humansd_process import compare_process

PACKAGES = (
    "einops", "gradio", "imwatermark", "kornia", "matplotlib", "mmpose", "omegaconf", "open_clip",
    "pytorch_lightning", "seaborn", "torchvision", "xtcocotools",
)  # fmt: skip
"""What the authors' modules import; stood in for where it is not installed; parts that use it say so."""
TEXTS = (
    "a man & a woman, R&amp;B &amp;lt;3 singers",
    "",
    "two people dancing in the rain, best quality " * 8,
)


def compare_humansd(folder: Path, older: Path | None = None) -> Iterator[Row]:
    """U-Net, autoencoder, text; losses; drawing, sizes, schedule, trajectory under guidance; AP and CAP."""
    given: dict[str, dict[str, Any]] = {
        "pytorch_lightning": {"LightningModule": nn.Module},
        "seaborn": {"color_palette": _palette},
        "einops": {"rearrange": Anything(), "repeat": Anything()},
    }
    quiet = contextlib.redirect_stdout(io.StringIO())
    with stand_ins(PACKAGES, given), released_modules(folder, "", "humansd") as module, quiet:
        yield from _networks(module)
        yield from _losses(module)
        yield from compare_process(module)


def _palette(name: str, count: int) -> list[tuple[float, float, float]]:
    """What seaborn documents of its palette "hls", for where it is not installed."""
    return [colorsys.hls_to_rgb((number / count + 0.01) % 1.0, 0.6, 0.65) for number in range(count)]


# Networks


def _networks(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    if not is_there(module("ldm.modules.attention"), "rearrange"):
        for part in ("U-Net", "autoencoder"):
            yield lacking(part, "einops")
        return
    with tempfile.TemporaryDirectory() as place:
        checkpoint, words = Path(place) / "humansd.safetensors", Path(place)
        theirs = _their_networks(module, checkpoint, words)
        ours = load_humansd(checkpoint, words)
        yield from _compared(theirs, ours)


def _losses(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    if not is_there(module("ldm.modules.attention"), "rearrange"):
        for part in PARTS.values():
            yield lacking(part, "einops")
        return
    torch.manual_seed(0)
    yield from compare_losses(module, randomised(_autoencoder(module), 1))


def _their_networks(
    module: Callable[[str], ModuleType], checkpoint: Path, words: Path
) -> dict[str, Tensor | None]:
    """Writes their networks as a checkpoint, and gives what they make of `_inputs`."""
    given = _inputs()
    made: dict[str, Tensor | None] = {}
    tensors: dict[str, Tensor] = {}
    torch.manual_seed(0)
    vae = randomised(_autoencoder(module), 1)
    posterior = vae.encode(given["image"] * 2 - 1)  # type: ignore[operator]
    made["latents"], made["spread"] = 0.18215 * posterior.mean, posterior.std
    made["picture"] = (vae.decode(given["z"] / 0.18215) / 2 + 0.5).clamp(0, 1)  # type: ignore[operator]
    tensors |= _prefixed("first_stage_model.", vae)
    made["states"], made["tokens"], text = _their_text(module, words)
    if text is not None:
        tensors |= _prefixed("cond_stage_model.model.", text)
    else:
        tensors |= _some_text(words)
    unet = randomised(_unet(module), 2)
    both = torch.cat([given["noisy"], given["pose"]], 1).repeat(2, 1, 1, 1)
    made["noise"] = unet(both, given["t"].repeat(2), context=given["context"])
    tensors |= _prefixed("model.diffusion_model.", unet)
    save_file(tensors, str(checkpoint))
    return made


def _inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "image": torch.rand(1, 3, 256, 256, generator=generator), "z": draw(1, 4, 32, 32),
        "noisy": draw(1, 4, 32, 32), "pose": draw(1, 4, 32, 32), "context": draw(2, 77, 1024),
        "t": torch.tensor([401]),
    }  # fmt: skip


def _unet(module: Callable[[str], ModuleType]) -> nn.Module:
    return module("ldm.modules.diffusionmodules.openaimodel").UNetModel(
        image_size=32, in_channels=8, out_channels=4, model_channels=320, attention_resolutions=[4, 2, 1],
        num_res_blocks=2, channel_mult=[1, 2, 4, 4], num_head_channels=64, use_spatial_transformer=True,
        use_linear_in_transformer=True, transformer_depth=1, context_dim=1024, legacy=False,
    )  # fmt: skip


def _autoencoder(module: Callable[[str], ModuleType]) -> nn.Module:
    sizes = {
        "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
        "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    return module("ldm.models.autoencoder").AutoencoderKL(sizes, {"target": "torch.nn.Identity"}, 4)


def _prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {prefix + name: value.contiguous() for name, value in network.state_dict().items()}


def _their_text(
    module: Callable[[str], ModuleType], words: Path
) -> tuple[Tensor | None, Tensor | None, nn.Module | None]:
    """States and tokens of TEXTS by their encoder of 24 layers, and its network; None without open_clip.

    Writes open_clip's words as CLIP's tokenizer has them.
    """
    encoders = module("ldm.modules.encoders.modules")
    if not is_there(encoders, "open_clip", "model"):
        return None, None, None
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    from open_clip.tokenizer import SimpleTokenizer

    _write_words(SimpleTokenizer(), words)
    sizes = CLIPTextCfg(width=1024, heads=16, layers=24)
    with torch.device("cpu"):
        clip = CLIP(1024, CLIPVisionCfg(layers=1, width=64, head_width=64, patch_size=32), sizes)
    randomised(clip, 4)
    encoders.open_clip.create_model_and_transforms = lambda *a, **k: (clip, None, None)
    theirs = encoders.FrozenOpenCLIPEmbedder(device="cpu", layer="penultimate")
    return theirs(list(TEXTS)), encoders.open_clip.tokenize(list(TEXTS)), theirs.model


def _write_words(tokenizer: Any, folder: Path) -> None:
    """open_clip's words as CLIP's tokenizer has them, where the first and the last have other names."""
    called = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    words = {called.get(word, word): number for word, number in tokenizer.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _some_text(words: Path) -> dict[str, Tensor]:
    """A text encoder that nothing is compared with, so that the checkpoint is whole."""
    (words / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    width, prefix = 1024, "cond_stage_model.model."
    own: dict[str, tuple[int, ...]] = {
        "positional_embedding": (77, width),
        "token_embedding.weight": (2, width),
    }
    own |= {f"ln_final.{kind}": (width,) for kind in ("weight", "bias")}
    for layer in range(2):
        block = f"transformer.resblocks.{layer}."
        shapes: dict[str, tuple[int, ...]] = {
            "attn.in_proj": (3 * width, width), "attn.out_proj": (width, width), "ln_1": (width,),
            "ln_2": (width,), "mlp.c_fc": (width, width), "mlp.c_proj": (width, width),
        }  # fmt: skip
        for name, shape in shapes.items():
            sign = "_" if name.endswith("in_proj") else "."
            own |= {f"{block}{name}{sign}weight": shape, f"{block}{name}{sign}bias": shape[:1]}
    return {prefix + name: torch.zeros(shape) for name, shape in own.items()}


def _compared(theirs: Mapping[str, Tensor | None], ours: HumanSD) -> Iterator[Row]:
    given = _inputs()
    from ...models.diffusion.latent_model import TextStates
    from ...models.diffusion.networks import image_posterior

    posterior = image_posterior(ours.vae, given["image"])
    latents, picture = ours.encode(given["image"]), ours.decode(given["z"])
    noise = predict_once(
        ours, given["noisy"].repeat(2, 1, 1, 1), given["t"][0], TextStates(given["context"]),
        given["pose"].repeat(2, 1, 1, 1),
    )  # fmt: skip
    for part, name, own in (
        ("autoencoder, mean of the latents", "latents", latents),
        ("autoencoder, spread of the latents", "spread", posterior.std),
        ("autoencoder, picture", "picture", picture), ("U-Net of 8 channels", "noise", noise),
    ):  # fmt: skip
        yield Row(part, relative(_known(theirs[name]), own), NETWORK_LIMIT, RELATIVE)
    none, full = _known(theirs["noise"]).chunk(2)
    guided = none + RELEASED_CFG * (full - none)
    without, with_all = noise.chunk(2)
    own = cfg(without, with_all, RELEASED_CFG)
    difference = relative(guided, own)
    reason = "the scale multiplies the rounding of two passes; the formula itself is in the trajectory"
    yield Row(
        "guided noise of the U-Net, scale 10", difference, NETWORK_LIMIT, RELATIVE,
        reason if difference < RELEASED_CFG * NETWORK_LIMIT else "",
    )  # fmt: skip
    if theirs["states"] is None or theirs["tokens"] is None:
        yield lacking("text states, 24 layers", "open_clip_torch==2.7.0")
        return
    from ...models.diffusion.clip import tokens_of, unescaped, zeros_behind_end

    words = ours.text.tokenizer
    tokens = zeros_behind_end(tokens_of(words, [unescaped(text) for text in TEXTS]), words.eos_token_id)
    unlike = float((tokens != theirs["tokens"]).float().mean())
    yield Row('tokens, "&amp;" among them', unlike, 0.0, "of the tokens")
    states = relative(theirs["states"], ours.text.encode(TEXTS))
    yield Row("text states, 24 layers", states, NETWORK_LIMIT, RELATIVE)


def _known(value: Tensor | None) -> Tensor:
    if value is None:
        raise ValueError("the authors' network made nothing")
    return value
