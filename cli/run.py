"""`figura demo` and `figura run`."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..headless.graph import Classes, Graph, load_graph
from ..headless.jobs import Job, JobResult, make_jobs, read_points
from ..headless.settings import point_prompts, same_everywhere, text_nodes
from ..headless.shipped import find_workflow, workflow_names
from ..host import Cancelled
from ..models.cluster import add_cluster_arguments, named_cluster
from ..models.files import default_folder
from ..models.sentences import message_of
from .console import ProgressLine, complain, note, say

if TYPE_CHECKING:
    from ..headless.runner import Runner
    from .console import Commands

log = logging.getLogger(__name__)

DEMO_WORKFLOW = "phac_pose"
MOST_NAMED = 10
"""Pictures that failed alike."""
NOTHING = "nothing was saved: the graph has no Save node"


def add_demo(commands: Commands) -> None:
    """Declare `figura demo`."""
    demo = commands.add_parser("demo", help="complete an occluded person; saves every stage")
    demo.add_argument("--output", type=Path, default=default_folder("output"), help="folder for the pictures")
    demo.set_defaults(command=demo_command)


def add_run(commands: Commands) -> None:
    """Declare `figura run`."""
    run = commands.add_parser(
        "run", help="run a workflow saved in API format, here or on ComfyUI servers",
        epilog=f"Shipped workflows: {', '.join(workflow_names())}.",
    )  # fmt: skip
    run.add_argument("workflow", help="a file in API format, or the name of a shipped workflow")
    images = "picture, folder of pictures, or list (.txt, one a line) for the LoadImage node; may be repeated"
    run.add_argument(
        "--input", action="append", default=[], type=Path, metavar="FILE", dest="inputs", help=images
    )
    points = "a file with the text behind the editor's button with braces; a folder: NAME.json for each"
    run.add_argument("--points", type=Path, metavar="FILE", help=points)
    run.add_argument("--text", help="what your person looks like: for every node that is told what to draw")
    run.add_argument(
        "--set", action="append", default=[], metavar="NODE.INPUT=VALUE", dest="settings",
        help="one input of a node, which is named by its id, title or class; may be repeated",
    )  # fmt: skip
    run.add_argument("--output", type=Path, default=default_folder("output"), help="folder for the pictures")
    stages = "keep what Preview nodes show, too, in the folder stages (not with --server or --ray)"
    run.add_argument("--stages", action="store_true", help=stages)
    run.add_argument("--server", nargs="+", default=[], metavar="URL", help="running ComfyUI servers to use")
    device = "cpu, cuda, cuda:1 ... (default: the best there is; not with --server or --ray)"
    run.add_argument("--device", help=device)
    patience = "--server: seconds without a word of a run after which it is given up (1800)"
    run.add_argument("--patience", type=float, metavar="SECONDS", help=patience)
    add_cluster_arguments(run)
    run.set_defaults(command=run_command)


def demo_command(args: argparse.Namespace) -> int:
    """Complete the demo person and say where every stage was saved."""
    started = time.monotonic()
    graph = load_graph(find_workflow(DEMO_WORKFLOW))
    status = _tell(run_here([Job("", graph)], args.output, stages=True))
    say(f"done in {time.monotonic() - started:.0f} s")
    return status


def run_command(args: argparse.Namespace) -> int:
    """Run a workflow for every input, here or on servers."""
    from ..headless.runner import all_node_classes

    graph = load_graph(find_workflow(args.workflow))
    folder = args.points if args.points is not None and args.points.is_dir() else None
    jobs = make_jobs(graph, settings_of(args, graph), args.inputs, all_node_classes(), folder)
    cluster = named_cluster(args)
    if args.patience is not None and not args.server:
        raise ValueError("--patience is for --server, which was not given")
    if args.patience is not None and not args.patience > 0:
        raise ValueError(f"--patience is {args.patience:g}; a number of seconds above 0 is accepted")
    if not args.server and cluster is None:
        return _tell(run_here(jobs, args.output, args.device, stages=args.stages))
    for option in ("stages", "device"):
        if getattr(args, option):
            raise ValueError(
                f"--{option} is for runs on this machine without Ray: leave it out, or --server and --ray"
            )
    if args.server and cluster is not None:
        raise ValueError("--server and --ray are two ways to run: give one of them")
    started = time.monotonic()
    with ProgressLine() as line:
        table = BatchTable(line)
        if cluster is not None:
            from ..headless.on_ray import run_on_ray

            for result in run_on_ray(jobs, args.output, cluster, line.report):
                table.tell(result)
        else:
            from ..headless.server import PATIENCE
            from ..headless.sharing import run_on_servers

            patience = PATIENCE if args.patience is None else args.patience
            run_on_servers(args.server, jobs, args.output, line.report, table.tell, patience=patience)
    return table.end(time.monotonic() - started)


def settings_of(args: argparse.Namespace, graph: Graph) -> list[str]:
    """What --points, --text and --set say, as --set says it; the last word on an input counts."""
    settings = []
    if args.points is not None:
        points = "" if args.points.is_dir() else read_points(args.points)
        everywhere = same_everywhere("--points", "points", points, point_prompts(graph))
        settings += [] if args.points.is_dir() else everywhere
    if args.text is not None:
        settings += same_everywhere("--text", "text", args.text, text_nodes(graph))
    return [*settings, *args.settings]


def run_here(
    jobs: Sequence[Job],
    output: Path,
    device: str | None = None,
    classes: Classes | None = None,
    stages: bool = False,
) -> Iterator[JobResult]:
    """Run jobs one after another in this process. One that fails does not keep the others from running.

    What nodes only show is kept in the folder stages, of several jobs in one of each job's own.

    Args:
        jobs: the graphs, in order.
        output: folder for what they save.
        device: as PyTorch writes it; None for the best there is.
        classes: node classes by name; None for all there are.
        stages: whether what nodes only show is kept, too.

    Raises OSError, before anything runs, for a folder in which nothing can be saved.
    """
    from ..headless.runner import Runner
    from ..headless.saved import check_folder
    from ..host.plain import PlainHost, device_named

    check_folder(output)
    host = PlainHost(Path("."), output, device=None if device is None else device_named(device))
    runner = Runner(host, classes)
    for job in jobs:
        folder = output / "stages" / (job.name if len(jobs) > 1 else "")
        with ProgressLine() as line:
            host.report = _reporter(job.graph, line)
            result = _run_one(runner, job, folder if stages else None)
        runner.drop_shown()
        yield result


def _run_one(runner: Runner, job: Job, stages: Path | None) -> JobResult:
    """One job; whatever goes wrong is its own error, but for a stop. stages: where shown files are kept."""
    from ..headless.shown import keep_shown

    files: list[Path] = []
    try:
        result = runner.run(job.graph)
        files = result.files
        if stages is not None:
            files = keep_shown(job.graph, result.ui, runner.host.temp_dir(), stages) + files
    except Cancelled:
        raise
    except Exception as error:
        log.info("%s failed", job.name or "the run", exc_info=True)
        return JobResult(job, files, error)
    return JobResult(job, files)


def _reporter(graph: Graph, line: ProgressLine) -> Callable[..., None]:
    """What the host reports, as bars of the nodes that are at work."""

    def report(node_id: str, done: int, total: int, preview: object = None) -> None:
        known = node_id in graph
        line.report(f"node {node_id} ({graph[node_id]['class_type']})" if known else "reading", done, total)

    return report


def _tell(results: Iterable[JobResult]) -> int:
    """Say what was saved and what went wrong, as it comes; the exit status."""
    failed = False
    for result in results:
        _say_files(result)
        name = f"{result.job.name}: " if result.job.name else ""
        if result.error is not None:
            failed = True
            complain(name + message_of(result.error))
        elif not result.files:
            note(f"{name}{NOTHING}; --stages keeps what Preview nodes show")
    return 1 if failed else 0


def _say_files(result: JobResult) -> None:
    for path in result.files:
        say(str(path))


class BatchTable:
    """Says files as they are saved, and at the end what became of how many pictures, in one table."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._names: dict[str, list[str]] = {"saved": [], "there already": [], NOTHING: []}

    def tell(self, result: JobResult) -> None:
        """Take in one result."""
        self._line.clear()
        _say_files(result)
        there = "there already" if result.earlier else "saved" if result.files else NOTHING
        what = there if result.error is None else message_of(result.error)
        self._names.setdefault(what, []).append(result.job.name)

    def end(self, seconds: float) -> int:
        """Say the table; the exit status."""
        failures = [what for what in self._names if what not in ("saved", "there already", NOTHING)]
        self._line.clear()
        note("pictures  what became of them")
        for what, names in self._names.items():
            if names:
                note(f"{len(names):8}  {_named(names) if what in failures else ''}{what}")
        saved = len(self._names["saved"])
        note(f"{seconds:.1f} s, {saved / max(seconds, 1e-9):.2f} pictures a second")
        return 1 if failures else 0


def _named(names: Sequence[str]) -> str:
    """The names of pictures in front of what became of them; empty for a run without any."""
    told = ", ".join(name for name in names[:MOST_NAMED] if name)
    more = " ..." if len(names) > MOST_NAMED else ""
    return f"{told}{more}: " if told else ""
