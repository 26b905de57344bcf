"""The widened U-Net: neutral before training, whatever the pose; weights in the plain layout."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.humansd.networks import HumanSD, PoseConv2d, pose_unet, with_pose_conv
from figura.tests.models.humansd import tiny


def twins(kind: str, scale: int = 1) -> tuple[torch.nn.Module, torch.nn.Module, int, int]:
    """A base U-Net, the same widened, its latent channels and the width of its texts."""
    pair = []
    for _ in range(2):
        torch.manual_seed(0)
        pair.append(networks.mini_unet() if kind == "mini" else tiny.sd2_unet(4))
    channels = pair[0].config.in_channels
    return pair[0].eval(), pose_unet(pair[1], scale).eval(), channels, pair[0].config.cross_attention_dim


@pytest.mark.parametrize(("kind", "side"), [("mini", 16), ("mini", 24), ("sd2", 8)])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("scale", [1, 2])
@torch.no_grad()
def test_before_training_it_is_the_base_bit_for_bit(kind: str, side: int, count: int, scale: int) -> None:
    base, widened, channels, width = twins(kind, scale)
    random = torch.Generator().manual_seed(1)
    latents, pose = (
        torch.randn(count, number * channels, side, 2 * side, generator=random) for number in (1, scale**2)
    )
    text = torch.randn(count, 7, width, generator=random)
    plain = base(latents, 500, encoder_hidden_states=text).sample
    for given in (pose, 1e4 * pose, torch.zeros_like(pose)):
        both = torch.cat([latents, given], dim=1)
        assert torch.equal(widened(both, 500, encoder_hidden_states=text).sample, plain)


@torch.no_grad()
def test_the_first_convolution_alone_is_neutral_at_full_size() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(4, 320, 3, padding=1)
    unet = torch.nn.Module()
    unet.conv_in = torch.nn.Conv2d(8, 320, 3, padding=1)
    unet.conv_in.weight.zero_()[:, :4] = plain.weight
    unet.conv_in.bias.copy_(plain.bias)
    latents, pose = torch.randn(2, 1, 4, 64, 64)
    assert torch.equal(with_pose_conv(unet, 4).conv_in(torch.cat([latents, pose], 1)), plain(latents))


@torch.no_grad()
def test_it_computes_what_the_plain_convolution_of_its_weights_does() -> None:
    unet = tiny.phac.tiny_unet(8)
    plain, inputs = unet.conv_in, torch.randn(2, 8, 6, 6)
    keys, expected = unet.state_dict().keys(), plain(inputs)
    new = with_pose_conv(unet, 4).conv_in
    assert isinstance(new, PoseConv2d) and new.weight is plain.weight and unet.state_dict().keys() == keys
    torch.testing.assert_close(new(inputs), expected)
    assert with_pose_conv(unet, 4).conv_in is new


def test_new_weights_are_zero_and_learn() -> None:
    unet = pose_unet(tiny.phac.tiny_unet(4))
    assert unet.config.in_channels == 8 and not unet.conv_in.weight[:, 4:].any()
    unet(torch.randn(1, 8, 4, 4), 1, encoder_hidden_states=torch.randn(1, 2, 8)).sample.sum().backward()
    assert unet.conv_in.weight.grad[:, 4:].any() and unet.conv_in.weight.grad[:, :4].any()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_channels_tell_how_large_the_skeleton_is_encoded(scale: int) -> None:
    unet = pose_unet(tiny.phac.tiny_unet(4), scale)
    assert unet.config.in_channels == 4 + 4 * scale**2 and unet.conv_in.noise_channels == 4
    assert HumanSD(tiny.phac.tiny_parts(unet)).pose_scale == scale


@pytest.mark.parametrize("channels", [4, 9, 12, 21])
def test_a_unet_of_another_kind_is_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=rf"has {channels} input and 4 output .*HumanSD's has 8"):
        HumanSD(tiny.phac.tiny_parts(tiny.phac.tiny_unet(channels)))
