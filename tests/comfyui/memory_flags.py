"""Where ComfyUI's manager puts the networks that Figura gives it, in every state of its memory flags.

Run with ComfyUI's Python in its checkout: python memory_flags.py RESULT.json. There is no graphics card:
torch's "meta", which holds no numbers, stands for one with little free memory. --lowvram, --novram and
--gpu-only are the states that ComfyUI makes of them.
"""

import json
from pathlib import Path
from typing import Any

import torch
from inside import enter

(result,) = enter()

import comfy.cli_args  # noqa: E402
import comfy.model_management as management  # noqa: E402
import comfy.ops  # noqa: E402
from figura.host.comfy import ComfyHost, ComfyPlacement  # noqa: E402
from figura.tests.models.phac import tiny  # noqa: E402

CARD = torch.device("meta")
FREE = 1 << 10
STATES = {
    "none": management.VRAMState.NORMAL_VRAM,
    "--lowvram": management.VRAMState.LOW_VRAM,
    "--novram": management.VRAMState.NO_VRAM,
    "--gpu-only": management.VRAMState.HIGH_VRAM,
}


def to_and_back(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Tensor.to, also away from "meta": the numbers are lost."""
    if tensor.is_meta and any(str(each) == "cpu" for each in (*args, *kwargs.values())):
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    return plain_to(tensor, *args, **kwargs)


plain_to = torch.Tensor.to


def places(network: torch.nn.Module) -> list[str]:
    """The devices of all weights of layers that compute where these lie."""
    plain = [part for part in network.modules() if not hasattr(part, "comfy_cast_weights")]
    tensors = [t for part in plain for t in (*part._parameters.values(), *part._buffers.values())]
    return sorted({tensor.device.type for tensor in tensors if tensor is not None})


def seen(state: object) -> dict[str, list[str]]:
    """Devices of a U-Net, and of a network of ComfyUI's layers, while each is used and at the end."""
    management.vram_state = state
    management.current_loaded_models.clear()
    unet = tiny.tiny_unet()
    own = torch.nn.Sequential(comfy.ops.manual_cast.Linear(4, 4), torch.nn.LayerNorm(4))
    found = {"offload": [management.unet_offload_device().type]}
    placement = ComfyPlacement(7)
    placement.bring([unet])
    found["U-Net, in use"] = places(unet)
    placement.bring([own])
    found["own network, in use"] = places(own)
    found["U-Net, after others came"] = places(unet)
    placement.leave()
    management.unload_all_models()
    found["U-Net, unloaded"] = places(unet)
    return found


def dtypes() -> dict[str, str]:
    """What the host computes in, with each of the --fp8 flags and with none."""
    names = ("fp8_e4m3fn_unet", "fp8_e5m2_unet", "fp8_e8m0fnu_unet")
    made = {"none": str(ComfyHost().dtype(10))}
    for name in names:
        setattr(comfy.cli_args.args, name, True)
        made[f"--{name}"] = str(ComfyHost().dtype(10))
        setattr(comfy.cli_args.args, name, False)
    return made


found = {"dtypes": dtypes()}
torch.Tensor.to = to_and_back
management.get_torch_device = lambda: CARD
management.get_free_memory = lambda *_, torch_free_too=False: (FREE, FREE) if torch_free_too else FREE
management.get_total_memory = lambda *_, **__: FREE
management.lowvram_available = True
found["places"] = {flag: seen(state) for flag, state in STATES.items()}
Path(result).write_text(json.dumps(found, indent=1), encoding="utf-8")
