"""HumanSD's sampling: what guidance and pose do, sizes, the released time steps, errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from figura.models.diffusion.text import WordTokenizer
from figura.models.humansd import sampling
from figura.tests.models.humansd import tiny
from torch import Tensor


@pytest.fixture(scope="module", params=[1, 2], ids=["as the paper", "finer"])
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    return tiny.tiny_humansd(request.param)


def skeletons(count: int = 2, height: int = 64, width: int = 64) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(2))


def made(model: torch.nn.Module, images: Tensor | None = None, text: str = "a man", **settings) -> Tensor:
    images = skeletons() if images is None else images
    texts = [text] * len(images)
    return sampling.generate_people(model, images, texts, **{"steps": 3, "cfg": 3.0, **settings})


def encoded(model: torch.nn.Module, images: Tensor) -> Tensor:
    """Latents of the picture at pose_scale times its size, a cell's in reading order."""
    scale = model.pose_scale
    large = F.interpolate(images, scale_factor=scale, mode="bilinear") if scale > 1 else images
    latents = model.encode(large)
    count, channels, height, width = latents.shape
    cells = latents.reshape(count, channels, height // scale, scale, width // scale, scale)
    return cells.permute(0, 1, 3, 5, 2, 4).reshape(count, -1, height // scale, width // scale)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 192), (128, 64)])
def test_pictures_have_the_size_of_the_skeletons(model, height: int, width: int) -> None:
    result = made(model, skeletons(2, height, width))
    assert result.shape == (2, 3, height, width) and 0 <= result.min() and result.max() <= 1


def test_pose_text_negative_and_seed_all_count(model) -> None:
    changes = [{}, {"images": skeletons().flip(-1)}, {"text": "a woman"}, {"negative": "bad"}, {"seed": 5}]
    results = [made(model, **change) for change in changes]
    assert torch.equal(results[0], made(model))
    for index, one in enumerate(results):
        assert all(not torch.equal(one, other) for other in results[:index])


def test_a_picture_is_the_same_alone_and_in_a_batch(model) -> None:
    both = made(model, seed=7)
    alone = made(model, skeletons()[1:], seed=8)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)


def test_both_branches_of_the_guidance_see_the_same_pose(model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    forward = model.unet.forward

    def recorded(inputs: Tensor, *args, **named):
        seen.append(inputs)
        return forward(inputs, *args, **named)

    monkeypatch.setattr(model.unet, "forward", recorded)
    made(model)
    pose = sampling.pose_latents(model, skeletons())
    assert all(torch.equal(inputs[:, tiny.LATENTS :], pose.repeat(2, 1, 1, 1)) for inputs in seen)


@torch.no_grad()
def test_the_strength_lies_between_nobody_and_the_skeleton(model) -> None:
    full, black = (encoded(model, images) for images in (skeletons(), torch.zeros_like(skeletons())))
    assert torch.equal(sampling.pose_latents(model, skeletons(), 1.0), full)
    torch.testing.assert_close(sampling.pose_latents(model, skeletons(), 0.0), black)
    torch.testing.assert_close(sampling.pose_latents(model, skeletons(), 0.5), (full + black) / 2)


def test_the_models_own_scale_is_the_default() -> None:
    model = tiny.tiny_humansd(cfg=3.0)
    assert torch.equal(made(model, cfg=None), made(model))


def test_the_released_demo_walks_49_steps_from_961() -> None:
    model, times = tiny.tiny_humansd(released=True), []
    forward = model.unet.forward

    def recorded(inputs: Tensor, t: Tensor, *args, **named):
        times.append(int(t))
        return forward(inputs, t, *args, **named)

    model.unet.forward = recorded
    assert made(model, skeletons(1), steps=50).isfinite().all()
    assert times == list(range(961, 0, -20))


def test_released_pose_latents_are_a_sample_of_the_posterior_by_the_pictures_seed() -> None:
    model = tiny.tiny_humansd(released=True)
    with torch.no_grad():
        model.vae.quant_conv.bias[tiny.LATENTS :] = -3.0  # a narrow posterior
        drawn = sampling.pose_latents(model, skeletons(), seeds=[3, 4])
        alone = sampling.pose_latents(model, skeletons()[1:], seeds=[4])
        posterior = model.vae.encode(skeletons() * 2 - 1).latent_dist
    torch.testing.assert_close(drawn[1:], alone, atol=1e-4, rtol=0)
    offset, scale = model.vae.config.shift_factor or 0.0, model.vae.config.scaling_factor
    noise = (drawn / scale + offset - posterior.mean) / posterior.std
    assert 0.8 < noise.std() < 1.2 and noise.mean().abs() < 0.2
    start = sampling.draw_noise([3, 4], noise.shape[1:])
    assert torch.corrcoef(torch.stack([noise.flatten(), start.flatten()]))[0, 1].abs() < 0.2
    assert not torch.equal(drawn, sampling.pose_latents(model, skeletons(), seeds=[5, 6]))
    assert not torch.equal(drawn, model.encode(skeletons()))


def test_figura_by_name_is_what_mini_does() -> None:
    released, own = tiny.tiny_humansd(released=True), tiny.tiny_humansd()
    assert torch.equal(made(released, procedure="figura"), made(own))
    assert torch.equal(made(own, procedure="released"), made(released))
    assert not torch.equal(made(released), made(own))
    with pytest.raises(ValueError, match="procedure is 'demo'; it is one of released, figura"):
        made(own, procedure="demo")


def test_the_released_end_is_that_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """DDIM's last step leads to the noise of t = 0, as latent-diffusion's sampler has it."""
    from diffusers import DDIMScheduler

    model = tiny.tiny_humansd(released=True)
    ends: list[Tensor] = []
    monkeypatch.setattr(model, "decode", lambda latents: ends.append(latents) or latents)
    with torch.no_grad():
        made(model, skeletons(1), steps=10, cfg=1.0, seed=3)
        theirs = DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
            set_alpha_to_one=False, steps_offset=1,
        )  # fmt: skip
        theirs.set_timesteps(10)
        pose = sampling.pose_latents(model, skeletons(1), seeds=[3])
        text = model.text_condition(["a man"]).states
        latents = sampling.draw_noise([3], pose.shape[1:])
        for t in theirs.timesteps[1:]:
            noise = model.unet(torch.cat([latents, pose], 1), t, text).sample
            latents = theirs.step(noise, t, latents).prev_sample
    torch.testing.assert_close(ends[0], latents, atol=1e-5, rtol=1e-5)


def test_every_step_is_reported(model) -> None:
    steps: list[tuple[int, int]] = []
    made(model, on_step=lambda done, total, clean: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("images", "change", "message"),
    [
        (skeletons(1, 64, 100), {}, "100 x 64 pixels: both sides must be multiples of 64"),
        (skeletons(1)[:, :1], {}, r"\(B,3,H,W\) is needed"),
        (skeletons(1) * float("nan"), {}, "NaN"),
        (skeletons(1), {"steps": 0}, "steps is 0"),
        (skeletons(2), {"seed": [1]}, "1 seeds for 2 pictures"),
    ],
)
def test_bad_input_is_named(model, images: Tensor, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(model, images, **change)


def test_one_text_is_needed_for_each_skeleton(model) -> None:
    with pytest.raises(ValueError, match="2 skeletons came with 1 texts"):
        sampling.generate_people(model, skeletons(), ["a man"], steps=1)
    with pytest.raises(ValueError, match="need 2 to 999"):
        made(tiny.tiny_humansd(released=True), steps=1)


def test_phrases_with_unknown_words_are_left_out_for_a_small_vocabulary(model) -> None:
    known = SimpleNamespace(text=SimpleNamespace(tokenizer=WordTokenizer(["best", "quality", "wall"])))
    assert sampling.known_phrases(known, "Best Quality, detailed wall, wall,") == "Best Quality, wall"
    assert sampling.known_phrases(model, sampling.NEGATIVE) == sampling.NEGATIVE
