"""Two steps of training at the true sizes from random files of the public layouts, on 16 samples of public
formats; resumed once, exported, and loaded as the method's node loads it.

`python -m figura.tests.training.recipes.true_size FOLDER RECIPE ... --table docs/bench/train.md` measures
recipes, keeps what it measured in FOLDER, and writes the table of all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from figura.models.cfld.checkpoint import load_cfld
from figura.models.cfld.config import released_config as cfld_config
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.checkpoint import load_file, save_module
from figura.models.hands.checkpoint import load_hands
from figura.models.humansd.checkpoint import load_humansd
from figura.models.phac.checkpoint import load_phac
from figura.models.phac.networks import InvisibleMaskUNet
from figura.models.pocold.checkpoint import load_pocold, load_vae_file
from figura.tests.models.diffusion import full_size as makers
from figura.tests.training.data import public_formats
from figura.training.bench.memory import CLIP_L
from figura.training.data import command as data_command
from figura.training.reports.tables import hardware
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

SAMPLES, HELD_OUT, SIZE = 16, 2, 512
FILES: dict[str, tuple[str, ...]] = {
    "phac": ("inpaint", "control"), "hands": ("sd15",), "body": ("sd15", "control"), "humansd": ("sd21",),
    "cfld": ("sd15", "swin"), "pocold": ("vae",),
}  # fmt: skip
OPEN_CLIP_H = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
}  # fmt: skip
CHILD = "figura.tests.training.recipes.child"
"""What runs `figura train` and tells what it took."""


# Files of the public layouts


def sd15_unet(channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(in_channels=channels, cross_attention_dim=768)


def sd21_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
    )


def true_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip


def text_model(sizes: Mapping[str, int], activation: str) -> CLIPTextModel:
    """Of the true sizes but for the number of words, which is the tests' tokenizer's."""
    return CLIPTextModel(
        CLIPTextConfig(
            **sizes,
            vocab_size=258,
            projection_dim=sizes["hidden_size"],
            hidden_act=activation,
            bos_token_id=256,
            eos_token_id=257,
            pad_token_id=257,
        )  # fmt: skip
    )


def written(name: str, folder: Path) -> Path:
    """A file of the public layout with random weights of the true sizes, float16."""
    path = folder / f"{name}.safetensors"
    if path.is_file():
        return path
    ldm = makers.ldm
    if name == "swin":
        tensors = drawn(lambda: CFLDNetworks(cfld_config()).backbone)
    elif name == "vae":
        tensors = drawn(true_vae)
    elif name == "control":
        tensors = ldm.controlnet_to_ldm(drawn(lambda: ControlNetModel.from_unet(sd15_unet(4))), 2)
    else:
        channels = 9 if name == "inpaint" else 4
        unet = drawn(sd21_unet if name == "sd21" else lambda: sd15_unet(channels))
        tensors = ldm.unet_to_ldm(unet, 2) | ldm.vae_to_ldm(drawn(true_vae), 4)
        tensors |= _open_clip() if name == "sd21" else _clip()
    save_file({key: value.contiguous() for key, value in tensors.items()}, str(path))
    return path


def drawn(network: Callable[[], torch.nn.Module]) -> dict[str, torch.Tensor]:
    """A network's tensors in float16, random but for the norms' weights; the same at every call."""
    with torch.device("meta"):
        shapes = network().state_dict()
    generator = torch.Generator().manual_seed(1)
    made = {}
    for name, like in shapes.items():
        if not like.is_floating_point():
            made[name] = torch.arange(like.numel()).reshape(like.shape)
        elif like.ndim == 1 and name.endswith("weight"):
            made[name] = torch.ones(like.shape, dtype=torch.float16)
        else:
            made[name] = (0.02 * torch.randn(like.shape, generator=generator)).half()
    return made


def _clip() -> dict[str, torch.Tensor]:
    return makers.ldm.clip_to_ldm(drawn(lambda: text_model(CLIP_L, "quick_gelu")))


def _open_clip() -> dict[str, torch.Tensor]:
    text = drawn(lambda: text_model(OPEN_CLIP_H, "gelu"))
    named = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in text.items()}
    named |= {"text_projection.weight": torch.eye(OPEN_CLIP_H["hidden_size"]).half()}
    return makers.ldm.big_clip_to_ldm(named, "cond_stage_model.model.")


# Samples of the public formats


def data_for(recipe: str, folder: Path, size: int = SIZE) -> Path:
    """SAMPLES pictures of that side, or pairs of 4 : 3, written in a public format and imported."""
    sides = (size, 3 * size // 4)
    formats, data = public_formats, folder / "data" / (recipe if recipe in ("phac", "humansd") else "")
    common = ["--data", str(data)]
    if recipe in ("cfld", "pocold"):
        raw = folder / "raw_pairs"
        if not raw.is_dir():
            formats.write_dptn(raw, SAMPLES, sides, HELD_OUT)
        words = [*formats.dptn_words(raw), "--sides", *map(str, sides), *common]
    elif recipe == "hands":
        raw = folder / "raw_hands"
        if not raw.is_dir():
            raw.mkdir(parents=True)
            formats.write_hands(raw, SAMPLES, size)
        words = [
            "import",
            "hands",
            str(raw / "hands.jsonl"),
            "--size",
            str(size),
            "--held-out",
            str(HELD_OUT),
            *common,
        ]
    else:
        raw = folder / "raw_people"
        if not raw.is_dir():
            formats.write_coco(raw, SAMPLES, size)
        words = [*formats.coco_words(raw, recipe), "--size", str(size), "--held-out", str(HELD_OUT), *common]
    assert data_command.main(words) == 0
    return data


# The run


def measure(recipe: str, folder: Path, size: int = SIZE, more: Sequence[str] = ()) -> dict[str, Any]:
    """Train, resume, export and load a recipe; counts, seconds and bytes. What it wrote is removed again.

    more: further words of the command. Raises RuntimeError with what a run said that failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    public = {name: written(name, folder) for name in FILES[recipe]}
    makers.write_tokenizer(folder)
    own = folder / recipe
    out, data = own / f"{recipe}.safetensors", data_for(recipe, folder, size)
    words = [
        recipe, "--base", *(str(path) for path in public.values()), "--data", str(data), "--out", str(out),
        "--work", str(own / "run"), "--tokenizer", str(folder), "--device", "cpu", "--batch", "1",
        "--accumulation", "1", "--samples", "0", *more,
    ]  # fmt: skip
    try:
        first, second = (_child(own, [*words, "--steps", str(steps)]) for steps in (1, 2))
        checkpoint = (own / "run" / "checkpoint.pt").stat().st_size
        tensors, meta = load_file(out)
        assert meta["steps"] == 2 and all(value.isfinite().all() for value in tensors.values())
        exported = out.stat().st_size
        del tensors
        (own / "run" / "checkpoint.pt").unlink()
        assert load_trained(recipe, public, folder, out) is not None
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return {
        "parameters": first["parameters"], "learning": first["learning"],
        "peak": max(first["peak"], second["peak"]), "checkpoint": checkpoint, "exported": exported,
        "seconds": second["seconds"][0], "size": size, "day": date.today().isoformat(),
    }  # fmt: skip


