"""Speed measurements behind `figura bench`."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..reports.document import report
from .threads import one_thread
from .turns import in_turns, ratio

BATCH = 16
REPEATS = 7
SIZES = (128, 256)
FIRST_SEED = 10_000_000
GROWTH_SIZE = 64
OTHER = "figura_of_another_checkout"


def bench_synth(
    repeats: int = REPEATS,
    batch: int = BATCH,
    sizes: tuple[int, ...] = SIZES,
    count: int = 0,
    against: Path | None = None,
) -> dict[str, Any]:
    """Synthetic people a second on one thread: pictures with all ground truth, at each size in pixels.

    The median of several batches, and the slowest and the fastest of them; the first batch is not counted,
    nor are the people in the background, who are drawn once and kept.

    Args:
        repeats: batches that are timed at each size.
        batch: pictures in a batch.
        sizes: sides of the pictures in pixels.
        count: that many pictures more, of 64 pixels, over which the growth of memory is measured.
        against: a checkout of Figura at another commit, whose people are drawn in the same rounds.
    """
    from ...people.synthetic.bystanders import draw_all_cutouts
    from ...people.synthetic.render import render_people

    drawers: dict[str, Callable[..., object]] = {"": render_people}
    if against is not None:
        drawers["against"] = drawer_of(against)
        draw_bystanders_of_other(FIRST_SEED)
    figures: dict[str, Any] = {"repeats": repeats}
    with one_thread():
        draw_all_cutouts(FIRST_SEED)
        for size in sizes:
            works = {name: partial(next, batches(draw, size, batch)) for name, draw in drawers.items()}
            times = in_turns(works, repeats)
            for name, each in times.items():
                figures |= rates(batch, each, f"images_per_second.{size}" + (f".{name}" if name else ""))
            if against is not None:
                figures[f"time_ratio.{size}.against"] = ratio(times, "", "against")
        if count:
            figures |= memory_growth(count)
    return report("synth", repeats * batch * len(sizes) + count, FIRST_SEED, "cpu", 1, figures)


def batches(draw: Callable[..., object], size: int, batch: int) -> Iterator[object]:
    """Draws one batch of further people at each step."""
    for first in itertools.count(FIRST_SEED, batch):
        yield draw(range(first, first + batch), size=size)


def rates(batch: int, seconds: list[float], name: str) -> dict[str, float]:
    """Pictures a second of the processor: the median over batches, the slowest and the fastest."""
    each = [batch / second for second in seconds]
    return {name: statistics.median(each), f"{name}.slowest": min(each), f"{name}.fastest": max(each)}


def drawer_of(checkout: Path) -> Callable[..., object]:
    """`render_people` of another checkout of Figura, none of whose nodes are loaded."""
    if not (checkout / "people" / "synthetic").is_dir():
        raise ValueError(f"{checkout} has no people/synthetic: give --against a checkout of Figura")
    for name in [name for name in sys.modules if name.split(".")[0] == OTHER]:
        del sys.modules[name]  # of a checkout before
    package = ModuleType(OTHER)
    package.__path__ = [str(checkout.resolve())]
    sys.modules[OTHER] = package
    draw: Callable[..., object] = import_module(f"{OTHER}.people.synthetic").render_people
    return draw


def draw_bystanders_of_other(seed: int) -> None:
    """Draw the people in the background of the checkout that `drawer_of` loaded, as this one's are before."""
    if find_spec(f"{OTHER}.people.synthetic.bystanders") is None:
        return  # capsule dolls stood alone
    bystanders = import_module(f"{OTHER}.people.synthetic.bystanders")
    if hasattr(bystanders, "draw_all_cutouts"):
        bystanders.draw_all_cutouts(seed)


