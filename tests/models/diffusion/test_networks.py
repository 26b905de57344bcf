"""The mini networks are stock classes of the right sizes, and widening one changes nothing at first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import save_module

SIDE = 8
TIME = torch.tensor([500])


@pytest.fixture(scope="module", autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return networks.mini_vae().eval()


def text() -> torch.Tensor:
    return torch.randn(1, 24, networks.TEXT_WIDTH, generator=torch.Generator().manual_seed(1))


def latents(channels: int = networks.LATENT_CHANNELS) -> torch.Tensor:
    return torch.randn(1, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def test_new_input_channels_start_at_zero() -> None:
    torch.manual_seed(0)
    unet = networks.mini_unet().eval()
    before, weight = unet(latents(), TIME, text()).sample, unet.conv_in.weight.clone()
    networks.widen_conv_in(unet, 17)
    assert torch.equal(unet.conv_in.weight[:, :8], weight) and not unet.conv_in.weight[:, 8:].any()
    after = unet(torch.cat([latents(), latents(9)], dim=1), TIME, text()).sample
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)
    assert unet.config.in_channels == 17
    with pytest.raises(ValueError, match="cannot be narrowed to 8"):
        networks.widen_conv_in(unet, 8)


def test_a_fresh_controlnet_says_nothing() -> None:
    torch.manual_seed(0)
    unet = networks.mini_inpaint_unet().eval()
    control = networks.mini_controlnet(unet).eval()
    inputs, prompt = latents(17), torch.rand(1, 3, 8 * SIDE, 8 * SIDE)
    down, middle = control(inputs, TIME, text(), controlnet_cond=prompt, return_dict=False)
    assert not middle.any() and not any(residual.any() for residual in down)


def test_the_autoencoder_folds_pictures(vae) -> None:
    images = torch.rand(2, 3, 64, 48)
    made = networks.encode_image(vae, images)
    assert made.shape == (2, networks.LATENT_CHANNELS, 8, 6)
    decoded = networks.decode_latents(vae, made)
    assert decoded.shape == images.shape and 0 <= decoded.min() and decoded.max() <= 1
    assert networks.fold_of(vae) == 2


def test_latents_are_shifted_and_then_scaled_and_decoded_the_other_way_round() -> None:
    torch.manual_seed(0)
    own, image = networks.mini_vae().eval(), torch.rand(1, 3, 32, 32)
    own.register_to_config(scaling_factor=0.25, shift_factor=0.5)
    plain = own.encode(torch.nn.functional.pixel_unshuffle(image * 2 - 1, 2)).latent_dist.mode()
    made = networks.encode_image(own, image)
    torch.testing.assert_close(made, (plain - 0.5) * 0.25)
    decoded = torch.nn.functional.pixel_shuffle(own.decode(plain).sample, 2) / 2 + 0.5
    torch.testing.assert_close(networks.decode_latents(own, made), decoded.clamp(0, 1), atol=1e-5, rtol=1e-4)


def test_condition_is_mask_then_masked_picture(vae) -> None:
    image, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., :12] = 1
    condition = networks.inpaint_condition(vae, image, mask)
    assert condition.shape == (1, 9, 8, 8)
    assert condition[0, 0, 0, :3].tolist() == [1.0, 0.5, 0.0]
    other = image.clone()
    other[..., :12] = 0
    assert torch.equal(networks.inpaint_condition(vae, other, mask), condition)


def test_hidden_pixels_are_grey_and_the_others_exact() -> None:
    image, mask = torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., 0] = 1
    hidden = networks.hide(image, mask)
    assert (hidden[..., 0] == 0.5).all() and torch.equal(hidden[..., 1:], image[..., 1:])


def test_the_schedule_is_stable_diffusions() -> None:
    schedule = networks.noise_schedule()
    assert len(schedule.betas) == 1000 and schedule.config.prediction_type == "epsilon"
    assert float(schedule.betas[0]) == pytest.approx(0.00085)
    assert float(schedule.betas[-1]) == pytest.approx(0.012)
    assert float(schedule.alphas_cumprod[499]) ** 0.5 == pytest.approx(0.527, abs=1e-3)


def test_networks_come_back_from_their_files(vae, tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = networks.mini_unet().eval()
    for name, module in (("vae", vae), ("unet", unet)):
        save_module(
            tmp_path / name, name, module.state_dict(), networks.plain_config(module), dtype=torch.float32
        )
    loaded = networks.load_unet(tmp_path / "unet")
    assert torch.equal(loaded(latents(), TIME, text()).sample, unet(latents(), TIME, text()).sample)
    image = torch.rand(1, 3, 32, 32)
    restored = networks.load_vae(tmp_path / "vae")
    assert torch.equal(networks.encode_image(restored, image), networks.encode_image(vae, image))
    with pytest.raises(ValueError, match="'vae' weights, but 'unet'"):
        networks.load_unet(tmp_path / "vae")


def test_sizes() -> None:
    assert 2e6 < networks.parameter_count(networks.mini_unet()) < 8e6
    assert networks.mini_inpaint_unet().conv_in.in_channels == 17
