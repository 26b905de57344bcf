"""The command `figura`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..headless.graph import Classes, Graph, load_graph
from ..headless.jobs import Job, JobResult, make_jobs
from ..host.interface import Cancelled
from . import models as models_cli
from .console import ProgressLine, complain, say

PACK_ROOT = Path(__file__).resolve().parent.parent
DEMO_WORKFLOW = PACK_ROOT / "workflows" / "api" / "phac_pose.json"
STOPPED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when it succeeded, 1 after an error, 130 when stopped."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["train"]:
            return _train(words[1:])
        args = build_parser().parse_args(words)
        return int(args.command(args))
    except (KeyboardInterrupt, Cancelled):
        complain("stopped")
        return STOPPED
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        complain(_message(error))
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command but `train`, whose options belong to training/."""
    parser = argparse.ArgumentParser(
        prog="figura", description="People in pictures: complete, generate, re-pose."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_run(commands)
    commands.add_parser(
        "train", help="train one recipe of the mini family, or one's own weights", add_help=False
    )
    _add_eval(commands)
    _add_bench(commands)
    models_cli.add_models(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction) -> None:
    demo = commands.add_parser("demo", help="complete an occluded person; saves every stage")
    demo.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
    demo.set_defaults(command=demo_command)


def _add_run(commands: argparse._SubParsersAction) -> None:
    run = commands.add_parser("run", help="run a workflow saved in API format, here or on ComfyUI servers")
    run.add_argument("workflow", type=Path)
    run.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE", dest="settings")
    pictures = "picture, or folder of pictures, for the LoadImage node; may be repeated"
    run.add_argument(
        "--input", action="append", default=[], type=Path, metavar="FILE", dest="inputs", help=pictures
    )
    run.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
    run.add_argument("--server", nargs="+", default=[], metavar="URL", help="running ComfyUI servers to use")
    run.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: the best there is; not with --server)")
    run.set_defaults(command=run_command)


def _add_eval(commands: argparse._SubParsersAction) -> None:
    evaluate = commands.add_parser(
        "eval", help="measure a method on held-out synthetic people, or perception on photographs"
    )
    evaluate.add_argument("method")
    folder = "photos: pictures and annotations.json (COCO) of the people in them"
    evaluate.add_argument("folder", nargs="?", type=Path, metavar="DIR", help=folder)
    evaluate.add_argument("--samples", type=int, default=256)
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


def _add_bench(commands: argparse._SubParsersAction) -> None:
    bench = commands.add_parser("bench", help="measure speed")
    what = (
        "synth: synthetic people a second; humansd: time of a step over the base's; pocold: time and "
        "memory of its attention; all on one thread"
    )
    bench.add_argument("what", choices=["synth", "humansd", "pocold"], help=what)
    bench.add_argument("--json", type=Path, metavar="FILE")
    bench.add_argument("--table", type=Path, metavar="FILE", help="also write a Markdown table")
    bench.set_defaults(command=bench_command)


def demo_command(args: argparse.Namespace) -> int:
    """Complete the demo person and say where every stage was saved."""
    started = time.monotonic()
    graph = load_graph(DEMO_WORKFLOW)
    status = _tell([*run_here([Job("", graph)], args.output)])
    say(f"done in {time.monotonic() - started:.0f} s")
    return status


def run_command(args: argparse.Namespace) -> int:
    """Run a workflow for every input, here or on servers."""
    jobs = make_jobs(load_graph(args.workflow), args.settings, args.inputs)
    if args.server:
        from ..headless.server import run_on_servers

        return _tell(run_on_servers(args.server, jobs, args.output, ProgressLine().report))
    return _tell(run_here(jobs, args.output, args.device))


def run_here(
    jobs: Sequence[Job], output: Path, device: str | None = None, classes: Classes | None = None
) -> list[JobResult]:
    """Run jobs one after another in this process. One that fails does not keep the others from running."""
    from ..headless.graph import GraphError
    from ..headless.runner import NodeError, Runner
    from ..host.plain import PlainHost

    host = PlainHost(Path("."), output, device=device)
    runner = Runner(host, classes)
    results = []
    for job in jobs:
        host.report = _reporter(job.graph)
        try:
            results.append(JobResult(job, runner.run(job.graph).files))
        except (GraphError, NodeError) as error:
            results.append(JobResult(job, error=error))
    return results


def eval_command(args: argparse.Namespace) -> int:
    """Hand over to training/evaluation/command.py and show the figures."""
    from ..training.evaluation import command as reports

    names = ("device", "table", "sheet", "sheet_samples", "weights", "prompts", "folder", "against")
    extras = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return _show(reports.eval_command(args.method, args.samples, args.seed, args.json, **extras))


def bench_command(args: argparse.Namespace) -> int:
    """Hand over to training/bench.py and show the figures."""
    from ..training.bench.command import BENCHES
    from ..training.reports.bench_tables import write_bench_table
    from ..training.reports.document import write_report

    measured = BENCHES[args.what]()
    if args.json:
        write_report(args.json, measured)
    if args.table:
        write_bench_table(args.table, measured)
    return _show(measured)


def _show(measured: Mapping[str, Any]) -> int:
    for name, value in measured["metrics"].items():
        say(f"{name} {value:.5g}")
    return 0


def _train(words: Sequence[str]) -> int:
    from ..training.run.command import main as train_main

    return int(train_main(words))


def _reporter(graph: Graph) -> Callable[..., None]:
    line = ProgressLine()

    def report(node_id: str, done: int, total: int, preview: object = None) -> None:
        line.report(f"node {node_id} ({graph.get(node_id, {}).get('class_type', '?')})", done, total)

    return report


def _tell(results: Sequence[JobResult]) -> int:
    """Say what was saved and what went wrong; the exit status."""
    for result in results:
        for path in result.files:
            say(str(path))
        if result.error is not None:
            complain(f"{result.job.name}: {result.error}" if result.job.name else str(result.error))
    return 1 if any(result.error for result in results) else 0


def _message(error: BaseException) -> str:
    """An error as one would say it; OSError's own form would put the number first."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
