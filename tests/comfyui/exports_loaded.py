"""What training writes for other programs, given to ComfyUI's own loaders; writes what they say of it.

Run with ComfyUI's Python in its checkout: python exports_loaded.py FOLDER RESULT.json. LoRA files and a
ControlNet with all names of the true sizes, made by the code that training writes them with.
"""

import json
import logging
from pathlib import Path

import torch
from inside import enter

folder, result = map(Path, enter("--force-fp32"))

import comfy.controlnet  # noqa: E402
import comfy.lora  # noqa: E402
import comfy.lora_convert  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.utils  # noqa: E402
from diffusers import ControlNetModel, UNet2DConditionModel  # noqa: E402
from figura.models.diffusion.checkpoint import save_module  # noqa: E402
from figura.tests.models.diffusion import ldm_layout as ldm  # noqa: E402
from figura.training.recipes.public import write_controlnet  # noqa: E402
from figura.training.run.lora import factors, lower, write_lora  # noqa: E402

SD21 = {
    "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True,
}  # fmt: skip
UNETS = {
    "sd15": {"cross_attention_dim": 768},
    "sd15 inpainting": {"cross_attention_dim": 768, "in_channels": 9},
    "humansd": {**SD21, "in_channels": 8},
}
PREFIX = "model.diffusion_model."


class Said(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def unet(config: dict) -> UNet2DConditionModel:
    """Of the true size; its memory is asked for and not touched."""
    with torch.device("meta"):
        network = UNet2DConditionModel(**config)
    return network.to_empty(device="cpu")


def their_model(network: UNet2DConditionModel):
    """ComfyUI's model for the network's checkpoint, without weights."""
    tensors = ldm.unet_to_ldm({name: value.to("meta") for name, value in network.state_dict().items()}, 2)
    config = comfy.model_detection.model_config_from_unet(tensors, PREFIX)
    return config.get_model(tensors, PREFIX, device="meta")


def lora(name: str) -> dict:
    """How a LoRA for the attention of a U-Net is loaded, and how far every matrix is from what it was."""
    network = unet(UNETS[name])
    theirs = their_model(network)
    names = {key: key for key in network.state_dict()}
    places = {own: key for key, own in ldm.unet_to_ldm(names, 2, "diffusion_model.").items()}
    chosen = lower(network.requires_grad_(True), 2)
    parts = factors(network)
    generator = torch.Generator().manual_seed(3)
    for part in parts.values():
        part.up.data = torch.randn(part.up.shape, generator=generator)
    path = write_lora(folder / f"{name}.safetensors", network)
    tensors = comfy.lora_convert.convert_lora(comfy.utils.load_torch_file(str(path)))
    patches = comfy.lora.load_lora(tensors, comfy.lora.model_lora_keys_unet(theirs, {}))
    shapes = theirs.state_dict()
    apart, sizes = [], []
    for own, part in parts.items():
        key = places[f"{own}.weight"]
        patch = [(1.0, patches[key], 1.0, None, None)]
        applied = comfy.lora.calculate_weight(patch, torch.zeros(shapes[key].shape), key)
        trained = (part.up @ part.down).detach()
        sizes.append(float(trained.abs().max()))
        apart.append(float((applied - trained).abs().max()) / sizes[-1])
    return {
        "layers": len(chosen), "tensors": len(tensors), "patches": len(patches), "apart": max(apart),
        "least": min(sizes),
        "foreign": [str(key) for key in patches if key not in shapes],
    }  # fmt: skip


def controlnet() -> dict:
    """How the ControlNet of a trained file is loaded."""
    with torch.device("meta"):
        network = ControlNetModel.from_unet(UNet2DConditionModel(cross_attention_dim=768)).half()
    tensors = {
        f"controlnet.{name}": value for name, value in network.to_empty(device="cpu").state_dict().items()
    }
    for number, value in enumerate(tensors.values()):
        value.fill_(number / 1000)
    weights = save_module(folder / "phac.safetensors", "phac", tensors, {})
    control = comfy.controlnet.load_controlnet(str(write_controlnet(weights)))
    own = {} if control is None else control.control_model.state_dict()
    bare = {key.removeprefix("controlnet."): value for key, value in tensors.items()}
    expected = ldm.controlnet_to_ldm(bare, 2, "")
    same = own.keys() == expected.keys() and all(torch.equal(own[key], expected[key]) for key in own)
    return {"tensors": len(tensors), "parameters": len(own), "same": same}


found = {}
for part, made in (*((name, lambda name=name: lora(name)) for name in UNETS), ("controlnet", controlnet)):
    said = Said()
    logging.getLogger().addHandler(said)
    found[part] = made()
    logging.getLogger().removeHandler(said)
    found[part]["said"] = said.lines
result.write_text(json.dumps(found))
