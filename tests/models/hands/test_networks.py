"""The hand generator's U-Net is neutral until trained; models refuse U-Nets of other channel counts."""

from __future__ import annotations

import copy

import pytest
import torch
from figura.models.diffusion.networks import mini_unet
from figura.models.hands.losses import mask_loss
from figura.models.hands.networks import BodyOutpainter, HandGenerator, hand_unet, widen_conv_out
from figura.tests.models.hands import tiny


@pytest.mark.parametrize("size", ["tiny", "mini"])
def test_until_trained_the_noise_is_the_bases_bit_for_bit_and_the_mask_is_zero(size: str) -> None:
    torch.manual_seed(0)
    base = tiny.phac.tiny_unet(tiny.LATENTS) if size == "tiny" else mini_unet()
    base = base.eval()
    channels, side, width = base.config.in_channels, base.config.sample_size, base.config.cross_attention_dim
    widened = hand_unet(copy.deepcopy(base), channels).eval()
    latents, skeleton = torch.randn(2, 2, channels, side, side)
    text = torch.randn(2, 5, width)
    with torch.no_grad():
        plain = base(latents, 400, encoder_hidden_states=text).sample
        both = widened(torch.cat([latents, skeleton], dim=1), 400, encoder_hidden_states=text).sample
    assert torch.equal(both[:, :channels], plain)
    assert both.shape[1] == channels + 1 and not both[:, channels:].any()


def test_the_new_weights_learn() -> None:
    unet = hand_unet(tiny.phac.tiny_unet(tiny.LATENTS), tiny.LATENTS)
    made = unet(torch.randn(1, 8, 4, 4), 10, encoder_hidden_states=torch.randn(1, 3, 8)).sample
    mask_loss(made[:, 4:], torch.ones(1, 1, 4, 4)).backward()
    assert unet.conv_out.weight.grad[4].abs().max() > 0
    made = unet(torch.randn(1, 8, 4, 4), 10, encoder_hidden_states=torch.randn(1, 3, 8)).sample
    made[:, :4].square().sum().backward()
    assert unet.conv_in.weight.grad[:, 4:].abs().max() > 0


def test_outputs_are_never_dropped() -> None:
    with pytest.raises(ValueError, match="4 channels and cannot be narrowed to 3"):
        widen_conv_out(tiny.phac.tiny_unet(4), 3)


def test_masks_of_other_sizes_have_no_loss() -> None:
    with pytest.raises(ValueError, match="must agree"):
        mask_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 8, 8))


def test_a_generator_without_the_right_channels_says_which_it_needs() -> None:
    parts = tiny.phac.tiny_parts(tiny.phac.tiny_unet(4))
    with pytest.raises(ValueError, match=r"4 input and 4 .*8 \(latents, skeleton\) and 5 \(noise, mask"):
        HandGenerator(parts)
    control = tiny.phac.tiny_controlnet(parts.unet)
    assert not HandGenerator(parts, controlnet=control).has_mask
    wide = parts._replace(unet=hand_unet(tiny.phac.tiny_unet(4), 4))
    assert HandGenerator(wide).has_mask
    with pytest.raises(ValueError, match="beside a ControlNet it has 4 and 4"):
        HandGenerator(wide, controlnet=control)


def test_a_body_outpainter_needs_a_text_to_image_unet() -> None:
    unet = tiny.phac.tiny_unet(9)
    with pytest.raises(ValueError, match="takes 9 channels; a text-to-image U-Net with 4"):
        BodyOutpainter(tiny.phac.tiny_parts(unet), controlnet=None)
