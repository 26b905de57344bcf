"""CFLD's networks: released sizes and names, what untrained parts do, kinds of prompt, mixtures."""

from __future__ import annotations

import pytest
import torch
from figura.models.cfld import attention
from figura.models.cfld.attention import predict_noise
from figura.models.cfld.config import CFLDConfig, released_config
from figura.models.cfld.networks import CFLDModel, CFLDNetworks, PerceptionRefinedDecoder
from figura.models.diffusion.networks import mini_unet, parameter_count
from figura.tests.models.cfld import tiny

COUNTS = {
    "backbone": 86_991_864, "appearance_encoder": 22_549_632, "pose_encoder": 30_636_480,
    "decoder": 97_712_128,
}  # fmt: skip


@pytest.fixture(scope="module")
def released() -> CFLDNetworks:
    with torch.device("meta"):
        return CFLDNetworks(released_config())


def test_parameter_counts_are_the_released_ones(released: CFLDNetworks) -> None:
    assert {name: parameter_count(getattr(released, name)) for name in COUNTS} == COUNTS
    assert released.learnable_vector.shape == (1, 16, 768) and released.learnable_vector.numel() == 12_288
    assert parameter_count(released) == 237_902_392


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


def test_mini_fits_its_unet_and_is_small() -> None:
    config, unet = CFLDConfig(), mini_unet()
    small = CFLDNetworks(config)
    assert parameter_count(small) < 1_600_000
    looks = small.appearance(torch.rand(1, 3, 128, 128))
    residuals = small.pose(torch.rand(1, 21, 128, 128))
    assert [tuple(each.shape[1:]) for each in residuals] == [(64, 16, 16), (96, 8, 8)]
    sizes = [(64, 16, 16)] * 2 + [(96, 8, 8)] * 2
    assert [tuple(each.shape[1:]) for each in looks.biases] == sizes
    assert len(attention.key_value_names(list(unet.state_dict()))) == 2 * len(config.upward)
    attention.take_query_biases(unet)
    t = torch.tensor(10)
    made = predict_noise(unet, torch.randn(1, 8, 16, 16), t, looks.prompt, residuals, looks.biases)
    assert made.shape == (1, 8, 16, 16)


def test_the_decoder_adds_the_position_before_each_attention_and_reads_first() -> None:
    torch.manual_seed(0)
    block = attention.TransformerBlock(32, 16)
    tokens, position, seen = torch.randn(1, 4, 32), torch.randn(4, 32), torch.randn(1, 9, 16)
    h = tokens + position
    h = h + block.attn2(block.norm2(h), seen)
    h = h + position
    h = h + block.attn1(block.norm1(h))
    expected = h + block.ff(block.norm3(h))
    assert torch.equal(block.refine(tokens, position, seen), expected)


@torch.no_grad()
def test_the_decoder_knows_the_places_of_the_last_map() -> None:
    torch.manual_seed(0)
    decoder = PerceptionRefinedDecoder(tiny.CONFIG)
    features = torch.randn(2, tiny.CONFIG.map_channels[-1], tiny.CONFIG.last_side, tiny.CONFIG.last_side)
    made, places = decoder(features), decoder.kv_pos_embed.mT.reshape(1, *features.shape[1:]).clone()
    decoder.kv_pos_embed.zero_()
    torch.testing.assert_close(decoder(features + places), made)
    assert not torch.allclose(decoder(features), made)


@torch.no_grad()
def test_each_level_of_the_pose_is_the_mean_of_four_places_of_the_one_above() -> None:
    class Same(torch.nn.Module):
        def forward(self, hidden: torch.Tensor, time: None) -> torch.Tensor:
            return hidden

    encoder = tiny.tiny_networks().pose_encoder
    encoder.resnets = torch.nn.ModuleList(Same() for _ in encoder.resnets)
    fine, coarse = encoder(torch.rand(1, 21, 64, 64))
    corners = [fine[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    torch.testing.assert_close(coarse, torch.stack(corners).mean(0))


@torch.no_grad()
def test_the_backbone_sees_pictures_from_minus_1_to_1() -> None:
    made, seen, source = tiny.tiny_networks(), [], torch.rand(1, 3, 32, 32)
    made.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made.appearance(source)
    assert torch.equal(seen[0], source * 2 - 1)


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
