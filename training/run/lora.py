"""Low-rank training (LoRA, Hu et al. 2021): of a U-Net's attention only two thin matrices each learn.

W x becomes (W + B A) x; A is random and B zero, so that training begins with the network as it is. Files hold
W + B A under the old names, and beside them A and B alone, as stock nodes read LoRA files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...models.files import write_then_rename

ATTENTION = re.compile(r"\.attn[12]\.to_(q|k|v|out\.0)$")
WHOLE = ("controlnet.", "networks.", "conv_in.", "conv_out.", "unet.conv_in.", "unet.conv_out.")
"""What learns as a whole beside it, where the recipe has it learn: own networks, widened convolutions."""
OWN, PLAIN = "parametrizations.weight.", "weight"


class LowRank(nn.Module):
    """Adds B A to a weight (out,in): down A is (rank,in), up B is (out,rank)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as it is used."""
        return weight + self.up @ self.down


def lower(module: nn.Module, rank: int) -> list[str]:
    """Have the attention that learns do so at that rank, and freeze what else of the U-Net would learn.

    Gives the names of the matrices; state_dict has them under their old names still. Raises ValueError for a
    rank below 1 and for a module without attention that learns.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}; at least 1 is needed")
    chosen = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and part.weight.requires_grad and ATTENTION.search(f".{name}")
        and not name.startswith(WHOLE[:2])
    ]  # fmt: skip
    if not chosen:
        raise ValueError("--lora: no attention of a U-Net learns in this recipe; leave it out")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.startswith(WHOLE))
    for name in chosen:
        layer: Any = module.get_submodule(name)
        parametrize.register_parametrization(layer, PLAIN, LowRank(layer.weight.detach(), rank))
        # Public only in newer versions of torch.
        hook: Any = getattr(layer, "register_state_dict_post_hook", layer._register_state_dict_hook)
        hook(_merged)
    return chosen


def _merged(layer: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Have the state hold the sum under the weight's own name."""
    own = {key: state.pop(key) for key in list(state) if key.startswith(prefix + OWN)}
    up, down = own[f"{prefix}{OWN}0.up"], own[f"{prefix}{OWN}0.down"]
    state[prefix + PLAIN] = own[f"{prefix}{OWN}original"] + up @ down


def factors(module: nn.Module) -> Mapping[str, LowRank]:
    """The thin matrices by the names of the layers they are for."""
    return {
        name.partition(".parametrizations.")[0]: part
        for name, part in module.named_modules()
        if isinstance(part, LowRank)
    }


def write_lora(weights: Path, module: nn.Module) -> Path | None:
    """NAME_lora.safetensors beside the weights, in the layout of kohya's scripts; None without low rank."""
    from safetensors.torch import save_file

    tensors = {}
    for name, pair in factors(module).items():
        key = "lora_unet_" + name.removeprefix("unet.").replace(".", "_")
        tensors[f"{key}.lora_down.weight"] = pair.down.detach().half().cpu().contiguous()
        tensors[f"{key}.lora_up.weight"] = pair.up.detach().half().cpu().contiguous()
        tensors[f"{key}.alpha"] = torch.tensor(float(len(pair.down)))
    if not tensors:
        return None
    path = weights.with_name(f"{weights.stem}_lora.safetensors")
    return write_then_rename(path, lambda unfinished: save_file(tensors, str(unfinished)))
