"""Both stages on tiny random networks: what must hold whatever the weights are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from figura.models.diffusion.predict import Control, noise_predictor, predict_once
from figura.models.diffusion.remembered import Remembered
from figura.models.diffusion.sampling import draw_noise, noised, sample
from figura.models.diffusion.schedulers import DDIM, scheduler_of
from figura.models.hands import sampling as hands
from figura.people.skeleton import draw_hand
from figura.tests.models.cancelling import CancelsAfter
from figura.tests.models.hands import tiny
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

SIZE = tiny.SIZE
GENERATOR, STAND_IN, BODY = tiny.tiny_generator(), tiny.tiny_stand_in(), tiny.tiny_body()


def close_ups(batch: int = 2) -> dict[str, Any]:
    joints = torch.rand(batch, 21, 3, generator=torch.Generator().manual_seed(0)) * SIZE
    joints[..., 2] = 1
    return {"skeleton": hands.skeleton_image(joints, SIZE), "texts": ["a hand", "no hand"][:batch]}


def bodies(batch: int = 2, seed: int = 0) -> dict[str, Any]:
    canvas, skeleton = torch.rand(2, batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    known = torch.zeros(batch, 1, SIZE, SIZE)
    known[..., 6:18, 9:24] = 1
    texts = ["a man", "a woman"][:batch]
    return {"canvas": canvas, "known_mask": known, "skeleton": skeleton, "texts": texts, "cfg": 1.0}


# Skeleton pictures


def test_the_hand_skeleton_is_the_standard_one_at_full_size_and_bolder_in_small_pictures() -> None:
    joints = torch.rand(1, 21, 3, generator=torch.Generator().manual_seed(3))
    joints[..., 2] = 1
    for size in (512, 640):
        own = joints * torch.tensor([size, size, 1.0])
        assert torch.equal(hands.skeleton_image(own, size), draw_hand(own, size, size))
    own = joints * torch.tensor([128, 128, 1.0])
    bold, thin = hands.skeleton_image(own, 128), draw_hand(own, 128, 128)
    assert bold.shape == (1, 3, 128, 128) and (bold > 0.5).sum() > 1.5 * (thin > 0.5).sum()


def test_joints_of_128_px_have_a_radius_of_2_px_and_edges_of_1_px() -> None:
    joints = torch.zeros(1, 21, 3)
    joints[0, 0] = torch.tensor([64, 64, 1])
    disc = hands.skeleton_image(joints, 128)[0, 2]
    assert disc.sum() == pytest.approx(torch.pi * 2**2, rel=0.1)
    joints[0, 1] = torch.tensor([64, 100, 1])
    edge = hands.skeleton_image(joints, 128)[0, 0, 82]
    assert edge.sum() == pytest.approx(2.0, rel=0.1)


# Stage 1


def test_hands_and_masks_have_the_models_size_and_range() -> None:
    images, masks = hands.generate_hands(GENERATOR, **close_ups(), steps=2)
    assert images.shape == (2, 3, SIZE, SIZE) and masks.shape == (2, 1, SIZE, SIZE)
    assert 0 <= min(images.min(), masks.min()) and max(images.max(), masks.max()) <= 1


@pytest.mark.parametrize("model", [GENERATOR, STAND_IN], ids=["own", "stand-in"])
def test_a_hand_is_the_same_alone_and_in_a_batch(model: Any) -> None:
    both = hands.generate_hands(model, **close_ups(), steps=2, seed=5)
    alone = {name: value[1:] for name, value in close_ups().items()}
    one = hands.generate_hands(model, **alone, steps=2, seed=6)
    torch.testing.assert_close(both[0][1:], one[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[1][1:], one[1], atol=1e-3, rtol=1e-3)


def test_seed_text_and_skeleton_each_matter() -> None:
    given = {**close_ups(1), "steps": 1}
    first = hands.generate_hands(GENERATOR, **given)[0]
    assert torch.equal(first, hands.generate_hands(GENERATOR, **given)[0])
    black = torch.zeros_like(given["skeleton"])
    for change in ({"seed": 1}, {"texts": ["brown"]}, {"skeleton": black}):
        assert not torch.equal(first, hands.generate_hands(GENERATOR, **{**given, **change})[0]), change


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_noise_is_guided_and_the_mask_is_the_conditional_one(scale: float) -> None:
    given = close_ups()
    latents, t = torch.randn(2, *GENERATOR.latent_shape), torch.tensor(500)
    condition = GENERATOR.encode(given["skeleton"])
    conditional, unconditional = (
        predict_once(GENERATOR, latents, t, GENERATOR.text_condition(texts), condition)
        for texts in (given["texts"], ["", ""])
    )
    predict = hands.NoiseAndMask(GENERATOR, **given, scale=scale)
    noise = predict(latents, t)
    expected = unconditional[:, :4] + scale * (conditional - unconditional)[:, :4]
    torch.testing.assert_close(noise, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(predict.masks[0], conditional[:, 4:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("steps", "counting"), [(1, 1), (2, 1), (5, 3)])
def test_the_mask_is_the_mean_of_the_second_half_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, steps: int, counting: int
) -> None:
    watched: list[hands.NoiseAndMask] = []

    class Watched(hands.NoiseAndMask):
        def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
            watched[:] = [self]
            return super().__call__(latents, t)

    monkeypatch.setattr(hands, "NoiseAndMask", Watched)
    images, masks = hands.generate_hands(GENERATOR, **close_ups(), steps=steps)
    late = torch.stack(watched[0].masks)[-counting:].clamp(0, 1)
    assert len(watched[0].masks) == steps
    torch.testing.assert_close(masks, hands.upsampled_mask(late.mean(0), images))


def test_outlines_drawn_from_cells_are_nearer_than_by_bilinear_interpolation() -> None:
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    disc = (((x - 60) ** 2 + (y - 70) ** 2) < 25**2).float()[None, None]
    cells, pictures = F.avg_pool2d(disc, 8), torch.zeros(1, 3, 128, 128)
    bilinear = F.interpolate(cells, (128, 128), mode="bilinear")
    wrong = [
        ((grown > 0.5) != (disc > 0.5)).sum() for grown in (hands.upsampled_mask(cells, pictures), bilinear)
    ]
    assert wrong[0] < wrong[1]


def test_a_mask_beyond_its_range_is_clamped_before_it_grows() -> None:
    mask = torch.tensor([[[[-3.0, 5.0]]]])
    grown = hands.upsampled_mask(mask, torch.zeros(1, 3, 4, 8))
    assert grown.shape == (1, 1, 4, 8) and grown.min() == 0 and grown.max() == 1
    torch.testing.assert_close(grown.mean(), torch.tensor(0.5))


def test_without_a_mask_head_the_text_asks_for_a_plain_background(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    encode = STAND_IN.text.encode
    monkeypatch.setattr(STAND_IN, "remembered", Remembered())
    monkeypatch.setattr(STAND_IN.text, "encode", lambda texts: (seen.extend(texts), encode(texts))[1])
    given = {**close_ups(), "texts": ["a hand", ""]}
    _, masks = hands.generate_hands(STAND_IN, **given, steps=1)
    assert "a hand, on a plain white background" in seen and seen.count("") == 3
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


# Stage 2


def final_latents(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Tensor:
    """z_0 of the body, as it goes into the decoder."""
    kept: list[Tensor] = []
    decode = type(BODY).decode
    with monkeypatch.context() as patch:
        patch.setattr(BODY, "decode", lambda z: (kept.append(z), decode(BODY, z))[1])
        hands.outpaint_body(BODY, **given)
    return kept[0]


def test_a_constant_mask_is_plain_masked_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    given = bodies()
    predict = noise_predictor(BODY, given["texts"], 1.0, control=Control(BODY.controlnet, given["skeleton"]))
    scheduler, known = scheduler_of(DDIM), BODY.encode(given["canvas"])
    noise = draw_noise([7, 8], BODY.latent_shape)
    free = torch.ones(2, 1, 4, 4)
    free[..., 1:2, 1:3] = 0

    def fuse(latents: Tensor, t: int, step: int) -> Tensor:
        return free * latents + (1 - free) * noised(scheduler, known, noise, t)

    with torch.no_grad():
        expected = sample(predict, noise, scheduler, 4, fuse=fuse)
    made = final_latents(monkeypatch, **given, steps=4, seed=7, expansion="constant")
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("expansion", ["sequential", "constant"])
def test_known_cells_end_as_the_canvas_bit_for_bit(expansion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = bodies()
    made = final_latents(monkeypatch, **given, steps=3, expansion=expansion)
    known = hands.known_cells(given["known_mask"], (4, 4)).expand_as(made) > 0
    encoded = BODY.encode(given["canvas"])
    assert torch.equal(made[known], encoded[known]) and not (made == encoded)[~known].any()


def test_off_fuses_nothing_and_only_pastes() -> None:
    given = {**bodies(), "steps": 2, "expansion": "off"}
    first = hands.outpaint_body(BODY, **given)
    other = hands.outpaint_body(BODY, **{**given, "canvas": 1 - given["canvas"]})
    assert torch.equal(first.blended, other.blended)
    assert not torch.equal(first.image, other.image)
    predict = noise_predictor(BODY, given["texts"], 1.0, control=Control(BODY.controlnet, given["skeleton"]))
    with torch.no_grad():
        plain = sample(predict, draw_noise([0, 1], BODY.latent_shape), scheduler_of(DDIM), 2)
        torch.testing.assert_close(first.blended, BODY.decode(plain), atol=1e-4, rtol=1e-4)
    nothing = hands.outpaint_body(BODY, **{**given, "known_mask": torch.zeros(2, 1, SIZE, SIZE)})
    assert torch.equal(nothing.image, nothing.blended)


def test_one_step_of_a_growing_mask_is_one_of_a_constant_mask() -> None:
    given = {**bodies(), "steps": 1}
    made = [hands.outpaint_body(BODY, **given, expansion=each).image for each in ("sequential", "constant")]
    assert torch.equal(*made)


@given(steps=st.integers(1, 40), cells=st.integers(2, 8), seed=st.integers(0, 99), ring=st.floats(0, 0.4))
def test_what_is_free_grows_to_the_mask_itself(steps: int, cells: int, seed: int, ring: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    known = (torch.rand(1, 1, 8 * cells, 8 * cells, generator=generator) > 0.999).float()
    known[..., :9, :13] = 1
    size = (cells, cells)
    free = 1 - hands.known_cells(known, size)
    masks = hands.free_masks(known, size, steps, "sequential", ring)
    along = [masks(step) for step in range(steps + 1)]
    assert all((after >= before).all() for before, after in zip(along, along[1:], strict=False))
    # A step begins with what the one before it handed on; the last one hands on the mask itself.
    assert torch.equal(along[0], along[min(1, steps - 1)]) and torch.equal(along[steps], free)
    constant = hands.free_masks(known, size, steps, "constant")
    assert all(torch.equal(constant(step), free) for step in range(steps + 1))


def test_the_papers_ring_reaches_into_the_cells_of_mini() -> None:
    known = torch.zeros(1, 1, 128, 128)
    known[..., 40:72, 44:68] = 1
    for steps in (20, 50):
        masks = hands.free_masks(known, (16, 16), steps, "sequential")
        assert masks(0).sum() < masks(steps - 1).sum()
    wide = hands.free_masks(known, (16, 16), 20, "sequential", ring=0.25)
    assert wide(0).sum() < masks(0).sum() and torch.equal(wide(19), masks(49))


def test_a_cell_is_known_when_at_least_half_of_it_is() -> None:
    mask = torch.zeros(3, 1, 16, 16)
    mask[0, 0, :8, :4], mask[0, 0, 8:, 8:11] = 1, 1
    mask[1, 0, 3, 9] = 1
    cells = hands.known_cells(mask, (2, 2))
    assert cells[0, 0].tolist() == [[1, 0], [0, 0]]
    assert cells[1, 0].tolist() == [[0, 1], [0, 0]]
    assert not cells[2].any()


@given(feather=st.floats(0, 6), seed=st.integers(0, 50))
def test_past_the_soft_edge_the_hand_is_the_canvas_bit_for_bit(feather: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    blended, canvas = torch.rand(2, 1, 3, 24, 20, generator=generator)
    known = torch.zeros(1, 1, 24, 20)
    known[..., 2:20, 3:18] = 1
    image, alpha = hands.pasted(blended, canvas, known, feather)
    core, outside = (alpha == 1).expand_as(image), (known == 0).expand_as(image)
    assert core.any() and torch.equal(image[core], canvas[core])
    assert torch.equal(image[outside], blended[outside]) and not alpha[known == 0].any()
    if feather == 0:
        assert torch.equal(alpha, known)


def test_a_body_is_the_same_alone_and_in_a_batch() -> None:
    both = hands.outpaint_body(BODY, **bodies(), steps=2, seed=5).blended
    alone = {name: value[1:] if hasattr(value, "__len__") else value for name, value in bodies().items()}
    one = hands.outpaint_body(BODY, **alone, steps=2, seed=6).blended
    torch.testing.assert_close(both[1:], one, atol=1e-4, rtol=1e-4)
    again = hands.outpaint_body(BODY, **bodies(), steps=2, seed=[5, 9]).blended
    assert torch.equal(again[:1], both[:1]) and not torch.equal(again[1:], both[1:])


def test_control_strength_zero_ignores_the_skeleton() -> None:
    given = {**bodies(), "steps": 1}
    black = {**given, "skeleton": torch.zeros_like(given["skeleton"])}
    off, on = (
        [hands.outpaint_body(BODY, **g, control_strength=strength).blended for g in (given, black)]
        for strength in (0.0, 1.0)
    )
    assert torch.equal(*off) and not torch.equal(*on)


def test_tensors_trained_with_the_controlnet_take_the_place_of_the_bases() -> None:
    own = {name: 3 * value for name, value in BODY.unet.state_dict().items() if ".attn2." in name}
    given = {**bodies(), "steps": 1, "control_in_uncond": True}
    replaced = hands.outpaint_body(tiny.tiny_body(own), **given).blended
    changed = tiny.tiny_body()
    changed.unet.load_state_dict(own, strict=False)
    torch.testing.assert_close(hands.outpaint_body(changed, **given).blended, replaced)
    assert not torch.allclose(hands.outpaint_body(BODY, **given).blended, replaced)


def test_guidance_acts_on_the_skeleton_only_with_a_controlnet_that_was_trained_here() -> None:
    given = {**bodies(), "texts": ["", ""], "steps": 1}
    public = [hands.outpaint_body(BODY, **{**given, "cfg": scale}).blended for scale in (1.0, 4.0)]
    torch.testing.assert_close(*public, atol=1e-4, rtol=1e-4)
    name, tensor = next(item for item in BODY.unet.state_dict().items() if ".attn2." in item[0])
    trained = tiny.tiny_body({name: tensor})
    ours = [hands.outpaint_body(trained, **{**given, "cfg": scale}).blended for scale in (1.0, 4.0)]
    assert not torch.allclose(*ours, atol=1e-4)


def test_cancel_stops_within_a_step() -> None:
    stop = CancelsAfter(2)
    with pytest.raises(KeyboardInterrupt):
        hands.generate_hands(GENERATOR, **close_ups(1), steps=6, on_step=stop)
    with pytest.raises(KeyboardInterrupt):
        hands.outpaint_body(BODY, **bodies(1), steps=6, on_step=stop)
    assert stop.heard == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"known_mask": torch.zeros(2, 1, SIZE, SIZE)},
            r"known_mask \(picture 1 of 2\) is empty.*expansion to off",
        ),
        ({"known_mask": torch.ones(2, 1, SIZE, SIZE)}, r"known_mask \(picture 1 of 2\) is 1 everywhere"),
        ({"expansion": "sometimes"}, "expansion is 'sometimes'; it is one of sequential, constant, off"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1001}, "steps is 1001"),
        ({"texts": ["one"]}, "2 pictures came with 1 texts"),
        ({"texts": "ab"}, "texts"),
        ({"seed": [1]}, "1 seeds for 2 pictures"),
        ({"skeleton": torch.zeros(1, 3, SIZE, SIZE)}, "skeleton of shape"),
        ({"known_mask": torch.zeros(2, 1, SIZE, 8)}, "known_mask of shape"),
        ({"canvas": torch.full((2, 3, SIZE, SIZE), float("nan"))}, "canvas holds NaN"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hands.outpaint_body(BODY, **{**bodies(), "steps": 1, **change})


def test_wrong_inputs_of_the_generator_are_named() -> None:
    given = close_ups()
    with pytest.raises(ValueError, match="skeleton of shape .*tiny hands needs"):
        hands.generate_hands(GENERATOR, given["skeleton"][..., :16], given["texts"])
    with pytest.raises(ValueError, match="steps is 0"):
        hands.generate_hands(GENERATOR, **given, steps=0)
