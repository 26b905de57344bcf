"""ControlNets beside a U-Net, and U-Net tensors that were trained together with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class ReplacedTensors(nn.Module):
    """Tensors that take the place of some of another module's, by its names for them.

    They are buffers, so that they move, change dtype and count with the module they belong to.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = tuple(tensors)
        for number, tensor in enumerate(tensors.values()):
            self.register_buffer(f"tensor_{number}", tensor)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by the other module's names."""
        return dict(zip(self.names, self.buffers(), strict=True))


def controlnet_from(unet: Any, config: Mapping[str, Any]) -> Any:
    """A ControlNet that is a copy of the U-Net's encoder; config may name its prompt embedding's channels."""
    from diffusers import ControlNetModel

    channels = tuple(config.get("conditioning_embedding_out_channels", (16, 32, 96, 256)))
    controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels)
    controlnet.set_attn_processor(type(next(iter(unet.attn_processors.values())))())
    return controlnet


def replace_tensors(module: torch.nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Replace some of a module's tensors; ValueError when one does not exist there or has another shape."""
    check_counterparts(module, tensors, name)
    own = module.state_dict()
    module.load_state_dict({**own, **{key: value.to(own[key]) for key, value in tensors.items()}})


def check_counterparts(module: torch.nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """ValueError when one of the tensors does not exist in the module, or has another shape there."""
    own = module.state_dict()
    wrong = [key for key, value in tensors.items() if key not in own or own[key].shape != value.shape]
    if wrong:
        raise ValueError(
            f"{name} does not fit {type(module).__name__}: {len(wrong)} of its tensors have no counterpart "
            f"there, first {sorted(wrong)[:3]}; choose the backbone it was trained with"
        )


def check_controlnet(network: Any, unet: Any, path: str, backbone: str) -> None:
    """ValueError when a ControlNet's sizes are not those of the U-Net it is to control."""
    for setting in ("block_out_channels", "cross_attention_dim", "layers_per_block"):
        theirs, ours = network.config[setting], unet.config[setting]
        if theirs != ours:
            raise ValueError(
                f"{path} is a ControlNet with {setting} {theirs}, but {backbone} has {ours}: "
                "choose a ControlNet of the same family (SD1.5: control_v11p_sd15_openpose)"
            )
    if network.config.in_channels not in (unet.config.out_channels, unet.config.in_channels):
        raise ValueError(
            f"{path} takes {network.config.in_channels} channels; {unet.config.out_channels} are needed"
        )


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
