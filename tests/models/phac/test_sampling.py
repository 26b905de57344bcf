"""PHAC's stages on tiny random networks: what must hold whatever the weights are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from figura.models.diffusion.remembered import Remembered
from figura.models.diffusion.sampling import draw_noise, noised
from figura.models.diffusion.schedulers import DDIM, scheduler_of
from figura.models.phac import sampling as phac
from figura.models.phac.base_picture import joined_person
from figura.tests.models.cancelling import CancelsAfter
from figura.tests.models.phac import tiny
from figura.tests.models.phac.tiny import images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

SIZE = tiny.SIZE


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_phac()


@pytest.fixture(scope="module")
def refiner() -> Any:
    return tiny.tiny_refiner()


def refine_inputs(batch: int = 2) -> dict[str, Any]:
    given = images(batch)
    hidden = torch.zeros(batch, 1, SIZE, SIZE)
    hidden[..., 14:28, 8:24] = 1
    return {
        "occluded": given["image"],
        "coarse": images(batch, seed=1)["image"], "visible_mask": given["visible_mask"],
        "invisible_mask": hidden, "texts": given["texts"], "steps": 2,
    }  # fmt: skip


# Coarse stage


def test_coarse_picture_has_the_size_and_range(model: Any) -> None:
    coarse, latents = phac.complete(model, **images(), steps=2)
    assert coarse.shape == (2, 3, SIZE, SIZE) and latents.shape == (2, *model.latent_shape)
    assert coarse.min() >= 0 and coarse.max() <= 1


def test_batch_equals_single(model: Any) -> None:
    both, _ = phac.complete(model, **images(), steps=2, seed=5)
    given = {name: value[1:2] for name, value in images().items()}
    one, _ = phac.complete(model, **given, steps=2, seed=6)
    torch.testing.assert_close(both[1:2], one, atol=1e-4, rtol=1e-4)


def test_a_seed_repeats_and_another_does_not(model: Any) -> None:
    runs = [phac.complete(model, **images(), steps=2, seed=seed)[0] for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_visible_pixels_matter_and_hidden_ones_do_not(model: Any) -> None:
    given = images()
    first, _ = phac.complete(model, **given, steps=1)
    hidden = (given["visible_mask"] == 0).expand_as(given["image"])
    other = torch.where(hidden, 1 - given["image"], given["image"])
    assert torch.equal(phac.complete(model, **{**given, "image": other}, steps=1)[0], first)
    changed = torch.where(hidden, given["image"], 1 - given["image"])
    assert not torch.equal(phac.complete(model, **{**given, "image": changed}, steps=1)[0], first)


def test_control_strength_zero_ignores_the_prompt(model: Any) -> None:
    given = images()
    blank = {**given, "prompt_image": torch.zeros_like(given["prompt_image"])}
    off, off_blank = (phac.complete(model, **g, steps=1, control_strength=0.0)[0] for g in (given, blank))
    on, on_blank = (phac.complete(model, **g, steps=1)[0] for g in (given, blank))
    assert torch.equal(off, off_blank)
    assert not torch.equal(on, on_blank) and not torch.equal(on_blank, off)


def replaced(model: Any, factor: float) -> dict[str, Tensor]:
    own = model.unet.state_dict()
    return {name: factor * value for name, value in own.items() if ".attn2." in name}


def test_each_kind_is_sampled_with_its_own_cross_attention(model: Any) -> None:
    network = model.controlnet("pose")
    other = tiny.tiny_phac()
    other.add_kind("roi_box", network, replaced(other, 3.0))
    other.add_kind("full_box", network, replaced(other, -2.0))
    before = {name: value.clone() for name, value in other.unet.state_dict().items()}
    given = {**images(), "steps": 1, "control_in_uncond": True}
    made = {kind: phac.complete(other, **given, kind=kind)[1] for kind in ("roi_box", "full_box")}
    assert not torch.equal(made["roi_box"], made["full_box"])
    changed = tiny.tiny_phac()
    changed.add_kind("pose", network)
    changed.unet.load_state_dict(replaced(changed, 3.0), strict=False)
    torch.testing.assert_close(phac.complete(changed, **given)[1], made["roi_box"])
    assert all(torch.equal(value, before[name]) for name, value in other.unet.state_dict().items())


def test_outside_the_region_the_coarse_picture_is_white_and_the_visible_part_stays(model: Any) -> None:
    given = images()
    region = torch.zeros(2, 1, SIZE, SIZE)
    region[..., 16:24, 8:20] = 1
    coarse, latents = phac.complete(model, **given, steps=1, region=region)
    white = model.encode(torch.ones_like(coarse))
    assert torch.equal(latents[..., 3, :], white[..., 3, :])
    assert torch.equal(latents[..., [0, 3]], white[..., [0, 3]])
    assert not (latents == white)[..., :3, 1:3].any()
    kept = (torch.maximum(region, given["visible_mask"]) == 1).expand_as(coarse)
    assert (coarse[~kept] == 1).all()
    for part in (region, given["visible_mask"]):
        assert (coarse[(part == 1).expand_as(coarse)] != 1).any()


def test_a_region_that_is_everything_changes_nothing(model: Any) -> None:
    everywhere = torch.ones(2, 1, SIZE, SIZE)
    plain, _ = phac.complete(model, **images(), steps=1)
    same, _ = phac.complete(model, **images(), steps=1, region=everywhere)
    torch.testing.assert_close(plain, same)


def test_without_text_and_prompt_guidance_changes_nothing(model: Any) -> None:
    given = {**images(), "texts": ["", ""], "control_in_uncond": True}
    low, high = (phac.complete(model, **given, steps=1, cfg=scale)[0] for scale in (1.0, 4.0))
    torch.testing.assert_close(low, high, atol=1e-4, rtol=1e-4)


def test_guidance_acts_on_the_prompt_of_kinds_that_were_trained_here(model: Any) -> None:
    given = {**images(), "texts": ["", ""], "steps": 1, "cfg": 4.0}
    prompt = given["prompt_image"]
    public = phac.complete(model, **given)[0]
    torch.testing.assert_close(public, phac.complete(model, **given, control_in_uncond=True)[0])
    name, tensor = next(item for item in model.unet.state_dict().items() if ".attn2." in item[0])
    model.add_kind("pose", model.controlnet("pose"), {name: tensor})
    ours = phac.complete(model, **given)[0]
    torch.testing.assert_close(ours, phac.complete(model, **given, control_in_uncond=False)[0])
    assert not torch.allclose(ours, public, atol=1e-4)
    blank = {**given, "prompt_image": torch.zeros_like(prompt)}
    unguided = phac.complete(model, **{**blank, "cfg": 1.0})[0]
    torch.testing.assert_close(phac.complete(model, **blank)[0], unguided, atol=1e-4, rtol=1e-4)


def test_the_text_says_that_the_background_is_plain(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(model, "remembered", Remembered())
    monkeypatch.setattr(model.text, "encode", lambda t: (seen.extend(t), tiny.LetterText().encode(t))[1])
    phac.complete(model, **{**images(), "texts": ["a man", ""]}, steps=1)
    assert "a man, on a white background" in seen and seen.count("") == 3


def test_cancel_stops_within_a_step(model: Any, refiner: Any) -> None:
    stop = CancelsAfter(2)
    with pytest.raises(KeyboardInterrupt):
        phac.complete(model, **images(), steps=6, on_step=stop)
    with pytest.raises(KeyboardInterrupt):
        phac.refine(refiner, **{**refine_inputs(), "steps": 6}, on_step=stop)
    assert stop.heard == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "full_box"}, "pose"),
        ({"texts": ["one"]}, "2 pictures"),
        ({"texts": "a man"}, "texts"),
        ({"image": torch.rand(2, 3, SIZE, SIZE + 1)}, "image of shape"),
        ({"visible_mask": torch.ones(1, 1, SIZE, SIZE)}, "visible_mask of shape"),
        ({"image": torch.full((2, 3, SIZE, SIZE), float("nan"))}, "NaN"),
        ({"steps": 0}, "step"),
        ({"seed": [1]}, "seeds"),
    ],
)
def test_wrong_inputs_are_named(model: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phac.complete(model, **{**images(), "steps": 1, **change})


@pytest.mark.parametrize("name", ["coarse", "visible_mask", "invisible_mask", "exact_mask"])
def test_wrong_inputs_of_the_refinement_are_named(refiner: Any, name: str) -> None:
    given = refine_inputs()
    given |= {"exact_mask": given["invisible_mask"]}
    for wrong in (given[name][:1], torch.full_like(given[name], float("nan"))):
        with pytest.raises(ValueError, match=f"{name} (of shape|holds NaN)"):
            phac.refine(refiner, **{**given, name: wrong})


# Invisible mask


def test_probability_has_the_size_of_the_picture_and_is_zero_where_visible(model: Any) -> None:
    image, other = torch.rand(2, 2, 3, 40, 52)
    visible = torch.zeros(2, 1, 40, 52)
    visible[..., :20, :] = 1
    probability = phac.predict_invisible(model.mask_net, image, other, visible)
    assert probability.shape == (2, 1, 40, 52)
    assert probability[..., :20, :].max() == 0 and 0 < probability[..., 20:, :].min() <= probability.max() < 1


@pytest.mark.parametrize(("size", "seen"), [((40, 52), (32, 42)), ((90, 60), (48, 32)), ((32, 32), (32, 32))])
def test_the_mask_network_sees_the_shorter_side_at_its_own_size(
    model: Any, size: tuple[int, int], seen: tuple[int, int]
) -> None:
    shapes: list[tuple[int, ...]] = []
    hook = model.mask_net.register_forward_pre_hook(
        lambda _, given: shapes.extend(x.shape for x in given if x is not None)
    )
    image = torch.rand(1, 3, *size)
    phac.predict_invisible(model.mask_net, image, image, torch.zeros(1, 1, *size))
    hook.remove()
    assert shapes == [(1, 3, *seen), (1, 3, *seen), (1, 1, *seen)]


def test_threshold_and_dilation() -> None:
    probability = torch.zeros(1, 1, 128, 128)
    probability[..., 60, 60], probability[..., 20, 20] = 0.6, 0.4
    assert phac.exact_invisible_mask(probability).sum() == 1
    assert phac.exact_invisible_mask(probability, 0.0).sum() == 2
    assert phac.invisible_mask(probability, dilation_px=0).sum() == 1
    grown = phac.invisible_mask(probability)
    assert grown[..., 60, 64] == 1 and grown[..., 60, 65] == 0 and grown[..., 20, 20] == 0
    with pytest.raises(ValueError, match="threshold"):
        phac.invisible_mask(probability, threshold=1.5)


# Refinement


@settings(max_examples=25, deadline=None)
@given(
    strength=st.floats(0.05, 1.0),
    cells=st.lists(st.integers(0, SIZE * SIZE - 1), max_size=40),
    soft=st.booleans(),
)
def test_outside_the_mask_every_bit_stays(strength: float, cells: list[int], soft: bool) -> None:
    given = refine_inputs(1)
    mask = torch.zeros(1, 1, SIZE * SIZE)
    mask[..., cells] = 0.7 if soft else 1.0
    given["invisible_mask"] = mask.reshape(1, 1, SIZE, SIZE)
    refined = phac.refine(SHARED_REFINER, **{**given, "steps": 1}, strength=strength)
    outside = (given["invisible_mask"] == 0).expand_as(given["occluded"])
    assert torch.equal(refined.image[outside], given["occluded"][outside])
    assert torch.equal(refined.composite[outside], given["occluded"][outside])


SHARED_REFINER = tiny.tiny_refiner()


@pytest.mark.parametrize("strength", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 20])
def test_exactly_the_asked_steps_execute(refiner: Any, strength: float, steps: int) -> None:
    seen: list[int] = []
    given = {**refine_inputs(1), "steps": steps}
    phac.refine(
        refiner, **given, strength=strength, cfg=1.0, on_step=lambda done, total, z: seen.append(total)
    )
    assert seen == [steps] * steps


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.5])
def test_a_strength_outside_is_refused(refiner: Any, strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        phac.refine(refiner, **refine_inputs(), strength=strength)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_composite_is_noised_to_the_strength_and_stays_known_outside_the_mask(
    refiner: Any, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, seen, sample, condition = refine_inputs(), {}, phac.sample, refiner.condition

    def sampled(predict: Any, latents: Tensor, scheduler: Any, steps: int, **named: Any) -> Tensor:
        seen.update(latents=latents, fuse=named["fuse"])
        return sample(predict, latents, scheduler, steps, **named)

    def conditioned(image: Tensor, mask: Tensor) -> Tensor:
        seen.update(image=image, mask=mask)
        return condition(image, mask)

    monkeypatch.setattr(phac, "sample", sampled)
    monkeypatch.setattr(refiner, "condition", conditioned)
    refined = phac.refine(refiner, **given, strength=strength, seed=3)
    assert torch.equal(seen["image"], refined.composite)
    assert torch.equal(seen["mask"], given["invisible_mask"])
    scheduler, known = scheduler_of(DDIM), refiner.encode(refined.composite)
    noise = draw_noise([3, 4], known.shape[1:])
    at_half = noised(scheduler, known, noise, 499)  # the last 2 of 4 steps begin there
    assert torch.equal(seen["latents"], noise if strength == 1.0 else at_half)
    free = torch.zeros(2, 1, 4, 4)
    free[..., 1:4, 1:3] = 1
    fused = seen["fuse"](torch.full_like(known, 9.0), 499, 0)
    assert torch.equal(fused, torch.where(free > 0, 9.0, at_half))
    assert ((refined.alpha > 0) & (refined.alpha < 1)).any()
    torch.testing.assert_close(refined.image, torch.lerp(given["occluded"], refined.made, refined.alpha))


def test_empty_mask_gives_the_picture_back_without_sampling(refiner: Any) -> None:
    given = refine_inputs()
    given["invisible_mask"] = torch.zeros_like(given["invisible_mask"])
    refined = phac.refine(refiner, **given, on_step=lambda *a: pytest.fail("nothing to denoise"))
    assert torch.equal(refined.image, given["occluded"]) and torch.equal(refined.composite, given["occluded"])


def test_one_empty_mask_in_a_batch_keeps_that_picture(refiner: Any) -> None:
    given = refine_inputs()
    given["invisible_mask"][0] = 0
    refined = phac.refine(refiner, **given)
    assert torch.equal(refined.image[0], given["occluded"][0])
    assert not torch.equal(refined.image[1], given["occluded"][1])


def test_refined_batch_equals_single(refiner: Any) -> None:
    given = refine_inputs()
    both = phac.refine(refiner, **given, seed=3)
    one = {name: value[1:2] if name != "steps" else value for name, value in given.items()}
    torch.testing.assert_close(
        both.image[1:2], phac.refine(refiner, **one, seed=4).image, atol=1e-4, rtol=1e-4
    )


def test_composite_is_occluded_outside_and_coarse_in_the_exact_mask(refiner: Any) -> None:
    given = refine_inputs()
    exact = torch.zeros(2, 1, SIZE, SIZE)
    exact[..., 18:24, 10:20] = 1
    refined = phac.refine(refiner, **given, exact_mask=exact)
    inside = (exact == 1).expand_as(given["coarse"])
    assert torch.equal(refined.composite[inside], given["coarse"][inside])
    far = refined.amodal_mask.expand_as(inside) == 0
    assert torch.equal(refined.composite[far], given["occluded"][far])
    visible = (given["visible_mask"] == 1).expand_as(inside)
    assert torch.equal(refined.composite[visible], given["occluded"][visible])


def test_cutout_is_white_outside_the_amodal_mask(refiner: Any) -> None:
    given = refine_inputs()
    refined = phac.refine(refiner, **given)
    outside = (refined.amodal_mask == 0).expand_as(refined.cutout)
    assert (refined.cutout[outside] == 1).all()
    assert torch.equal(refined.cutout[~outside], refined.image[~outside])
    assert (refined.amodal_mask >= given["visible_mask"]).all()


def test_the_crack_between_visible_and_completed_is_closed() -> None:
    visible, exact, changed = torch.zeros(3, 1, 1, 128, 128)
    visible[..., 20:60, 40:80], exact[..., 62:100, 40:80], changed[..., 56:110, 30:90] = 1, 1, 1
    person = joined_person(visible, exact, changed)
    assert person[..., 60:62, 44:76].min() == 1
    assert (person <= torch.maximum(changed, visible)).all()


def test_completed_part_leaves_out_a_plain_white_background() -> None:
    coarse = torch.ones(1, 3, SIZE, SIZE)
    coarse[..., 10:20, 10:20] = 0.2
    coarse[..., 14:16, 14:16] = 1.0
    visible = torch.zeros(1, 1, SIZE, SIZE)
    visible[..., :12, :] = 1
    part = phac.completed_part(coarse, torch.ones_like(visible), visible)
    expected = torch.zeros_like(part)
    expected[..., 12:20, 10:20] = 1
    assert torch.equal(part, expected)


def test_completed_part_is_everything_when_the_background_is_not_plain() -> None:
    coarse, visible = torch.full((1, 3, SIZE, SIZE), 0.4), torch.zeros(1, 1, SIZE, SIZE)
    assert phac.completed_part(coarse, torch.ones_like(visible), visible).min() == 1


def test_a_unet_without_mask_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="4 channels.*9"):
        tiny.Inpainter(tiny.tiny_parts(tiny.tiny_unet(4)), "plain U-Net")
