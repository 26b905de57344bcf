"""Training at the true sizes from random public-layout files: two steps, resumed once, loaded by the node.

FIGURA_TRUE_SIZE=1 runs them: each takes minutes and gigabytes, and is skipped where there is less memory.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel
from figura.tests.models.diffusion import full_size as makers
from figura.tests.training.recipes import true_size
from figura.tests.training.recipes.true_size import sd15_unet, sd21_unet

SIZE = 256
"""Pictures of this side: what is counted depends on the networks, and steps are quicker."""
NEEDED_GIB = {"pocold": 5, "cfld": 9, "body": 12, "phac": 12, "hands": 20, "humansd": 17}
"""Free memory that a run on a CPU wants: 16 bytes a number that learns, 20 with an average, and the rest."""


def free_gib() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) / 2**20 if found else 0.0


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("FIGURA_TRUE_SIZE") != "1", reason="FIGURA_TRUE_SIZE=1 runs it, for minutes"
)
@pytest.mark.parametrize("recipe", true_size.FILES)
def test_two_steps_at_the_true_size(recipe: str, tmp_path: Path) -> None:
    if free_gib() < NEEDED_GIB[recipe]:
        pytest.skip(f"{recipe} needs {NEEDED_GIB[recipe]} GiB of free memory, {free_gib():.0f} are there")
    measured = true_size.measure(recipe, tmp_path, SIZE)
    assert measured["peak"] > 8 * measured["learning"] and measured["exported"] > 0


def test_the_table_names_what_was_measured() -> None:
    one = {
        "parameters": 124e6, "learning": 124e6, "peak": 4 << 30, "checkpoint": 1 << 30, "exported": 1 << 28,
        "seconds": 3.8, "size": 256, "day": "2026-11-29",
    }  # fmt: skip
    row = true_size.table({"pocold": one}).splitlines()[-1]
    assert row == "| `pocold` | 256 | 124 M | 124 M | 4.0 GiB | 34.6 | 1.0 GiB | 0.25 GiB | 4 | 2026-11-29 |"


@pytest.mark.parametrize(
    ("channels", "learning"), [(4, 43_962_560 + 361_279_120), (9, 43_962_560 + 361_279_120)]
)
def test_cross_attention_and_a_public_controlnet_learn_at_the_true_size(channels: int, learning: int) -> None:
    from figura.training.recipes.controlled import ControlledUNet

    with torch.device("meta"):
        module = ControlledUNet(sd15_unet(channels), True, ControlNetModel.from_unet(sd15_unet(4)))
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    assert trained == learning


def test_all_of_humansd_learns_at_the_true_size() -> None:
    from figura.models.humansd.networks import pose_unet

    with torch.device("meta"):
        unet = pose_unet(sd21_unet())
    assert sum(parameter.numel() for parameter in unet.parameters()) == 865_910_724 + 11_520


def test_names_of_a_checkpoint_come_back_at_the_true_size() -> None:
    from figura.models.diffusion.layouts import LDM_UNET
    from figura.training.recipes.public import original_names

    for unet in (sd15_unet, lambda _: sd21_unet()):
        with torch.device("meta"):
            network = unet(4)
        original = makers.ldm.unet_to_ldm(network.state_dict(), 2)
        names = original_names(original)
        assert set(names) == set(network.state_dict())
        assert set(names.values()) == {key for key in original if key.startswith(LDM_UNET)}
        shapes = network.state_dict()
        assert all(original[own].numel() == shapes[name].numel() for name, own in names.items())
