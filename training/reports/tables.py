"""The table of results in docs/, made from the JSON of `figura eval`.

`python -m figura.training.reports.tables REPORT.json TABLE.md` makes it from a report written before.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from ...models.files import write_then_rename
from ...people.prompt_kinds import PROMPT_KINDS

MEANINGS = {
    "visible_iou": "visible mask against the truth; a user's points",
    "visible_iou.detected": "the same, prompted by the joints that the pose detector finds",
    "invisible_iou": "invisible mask before dilation, people with at least 2 % of the picture hidden",
    "amodal_iou": "alpha of the cutout against the whole person",
    "joint_err": "distance of the hidden joints from the truth, as a fraction of the side",
    "limb_err": "difference of the lengths of limbs with a hidden end, over the person's longer side",
    "told": "share of the unknown face joints rightly said to be turned away or not",
    "joint_missing": "share of the hidden joints that the detector does not find",
    "psnr_region": "PSNR in dB inside the true hidden region",
    "ssim_region": "SSIM inside the true hidden region",
    "seam_err": "difference of gradients within 3 px of the true region's boundary",
    "hand_joint_err": "distance of the hand's joints from where they were asked for, over its box's side",
    "close_up_joint_err": "the same of hands close up, stage 1 alone",
    "body_joint_err": "distance of the body's joints found, from where they were asked for, over the side",
    "mask_iou": "the hand generator's own mask against the hand's true outline",
    "max_abs_diff_outside": "largest change of any pixel outside the mask that was to be changed",
    "ap": "COCO's average precision of the poses found against those asked for, in percent",
    "ap_medium": "the same of people whose joints span 32^2 to 96^2 square pixels",
    "cap": "the same by the cosine of poses, each stretched to its own box (CAP)",
    "ap_released": "AP as HumanSD's released code computes it: missing joints count in a person's area",
    "cap_released": "CAP as HumanSD's released code computes it, with x in place of y",
    "pce": "mean difference of the number of people found and asked for",
    "samples.threes": "pictures with three people",
    "step_time_ratio": "time of a denoising step over that of the base in the same run",
    "ssim": "SSIM of the whole picture",
    "ssim_body": "SSIM inside the body",
    "psnr": "PSNR in dB of the whole picture",
    "psnr_body": "PSNR in dB inside the body",
    "wrong_mass": "share of the body's attention that goes to all but the same part of the source's body",
    "order.ssim": "1 where the first has the higher SSIM, as in the paper",
    "points": "points a user places for one person: hidden joints, and two for a box",
    "gain_per_point": "joint error without a prompt minus that with it, over the number of points",
    "order": "1 where the joint error is the smaller one, as in the paper (without prompt: as its gains say)",
    "order.holds": "1 if all of the paper's order holds",
    "samples": "people",
    "samples.people": "people measured",
    "samples.completed": "of these, people of whom the segmenter found something",
    "samples.hidden_joints": "joints behind joint_err",
    "samples.invisible_iou": "people behind invisible_iou",
    "samples.curve": "people behind the curve over s",
}
RE_POSED = {
    "joint_err": "distance of the joints found from where they are in truth, as a fraction of the side",
    "joint_missing": "share of the joints in the true picture that the detector does not find",
    "pattern_sim": "how much of the clothes' pattern arrives: 1 all, 0 nothing; people with patterns alone",
    "order": "1 where the first has the better figure; the paper orders them so by SSIM and LPIPS",
}
OWN_MEANINGS: dict[str, dict[str, str]] = {
    "amodal-mask": {
        "invisible_iou": "hidden part of the mask, of people with 2 % of the picture or more hidden",
        "spread": "1 - IoU of the hidden parts by two seeds at full variety",
    },
    "invisible-mask": {
        "invisible_iou": "hidden part of the mask that the given visible mask leaves; coarse picture: "
        "the true person, ground: white, visible mask: the true one, but where something else is named",
        "samples.measured": "people with 2 % of the picture or more hidden",
    },
    "photos": {
        "pck": "share of the labelled joints found within 20 % of the torso's length",
        "pck.certain": "found, and certain enough to count as seen",
        "pck.crop": "found when the detector is shown the person's box alone",
        "oks": "COCO's object keypoint similarity, mean over people",
        "mask_iou": "visible mask from the labelled joints, looking at the box, against the annotated one",
        "mask_iou.points": "visible mask from three of the joints",
        "mask_iou.no_box": "visible mask from the joints, looking at what is round them",
        "samples.joints": "joints behind pck",
        "samples.masks": "people behind mask_iou",
    },
    "pocold": RE_POSED,
    "cfld": RE_POSED,
    "hands": {
        "seam_err": "strength of the gradients within 3 px of the pasted hands' outline",
        "seam_err.truth": "the same of the true pictures, in which all is as sharp as the hands",
        "close_up_joint_err": "joint error of hands close up, stage 1 alone",
        "samples.hands": "hands measured",
        "samples.close_ups": "close-ups measured",
    },
}
VARIANTS = {
    **{kind.name: f"prompt: {kind.label}" for kind in PROMPT_KINDS.values()},
    "joints": "all joints given", "three_hidden": "three of the hidden joints given",
    "three_any": "any three joints given", "seen": "the visible joints given",
    "joints_box": "all joints and the whole person's box given", "drawn": "mean of 4 seeds at full variety",
    "best": "the best of them", "none": "prompt withheld", "sample": "one proposal drawn",
    "best_of_8": "the best of 8 drawn",
    "mean_pose": "mean pose fitted to what is known", "box": "the whole person's box is known too",
    "truth": "the detector's own, on the true pictures",
    "one_stage": "the body network alone, as many steps as both stages",
    "hard": "one stage with the hand pasted",
    "two_stage": "hand, canvas, body by sequential mask expansion", "constant": "constant mask",
    "sequential": "sequential mask expansion", "hands": "the shipped generator",
    "with_mask": "a generator trained with the mask head (not shipped)",
    "without_mask": "one trained as long without it (not shipped)",
    "vanilla": "cross-attention (B1)", "sparse": "without the pose constraint (B2)",
    "strong": "ten times the constraint", "mass": "a constraint on the share of attention that goes astray",
    "strong_sparse": "ten times the constraint, none", "mass_sparse": "constraint on shares, none",
    "full": "the whole method", "source": "the source picture itself",
    "autoencoder": "the true picture through the autoencoder alone",
    "full_sparse": "constraint, no constraint", "sparse_vanilla": "no constraint, cross-attention",
    "base": "text alone, without the pose", "controlnet": "the pose through a ControlNet on the frozen base",
    "controlnet_attention": "a ControlNet, the base's cross-attention learning as well",
    "humansd": "the pose beside the noise", "humansd_fine": "the pose encoded at twice the picture's size",
    "humansd_attention": "the pose beside the noise, attention and the first convolution learning alone",
    "three": "three people in one picture",
    "loss_plain": "plain loss", "loss_paper": "heatmap-guided loss of the paper",
    "loss_official": "heatmap-guided loss of the released code",
    "no_appearance": "without the query biases", "clip": "one token of the whole picture as prompt",
    "full_no_appearance": "query biases, none", "full_clip": "the decoder's prompt, one token",
    "pocold": "PoCoLD on the same people", "against": "the other weights",
    "plain": "the true people in clothes without patterns",
    "perfect": "nothing disturbed", "off_white": "off-white ground", "grey": "grey ground",
    "photograph": "before a photograph", "scene": "in its own scene, the occluder too",
    "eroded": "visible mask 3 px smaller", "dilated": "visible mask 3 px larger",
    "spilling": "visible mask spilling up to 10 px over its surroundings", "holes": "visible mask with holes",
    "composite": "before the refinement", "telea": "OpenCV Telea in the same mask", "coarse": "coarse stage",
}  # fmt: skip

SIDE_BY_SIDE = {
    "cfld": {
        "full": "CFLD", "no_appearance": "no query biases", "clip": "one token as prompt", "pocold": "PoCoLD",
        "source": "the source", "autoencoder": "autoencoder alone", "truth": "the truth",
    },
}  # fmt: skip
"""Method -> the variants that a second table compares, with the heads of its columns."""
COMPARED = ("ssim", "psnr", "ssim_body", "psnr_body", "joint_err", "joint_missing")


def write_table(path: Path, report: Mapping[str, Any]) -> Path:
    """Write the Markdown table of a report."""
    text = table(report, hardware(report["device"]), date.today())
    return write_then_rename(Path(path), lambda place: place.write_text(text, encoding="utf-8"))


def table(report: Mapping[str, Any], machine: str, day: date) -> str:
    """A report as Markdown: where the figures come from, the metrics, comparisons, the curve over s."""
    metrics: Mapping[str, float] = report["metrics"]
    head = [
        f"# figura eval {report['name']}", "",
        f"{_people_of(report)}, {machine}, {report['threads']} threads, {day.isoformat()}.", "",
        f"`{command_of(report)}`", "",
        "| metric | value | what |", "| --- | --- | --- |",
    ]  # fmt: skip
    shown = {name: value for name, value in metrics.items() if not _on_curve(name)}
    rows = [
        f"| {name} | {_number(value)} | {meaning(name, report['name'])} |" for name, value in shown.items()
    ]
    if "intervals" in report:
        head[-2:] = ["| metric | value | what | 95 % |", "| --- | --- | --- | --- |"]
        intervals = report["intervals"]
        rows = [f"{row} {_range(intervals.get(name))} |" for row, name in zip(rows, shown, strict=True)]
    beside = _side_by_side(metrics, SIDE_BY_SIDE.get(report["name"], {}))
    return "\n".join([*head, *rows, *beside, *_differences(report), *_curve(metrics)]) + "\n"


def _people_of(report: Mapping[str, Any]) -> str:
    if report["name"] == "photos":
        return f"{report['samples']} people on photographs"
    last = report["seed"] + report["samples"] - 1
    return f"{report['samples']} held-out people (seeds {report['seed']} to {last})"


def command_of(report: Mapping[str, Any]) -> str:
    """The command that measures this again."""
    if report["name"] == "photos":
        against = " --against OTHER_WEIGHTS" if "pck.against" in report["metrics"] else ""
        return f"figura eval photos DIR{against}"
    prompts = " --prompts" if any(name.startswith("gain_per_point.") for name in report["metrics"]) else ""
    return f"figura eval {report['name']}{prompts} --samples {report['samples']} --seed {report['seed']}"


def meaning(name: str, method: str = "") -> str:
    """What a metric is, in words; some mean something of their own in the report of a method."""
    meanings = {**MEANINGS, **OWN_MEANINGS.get(method, {})}
    known = [key for key in meanings if name == key or name.startswith(key + ".")]
    longest = max(known, key=len, default="")
    rest = [_variant(part) for part in name[len(longest) :].split(".") if part]
    return "; ".join(part for part in (meanings.get(longest, ""), *rest) if part)


def _variant(part: str) -> str:
    if part.startswith("hidden_"):
        return f"{part.removeprefix('hidden_').replace('_', ' to ')} hidden joints"
    return VARIANTS.get(part, part)


def hardware(device: str) -> str:
    """The machine, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{_processor()} ({platform.machine()})"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "CPU"


