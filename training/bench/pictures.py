"""`figura bench compare`, `crop`, `refine` and `sam`: what lies round the networks, against its peers."""

from __future__ import annotations

import importlib.util
import logging
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.compare import compare_parts
from ...people.boxes import Box
from ...people.crops import crop, plan_crop, stitch
from ..reports.document import report
from .threads import one_thread
from .turns import Work, in_turns, ratio, seconds

log = logging.getLogger(__name__)

SIZES = {"4k": (2160, 3840), "8k": (4320, 7680)}
MODEL = 512
"""Side of the crops in pixels."""


def bench_compare(sizes: dict[str, tuple[int, int]] | None = None, rounds: int = 3) -> dict[str, Any]:
    """Time of Compare (PSNR, SSIM, largest difference, inside and outside a mask) over that of a plain PSNR.

    Where torchmetrics is installed, its SSIM is in the same rounds.
    """
    figures: dict[str, float] = {"rounds": rounds}
    with one_thread(), torch.inference_mode():
        for name, size in (sizes or {"4k": SIZES["4k"]}).items():
            times = in_turns(compared(size), rounds)
            peers = [peer for peer in times if peer != "compare"]
            figures |= {f"time_ratio.{name}.{peer}": ratio(times, "compare", peer) for peer in peers}
            figures |= seconds(times, f".{name}")
    return report("compare", rounds, 0, "cpu", 1, figures)


