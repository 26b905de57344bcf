"""The command `figura`."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

from ..host import Cancelled
from ..models.sentences import message_of, typed
from . import measure, run
from . import models as models_cli
from .console import complain

STOPPED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when it succeeded, 1 after an error, 130 when stopped."""
    logging.basicConfig(level=logging.WARNING, format="figura: %(message)s", stream=sys.stderr)
    # diffusers imports it wherever it is installed, and it complains of kernels that nothing here needs.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    take_any_letter()
    words = list(sys.argv[1:] if argv is None else argv)
    wait_without_spinning()
    try:
        if words[:1] == ["train"]:
            return _train(words[1:])
        if words[:1] == ["data"]:
            return _data(words[1:])
        args = build_parser().parse_args(words)
        return int(args.command(args))
    except (KeyboardInterrupt, Cancelled):
        complain("stopped")
        return STOPPED
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        complain(message_of(error))
        return 1


def take_any_letter() -> None:
    """Write as an escape what the encoding of stdout or stderr has no letter for: a name ends no batch."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def wait_without_spinning() -> None:
    """Have torch's threads sleep while they wait: beside a busy program, spinning ones slow it 50 times.

    Takes effect only before torch is imported, which no command does before it runs. A user's choice stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command but `train` and `data`, whose options belong to training/."""
    parser = argparse.ArgumentParser(
        prog=typed(), description="People in pictures: complete, generate, re-pose."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add_demo(commands)
    run.add_run(commands)
    commands.add_parser(
        "train", help="train one recipe of the mini family, or one's own weights", add_help=False
    )
    commands.add_parser("data", help="import pictures to train on, or draw some", add_help=False)
    measure.add_eval(commands)
    measure.add_bench(commands)
    measure.add_check(commands)
    models_cli.add_models(commands)
    return parser


def _data(words: Sequence[str]) -> int:
    from ..training.data.command import main as data_main

    return data_main(words)


def _train(words: Sequence[str]) -> int:
    from ..training.run.command import main as train_main

    return int(train_main(words))
