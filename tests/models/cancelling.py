"""A user who cancels while a method samples."""

from __future__ import annotations

from torch import Tensor


class CancelsAfter:
    """A step function that raises KeyboardInterrupt at a step, and the numbers of all steps it heard of."""

    def __init__(self, step: int) -> None:
        self.step, self.heard = step, list[int]()

    def __call__(self, done: int, total: int, clean: Tensor) -> None:
        self.heard.append(done)
        if done == self.step:
            raise KeyboardInterrupt