def compared(size: tuple[int, int]) -> dict[str, Work]:
    """Compare and its peers on two pictures of (height, width)."""
    first, second = torch.rand(2, 1, 3, *size).unbind()
    region = torch.zeros(1, 1, *size, dtype=torch.bool)
    region[..., size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = True
    works: dict[str, Work] = {
        "compare": lambda: compare_parts(first, second, region),
        "psnr": lambda: -10 * (first - second).square().mean().log10(),
    }
    if importlib.util.find_spec("torchmetrics") is None:
        log.warning("torchmetrics is not installed: its SSIM is left out")
    else:
        from torchmetrics.functional.image import structural_similarity_index_measure

        works["torchmetrics_ssim"] = lambda: structural_similarity_index_measure(
            first, second, data_range=1.0
        )
    return works


def bench_crop(
    sizes: dict[str, tuple[int, int]] | None = None, rounds: int = 3, cropstitch: Path | None = None
) -> dict[str, Any]:
    """Time of crop and stitch at 4K and 8K over that of copying the picture twice, and over the nodes of
    ComfyUI-InpaintCropAndStitch where a checkout of it is given, plainly as here and with its defaults.

    Args:
        sizes: (height, width) by name.
        rounds: that are counted.
        cropstitch: folder of the checkout.
    """
    figures: dict[str, float] = {"rounds": rounds}
    with one_thread(), torch.inference_mode():
        for name, size in (sizes or SIZES).items():
            image, mask = torch.rand(1, *size, 3), box_mask(size)
            works: dict[str, Work] = {
                "ours": lambda image=image, mask=mask: crop_and_stitch(image, mask),  # type: ignore[misc]
                "copies": lambda image=image: (image.clone(), image.clone()),  # type: ignore[misc]
            }
            if cropstitch is not None:
                works |= their_nodes(cropstitch, image, mask)
            times = in_turns(works, rounds)
            figures |= {
                f"time_ratio.{name}.{peer}": ratio(times, "ours", peer) for peer in works if peer != "ours"
            }
            figures |= seconds(times, f".{name}")
    return report("crop", rounds, 0, "cpu", 1, figures)


def box_mask(size: tuple[int, int]) -> Tensor:
    """(1,H,W): a box of a third of the picture's height and a quarter of its width."""
    height, width = size
    mask = torch.zeros(1, height, width)
    mask[:, height // 3 : 2 * height // 3, width // 3 : width // 3 + width // 4] = 1
    return mask


def crop_and_stitch(image: Tensor, mask: Tensor) -> Tensor:
    """Both nodes' work on ComfyUI's pictures (1,H,W,3): crop round the mask to MODEL, and back."""
    pixels, masks = image.movedim(-1, 1), mask[:, None]
    size = (pixels.shape[2], pixels.shape[3])
    plan = plan_crop(Box.around_mask(masks[0, 0] > 0), size, (MODEL, MODEL), 0.1, False)
    patch, patch_mask = crop(pixels, plan), crop(masks, plan)
    return stitch(pixels, patch, patch_mask, plan)[0].movedim(1, -1)


PLAIN = {"mask_fill_holes": False, "mask_hipass_filter": 0.0, "mask_blend_pixels": 0}
"""Settings of theirs with which they do what Crop Person and Stitch do, and no more."""


def their_nodes(folder: Path, image: Tensor, mask: Tensor) -> dict[str, Work]:
    """The same by the nodes of a checkout: in both of its modes, plainly and with their defaults."""
    module = imported(folder / "inpaint_cropandstitch.py")
    crop_node, stitch_node = module.InpaintCropImproved(), module.InpaintStitchImproved()
    declared = crop_node.INPUT_TYPES()["required"]
    settings = {name: spec[1].get("default") for name, spec in declared.items() if len(spec) > 1}
    settings |= {"output_target_width": MODEL, "output_target_height": MODEL, "output_padding": "0"}

    def work(mode: str, changed: dict[str, Any]) -> None:
        stitcher, cropped, _ = crop_node.inpaint_crop(
            image, mask=mask, **{**settings, "device_mode": mode, **changed}
        )
        stitch_node.inpaint_stitch(stitcher, cropped)

    modes = {"cpu": "cpu (compatible)", "gpu": "gpu (much faster)"}
    return {
        f"cropandstitch_{key}_{how}": partial(work, mode, changed)
        for key, mode in modes.items()
        for how, changed in (("plain", PLAIN), ("defaults", {}))
    }


def imported(path: Path) -> Any:
    """A module of a custom node, with stand-ins for what it takes from ComfyUI; ValueError without it."""
    if not path.is_file():
        raise ValueError(
            f"no {path.name} in {path.parent}: give --cropstitch a checkout of InpaintCropAndStitch"
        )
    comfy, utils, management, nodes = map(
        types.ModuleType, ("comfy", "comfy.utils", "comfy.model_management", "nodes")
    )
    management.get_torch_device = lambda: torch.device("cpu")  # type: ignore[attr-defined]
    nodes.MAX_RESOLUTION = 16384  # type: ignore[attr-defined]
    comfy.utils, comfy.model_management = utils, management  # type: ignore[attr-defined]
    before = {
        name: sys.modules.get(name) for name in ("comfy", "comfy.utils", "comfy.model_management", "nodes")
    }
    sys.modules |= {
        "comfy": comfy,
        "comfy.utils": utils,
        "comfy.model_management": management,
        "nodes": nodes,
    }
    try:
        spec = importlib.util.spec_from_file_location("figura_bench_cropstitch", path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, other in before.items():
            if other is None:
                del sys.modules[name]
            else:
                sys.modules[name] = other
    return module


def bench_refine(full: int = 256, rounds: int = 3, steps: int = 4) -> dict[str, Any]:
    """Time of refining in the crop round the hidden part over that of refining the whole picture.

    Mini's inpainting U-Net with random weights; the picture is `full` px a side, the model's crop 128 px.
    """
    from ...models.diffusion.latent_model import LatentNetworks
    from ...models.diffusion.networks import MINI_SIZE, mini_inpaint_unet, mini_vae
    from ...models.phac.networks import Inpainter
    from ...models.phac.pipeline import refine_images
    from .loop import NoText

    torch.manual_seed(0)
    vae, unet, text = mini_vae().eval(), mini_inpaint_unet().eval(), NoText().eval()
    visible, hidden = torch.zeros(2, 1, 1, full, full).unbind()
    visible[..., : full // 4, full // 3 : full // 2] = 1
    hidden[..., full // 4 : full // 2, full // 3 : full // 2] = 1

    def work(side: int) -> Work:
        refiner = Inpainter(LatentNetworks(vae, unet, text, side), "bench")
        return lambda: refine_images(
            refiner, torch.rand(1, 3, full, full), torch.rand(1, 3, full, full), visible, hidden, ["a woman"],
            steps=steps,
        )  # fmt: skip

    with one_thread(), torch.inference_mode():
        times = in_turns({"crop": work(MINI_SIZE), "full": work(full)}, rounds)
    figures = {"time_ratio.full": ratio(times, "crop", "full"), **seconds(times)}
    return report("refine", rounds, 0, "cpu", 1, {**figures, "full_px": full, "crop_px": MINI_SIZE})


def bench_sam(side: int = 512, depth: int = 4, rounds: int = 3) -> dict[str, Any]:
    """Time of a mask by one more point on the same picture over that of the first.

    The public layout's encoder with random weights, of `depth` layers on `side` px (ViT-B: 12 on 1024).
    """
    from ...models.perception.sam import visible_mask
    from ...models.perception.sam_networks import SamConfig, build_sam

    torch.manual_seed(0)
    sam = build_sam(SamConfig(image_size=side, depth=depth, global_attn_indexes=(depth - 1,)))
    pictures = iter(torch.rand(rounds + 1, 3, side, side))
    seen: list[Tensor] = []

    def first() -> None:
        seen[:] = [next(pictures)]
        visible_mask(sam, seen[0], torch.tensor([[side / 2, side / 2]]), torch.ones(1))

    def second() -> None:
        visible_mask(sam, seen[0], torch.tensor([[side / 2, side / 2], [side / 3, side / 2]]), torch.ones(2))

    with one_thread(), torch.inference_mode():
        times = in_turns({"first_point": first, "next_point": second}, rounds)
    figures = {"time_ratio.next_point": ratio(times, "next_point", "first_point"), **seconds(times)}
    return report("sam", rounds, 0, "cpu", 1, {**figures, "side_px": side, "layers": depth})
