"""What can be told of a stock MODEL: what it is, what size it works at, whether it sees a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SD1_CONTEXT, SD2_CONTEXT, SDXL_CONTEXT = 768, 1024, 2048
FAMILIES = {SD1_CONTEXT: "Stable Diffusion 1.5", SD2_CONTEXT: "Stable Diffusion 2", SDXL_CONTEXT: "SDXL"}
USES = {4: "text to image", 8: "instruct-pix2pix", 9: "inpainting"}
USUAL_SIZE, SD2_V_SIZE, LARGE_SIZE = 512, 768, 1024
TEXT_TO_IMAGE_CHANNELS = 4


def unet_config(model: Any) -> Mapping[str, Any]:
    """What ComfyUI detected of a MODEL's network; TypeError for anything else."""
    config = getattr(getattr(getattr(model, "model", None), "model_config", None), "unet_config", None)
    if config is None or not hasattr(model, "add_object_patch"):
        raise TypeError(
            f"model must be a MODEL of ComfyUI; got {type(model).__name__}. Connect "
            "Load Checkpoint to 'model'."
        )
    return config


def likely(channels: Any, context: Any) -> str:
    """What a U-Net of so many channels, for texts of that width, usually is."""
    use, family = USES.get(channels, "of another kind"), FAMILIES.get(context)
    return f"{family}, {use}" if family else use


def working_size(model: Any) -> int:
    """Side of the square pictures that the model was trained on, in pixels."""
    context = unet_config(model).get("context_dim")
    if context == SD2_CONTEXT:
        model_type = getattr(getattr(model.model, "model_type", None), "name", "")
        return SD2_V_SIZE if model_type == "V_PREDICTION" else USUAL_SIZE
    return USUAL_SIZE if context == SD1_CONTEXT else LARGE_SIZE


def is_sdxl(model: Any) -> bool:
    """Whether a MODEL is SDXL; without one it is not."""
    return model is not None and unet_config(model).get("context_dim") == SDXL_CONTEXT


def size_for(size: int, model: Any) -> int:
    """The size given; 0 is that of the model, USUAL_SIZE without one."""
    if size:
        return size
    return USUAL_SIZE if model is None else working_size(model)


def check_sees_picture(model: Any) -> None:
    """ValueError for a U-Net that takes nothing but noise: from pure noise it cannot see the person."""
    config = unet_config(model)
    channels, context = config.get("in_channels"), config.get("context_dim")
    if channels == TEXT_TO_IMAGE_CHANNELS and context in FAMILIES:
        raise ValueError(
            f"model is a {channels}-channel U-Net ({likely(channels, context)}): it does not see the person "
            "that is to be completed. Choose an inpainting checkpoint (9 channels, such as "
            "sd-v1-5-inpainting) or an editing model. To try this one all the same, disconnect 'model' here "
            "and choose a size"
        )