def _side_by_side(metrics: Mapping[str, float], variants: Mapping[str, str]) -> list[str]:
    """One line for each metric, one column for each variant that was measured."""
    there = [name for name in variants if any(f"{metric}.{name}" in metrics for metric in COMPARED)]
    if not there:
        return []
    heads = " | ".join(variants[name] for name in there)
    lines = ["", "## Side by side", "", f"| | {heads} |", "| --- |" + " --- |" * len(there)]
    for metric in COMPARED:
        values = [metrics.get(f"{metric}.{name}") for name in there]
        cells = ["" if value is None else _number(value) for value in values]
        lines.append(f"| {metric} | {' | '.join(cells)} |")
    return lines


def _differences(report: Mapping[str, Any]) -> list[str]:
    """One line for each metric of two variants that are compared person by person."""
    differences: Mapping[str, Mapping[str, Any]] = report.get("differences", {})
    if not differences:
        return []
    lines = ["", "## Differences, person by person", "", "| | mean | 95 % |", "| --- | --- | --- |"]
    for name, each in differences.items():
        named = name.replace("_minus_", " - ")
        lines.append(f"| {named} | {each['mean']:.3g} | {_range(each['interval'])} |")
    return lines


def _range(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


def _curve(metrics: Mapping[str, float]) -> list[str]:
    """One line for each noise strength s, one column for each metric that was measured over s."""
    strengths = sorted({name.partition(".s")[2] for name in metrics if _on_curve(name)}, key=float)
    if not strengths:
        return []
    columns = list(dict.fromkeys(name.partition(".s")[0] for name in metrics if _on_curve(name)))
    count = int(metrics.get("samples.curve", 0))
    lines = ["", f"## Over the noise strength s ({count} people)", "", f"| s | {' | '.join(columns)} |",
             "| --- |" + " --- |" * len(columns)]  # fmt: skip
    for s in strengths:
        cells = [_number(metrics[f"{column}.s{s}"]) for column in columns]
        lines.append(f"| {s} | {' | '.join(cells)} |")
    return lines


def _on_curve(name: str) -> bool:
    base, _, strength = name.partition(".s")
    return bool(base) and strength.replace(".", "", 1).isdigit()


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Make a table from a report that was written before."""
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) != 2:
        sys.stderr.write("usage: python -m figura.training.reports.tables REPORT.json TABLE.md\n")
        return 2
    write_table(Path(words[1]), json.loads(Path(words[0]).read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
