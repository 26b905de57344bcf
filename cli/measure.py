"""`figura eval` and `figura bench`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.files import check_target
from .console import say

if TYPE_CHECKING:
    from .console import Commands


WHAT = {
    "synth": "synthetic people a second",
    "humansd": "time of a step over the base's",
    "pocold": "time and memory of its attention",
    "load": "time and memory of loading the named files",
    "import": "importing pairs of pictures, killed halfway and gone on with",
    "memory": "what refining with SDXL allocates at its peak",
    "loop": "the sampling loop over the bare network and over diffusers' pipeline",
    "compare": "Compare over a PSNR",
    "crop": "crop and stitch at 4K and 8K",
    "refine": "refining the crop over refining the whole picture",
    "sam": "a further point over the first",
    "steps": "steps of the trainer",
    "start": "import of the pack, and the first picture",
    "again": "the same picture with another seed over the first",
    "ray": "pictures a second with one and two workers",
    "gpu": "every method at full size, on a GPU",
}
"""What can be measured; all but ray and gpu on one thread."""
MEASURED = (
    "phac", "invisible-mask", "amodal-mask", "complete-pose", "hands", "humansd", "pocold", "cfld", "synth",
    "photos",
)  # fmt: skip
"""The methods of `figura eval`, as training/evaluation/command.py has them."""
OPTIONS = {
    "synth": ("count", "against"), "import": ("count",), "crop": ("cropstitch",), "gpu": ("scales",),
    "load": ("checkpoint", "sam", "tokenizer"),
}  # fmt: skip
"""Bench -> the options that it takes; the others take none."""


def add_eval(commands: Commands) -> None:
    """Declare `figura eval`."""
    evaluate = commands.add_parser(
        "eval", help="measure a method on held-out synthetic people, or perception on photographs"
    )
    evaluate.add_argument("method", help=", ".join(MEASURED))
    folder = "photos: pictures and annotations.json (COCO) of the people in them"
    evaluate.add_argument("folder", nargs="?", type=Path, metavar="DIR", help=folder)
    samples = "people (256; photos: all)"
    evaluate.add_argument("--samples", type=int, metavar="N", help=samples)
    seed = "first person's seed; numbers below 10000000 count from there, so that all are held out"
    evaluate.add_argument("--seed", type=int, default=10_000_000, help=seed)
    evaluate.add_argument("--json", type=Path, metavar="FILE")
    evaluate.add_argument("--table", type=Path, metavar="FILE", help="also write the figures as Markdown")
    evaluate.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also draw a contact sheet of all stages"
    )
    evaluate.add_argument("--sheet-samples", type=int, default=32, help="people on the contact sheet")
    prompts = "phac: compare the five kinds of prompt with one another and with none"
    evaluate.add_argument("--prompts", action="store_true", help=prompts)
    evaluate.add_argument("--weights", type=Path, metavar="DIR", help="folder of the mini family")
    against = "photos: folder of other weights, measured in the same run"
    evaluate.add_argument("--against", type=Path, metavar="DIR", help=against)
    evaluate.add_argument("--device", default="cpu")
    evaluate.set_defaults(command=eval_command)


def add_bench(commands: Commands) -> None:
    """Declare `figura bench`."""
    bench = commands.add_parser("bench", help="measure speed")
    bench.add_argument(
        "what", choices=list(WHAT), help="; ".join(f"{name}: {says}" for name, says in WHAT.items())
    )
    files = "load: checkpoints of Stable Diffusion 1.5 or XL"
    bench.add_argument("--checkpoint", nargs="+", type=Path, default=[], metavar="FILE", help=files)
    bench.add_argument(
        "--sam", nargs="+", type=Path, default=[], metavar="FILE", help="load: Segment Anything"
    )
    words = "load: folder with CLIP's vocab.json and merges.txt (default: the one that loaders use)"
    bench.add_argument("--tokenizer", type=Path, metavar="FOLDER", help=words)
    count = (
        "synth: that many pictures more, over which the growth of memory is measured; import: pairs (1000)"
    )
    bench.add_argument("--count", type=int, default=0, help=count)
    theirs = "crop: checkout of ComfyUI-InpaintCropAndStitch, to measure beside"
    bench.add_argument("--cropstitch", type=Path, metavar="DIR", help=theirs)
    other = "synth: checkout of Figura at another commit, whose people are drawn in turns with these"
    bench.add_argument("--against", type=Path, metavar="DIR", help=other)
    scales = "gpu: sizes of the networks; tiny only shows that it works (sd15 sdxl)"
    bench.add_argument("--scales", nargs="+", choices=("sd15", "sdxl", "tiny"), default=[], help=scales)
    bench.add_argument("--json", type=Path, metavar="FILE")
    bench.add_argument("--table", type=Path, metavar="FILE", help="also write a Markdown table")
    bench.set_defaults(command=bench_command)


def eval_command(args: argparse.Namespace) -> int:
    """Hand over to training/evaluation/command.py and show the figures."""
    from ..host.plain import device_named
    from ..training.evaluation import command as reports

    device_named(args.device)
    if args.sheet_samples < 1:
        raise ValueError(f"--sheet-samples is {args.sheet_samples}; 1 or more is accepted")
    names = ("device", "table", "sheet", "sheet_samples", "weights", "prompts", "folder", "against")
    extras = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return _show(reports.eval_command(args.method, args.samples, args.seed, args.json, **extras))


def bench_command(args: argparse.Namespace) -> int:
    """Hand over to training/bench/ and show the figures."""
    from ..training.bench.command import BENCHES
    from ..training.reports.bench_tables import write_bench_table
    from ..training.reports.document import write_report
    from .run_bench import RUN_BENCHES

    for path in (args.json, args.table):
        if path is not None:
            check_target(path)
    measured = {**BENCHES, **RUN_BENCHES}[args.what](**_bench_options(args))
    if args.json:
        write_report(args.json, measured)
    if args.table:
        write_bench_table(args.table, measured)
    return _show(measured)


def _bench_options(args: argparse.Namespace) -> dict[str, Any]:
    """What a bench takes from the command line. ValueError for an option that it does not take."""
    for option in sorted({name for names in OPTIONS.values() for name in names}):
        takers = [what for what, names in OPTIONS.items() if option in names]
        if getattr(args, option) and args.what not in takers:
            raise ValueError(f"--{option} is for bench {' and '.join(takers)}; it is not for {args.what!r}")
    if args.count < 0:
        raise ValueError(f"--count is {args.count}; 1 or more is accepted")
    if args.what == "synth":
        return {"count": args.count, "against": args.against}
    if args.what == "import":
        return {"count": args.count} if args.count else {}
    if args.what == "crop":
        return {"cropstitch": args.cropstitch}
    if args.what == "gpu":
        return {"scales": args.scales or ["sd15", "sdxl"]}
    if args.what != "load":
        return {}
    if not args.checkpoint and not args.sam:
        raise ValueError("bench load needs files: --checkpoint FILE ... or --sam FILE ...")
    from ..host import get_host

    words = args.tokenizer or get_host().clip_tokenizer()
    return {"checkpoints": args.checkpoint, "sams": args.sam, "tokenizer": words}


def _show(measured: Mapping[str, Any]) -> int:
    for name, value in measured["metrics"].items():
        say(f"{name} {value:.5g}")
    return 0


def add_check(commands: Commands) -> None:
    """Declare `figura check`."""
    check = commands.add_parser("check", help="compare with the authors' code")
    whats = check.add_subparsers(required=True, metavar="WHAT")
    parity = whats.add_parser(
        "parity", help="the same random weights in the authors' networks and in Figura's"
    )
    parity.add_argument("method", nargs="+", help="cfld, humansd, pocold")
    parity.add_argument(
        "--released",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="checkout of each method's code",
    )
    parity.add_argument(
        "--diffusers",
        type=Path,
        metavar="DIR",
        help="folder with diffusers 0.19, which CFLD's U-Net needs: "
        "pip install --no-deps --target DIR diffusers==0.19.3",
    )
    parity.add_argument("--out", type=Path, metavar="FILE", help="also write the tables as Markdown")
    parity.set_defaults(command=check_parity)


def check_parity(args: argparse.Namespace) -> int:
    """Run `figura check parity`; 1 when a part differs by more than it may, without a reason."""
    from ..models.files import write_then_rename
    from ..training.evaluation.parity import heading, table
    from ..training.evaluation.parity_methods import parity

    if len(args.method) != len(args.released):
        raise ValueError(
            f"{len(args.method)} methods came with {len(args.released)} folders: give one for each"
        )
    if args.out is not None:
        check_target(args.out)
    both = [
        (method, parity(method, folder, args.diffusers))
        for method, folder in zip(args.method, args.released, strict=True)
    ]
    tables = "\n".join(table(method, rows) for method, rows in both)
    say(tables)
    if args.out is not None:
        write_then_rename(args.out, lambda file: file.write_text(heading() + tables, encoding="utf-8"))
    return 1 if any(row.fails for _, rows in both for row in rows) else 0
