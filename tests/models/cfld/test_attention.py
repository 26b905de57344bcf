"""Hybrid-granularity attention: what is trained of the U-Net, and how conditions enter it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from diffusers import UNet2DConditionModel
from figura.models.cfld import attention
from figura.models.cfld.attention import predict_noise
from figura.models.cfld.config import released_config
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.networks import parameter_count
from figura.tests.models.cfld import tiny


@pytest.fixture(scope="module")
def sd15() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)


def test_eighteen_matrices_of_the_unet_are_trained(sd15: UNet2DConditionModel) -> None:
    state = sd15.state_dict()
    names = attention.key_value_names(list(state))
    assert parameter_count(sd15) == 859_520_964
    assert len(names) == 18 and sum(state[name].numel() for name in names) == 10_321_920


def test_released_maps_match_the_levels_of_the_unet(sd15: UNet2DConditionModel) -> None:
    config = released_config()
    attentions = attention.upward_attentions(sd15)
    with torch.device("meta"):
        encoder = attention.AppearanceEncoder(config)
        maps = [torch.zeros(1, 128 * 2**stage, 64 // 2**stage, 64 // 2**stage) for stage in range(4)]
        biases = encoder(maps)
    assert [bias.shape[1] for bias in biases] == [each.to_q.out_features for each in attentions]
    assert [bias.shape[-1] for bias in biases] == [64] * 3 + [32] * 3 + [16] * 3


def test_biases_are_for_blocks_11_to_3_in_this_order(sd15: UNet2DConditionModel) -> None:
    number = {
        id(part): 3 * int(name.split(".")[1]) + int(name.split(".")[3])
        for name, part in sd15.named_modules()
        if name.startswith("up_blocks.") and name.endswith(".attn2")
    }
    assert [number[id(each)] for each in attention.upward_attentions(sd15)] == list(range(11, 2, -1))


@torch.no_grad()
def test_untrained_biases_change_nothing() -> None:
    torch.manual_seed(0)
    fresh, unet = CFLDNetworks(tiny.CONFIG).eval(), tiny.tiny_unet()
    attention.take_query_biases(unet)
    looks = fresh.appearance(torch.rand(2, 3, 32, 32))
    latents, t = torch.randn(2, 4, 8, 8), torch.tensor(500)
    plain = predict_noise(unet, latents, t, looks.prompt)
    assert all(not bool(bias.any()) for bias in looks.biases)
    assert torch.equal(predict_noise(unet, latents, t, looks.prompt, biases=looks.biases), plain)


@torch.no_grad()
def test_without_conditions_the_unet_is_as_it_was() -> None:
    unet = tiny.tiny_unet()
    latents, t, prompt = torch.randn(2, 4, 8, 8), torch.tensor(500), torch.randn(2, 4, 32)
    before = unet(latents, t, prompt).sample
    attention.take_query_biases(unet)
    torch.testing.assert_close(predict_noise(unet, latents, t, prompt), before, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_bias_is_added_to_the_projected_queries() -> None:
    torch.manual_seed(0)
    cross = attention.upward_attentions(tiny.tiny_unet())[0]
    cross.set_processor(attention.QueryBias(1))
    hidden, context, bias = torch.randn(1, 64, 32), torch.randn(1, 4, 32), torch.randn(1, 32, 8, 8)
    q = cross.to_q(hidden) + bias.flatten(2).mT
    q, k, v = (
        each.unflatten(-1, (cross.heads, -1)).transpose(1, 2)
        for each in (q, cross.to_k(context), cross.to_v(context))
    )
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    expected = cross.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
    made = cross(hidden, context, query_biases=[torch.zeros(0), bias])
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_threads_share_a_model_and_get_their_own_pictures() -> None:
    """Biases that lay on the network gave one thread the looks of another."""
    model = tiny.tiny_cfld()
    torch.manual_seed(0)
    latents, t = torch.randn(1, 4, 8, 8), torch.tensor(500)
    looks = [model.networks.appearance(torch.rand(1, 3, 32, 32)) for _ in range(6)]

    def noise(number: int) -> torch.Tensor:
        look = looks[number % len(looks)]
        return predict_noise(model.unet, latents, t, look.prompt, biases=look.biases)

    alone = [noise(number) for number in range(len(looks))]
    assert not torch.equal(alone[0], alone[1])
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(noise, range(48)))
    wrong = [number for number, made in enumerate(together) if not torch.equal(made, alone[number % 6])]
    assert not wrong


@torch.no_grad()
def test_each_condition_changes_the_noise_and_leaves_no_trace() -> None:
    model = tiny.tiny_cfld()
    looks = model.networks.appearance(torch.rand(1, 3, 32, 32))
    residuals = model.networks.pose(torch.rand(1, 21, 64, 64))
    latents, t = torch.randn(1, 4, 8, 8), torch.tensor(500)
    plain = predict_noise(model.unet, latents, t, looks.prompt)
    posed = predict_noise(model.unet, latents, t, looks.prompt, residuals)
    biased = predict_noise(model.unet, latents, t, looks.prompt, residuals, looks.biases)
    assert not torch.allclose(plain, posed, atol=1e-4) and not torch.allclose(posed, biased, atol=1e-4)
    assert torch.equal(predict_noise(model.unet, latents, t, looks.prompt), plain)


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 12), (16, 16), (12, 4)])
def test_other_latent_sizes_get_resized_conditions(size: tuple[int, int]) -> None:
    model = tiny.tiny_cfld()
    looks = model.networks.appearance(torch.rand(1, 3, 32, 32))
    residuals = model.networks.pose(torch.rand(1, 21, 64, 64))
    latents = torch.randn(1, 4, *size)
    made = predict_noise(model.unet, latents, torch.tensor(500), looks.prompt, residuals, looks.biases)
    assert made.shape == latents.shape and bool(made.isfinite().all())


def test_a_constant_map_stays_constant_at_any_size() -> None:
    for size in ((3, 5), (8, 8), (17, 4)):
        torch.testing.assert_close(
            attention.fitted(torch.full((1, 2, 8, 8), 0.7), size), torch.full((1, 2, *size), 0.7)
        )
