"""Writes docs/agreement.md: `python -m figura.tests.comfyui.agreement docs/agreement.md`.

COMFYUI_PATH names a checkout of ComfyUI, FIGURA_COMFYUI_PYTHON its Python.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from .server import find_checkout, run_inside

NETWORKS = (
    "U-Net of SD1.5 inpainting",
    "U-Net of SDXL inpainting",
    "ControlNet",
    "autoencoder, encoding",
    "autoencoder, decoding",
    "CLIP-L",
    "SDXL's second text encoder, states; 3 of 32 layers",
    "SDXL's second text encoder, pooled; 3 of 32 layers",
    "U-Net of pix2gestalt",
    "image encoder of pix2gestalt, CLIP ViT-L/14; 3 of 24 layers",
    "Segment Anything vit_b, masks; 3 of 12 layers",
    "Segment Anything vit_b, scores; 3 of 12 layers",
)
AT_MOST = 1e-5
HEAD = """# Beside ComfyUI's networks

The same random weights and inputs in ComfyUI's own networks and in those that Figura makes of the same file,
in float32 on a CPU: the largest absolute difference of what they give, beside the largest value. At most 1e-5
is asked for. Where the table says so, large networks have their true widths and names but fewer layers.
ComfyUI has no first Segment Anything: that one stands beside transformers', with its decoder's norms set as
Meta's (1e-5; with the 1e-6 of transformers' own configuration the masks differ by 3e-4). What diffusers' own
networks give is compared in [files](files.md). Written by
`python -m figura.tests.comfyui.agreement docs/agreement.md`.

| network | difference | largest value |
| --- | --- | --- |
"""


def measured(checkout: Path, folder: Path) -> dict[str, dict[str, float]]:
    """What networks_agreement.py finds."""
    checkpoint, control, result = (
        folder / name for name in ("tiny.safetensors", "control.safetensors", "found.json")
    )
    run_inside(checkout, "tiny_inpainting.py", checkpoint)
    run_inside(checkout, "tiny_controlnet.py", control)
    run_inside(checkout, "networks_agreement.py", checkpoint, control, result)
    return json.loads(result.read_text(encoding="utf-8"))


def main() -> None:
    """Write the page. FileNotFoundError without a ComfyUI."""
    checkout = find_checkout()
    if checkout is None:
        raise FileNotFoundError("no ComfyUI here: set COMFYUI_PATH to a checkout")
    with tempfile.TemporaryDirectory() as folder:
        found = measured(checkout, Path(folder))
    rows = [f"| {name} | {each['difference']:.1e} | {each['largest']:.2g} |" for name, each in found.items()]
    Path(sys.argv[1]).write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
