"""pix2gestalt's sampling: what it sees, its guidance against a plain loop, seeds, and the region."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from figura.models.diffusion.clip_image import ImageCondition
from figura.models.diffusion.latent_model import LatentNetworks
from figura.models.diffusion.sampling import draw_noise
from figura.models.phac.networks import InvisibleMaskUNet
from figura.models.pix2gestalt.networks import Pix2Gestalt
from figura.models.pix2gestalt.sampling import complete
from figura.tests.models.phac import tiny
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

SIZE = tiny.SIZE


def tiny_pix2gestalt() -> Pix2Gestalt:
    torch.manual_seed(0)
    seen = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=8, intermediate_size=8, projection_dim=8, num_hidden_layers=1, num_attention_heads=1,
            image_size=224, patch_size=56,
        )
    )  # fmt: skip
    pictures = ImageCondition(seen, torch.nn.Linear(8, 8))
    networks = LatentNetworks(tiny.tiny_vae(), tiny.tiny_unet(3 * tiny.LATENTS), pictures, SIZE)
    return Pix2Gestalt(networks, InvisibleMaskUNet(base=8, levels=2, size=SIZE), "tiny").eval()


MODEL = tiny_pix2gestalt()


def pictures(count: int = 1) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, SIZE, SIZE)
    mask[..., 8:20, 8:20] = 1
    return torch.rand(count, 3, SIZE, SIZE, generator=drawn), mask


@torch.no_grad()
def test_it_sees_unscaled_latents_of_picture_and_mask() -> None:
    image, mask = pictures()
    both = torch.cat([image * 2 - 1, mask.expand(-1, 3, -1, -1) * 2 - 1])
    expected = MODEL.vae.encode(both).latent_dist.mode().flatten(0, 1)[None]
    torch.testing.assert_close(MODEL.condition(image, mask), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_guidance_is_between_both_conditions_and_none(scale: float) -> None:
    image, mask = pictures()
    states, seen = MODEL.picture_states(image).states, MODEL.condition(image, mask)
    steps = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        timestep_spacing="trailing",
    )  # fmt: skip
    steps.set_timesteps(3)
    latents = draw_noise([7], MODEL.latent_shape)
    for t in steps.timesteps:
        conditional = MODEL.unet(torch.cat([latents, seen], 1), t, states).sample
        nothing = MODEL.unet(torch.cat([latents, 0 * seen], 1), t, 0 * states).sample
        latents = steps.step(nothing + scale * (conditional - nothing), t, latents).prev_sample
    _, made = complete(MODEL, image, mask, steps=3, cfg=scale, seed=7)
    torch.testing.assert_close(made, latents, atol=1e-4, rtol=1e-4)


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    image, mask = pictures(2)
    both, _ = complete(MODEL, image, mask, steps=2, seed=3, scheduler="ddpm")
    second, _ = complete(MODEL, image[1:], mask[1:], steps=2, seed=4, scheduler="ddpm")
    assert both.shape == (2, 3, SIZE, SIZE)
    torch.testing.assert_close(both[1:], second, atol=1e-4, rtol=1e-4)


def test_outside_the_region_and_the_visible_part_all_is_white() -> None:
    image, mask = pictures()
    region = torch.zeros_like(mask)
    region[..., 20:, :] = 1
    free, _ = complete(MODEL, image, mask, steps=1)
    bound, _ = complete(MODEL, image, mask, steps=1, region=region)
    inside = (torch.maximum(mask, region) > 0).expand_as(bound)
    assert torch.equal(bound[inside], free[inside]) and bool((bound[~inside] == 1).all())
    assert not bool((free[~inside] == 1).all())


def test_shapes_that_do_not_match_are_named() -> None:
    image, mask = pictures(2)
    for given, name in (((image[:, :, :8], mask), "image"), ((image, mask[:1]), "visible_mask")):
        with pytest.raises(ValueError, match=f"{name} of shape .*tiny needs"):
            complete(MODEL, *given)