def _child(folder: Path, words: list[str]) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    answer = folder / "answer.json"
    command = [sys.executable, "-m", CHILD, str(answer), *words]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=paths)
    if done.returncode or not answer.is_file():
        raise RuntimeError(
            f"figura train {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        )
    found = json.loads(answer.read_text(encoding="utf-8"))
    assert found["code"] == 0 and len(found["seconds"]) == 1
    return found


def load_trained(recipe: str, public: Mapping[str, Path], tokenizer: Path, out: Path) -> Any:
    """By the loader of the method's node, in half precision."""
    half = torch.float16
    loaders: dict[str, Callable[[], Any]] = {
        "phac": lambda: load_phac(public["inpaint"], out, _masks(out.parent), tokenizer, dtype=half),
        "hands": lambda: load_hands(
            public["sd15"], out, written("control", tokenizer), tokenizer, dtype=half
        ),
        "body": lambda: load_hands(public["sd15"], public["control"], out, tokenizer, dtype=half),
        "humansd": lambda: load_humansd(
            out.with_name("humansd_checkpoint.safetensors"), tokenizer, dtype=half
        ),
        "cfld": lambda: load_cfld(out, public["sd15"]),
        "pocold": lambda: load_pocold(out, load_vae_file(public["vae"])),
    }
    return loaders[recipe]()


def _masks(folder: Path) -> Path:
    config = {"base": 8, "levels": 2, "size": 32}
    return save_module(
        folder / "masks.safetensors", "invisible_mask", InvisibleMaskUNet(**config).state_dict(), config
    )


# The table


def table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        "# Training at full size", "",
        f"{hardware('cpu')}. Written by `python -m figura.tests.training.recipes.true_size`: random weights "
        "in files of the public layouts and of the true sizes, on 16 samples imported from the public "
        "formats. One step, then one more by a second process that goes on from "
        "the checkpoint, then the export, which the loader of the method's node takes. Batch 1, bf16, "
        "gradient checkpointing but for pocold, on a CPU with other work, whose seconds say little. "
        "Memory is the peak of the process, files that are mapped into it included.", "",
        "| recipe | px | parameters | that learn | peak memory | bytes a learning parameter | checkpoint "
        "| export | seconds a step | measured |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for recipe, each in measured.items():
        lines.append(
            f"| `{recipe}` | {each['size']} | {each['parameters'] / 1e6:.0f} M | "
            f"{each['learning'] / 1e6:.0f} M | "
            f"{each['peak'] / 2**30:.1f} GiB | {each['peak'] / each['learning']:.1f} | "
            f"{each['checkpoint'] / 2**30:.1f} GiB | {each['exported'] / 2**30:.2f} GiB | "
            f"{each['seconds']:.0f} | {each['day']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the recipes named, and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=", ".join(FILES))
    parser.add_argument("--size", type=int, default=SIZE, help="side of the pictures in px")
    parser.add_argument("--more", default="", metavar="WORDS", help='such as "--optimizer adamw-8bit"')
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    kept = args.folder / "measured.json"
    for recipe in args.recipes:
        found = measure(recipe, args.folder, args.size, args.more.split())
        measured = json.loads(kept.read_text()) if kept.is_file() else {}
        public_formats.write_json(kept, {**measured, f"{recipe} {args.more}".strip(): found})
    if args.table:
        measured = json.loads(kept.read_text())
        names = sorted(measured, key=lambda name: [*FILES].index(name.split()[0]))
        args.table.write_text(table({name: measured[name] for name in names}))


if __name__ == "__main__":
    main()
