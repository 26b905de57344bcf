"""Figura beside a checkout of the authors' code, on the same random weights: `figura check parity`.

Their files are imported from where they lie and nothing of them is kept. Packages that the compared parts do
not use need not be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from .parity import Row
from .parity_cfld import compare_cfld
from .parity_humansd import compare_humansd
from .parity_pocold import compare_pocold


def parity(method: str, released: Path, older: Path | None = None) -> list[Row]:
    """All comparisons of a method.

    Args:
        method: one of METHODS.
        released: a checkout of its code.
        older: folder with diffusers 0.19, for CFLD's U-Net.

    Raises:
        ValueError: for a method without any.
        FileNotFoundError: for a folder that is no such checkout.
    """
    if method not in METHODS:
        raise ValueError(
            f"method is {method!r}; there are comparisons for {', '.join(METHODS)}. PHAC and Giving a Hand "
            "have no released code"
        )
    wanted, compare = METHODS[method]
    absent = [name for name in wanted if not (Path(released) / name).is_file()]
    if absent:
        raise FileNotFoundError(f"no {absent[0]} in {released}: give a checkout of {method}'s released code")
    with torch.no_grad():
        return list(compare(Path(released), older))


METHODS: dict[str, tuple[tuple[str, ...], Callable[[Path, Path | None], Iterator[Row]]]] = {
    "cfld": (("models/swin_transformer.py", "models/decoder.py", "pose_utils.py"), compare_cfld),
    "humansd": (("ldm/models/diffusion/ddim.py", "scripts/pose2img.py"), compare_humansd),
    "pocold": (("src/model.py",), compare_pocold),
}
"""Method -> files that a checkout has, and what compares."""
