"""Stock nodes that only ComfyUI can run, with its names, inputs and outputs.

They are declared so that workflows with them can be built and checked here; run headlessly they raise an
error that says what to do.
"""

from __future__ import annotations

from typing import Any

from ..models.sentences import typed
from .stock_nodes import MAX_RESOLUTION

SD15_INPAINTING, SDXL_INPAINTING = "sd-v1-5-inpainting.ckpt", "sd_xl_base_1.0_inpainting_0.1.safetensors"
SD15_OPENPOSE = "control_v11p_sd15_openpose_fp16.safetensors"
SDXL_OPENPOSE = "controlnet-openpose-sdxl-1.0.safetensors"
SD15_CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
# Those that every supported ComfyUI has; a server may know more.
SAMPLERS = [
    "euler", "euler_ancestral", "heun", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "ddpm", "lcm", "ddim", "uni_pc",
]  # fmt: skip
SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"]


def needs_comfyui() -> str:
    """What is said of such a node, behind its name."""
    return (
        f"is a node of ComfyUI and needs it: run the workflow there, or give `{typed('run')}` the address of "
        "a running ComfyUI by --server."
    )


class NeedsComfyUI:
    """A node that is declared but not run here."""

    FUNCTION = "run"

    def run(self, **inputs: Any) -> tuple[Any, ...]:
        raise RuntimeError(f"{type(self).__name__} {needs_comfyui()}")


class CheckpointLoaderSimple(NeedsComfyUI):
    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"ckpt_name": ([SD15_CHECKPOINT],)}}

    @classmethod
    def VALIDATE_INPUTS(cls, ckpt_name: str) -> bool:
        """Which checkpoints there are only the server knows."""
        return True


class ControlNetLoader(NeedsComfyUI):
    RETURN_TYPES = ("CONTROL_NET",)
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"control_net_name": ([SD15_OPENPOSE],)}}

    @classmethod
    def VALIDATE_INPUTS(cls, control_net_name: str) -> bool:
        """Which ControlNets there are only the server knows."""
        return True


class ControlNetApplyAdvanced(NeedsComfyUI):
    RETURN_TYPES = ("CONDITIONING", "CONDITIONING")
    RETURN_NAMES = ("positive", "negative")
    CATEGORY = "conditioning/controlnet"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        share = {"min": 0.0, "max": 1.0, "step": 0.001}
        return {
            "required": {
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "control_net": ("CONTROL_NET",),
                "image": ("IMAGE",),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0, "step": 0.01}),
                "start_percent": ("FLOAT", {"default": 0.0, **share}),
                "end_percent": ("FLOAT", {"default": 1.0, **share}),
            },
            "optional": {"vae": ("VAE",)},
        }


class InpaintModelConditioning(NeedsComfyUI):
    RETURN_TYPES = ("CONDITIONING", "CONDITIONING", "LATENT")
    RETURN_NAMES = ("positive", "negative", "latent")
    CATEGORY = "conditioning/inpaint"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "vae": ("VAE",),
                "pixels": ("IMAGE",),
                "mask": ("MASK",),
                "noise_mask": ("BOOLEAN", {"default": True}),
            }
        }


class CLIPTextEncode(NeedsComfyUI):
    RETURN_TYPES = ("CONDITIONING",)
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        text = ("STRING", {"multiline": True, "dynamicPrompts": True})
        return {"required": {"text": text, "clip": ("CLIP",)}}


class VAEEncode(NeedsComfyUI):
    RETURN_TYPES = ("LATENT",)
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"pixels": ("IMAGE",), "vae": ("VAE",)}}


class VAEDecode(NeedsComfyUI):
    RETURN_TYPES = ("IMAGE",)
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "vae": ("VAE",)}}


class SetLatentNoiseMask(NeedsComfyUI):
    RETURN_TYPES = ("LATENT",)
    CATEGORY = "latent/inpaint"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "mask": ("MASK",)}}


class EmptyLatentImage(NeedsComfyUI):
    RETURN_TYPES = ("LATENT",)
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = ("INT", {"default": 512, "min": 16, "max": MAX_RESOLUTION, "step": 8})
        count = ("INT", {"default": 1, "min": 1, "max": 4096})
        return {"required": {"width": side, "height": side, "batch_size": count}}


class KSampler(NeedsComfyUI):
    RETURN_TYPES = ("LATENT",)
    CATEGORY = "sampling"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        seed = {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True}
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", seed),
                "steps": ("INT", {"default": 20, "min": 1, "max": 10000}),
                "cfg": ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}),
                "sampler_name": (SAMPLERS,),
                "scheduler": (SCHEDULERS,),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}),
            }
        }


class ImageCompositeMasked(NeedsComfyUI):
    RETURN_TYPES = ("IMAGE",)
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        place = ("INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 1})
        return {
            "required": {
                "destination": ("IMAGE",),
                "source": ("IMAGE",),
                "x": place,
                "y": place,
                "resize_source": ("BOOLEAN", {"default": False}),
            },
            "optional": {"mask": ("MASK",)},
        }


class ImageScale(NeedsComfyUI):
    RETURN_TYPES = ("IMAGE",)
    CATEGORY = "image/upscaling"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = ("INT", {"default": 512, "min": 0, "max": MAX_RESOLUTION, "step": 1})
        methods = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
        return {
            "required": {
                "image": ("IMAGE",),
                "upscale_method": (methods,),
                "width": side,
                "height": side,
                "crop": (["disabled", "center"],),
            }
        }


NATIVE_NODES: dict[str, type] = {
    node.__name__: node
    for node in (
        CheckpointLoaderSimple,
        ControlNetLoader,
        ControlNetApplyAdvanced,
        InpaintModelConditioning,
        CLIPTextEncode,
        VAEEncode,
        VAEDecode,
        SetLatentNoiseMask,
        EmptyLatentImage,
        KSampler,
        ImageCompositeMasked,
        ImageScale,
    )
}


def is_native(class_type: str) -> bool:
    """Whether a node can run only in ComfyUI."""
    return class_type in NATIVE_NODES
