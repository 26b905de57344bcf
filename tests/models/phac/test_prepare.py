"""What stock samplers get for PHAC's stages, and that it is what the pack's own stages work on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from figura.models.phac import prepare
from figura.models.phac.pipeline import refine_images
from figura.people.boxes import Box
from figura.people.crops import crop_all, stitch_all
from figura.people.prompts import PointPrompt, nobody
from figura.tests.models.phac import tiny
from torch import Tensor

HEIGHT, WIDTH, SIZE = 200, 160, 64


def prompt(kind: str = "pose", **boxes: Box) -> PointPrompt:
    joints = np.zeros((18, 3), np.float32)
    joints[:3] = [[80, 60, 1], [80, 100, 1], [70, 180, 1]]
    return PointPrompt(kind, WIDTH, HEIGHT, joints, joints[:, 1] > 150, **boxes)


def scene() -> tuple[Tensor, Tensor]:
    """A picture of noise, and somebody seen in the middle of it."""
    image = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    visible = torch.zeros(1, 1, HEIGHT, WIDTH)
    visible[..., 50:110, 60:100] = 1
    return image, visible


@pytest.mark.parametrize(("ground", "level"), [("white", 1.0), ("grey", 0.5)])
def test_the_visible_person_stands_on_the_ground(ground: str, level: float) -> None:
    image, visible = scene()
    start = prepare.prepare_coarse(image, visible, [prompt()], SIZE, ground=ground)
    person = crop_all(visible, start.plans) > 0.5
    assert torch.equal(start.canvas[person.expand_as(start.canvas)], crop_all(image, start.plans)[
        person.expand_as(start.canvas)
    ])  # fmt: skip
    assert (start.canvas[~person.expand_as(start.canvas)] == level).all()
    assert torch.equal(start.mask, (~person).float())
    assert start.prompt_image.shape == start.canvas.shape and start.prompt_image.any()


def test_the_crop_holds_a_joint_far_from_all_that_is_seen() -> None:
    image, visible = scene()
    box = prepare.prepare_coarse(image, visible, [prompt()], SIZE).plans[0].box
    assert box.contains(70, 180) and box.union(Box.around_mask(visible[0, 0])) == box
    lonely = prompt()
    lonely.joints[:2] = 0
    assert prepare.prepare_coarse(image, visible, [lonely], SIZE).plans[0].box.contains(70, 180)


def test_a_box_limits_what_is_drawn_or_is_drawn_itself() -> None:
    image, visible = scene()
    region = Box(60, 110, 100, 190)
    for kind, boxes in (("pose_roi_box", {"roi_box": region}), ("pose_full_box", {"full_box": region})):
        limited = prepare.prepare_coarse(image, visible, [prompt(kind, **boxes)], SIZE, box="limits")
        (plan,) = limited.plans
        x0, y0 = (region.x0 - plan.box.x0) * plan.scale[0], (region.y0 - plan.box.y0) * plan.scale[1]
        inside = Box.around_mask(limited.mask[0, 0])
        assert abs(inside.x0 - x0) <= 1 and abs(inside.y0 - y0) <= 1 and 0 < limited.mask.mean() < 0.4
        free = prepare.prepare_coarse(image, visible, [prompt(kind, **boxes)], SIZE, box="drawn")
        assert free.mask.mean() > 0.5
        assert free.prompt_image.mean() > limited.prompt_image.mean() > 0


def test_what_is_known_to_be_hidden_is_drawn_alone_into_the_picture() -> None:
    image, visible = scene()
    hidden = torch.zeros_like(visible)
    hidden[..., 105:190, 50:110] = 1
    start = prepare.prepare_coarse(image, visible, [prompt()], SIZE, ground="picture", draw_masks=hidden)
    assert torch.equal(start.canvas, crop_all(image, start.plans))
    assert torch.equal(start.mask, (crop_all(hidden, start.plans) > 0.5).float())


def test_the_noise_mask_is_whole_cells_and_holds_the_mask() -> None:
    image, visible = scene()
    start = prepare.prepare_coarse(image, visible, [prompt("roi_box", roi_box=Box(61, 111, 99, 189))], SIZE)
    assert (start.noise_mask >= start.mask).all() and (start.noise_mask > start.mask).any()
    cells = torch.nn.functional.interpolate(start.noise_mask, scale_factor=1 / 8, mode="bilinear")
    assert set(cells.unique().tolist()) == {0.0, 1.0}


def test_nothing_to_draw_and_odd_sizes_are_refused() -> None:
    image, visible = scene()
    with pytest.raises(ValueError, match="visible_mask is empty"):
        prepare.prepare_coarse(image, torch.zeros_like(visible), [prompt()], SIZE)
    with pytest.raises(ValueError, match="visible_mask covers all .* nothing is left"):
        prepare.prepare_coarse(image, torch.ones_like(visible), [prompt()], SIZE)
    with pytest.raises(ValueError, match="draw_mask is empty"):
        prepare.prepare_coarse(image, visible, [prompt()], SIZE, draw_masks=torch.zeros_like(visible))
    for size in (0, 60, 500):
        with pytest.raises(ValueError, match=f"size is {size}; a multiple of 8"):
            prepare.prepare_coarse(image, visible, [prompt()], size)


@pytest.mark.parametrize("ground", prepare.GROUNDS)
@pytest.mark.parametrize("drawn", [False, True])
def test_where_nobody_is_visible_nothing_is_drawn_and_the_others_stay(ground: str, drawn: bool) -> None:
    image, visible = scene()
    images, masks = image.repeat(3, 1, 1, 1), visible.repeat(3, 1, 1, 1)
    masks[1] = 0
    prompts = [prompt(), nobody(WIDTH, HEIGHT), prompt()]
    draw = torch.ones_like(masks) if drawn else None
    start = prepare.prepare_coarse(images, masks, prompts, SIZE, ground=ground, draw_masks=draw)
    alone = prepare.prepare_coarse(
        image, visible, [prompt()], SIZE, ground=ground, draw_masks=None if draw is None else draw[:1]
    )
    assert not start.mask[1].any() and not start.noise_mask[1].any() and not start.prompt_image[1].any()
    for row in (0, 2):
        for name in ("canvas", "noise_mask", "mask", "prompt_image"):
            assert torch.equal(getattr(start, name)[row], getattr(alone, name)[0])
        assert start.plans[row] == alone.plans[0]


def coarse_on(level: float) -> Tensor:
    coarse = torch.full((1, 3, HEIGHT, WIDTH), level)
    red = torch.tensor([0.8, 0.1, 0.25])[:, None, None]
    coarse[..., 50:185, 62:98] = red
    return coarse


def hidden_masks() -> tuple[Tensor, Tensor]:
    """The dilated and the exact invisible mask of `scene` and `coarse_on`."""
    dilated, exact = torch.zeros(2, 1, 1, HEIGHT, WIDTH)
    dilated[..., 105:195, 55:105], exact[..., 110:190, 58:102] = 1, 1
    return dilated, exact


@pytest.mark.parametrize("given", [True, False])
def test_the_composite_is_the_refiners(given: bool) -> None:
    (image, visible), (dilated, exact) = scene(), hidden_masks()
    refiner = tiny.tiny_refiner()
    masks = {"exact_masks": exact if given else None}
    refined = refine_images(refiner, image, coarse_on(1.0), visible, dilated, ["a person"], steps=1, **masks)
    start = prepare.prepare_refinement(image, coarse_on(1.0), visible, dilated, refiner.size, **masks)
    assert torch.equal(start.composite, refined.composite)
    assert torch.equal(start.amodal_mask, refined.amodal_mask)


@pytest.mark.parametrize("level", [0.0, 0.5, 0.89])
def test_the_ground_of_the_coarse_picture_does_not_matter(level: float) -> None:
    (image, visible), (dilated, exact) = scene(), hidden_masks()
    white, other = (
        prepare.prepare_refinement(image, coarse_on(each), visible, dilated, SIZE, exact_masks=exact)
        for each in (1.0, level)
    )
    assert torch.equal(white.composite, other.composite)
    torch.testing.assert_close(white.base, other.base)
    person = torch.zeros(1, 1, HEIGHT, WIDTH)
    person[..., 50:185, 62:98] = 1
    clear = torch.cat([coarse_on(level), person], dim=1)
    alpha = prepare.prepare_refinement(image, clear, visible, dilated, SIZE, exact_masks=exact)
    assert torch.equal(white.composite, alpha.composite)


def test_outside_the_mask_every_bit_of_the_composite_is_the_pictures() -> None:
    (image, visible), (dilated, _) = scene(), hidden_masks()
    start = prepare.prepare_refinement(image, coarse_on(0.0), visible, dilated, SIZE)
    outside = (dilated == 0).expand_as(image)
    assert torch.equal(start.composite[outside], image[outside])
    assert not torch.equal(start.composite[~outside], image[~outside])


def test_alpha_lies_in_the_mask_and_is_one_on_the_completed_part() -> None:
    (image, visible), (dilated, exact) = scene(), hidden_masks()
    start = prepare.prepare_refinement(image, coarse_on(1.0), visible, dilated, SIZE, exact_masks=exact)
    changed = (crop_all(dilated, start.plans) > 0.5).float()
    assert (start.alpha <= changed).all() and (start.noise_mask >= changed).all()
    put, _ = stitch_all(image, torch.zeros_like(start.base), start.alpha, start.plans)
    assert (put[..., 120:180, 66:94] == 0).all()


def test_masks_that_are_mixed_up_are_refused_and_an_empty_one_changes_nothing() -> None:
    (image, visible), (dilated, _) = scene(), hidden_masks()
    with pytest.raises(ValueError, match="visible_mask covers all of invisible_mask"):
        prepare.prepare_refinement(image, coarse_on(1.0), dilated, dilated, SIZE)
    start = prepare.prepare_refinement(image, coarse_on(1.0), visible, torch.zeros_like(dilated), SIZE)
    assert torch.equal(start.composite, image) and not start.alpha.any()


def test_one_picture_of_a_batch_may_have_nothing_hidden(caplog: pytest.LogCaptureFixture) -> None:
    (image, visible), (dilated, _) = scene(), hidden_masks()
    two, seen, hidden = torch.cat([image] * 2), torch.cat([dilated, visible]), torch.cat([dilated] * 2)
    both = prepare.prepare_refinement(two, torch.cat([coarse_on(1.0)] * 2), seen, hidden, SIZE)
    alone = prepare.prepare_refinement(image, coarse_on(1.0), visible, dilated, SIZE)
    assert torch.equal(both.composite[0], image[0]) and torch.equal(both.composite[1], alone.composite[0])
    assert "in picture 1 of 2" in caplog.text


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
def test_a_coarse_crop_goes_back_to_its_place(level: float) -> None:
    image, visible = scene()
    start = prepare.prepare_coarse(image, visible, [prompt()], SIZE)
    small = crop_all(coarse_on(level), start.plans)
    placed = prepare.in_frame(small, start.plans, (HEIGHT, WIDTH))
    person = torch.zeros(HEIGHT, WIDTH)
    person[50:185, 62:98] = 1
    overlap = ((placed[0, 3] > 0.5) & (person > 0.5)).sum() / ((placed[0, 3] > 0.5) | (person > 0.5)).sum()
    assert overlap > 0.9
    assert (placed[0, :3, 60:170, 68:92] - coarse_on(1.0)[0, :, 60:170, 68:92]).abs().max() < 0.01
    large = torch.nn.functional.interpolate(small, scale_factor=2)
    doubled = prepare.in_frame(large, start.plans, (HEIGHT, WIDTH))
    assert ((doubled[0, 3] > 0.5) != (placed[0, 3] > 0.5)).float().mean() < 0.02


def test_kinds_of_a_prompt_and_sizes_of_its_picture_may_differ() -> None:
    image, visible = scene()
    half = replace(prompt(), width=WIDTH // 2, height=HEIGHT // 2, joints=prompt().joints * [0.5, 0.5, 1])
    both = [prepare.prepare_coarse(image, visible, [each], SIZE).plans for each in (prompt(), half)]
    assert both[0] == both[1]
