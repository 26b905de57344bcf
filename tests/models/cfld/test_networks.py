"""CFLD's networks: released sizes and names, what untrained parts do, how conditions enter the U-Net."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import UNet2DConditionModel
from figura.models.cfld import networks
from figura.models.cfld.networks import CFLDConfig, CFLDModel, CFLDNetworks, predict_noise, released_config
from figura.models.diffusion.networks import mini_unet, parameter_count


def load_tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cfld_tiny", Path(__file__).with_name("tiny.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load_tiny()
COUNTS = {
    "backbone": 86_991_864, "appearance_encoder": 22_549_632, "pose_encoder": 30_636_480,
    "decoder": 97_712_128,
}  # fmt: skip


@pytest.fixture(scope="module")
def released() -> CFLDNetworks:
    with torch.device("meta"):
        return CFLDNetworks(released_config())


@pytest.fixture(scope="module")
def sd15() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)


def test_parameter_counts_are_the_released_ones(released: CFLDNetworks) -> None:
    assert {name: parameter_count(getattr(released, name)) for name in COUNTS} == COUNTS
    assert released.learnable_vector.shape == (1, 16, 768) and released.learnable_vector.numel() == 12_288
    assert parameter_count(released) == 237_902_392


def test_eighteen_matrices_of_the_unet_are_trained(sd15: UNet2DConditionModel) -> None:
    state = sd15.state_dict()
    names = networks.key_value_names(list(state))
    assert parameter_count(sd15) == 859_520_964
    assert len(names) == 18 and sum(state[name].numel() for name in names) == 10_321_920


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("backbone.patch_embed.proj.weight", (128, 3, 4, 4)),
        ("backbone.layers.2.blocks.17.attn.relative_position_bias_table", (961, 16)),
        ("backbone.layers.3.blocks.1.attn.relative_position_bias_table", (225, 32)),
        ("backbone.layers.0.downsample.reduction.weight", (256, 512)),
        ("backbone.layers.1.blocks.0.mlp.fc1.weight", (1024, 256)),
        ("pose_encoder.conv_in.weight", (320, 336, 1, 1)),
        ("pose_encoder.resnets.2.conv_shortcut.weight", (1280, 640, 1, 1)),
        ("decoder.query_feat", (16, 768)),
        ("decoder.kv_pos_embed", (1, 64, 1024)),
        ("decoder.blocks.7.attn2.to_k.weight", (768, 1024)),
        ("decoder.blocks.0.attn1.to_out.0.bias", (768,)),
        ("decoder.blocks.0.ff.net.0.proj.weight", (6144, 768)),
        ("decoder.blocks.0.ff.net.2.weight", (768, 3072)),
        ("appearance_encoder.zero_conv_ins.8.weight", (256, 512, 1, 1)),
        ("appearance_encoder.zero_conv_outs.0.weight", (320, 64, 1, 1)),
        ("appearance_encoder.blocks.3.3.attn2.to_q.weight", (128, 128)),
    ],
)
def test_tensors_have_the_released_names_and_shapes(released: CFLDNetworks, name: str, shape: tuple) -> None:
    assert tuple(released.state_dict()[name].shape) == shape


def test_nothing_but_weights_is_stored(released: CFLDNetworks) -> None:
    assert sum(tensor.numel() for tensor in released.state_dict().values()) == 237_902_392


def test_blocks_are_counted_as_comfyui_does() -> None:
    config = released_config()
    assert config.upward == [11, 10, 9, 8, 7, 6, 5, 4, 3] and config.input_blocks == [2, 5, 8]


def test_released_maps_match_the_levels_of_the_unet(sd15: UNet2DConditionModel) -> None:
    config = released_config()
    attentions = networks.upward_attentions(sd15)
    with torch.device("meta"):
        encoder = networks.AppearanceEncoder(config)
        maps = [torch.zeros(1, 128 * 2**stage, 64 // 2**stage, 64 // 2**stage) for stage in range(4)]
        biases = encoder(maps)
    assert [bias.shape[1] for bias in biases] == [attention.to_q.out_features for attention in attentions]
    assert [bias.shape[-1] for bias in biases] == [64] * 3 + [32] * 3 + [16] * 3


def test_mini_fits_its_unet_and_is_small() -> None:
    config, unet = CFLDConfig(), mini_unet()
    small = CFLDNetworks(config)
    assert parameter_count(small) < 1_600_000
    looks = small.appearance(torch.rand(1, 3, 128, 128))
    residuals = small.pose(torch.rand(1, 21, 128, 128))
    assert [tuple(each.shape[1:]) for each in residuals] == [(64, 16, 16), (96, 8, 8)]
    sizes = [(64, 16, 16)] * 2 + [(96, 8, 8)] * 2
    assert [tuple(each.shape[1:]) for each in looks.biases] == sizes
    assert len(networks.key_value_names(list(unet.state_dict()))) == 2 * len(config.upward)
    networks.take_query_biases(unet)
    t = torch.tensor(10)
    made = predict_noise(unet, torch.randn(1, 8, 16, 16), t, looks.prompt, residuals, looks.biases)
    assert made.shape == (1, 8, 16, 16)


@torch.no_grad()
def test_untrained_biases_change_nothing() -> None:
    torch.manual_seed(0)
    fresh, unet = CFLDNetworks(tiny.CONFIG).eval(), tiny.tiny_unet()
    networks.take_query_biases(unet)
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
    networks.take_query_biases(unet)
    torch.testing.assert_close(predict_noise(unet, latents, t, prompt), before, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_bias_is_added_to_the_projected_queries() -> None:
    torch.manual_seed(0)
    attention = networks.upward_attentions(tiny.tiny_unet())[0]
    attention.set_processor(networks.QueryBias())
    hidden, context, bias = torch.randn(1, 64, 32), torch.randn(1, 4, 32), torch.randn(1, 32, 8, 8)
    attention.processor.bias = bias
    q = attention.to_q(hidden) + bias.flatten(2).mT
    q, k, v = (
        each.unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        for each in (q, attention.to_k(context), attention.to_v(context))
    )
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    expected = attention.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(hidden, context), expected, atol=1e-5, rtol=1e-4)


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
            networks.fitted(torch.full((1, 2, 8, 8), 0.7), size), torch.full((1, 2, *size), 0.7)
        )


def test_the_decoder_adds_the_position_before_each_attention_and_reads_first() -> None:
    torch.manual_seed(0)
    block = networks.TransformerBlock(32, 16)
    tokens, position, seen = torch.randn(1, 4, 32), torch.randn(4, 32), torch.randn(1, 9, 16)
    h = tokens + position
    h = h + block.attn2(block.norm2(h), seen)
    h = h + position
    h = h + block.attn1(block.norm1(h))
    expected = h + block.ff(block.norm3(h))
    assert torch.equal(block.refine(tokens, position, seen), expected)


@torch.no_grad()
@pytest.mark.parametrize(("prompt", "tokens"), [("decoder", 4), ("pooled", 1), ("tokens", 4)])
def test_each_kind_of_prompt_has_its_length(prompt: str, tokens: int) -> None:
    made = tiny.tiny_networks(prompt=prompt, appearance=False)
    looks = made.appearance(torch.rand(2, 3, 32, 32))
    assert looks.prompt.shape == made.null_prompt(2).shape == (2, tokens, 32) and looks.biases == ()


@torch.no_grad()
def test_ends_of_a_mixture_are_the_single_looks_bit_for_bit() -> None:
    made = tiny.tiny_networks()
    first, second = (made.appearance(torch.rand(1, 3, 32, 32)) for _ in range(2))
    assert first.mixed(second, 0.0) is first and first.mixed(second, 1.0) is second
    middle = first.mixed(second, 0.25)
    torch.testing.assert_close(middle.prompt, 0.75 * first.prompt + 0.25 * second.prompt)
    for mixed, a, b in zip(middle.biases, first.biases, second.biases, strict=True):
        torch.testing.assert_close(mixed, 0.75 * a + 0.25 * b)


def test_matrices_of_another_unet_are_refused() -> None:
    unet = tiny.tiny_unet()
    wide = tiny.trained_matrices(tiny.tiny_unet(cross_attention_dim=48))
    with pytest.raises(ValueError, match="8 of its matrices differ .*Stable Diffusion 1.5"):
        CFLDModel(tiny.tiny_vae(), unet, tiny.tiny_networks(), wide, 64)


def test_a_model_takes_its_trained_matrices() -> None:
    unet = tiny.tiny_unet()
    matrices = tiny.trained_matrices(unet)
    model = CFLDModel(tiny.tiny_vae(), unet, tiny.tiny_networks(), matrices, 64)
    state = model.unet.state_dict()
    assert all(torch.equal(state[name], value) for name, value in matrices.items())


def test_an_unknown_kind_of_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt is 'words'; it is one of decoder, pooled, tokens"):
        CFLDConfig(prompt="words")


def test_the_configuration_survives_json() -> None:
    import json

    config = released_config("pooled", appearance=False)
    stored = json.loads(json.dumps(networks.config_to_metadata(config)))
    assert networks.config_from_metadata(stored) == config
