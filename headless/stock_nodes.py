"""The stock nodes our workflows use, with ComfyUI's names, inputs and behaviour, for the headless runner."""

from __future__ import annotations

import hashlib
import mimetypes
import random
import re
import string
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ..host import get_host
from ..host.pictures import as_far_as_it_goes
from ..models.files import is_file
from .saving import DEFAULT_PREFIX, png_text, save_pngs

MAX_RESOLUTION = 16384
FOLDER_MARK = re.compile(r"^(?P<name>.*) \[(?P<folder>input|output|temp)\]$")
HIDDEN = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


def annotated_path(name: str) -> Path:
    """Path of a file named as in ComfyUI: in the input folder, or ending in " [output]" or " [temp]"."""
    host = get_host()
    folders = {"input": host.input_dir, "output": host.output_dir, "temp": host.temp_dir}
    mark = FOLDER_MARK.match(name)
    return folders[mark["folder"]]() / mark["name"] if mark else host.input_dir() / name


def image_files() -> list[str]:
    """Names of the image files in the input folder, sorted."""
    folder = get_host().input_dir()
    files = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return sorted(name for name in files if (mimetypes.guess_type(name)[0] or "").startswith("image/"))


def read_frames(path: Path) -> list[Image.Image]:
    """Frames of an image file, turned upright by their EXIF orientation; of an MPO only the first."""
    try:
        return as_far_as_it_goes(lambda: _frames(path))
    except (UnidentifiedImageError, SyntaxError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}): choose another file for 'image'"
        ) from error


def _frames(path: Path) -> list[Image.Image]:
    with Image.open(path) as file:
        count = 1 if file.format == "MPO" else None
        frames = islice(ImageSequence.Iterator(file), count)
        return [_eight_bits(ImageOps.exif_transpose(frame)) for frame in frames]


def _eight_bits(frame: Image.Image) -> Image.Image:
    """Grey of 16 bits with 8, which Pillow's own conversion would cut off at white; all others unchanged."""
    if frame.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(frame).astype(np.float32) / 257).round().astype(np.uint8))
    return frame.point(lambda value: value * (1 / 255)) if frame.mode == "I" else frame


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """(H, W, C) or (H, W) float32 0..1."""
    return torch.from_numpy(np.array(picture).astype(np.float32) / 255.0)


def alpha_mask(picture: Image.Image) -> torch.Tensor:
    """(H, W) 1 - alpha; (64, 64) zeros for a picture without alpha."""
    if "A" in picture.getbands():
        return 1.0 - to_tensor(picture.getchannel("A"))
    if picture.mode == "P" and "transparency" in picture.info:
        return 1.0 - to_tensor(picture.convert("RGBA").getchannel("A"))
    return torch.zeros(64, 64)


class LoadImage:
    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "load_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": (image_files(), {"image_upload": True})}}

    def load_image(self, image: str) -> tuple[torch.Tensor, torch.Tensor]:
        frames = read_frames(annotated_path(image))
        same_size = [frame for frame in frames if frame.size == frames[0].size]
        images = torch.stack([to_tensor(frame.convert("RGB")) for frame in same_size])
        return images, torch.stack([alpha_mask(frame) for frame in same_size])

    @classmethod
    def IS_CHANGED(cls, image: str) -> str:
        return hashlib.sha256(annotated_path(image).read_bytes()).hexdigest()

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return _file_exists(image)


class LoadImageMask:
    RETURN_TYPES = ("MASK",)
    FUNCTION = "load_image"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        channels = ["alpha", "red", "green", "blue"]
        return {"required": {"image": (image_files(), {"image_upload": True}), "channel": (channels,)}}

    def load_image(self, image: str, channel: str) -> tuple[torch.Tensor]:
        picture = read_frames(annotated_path(image))[0].convert("RGBA")
        mask = to_tensor(picture.getchannel(channel[0].upper()))
        return ((1.0 - mask if channel == "alpha" else mask).unsqueeze(0),)

    @classmethod
    def IS_CHANGED(cls, image: str, channel: str) -> str:
        return LoadImage.IS_CHANGED(image)

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return _file_exists(image)


class SaveImage:
    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        required = {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": DEFAULT_PREFIX})}
        return {"required": required, "hidden": HIDDEN}

    def save_images(
        self,
        images: torch.Tensor,
        filename_prefix: str = DEFAULT_PREFIX,
        prompt: Any = None,
        extra_pnginfo: Any = None,
    ) -> dict[str, Any]:
        saved = save_pngs(
            images, get_host().output_dir(), filename_prefix, png_text(prompt, extra_pnginfo), 4
        )
        return {"ui": {"images": [{**place, "type": "output"} for place in saved]}}


class PreviewImage:
    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"

    def __init__(self) -> None:
        self._suffix = "_temp_" + "".join(random.choices(string.ascii_lowercase, k=5))

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}, "hidden": HIDDEN}

    def save_images(
        self, images: torch.Tensor, prompt: Any = None, extra_pnginfo: Any = None
    ) -> dict[str, Any]:
        text = png_text(prompt, extra_pnginfo)
        saved = save_pngs(images, get_host().temp_dir(), "ComfyUI" + self._suffix, text, 1)
        return {"ui": {"images": [{**place, "type": "temp"} for place in saved]}}


