"""`figura bench memory`: what it counts, on a small stack without numbers."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion.latent_model import LatentNetworks
from figura.tests.models.diffusion import full_size
from figura.training.bench.memory import CountedMemory, SpokenText, bench_memory
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

MIB = 2**20


def small() -> LatentNetworks:
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    with torch.device("meta"):
        text = SpokenText(
            CLIPTextModel(CLIPTextConfig(**sizes)),
            CLIPTextModelWithProjection(CLIPTextConfig(**sizes, projection_dim=64)),
        )
        return LatentNetworks(full_size.vae(), full_size.xl_unet(), text, 64)


def test_tensors_count_while_they_live_and_views_and_weights_do_not() -> None:
    layer = torch.nn.Linear(1024, 256, device="meta")  # 1 MiB of weights
    with CountedMemory(layer) as memory, torch.no_grad():
        given = torch.empty(1024, 1024, device="meta")  # 4 MiB
        assert memory.live == 4 * MIB
        seen = given.t()[:5], layer.weight.t()
        assert memory.live == 4 * MIB
        made = layer(given)  # 1 MiB
        assert memory.live == 5 * MIB == memory.peak
        del given, seen, made
        assert memory.live == 0 and memory.peak == 5 * MIB
        memory.hold(6 * MIB)
        assert memory.peak == 6 * MIB


def test_all_at_once_need_the_most() -> None:
    figures = bench_memory(side=64, make=small)["metrics"]
    weights = sum(value for name, value in figures.items() if name.startswith("weights_gib"))
    assert figures["peak_gib.together"] > weights > 0
    assert figures["peak_gib.in_tiles"] <= figures["peak_gib.in_turn"] <= figures["peak_gib.together"]


@pytest.mark.slow
def test_refining_with_sdxl_at_1024_fits_a_card_of_8_gib() -> None:
    figures = bench_memory()["metrics"]
    assert figures["weights_gib.unet"] == pytest.approx(4.782, abs=0.001)
    assert figures["peak_gib.in_turn"] < 8 and figures["peak_gib.in_tiles"] < figures["peak_gib.in_turn"]
