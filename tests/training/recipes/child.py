"""`figura train WORDS ...` as `python -m figura.tests.training.recipes.child ANSWER WORDS ...`.

What it took is written to ANSWER as JSON: seconds of each step, how many parameters there are and learn, and
the peak of memory in bytes.
"""

from __future__ import annotations

import functools
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from figura.training.run import command
from figura.training.run.trainer import Trainer

STATUS = Path("/proc/self/status")
PEAK = "VmHWM:"


def peak_bytes() -> int:
    """The most memory that this process had, mapped files included.

    Elsewhere than on Linux the peak of the process that started it counts, too.
    """
    if STATUS.is_file():
        return int(STATUS.read_text().partition(PEAK)[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def watched(seconds: list[float], counts: dict[str, int]) -> None:
    """Have the trainer time its steps, count its parameters, and try one held-out batch."""
    step, init = Trainer._train_step, Trainer.__init__

    def timed(self: Trainer) -> dict[str, float]:
        begin = time.monotonic()
        scalars = step(self)
        seconds.append(time.monotonic() - begin)
        return scalars

    def counted(self: Trainer, *args: Any, **named: Any) -> None:
        init(self, *args, **named)
        sizes = [(p.numel(), p.requires_grad) for p in self.module.parameters()]
        counts["parameters"] = sum(size for size, _ in sizes)
        counts["learning"] = sum(size for size, learns in sizes if learns)

    Trainer._train_step, Trainer.__init__ = timed, counted  # type: ignore[method-assign]
    held_out = Trainer.held_out_loss
    Trainer.held_out_loss = functools.partialmethod(held_out, batches=1)  # type: ignore[assignment,method-assign]


def main(answer: Path, words: list[str]) -> None:
    """Train, and write what it took."""
    seconds: list[float] = []
    counts: dict[str, int] = {}
    watched(seconds, counts)
    code = command.main(words)
    answer.write_text(json.dumps({**counts, "peak": peak_bytes(), "seconds": seconds, "code": code}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
