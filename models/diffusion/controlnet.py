"""ControlNets beside a U-Net, and U-Net tensors that were trained together with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoint import load_file

UNET_PREFIX = "unet."
CONTROLNET_PREFIX = "controlnet."


class ReplacedTensors(nn.Module):
    """Tensors that take the place of some of another module's, by its names for them.

    They are buffers, so that they move, change dtype and count with the module they belong to. A move makes
    other tensors of them: ask for them when they are used, not before.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = tuple(tensors)
        for number, tensor in enumerate(tensors.values()):
            self.register_buffer(f"tensor_{number}", tensor)

    def __bool__(self) -> bool:
        return bool(self.names)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors, where they are now, by the other module's names."""
        return dict(zip(self.names, self.buffers(), strict=True))


def controlnet_from(unet: Any, config: Mapping[str, Any]) -> Any:
    """A ControlNet that is a copy of the U-Net's encoder; config may name its prompt embedding's channels and
    fewer input channels than the U-Net has: the first ones, as of a ControlNet that sees z_t alone.
    """
    from diffusers import ControlNetModel

    channels = tuple(config.get("conditioning_embedding_out_channels", (16, 32, 96, 256)))
    controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels)
    controlnet.set_attn_processor(type(next(iter(unet.attn_processors.values())))())
    return narrowed(controlnet, config.get("in_channels", controlnet.config.in_channels))


def narrowed(network: Any, channels: int) -> Any:
    """The network (in place) with only the first input channels."""
    if channels < network.config.in_channels:
        network.conv_in.weight = nn.Parameter(network.conv_in.weight[:, :channels].detach().clone())
        network.conv_in.in_channels = channels
        network.register_to_config(in_channels=channels)
    return network


def load_change(
    path: str | Path, file_kind: str, unet: Any, dtype: torch.dtype = torch.float32
) -> tuple[Any, dict[str, Tensor], dict[str, Any]]:
    """A trained change to a U-Net.

    Args:
        path: the weights file.
        file_kind: of the file, such as "phac".
        unet: the backbone, UNet2DConditionModel; it is not changed.
        dtype: of what is loaded.

    Returns:
        Its ControlNet in eval mode (tensors that the file leaves out are those of the U-Net's encoder), the
            U-Net
        tensors that were trained with it, by their names there, and the file's configuration.

    Raises:
        ValueError: when the file is of another backbone, otherwise as `checkpoint.load_file`.
    """
    tensors, meta = load_file(path, file_kind=file_kind)
    controlnet = controlnet_from(unet, meta["config"].get("controlnet", {}))
    attention = under(tensors, UNET_PREFIX)
    check_counterparts(unet, attention, str(path))
    replace_tensors(controlnet, under(tensors, CONTROLNET_PREFIX), str(path))
    # nn.Module's own `to`: the diffusers one warns about dtypes even when nothing is at stake.
    controlnet = nn.Module.to(controlnet, dtype).eval()
    return controlnet, {name: value.to(dtype) for name, value in attention.items()}, meta["config"]


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
    """Whether a ControlNet's sizes are those of the U-Net it is to control.

    Args:
        network: ControlNetModel.
        unet: UNet2DConditionModel.
        path: the ControlNet's file, for the message.
        backbone: what the U-Net is called there.

    Raises:
        ValueError: when they are not.
    """
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
