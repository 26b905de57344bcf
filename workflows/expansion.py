"""Sequential mask expansion in a graph of stock nodes: a person drawn round a hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..headless.native_nodes import SD15_CHECKPOINT
from .flow import Color, Flow
from .hand_scene import IMAGE_NAME
from .parts import add_ksampler, add_saved

TEXT = "photo of a woman in a blue sweater raising her hand, upper body, plain wall, soft light"
NEGATIVE = "text, frame, extra hands, extra fingers, deformed, blurry"
STEPS, CFG = 30, 7.0

NOTE = f"""\
A person is drawn round a hand with a stock model, KSampler and VAE. It needs Stable Diffusion 1.5
(`{SD15_CHECKPOINT}`, 2.1 GB): ComfyUI offers to download it when this workflow is opened.

**Sequential Mask Expansion** keeps, at the first steps, a ring of the grey background round the hand
too. The ring shrinks until the last step uses the mask itself: so the edge of the hand is not drawn
before the picture knows what it belongs to. Set `expansion` to `constant` to compare.

**What to set**

1. **Load Image**: your own picture of something on a plain background. Right click, *Open in MaskEditor*, and
   paint what is to be drawn; a transparent part is drawn, too. (The one named here comes with Figura.)
- **Load Checkpoint**: any other model, SDXL or Flux too. Choose steps and cfg as it likes them.
- **KSampler**: any sampler and scheduler.
- The texts say what is drawn round the hand.

The last node puts the drawn part into your picture: all other pixels stay bit for bit what they were.
"""


def mask_expansion_native(classes: Mapping[str, Any]) -> Flow:
    """Outpainting round a hand in stock nodes, with the expanding mask."""
    flow = Flow("mask_expansion_native", classes, "Draw a person round a hand")
    flow.note("A person round a hand, with stock nodes", NOTE)
    with flow.group("1  What is there, and a stock model", Color.INPUT):
        image = flow.add("LoadImage", image=IMAGE_NAME)
        loaded = flow.add("CheckpointLoaderSimple", ckpt_name=SD15_CHECKPOINT)
    with flow.group("2  What to draw", Color.STAGE):
        positive = flow.add("CLIPTextEncode", "Text", clip=loaded["CLIP"], text=TEXT)
        negative = flow.add("CLIPTextEncode", "Not wanted", clip=loaded["CLIP"], text=NEGATIVE)
    with flow.group("3  The mask, and how it grows", Color.MASK):
        latent = flow.add("VAEEncode", pixels=image["IMAGE"], vae=loaded["VAE"])
        masked = flow.add("SetLatentNoiseMask", samples=latent["LATENT"], mask=image["MASK"])
        model = flow.add("FiguraSequentialMaskExpansion", model=loaded["MODEL"])
    with flow.group("4  Drawn round it", Color.STAGE):
        said = {"positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"]}
        drawn = add_ksampler(flow, model["model"], said, masked["LATENT"], steps=STEPS, cfg=CFG)
    with flow.group("5  Into the picture", Color.RESULT):
        decoded = flow.add("VAEDecode", samples=drawn["LATENT"], vae=loaded["VAE"])
        whole = flow.add(
            "ImageCompositeMasked",
            destination=image["IMAGE"],
            source=decoded["IMAGE"],
            mask=image["MASK"],
        )
        add_saved(flow, "Save picture", "mask_expansion", whole["IMAGE"])
    return flow