class MaskPreview(PreviewImage):
    FUNCTION = "save_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}, "hidden": HIDDEN}

    def save_mask(self, mask: torch.Tensor, prompt: Any = None, extra_pnginfo: Any = None) -> dict[str, Any]:
        return self.save_images(mask_to_image(mask), prompt, extra_pnginfo)


class MaskToImage:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "mask_to_image"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def mask_to_image(self, mask: torch.Tensor) -> tuple[torch.Tensor]:
        return (mask_to_image(mask),)


class ImageToMask:
    RETURN_TYPES = ("MASK",)
    FUNCTION = "image_to_mask"
    CATEGORY = "mask"
    CHANNELS = ["red", "green", "blue", "alpha"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "channel": (cls.CHANNELS,)}}

    def image_to_mask(self, image: torch.Tensor, channel: str) -> tuple[torch.Tensor]:
        index = self.CHANNELS.index(channel)
        if index >= image.shape[-1]:
            raise ValueError(
                f"the picture has {image.shape[-1]} channels and no {channel}: choose another 'channel'"
            )
        return (image[..., index],)


class InvertMask:
    RETURN_TYPES = ("MASK",)
    FUNCTION = "invert"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def invert(self, mask: torch.Tensor) -> tuple[torch.Tensor]:
        return (1.0 - mask,)


class SolidMask:
    RETURN_TYPES = ("MASK",)
    FUNCTION = "solid"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = ("INT", {"default": 512, "min": 1, "max": MAX_RESOLUTION, "step": 1})
        value = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})
        return {"required": {"value": value, "width": side, "height": side}}

    def solid(self, value: float, width: int, height: int) -> tuple[torch.Tensor]:
        return (torch.full((1, height, width), value),)


class ThresholdMask:
    RETURN_TYPES = ("MASK",)
    FUNCTION = "threshold"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        value = ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01})
        return {"required": {"mask": ("MASK",), "value": value}}

    def threshold(self, mask: torch.Tensor, value: float) -> tuple[torch.Tensor]:
        return ((mask > value).float(),)


class ImageInvert:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "invert"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def invert(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        return (1.0 - image,)


class ImageStitch:
    """Two pictures side by side. Of ComfyUI's node: pictures of one size, without space between."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "stitch"
    CATEGORY = "image/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        required = {
            "image1": ("IMAGE",),
            "direction": (["right", "down", "left", "up"], {"default": "right"}),
            "match_image_size": ("BOOLEAN", {"default": True}),
            "spacing_width": ("INT", {"default": 0, "min": 0, "max": 1024, "step": 2}),
            "spacing_color": (["white", "black", "red", "green", "blue"], {"default": "white"}),
        }
        return {"required": required, "optional": {"image2": ("IMAGE",)}}

    def stitch(
        self,
        image1: torch.Tensor,
        direction: str,
        match_image_size: bool,
        spacing_width: int,
        spacing_color: str,
        image2: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor]:
        if image2 is None:
            return (image1,)
        if image1.shape != image2.shape or spacing_width:
            raise ValueError(
                f"'image2' has shape {tuple(image2.shape)}: without ComfyUI it must be that of image1, "
                f"{tuple(image1.shape)}, with spacing_width 0"
            )
        pair = (image1, image2) if direction in ("right", "down") else (image2, image1)
        return (torch.cat(pair, dim=2 if direction in ("right", "left") else 1),)


class PrimitiveInt:
    RETURN_TYPES = ("INT",)
    FUNCTION = "execute"
    CATEGORY = "utils/primitive"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        limits = {"min": -sys.maxsize, "max": sys.maxsize, "control_after_generate": True}
        return {"required": {"value": ("INT", limits)}}

    def execute(self, value: int) -> tuple[int]:
        return (value,)


STOCK_NODES: dict[str, type] = {
    node.__name__: node
    for node in (
        LoadImage,
        LoadImageMask,
        SaveImage,
        PreviewImage,
        MaskPreview,
        MaskToImage,
        ImageToMask,
        InvertMask,
        SolidMask,
        ThresholdMask,
        ImageInvert,
        ImageStitch,
        PrimitiveInt,
    )
}


def mask_to_image(mask: torch.Tensor) -> torch.Tensor:
    """(B, H, W) or (H, W) mask -> (B, H, W, 3) grey picture."""
    return mask.reshape(-1, mask.shape[-2], mask.shape[-1], 1).expand(-1, -1, -1, 3)


def _file_exists(name: str | None) -> bool | str:
    if not isinstance(name, str):
        return "the file name must be written here, not linked"
    path = annotated_path(name)
    return (
        True if is_file(path) else f"no image file {name!r} in {path.parent}: put it there or choose another"
    )
