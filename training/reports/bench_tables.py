"""The tables of speed and memory in docs/, made by `figura bench NAME --table FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ...models.files import write_then_rename
from .tables import hardware

ABOUT = {
    "synth": "Pictures of 128 and 256 pixels a side with all of their ground truth, on one thread. "
    "against: people of another checkout, drawn in turns. Time is that of the processor.",
    "loop": "Ten guided DDIM steps of mini's U-Net for four pictures, from noise to latents, on one thread; "
    "medians over rounds in which all take turns. ours: the loop of every sampler; network: the bare calls; "
    "diffusers: its StableDiffusionPipeline of the same modules. Time is that of the processor.",
    "compare": "Compare, with SSIM, inside and outside a mask, over one PSNR of the same pictures, on one "
    "thread; medians over rounds in which both take turns. Time is that of the processor.",
    "crop": "Crop round a box to 512 px and stitch back, on one thread; medians over rounds in which all "
    "take turns. copies: copying the picture twice; cropandstitch: both nodes of "
    "ComfyUI-InpaintCropAndStitch in their two modes; plain: no holes filled, nothing blended, as "
    "here; defaults: as they come. Time is that of the processor.",
    "refine": "Inpaint Refiner's work on the crop round the hidden part, put back, over the same on the "
    "whole picture, mini's U-Net, on one thread. Time is that of the processor.",
    "sam": "Visible Mask by one more point on the same picture over that of the first, with an encoder of "
    "Segment Anything's public layout, on one thread. Time is that of the processor.",
    "steps": "Steps of the trainer, with the average of the weights and the log, over a bare loop of the "
    "same network and optimizer, on one thread. Time is that of the processor.",
    "start": "Each in a process of its own: torch alone, torch and the pack with all of its nodes, and the "
    "first picture of phac_photo by the command line. Time is that of the processor.",
    "again": "phac_photo on one thread, each round in a process of its own. first: the first picture, which "
    "reads weights and imports what nodes need; second: the same with another seed in the same runner; "
    "warm: the first of another runner in that process, which reads the weights again. Time is "
    "that of the processor.",
    "ray": "phac_photo by figura run's own way over Ray, on one machine, with one and two workers of one CPU "
    "each, after each has drawn one picture.",
    "gpu": "Every method with random weights of its full size. phac: all three stages; coarse: the first; "
    "coarse_alone: without its ControlNet, as diffusers' inpainting pipeline of the same modules, which "
    "time_ratio compares. What did not change since the last picture (text, the masked picture's latents) "
    "is kept, as for users.",
    "load": "Each load in a process of its own, beside a plain read that copies every tensor into memory, on "
    "one thread. time_ratio: of the load over the read; peak_ratio: memory at its peak, files mapped into it "
    "included, over the bytes of the weights; weights keep the precision of the file.",
    "memory": "Refining one picture of 1024 x 1024 with SDXL inpainting at its true size, in half precision "
    "(autoencoder in bfloat16), with guidance: weights on the device and every tensor that is made, at their "
    "peak, counted without numbers (torch's meta device; attention allocates its result alone, as fused "
    "kernels do; workspaces of kernels are not counted). together: all networks at once; in_turn: each while "
    "it is used, on a device of 8 GiB, as the nodes do it; in_tiles: the same with an autoencoder in tiles.",
    "import": "`figura data import pairs` in one process: JPEG pictures of 750 x 1101 px are read, brought "
    "to one size and written. The first process is killed when half of the shards of 64 pairs are written; "
    "the figures are of the second, which goes on. A picture is one side of a pair; the first figure is "
    "by the time that the core worked on it. peak_mib is the process's "
    "whole memory, files mapped into it included; peak_growth_mib what of it came with the pictures. "
    "read_twice: shards that were written before the kill and read again.",
    "humansd": "One guided denoising step of mini for four pictures on one thread; ratios are medians over "
    "rounds in which all take turns. base: without a pose; humansd: the pose beside the noise; controlnet: "
    "the pose through a second branch.",
    "pocold": "One attention module at the released sizes (128 channels, 8 heads, 64 filters) on one thread, "
    "height x width in tokens. ours: D^T (E V); fused: cross-attention through torch's fused attention; "
    "in_memory: cross-attention with its matrix in memory; formula: the paper's formula taken literally; "
    "dense: the penalty with that matrix. time_ratio.HxW is against fused, memory_ratio.HxW is against "
    "in_memory; time_growth is over the size before. Memory is the peak of what torch's allocator hands out.",
}


def write_bench_table(path: Path, measured: Mapping[str, Any]) -> Path:
    """Write the Markdown table of a report of `figura bench`."""
    text = bench_table(measured, hardware(measured["device"]), date.today())
    return write_then_rename(Path(path), lambda place: place.write_text(text, encoding="utf-8"))


def bench_table(measured: Mapping[str, Any], machine: str, day: date) -> str:
    """A report of `figura bench` as Markdown, ratios first."""
    metrics = sorted(
        measured["metrics"].items(), key=lambda item: "ratio" not in item[0] and "growth" not in item[0]
    )
    lines = [
        f"# figura bench {measured['name']}", "",
        f"{machine}, {measured['threads']} thread, {day.isoformat()}.", "",
        ABOUT[measured["name"]], "", "| metric | value |", "| --- | --- |",
    ]  # fmt: skip
    return "\n".join([*lines, *(f"| {name} | {value:.4g} |" for name, value in metrics)]) + "\n"