def memory_growth(count: int, size: int = GROWTH_SIZE) -> dict[str, Any]:
    """MiB of memory that the process holds after a tenth of `count` pictures, and how many more after all."""
    from ...people.synthetic import render_people

    held = 0.0
    for number in range(count):
        render_people([FIRST_SEED + number], size=size)
        if number + 1 == max(1, count // 10):
            held = resident_mib()
    return {"pictures": count, "memory_mib": held, "memory_growth_mib": resident_mib() - held}


def resident_mib() -> float:
    """MiB that this process holds in memory now."""
    import psutil  # type: ignore[import-untyped]  # ComfyUI and accelerate bring it

    return psutil.Process().memory_info().rss / 2**20


def bench_humansd(repeats: int = 3 * REPEATS, images: int = 4, calls: int = 3) -> dict[str, Any]:
    """Time of a guided denoising step over that of the base in the same round, on one thread, at mini's size.

    Medians over the rounds. The weights are random: what was learned changes no time.
    """
    import torch

    with one_thread(), torch.inference_mode():
        steps = _humansd_steps(images)
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(repeats + 1):
            for name, step in steps.items():
                started = time.perf_counter()
                for _ in range(calls):
                    step()
                if number > 0:  # the first round warms up
                    times[name].append((time.perf_counter() - started) / calls)
    base = times["base"]
    figures = {
        f"step_time_ratio.{name}": statistics.median(
            own / of for own, of in zip(times[name], base, strict=True)
        )
        for name in ("humansd", "controlnet")
    }
    seconds = {f"step_seconds.{name}": statistics.median(own) for name, own in times.items()}
    about = {"repeats": repeats, "pictures": images, "size_px": SIZES[0]}
    return report("humansd", repeats * calls, FIRST_SEED, "cpu", 1, {**figures, **seconds, **about})


def _humansd_steps(images: int) -> dict[str, Callable[[], object]]:
    """One prediction of each peer for that many pictures, in both branches of the guidance."""
    import torch

    from ...models.diffusion.latent_model import LatentModel, LatentNetworks, TextStates
    from ...models.diffusion.networks import MINI_SIZE, TEXT_WIDTH, mini_controlnet, mini_unet
    from ...models.diffusion.predict import Control, RememberedEmbedding, predict_once
    from ...models.diffusion.text import TOKENS
    from ...models.humansd.networks import pose_unet

    torch.manual_seed(0)
    base, widened = (
        LatentModel(LatentNetworks(None, unet.eval(), None, MINI_SIZE), "bench")
        for unet in (mini_unet(), pose_unet(mini_unet()))
    )
    controlnet = mini_controlnet(base.unet).eval()
    # As while sampling: the prompt picture is read once, not in every step.
    controlnet.controlnet_cond_embedding = RememberedEmbedding(controlnet.controlnet_cond_embedding)
    control = Control(controlnet, torch.rand(images, 3, MINI_SIZE, MINI_SIZE))
    latents, pose = torch.randn(2, 2 * images, base.unet.config.in_channels, MINI_SIZE // 8, MINI_SIZE // 8)
    text, t = TextStates(torch.randn(2 * images, TOKENS, TEXT_WIDTH)), torch.tensor(500)
    return {
        "base": lambda: predict_once(base, latents, t, text),
        "humansd": lambda: predict_once(widened, latents, t, text, pose),
        "controlnet": lambda: predict_once(base, latents, t, text, control=control),
    }


MODULES = {
    "pocold": "pocold", "load": "load", "memory": "memory", "loop": "loop", "compare": "pictures",
    "crop": "pictures", "refine": "pictures", "sam": "pictures", "steps": "steps", "gpu": "gpu",
    "import": "imports",
}  # fmt: skip
"""Bench -> its file in this folder, which has the function bench_NAME."""


def _measured(what: str, **options: Any) -> dict[str, Any]:
    module = import_module(f".{MODULES[what]}", __package__)
    figures: dict[str, Any] = getattr(module, f"bench_{what}")(**options)
    return figures


BENCHES: dict[str, Callable[..., dict[str, Any]]] = {
    "synth": bench_synth, "humansd": bench_humansd, **{what: partial(_measured, what) for what in MODULES},
}  # fmt: skip
