"""Random files of the public layouts with few channels, and recipes that begin from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from figura.models.cfld.checkpoint import load_cfld
from figura.models.cfld.config import CFLDConfig
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.checkpoint import save_module
from figura.models.hands.checkpoint import load_hands
from figura.models.humansd.checkpoint import load_humansd
from figura.models.phac.checkpoint import load_phac
from figura.models.phac.networks import InvisibleMaskUNet
from figura.models.pocold.checkpoint import load_pocold, load_vae_file
from figura.models.pocold.networks import PoCoLDConfig
from figura.tests.models.diffusion import full_size as makers
from figura.tests.models.humansd import tiny as tiny_humansd
from figura.training.data.hands import build_hands_data
from figura.training.data.pairs import build_pairs
from figura.training.recipes import cfld, load_recipe, pocold
from figura.training.recipes.public import base_files
from figura.training.run.recipe import changed_plan

SIZE = 64
TINY_CFLD = CFLDConfig(
    channels=(32,), layers=1, plain_levels=1, context=64, source_size=32, patch=4, embed=8, depths=(1, 1),
    heads=(1, 2), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32,), appearance_blocks=1,
    pose_size=64, unshuffle=8, groups=32, aspect=(11, 16),
)  # fmt: skip
TINY_POCOLD = PoCoLDConfig(4, (8, 16), 1, 2, 4, 4, "sparse", "released", (32, 32))
FILES: dict[str, tuple[str, ...]] = {
    "phac": ("inpaint", "control"),
    "phac_roi_box": ("inpaint", "control"),
    "hands": ("sd15",),
    "body": ("sd15", "control"),
    "humansd": ("sd21",),
    "cfld": ("sd15", "swin"),
    "pocold": ("vae",),
}


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the methods' released sizes be tiny ones."""
    monkeypatch.setattr(cfld, "released_config", lambda: TINY_CFLD)
    monkeypatch.setattr(pocold, "released_config", lambda: TINY_POCOLD)


def write_people(folder: Path, toy_data: Path) -> Path:
    """People, hands and pairs in one folder, apart from what other tests encode."""
    for part in ("train", "held_out"):
        (folder / part).mkdir()
        for file in (toy_data / part).glob("*.npy"):
            (folder / part / file.name).symlink_to(file)
        (folder / part / "captions.json").symlink_to(toy_data / part / "captions.json")
    build_hands_data(folder, 4, 2, SIZE, processes=1)
    build_pairs(folder, 4, 2, SIZE, processes=1)
    return folder


def write_public(folder: Path) -> dict[str, Path]:
    """A file of each public layout, by name, and the folder of the tokenizer."""
    torch.manual_seed(0)
    control = ControlNetModel.from_unet(makers.unet(4))
    swin = CFLDNetworks(TINY_CFLD).backbone.state_dict()
    control_ldm = makers.ldm.controlnet_to_ldm(control.state_dict(), 1)
    sd2 = tiny_humansd.released_tensors(tiny_humansd.sd2_unet(4))
    sd2 = {key: value for key, value in sd2.items() if not key.startswith("mmpose_model.")}
    makers.write_tokenizer(folder)
    return {
        "sd15": makers.write(folder / "sd15.safetensors", makers.sd15_tensors(makers.unet(4))),
        "inpaint": makers.write(folder / "inpaint.safetensors", makers.sd15_tensors(makers.unet(9))),
        "sd21": makers.write(folder / "sd21.safetensors", sd2),
        "control": makers.write(folder / "control.safetensors", control_ldm),
        "vae": makers.write(folder / "vae.safetensors", makers.vae().state_dict()),
        "swin": makers.write(folder / "swin.safetensors", swin),
        "tokenizer": folder,
    }  # fmt: skip


def words_of(recipe: str, public: Mapping[str, Path], root: Path, out: Path, *more: str) -> list[str]:
    base = [str(public[name]) for name in FILES[recipe]]
    return [
        recipe, "--base", *base, "--data", str(root), "--out", str(out), "--work", str(out.parent / "run"),
        "--tokenizer", str(public["tokenizer"]), "--device", "cpu", "--batch", "2", "--accumulation", "1",
        "--precision", "no", *more,
    ]  # fmt: skip


def load_trained(recipe: str, public: Mapping[str, Path], out: Path) -> Any:
    """By the loader of the method's node."""
    tokenizer = public["tokenizer"]
    if recipe.startswith("phac"):
        masks = InvisibleMaskUNet(base=8, levels=2, size=32)
        config = {"base": 8, "levels": 2, "size": 32}
        file = save_module(out.parent / "masks.safetensors", "invisible_mask", masks.state_dict(), config)
        return load_phac(public["inpaint"], out, file, tokenizer)
    loaders: dict[str, Callable[[], Any]] = {
        "hands": lambda: load_hands(public["sd15"], out, public["control"], tokenizer),
        "body": lambda: load_hands(public["sd15"], public["control"], out, tokenizer),
        "humansd": lambda: load_humansd(out.with_name("humansd_checkpoint.safetensors"), tokenizer),
        "cfld": lambda: load_cfld(out, public["sd15"]),
        "pocold": lambda: load_pocold(out, load_vae_file(public["vae"])),
    }
    return loaders[recipe]()


def prepared(recipe: str, public: Mapping[str, Path], root: Path) -> tuple[Any, Any, Any, dict[str, Path]]:
    """The recipe at full size with its data, its network and the files."""
    made = load_recipe(recipe)
    made.at_full_size()
    made.plan = changed_plan(made.plan, device="cpu")
    init = {**base_files([public[name] for name in FILES[recipe]]), "tokenizer": public["tokenizer"]}
    data = made.prepare(root, init)
    return made, data.train, made.build(init), init
