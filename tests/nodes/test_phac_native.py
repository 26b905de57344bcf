"""PHAC's nodes for stock graphs: what they accept, refuse, and hand on to each other."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from figura.nodes import phac as phac_nodes
from figura.nodes import phac_native as nodes
from figura.nodes import refine, stock_model
from figura.nodes.crops import FiguraCropPerson, FiguraStitch
from figura.people.prompts import PointPrompt, draw_public_prompt
from figura.tests.nodes import phac_helpers as helpers
from torch import Tensor

HEIGHT, WIDTH, SIZE = 180, 140, 64


def stock(context: int | None, channels: int = 9, kind: str = "EPS") -> Any:
    """A stand-in for a MODEL of ComfyUI."""
    config = SimpleNamespace(unet_config={"context_dim": context, "in_channels": channels})
    inner = SimpleNamespace(model_config=config, model_type=SimpleNamespace(name=kind))
    return SimpleNamespace(model=inner, add_object_patch=lambda *args: None)


def picture(count: int = 1) -> tuple[Tensor, Tensor]:
    image = torch.rand(count, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    visible = torch.zeros(count, HEIGHT, WIDTH)
    visible[:, 40:90, 50:90] = 1
    return image, visible


def prompts(count: int = 1) -> list[PointPrompt]:
    joints = np.zeros((18, 3), np.float32)
    joints[:3] = [[70, 50, 1], [70, 80, 1], [60, 160, 1]]
    return [PointPrompt("pose", WIDTH, HEIGHT, joints, joints[:, 1] > 100)] * count


def prepare(image: Tensor, visible: Tensor, said: Any = None, size: int = SIZE, **change: Any) -> Any:
    settings = {"ground": "white", "box": "limits", **change}
    return nodes.FiguraCoarsePrepare().run(image, visible, said or prompts(), size, **settings)


def completed(level: float = 1.0) -> Tensor:
    """Somebody in red on a ground, (1,H,W,3)."""
    coarse = torch.full((1, HEIGHT, WIDTH, 3), level)
    coarse[:, 40:165, 52:88] = torch.tensor([0.8, 0.1, 0.25])
    return coarse


def hidden() -> Tensor:
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 85:175, 45:95] = 1
    return mask


@pytest.mark.parametrize(
    ("context", "kind", "size"),
    [
        (768, "EPS", 512),
        (1024, "EPS", 512),
        (1024, "V_PREDICTION", 768),
        (2048, "EPS", 1024),
        (None, "FLUX", 1024),
    ],
)
def test_size_zero_is_the_models(context: int | None, kind: str, size: int) -> None:
    image, visible = picture()
    canvas = prepare(image, visible, size=0, model=stock(context, kind=kind))[0]
    assert canvas.shape == (1, size, size, 3)
    base = nodes.FiguraRefinePrepare().run(
        image, completed(), visible, hidden(), 0, model=stock(context, kind=kind)
    )
    assert base[0].shape == (1, size, size, 3)
    assert stock_model.size_for(0, None) == 512 and stock_model.size_for(768, stock(context)) == 768


def test_a_model_that_sees_nothing_of_the_person_is_refused() -> None:
    image, visible = picture()
    with pytest.raises(ValueError, match="4-channel U-Net .Stable Diffusion 1.5, text to image.*inpainting"):
        prepare(image, visible, model=stock(768, 4))
    with pytest.raises(TypeError, match="model must be a MODEL"):
        prepare(image, visible, model="v1-5")
    assert (
        prepare(image, visible, model=stock(None, 16))[0].shape[1] == SIZE
    )  # editing models see by other ways


def test_one_prompt_and_mask_serve_a_batch_and_other_batches_are_refused() -> None:
    image, visible = picture(3)
    outputs = prepare(image, visible[:1])
    assert [len(each) for each in outputs] == [3] * 5
    assert outputs[0].shape == outputs[2].shape == (3, SIZE, SIZE, 3)
    assert outputs[1].shape == outputs[4].shape == (3, SIZE, SIZE)
    with pytest.raises(ValueError, match="batches do not match"):
        prepare(image, visible[:2])
    with pytest.raises(ValueError, match="batches do not match"):
        prepare(image, visible, prompts(2))
    with pytest.raises(ValueError, match="batches do not match"):
        nodes.FiguraRefinePrepare().run(image, completed().expand(2, -1, -1, -1), visible, hidden(), SIZE)


def test_masks_of_another_frame_are_refused() -> None:
    image, visible = picture()
    small = torch.zeros(1, 48, 48)
    for name in ("visible_mask", "draw_mask"):
        given = {"visible_mask": visible, "draw_mask": visible, name: small}
        with pytest.raises(ValueError, match=f"{name} has 48 x 48 pixels but image has {WIDTH} x {HEIGHT}"):
            nodes.FiguraCoarsePrepare().run(
                image, prompt=prompts(), size=SIZE, ground="white", box="limits", **given
            )
    for name in ("visible_mask", "invisible_mask", "exact_mask"):
        given = {"visible_mask": visible, "invisible_mask": hidden(), "exact_mask": hidden(), name: small}
        with pytest.raises(ValueError, match=f"{name} has 48 x 48 pixels"):
            nodes.FiguraRefinePrepare().run(image, completed(), size=SIZE, **given)


def test_coarse_pictures_of_another_shape_or_crop_are_refused() -> None:
    image, visible = picture()
    plans = prepare(image, visible)[3]
    square = torch.rand(1, SIZE, SIZE, 3)
    run = nodes.FiguraRefinePrepare().run
    with pytest.raises(
        ValueError, match=f"coarse has {SIZE} x {SIZE} pixels and image .*Coarse Prepare.*'crop'"
    ):
        run(image, square, visible, hidden(), SIZE)
    with pytest.raises(
        ValueError, match=f"coarse has {WIDTH} x {HEIGHT} pixels and its crop {SIZE} x {SIZE}"
    ):
        run(image, completed(), visible, hidden(), SIZE, crop=plans)
    other = torch.rand(1, 300, 300, 3)
    mask = torch.zeros(1, 300, 300)
    with pytest.raises(
        ValueError, match=f"cut from a picture of {WIDTH} x {HEIGHT} pixels, but image has 300"
    ):
        run(other, square, mask, mask, SIZE, crop=plans)


def test_an_empty_mask_is_said_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    image, visible = picture()
    with caplog.at_level(logging.WARNING):
        outputs = nodes.FiguraRefinePrepare().run(
            image, completed(), visible, torch.zeros_like(visible), SIZE
        )
    assert "invisible_mask is empty" in caplog.text
    base, _, plans, alpha, composite, _ = outputs
    assert torch.equal(composite, image)
    stitched, changed = FiguraStitch().run(image, 1 - base, plans, alpha)
    assert torch.equal(stitched, image) and not changed.any()


@pytest.mark.parametrize("level", [0.0, 0.4, 0.89, 1.0])
def test_a_crop_a_whole_picture_and_a_cutout_give_the_same_composite(level: float) -> None:
    image, visible = picture()
    run = nodes.FiguraRefinePrepare().run
    whole = run(image, completed(), visible, hidden(), SIZE)[4]
    alpha = torch.zeros(1, HEIGHT, WIDTH, 1)
    alpha[:, 40:165, 52:88] = 1
    assert torch.equal(
        run(image, torch.cat([completed(level), alpha], -1), visible, hidden(), SIZE)[4], whole
    )
    assert torch.equal(run(image, completed(level), visible, hidden(), SIZE)[4], whole)
    size = 256
    plans = prepare(image, visible, size=size)[3]
    (plan,) = plans
    (x0, y0), (x1, y1) = (int(each) for each in plan.box[:2]), (int(each) for each in plan.box[2:])
    rows, columns = torch.arange(y0, y1).clamp(0, HEIGHT - 1), torch.arange(x0, x1).clamp(0, WIDTH - 1)
    part = completed(level)[:, rows][:, :, columns]
    cropped = run(image, part, visible, hidden(), SIZE, crop=plans)[4]
    assert torch.equal(cropped, whole)


def test_what_is_stitched_keeps_every_pixel_outside_the_mask() -> None:
    image, visible = picture()
    base, noise_mask, plans, alpha, composite, amodal = nodes.FiguraRefinePrepare().run(
        image, completed(), visible, hidden(), SIZE
    )
    assert (noise_mask >= alpha).all() and amodal.shape == (1, HEIGHT, WIDTH)
    outside = hidden() == 0
    assert torch.equal(composite[outside], image[outside])
    stitched, changed = FiguraStitch().run(image, 1 - base, plans, alpha, within=hidden())
    assert torch.equal(stitched[outside], image[outside]) and not changed[outside].any()
    assert (stitched[:, 100:150, 60:80] != image[:, 100:150, 60:80]).all()
    loose, _ = FiguraStitch().run(image, 1 - base, plans)
    assert not torch.equal(loose[outside], image[outside])
    with pytest.raises(ValueError, match="within has 9 x 9 pixels"):
        FiguraStitch().run(image, base, plans, alpha, within=torch.zeros(1, 9, 9))


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return helpers.write_mini_family(tmp_path_factory.mktemp("mini"))


def test_stock_nodes_give_what_inpaint_refiner_gives(family: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refiner's own loop in the place of KSampler: composite and result are the same, bit for bit."""
    from figura.models.phac import sampling

    refiner = refine.load_mini_refiner(family)
    image, visible = picture()
    made: list[Tensor] = []
    denoise = sampling.denoise_inside
    monkeypatch.setattr(sampling, "denoise_inside", lambda *args: made.append(denoise(*args)) or made[-1])
    result, composite, *_ = refine.FiguraInpaintRefiner().run(
        refiner, image, completed(), visible, hidden(), "a person", 0.5, 1, 1.0, 0
    )
    prepared = nodes.FiguraRefinePrepare().run(image, completed(), visible, hidden(), refiner.size)
    assert torch.equal(prepared[4], composite)
    patch = made[0].permute(0, 2, 3, 1)
    stitched, _ = FiguraStitch().run(image, patch, prepared[2], prepared[3], within=hidden())
    assert torch.equal(stitched, result)


def test_the_invisible_mask_of_a_crop_lies_where_the_crop_does(family: Any) -> None:
    model = phac_nodes.load_mini_phac(family)
    image, visible = picture()
    plans = prepare(image, visible, size=128)[3]
    run = phac_nodes.FiguraInvisibleMask().run
    coarse = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(1))
    dilated, exact = run(model, image, coarse, visible, 0.4, -1, prompts(), plans)
    assert dilated.shape == (1, HEIGHT, WIDTH) and (dilated >= exact).all()
    assert (exact[visible > 0.5] == 0).all()
    with pytest.raises(ValueError, match="coarse has 128 x 128"):
        run(model, image, coarse, visible, 0.4, -1)


def test_crop_person_takes_the_models_size_and_a_small_crop_is_said(
    family: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = phac_nodes.load_mini_phac(family)
    image, visible = picture()
    assert FiguraCropPerson().run(image, 0, 0, 0.1, phac=model)[0].shape == (1, 128, 128, 3)
    assert FiguraCropPerson().run(image, 64, 0, 0.1, phac=model)[0].shape == (1, 128, 64, 3)
    with pytest.raises(ValueError, match="width is 0, .* connect Load PHAC"):
        FiguraCropPerson().run(image, 0, 64, 0.1)
    with caplog.at_level(logging.WARNING):
        phac_nodes.warn_of_small(torch.zeros(1, 3, 64, 64), model)
    assert "64 x 64 pixels and is enlarged to the 128 of mini PHAC" in caplog.text
    caplog.clear()
    phac_nodes.warn_of_small(torch.zeros(1, 3, 128, 64), model)
    assert not caplog.text


@pytest.mark.parametrize("context", [None, 768, 2048])
def test_joints_are_drawn_as_bold_as_the_models_pose_controlnet_learnt_them(context: int | None) -> None:
    image, visible = picture()
    model = None if context is None else stock(context)
    *_, plans, _ = prepare(image, visible, size=1024, model=model)
    drawn = prepare(image, visible, size=1024, model=model)[2]
    moved = [prompt.cropped(plan) for prompt, plan in zip(prompts(), plans, strict=True)]
    expected = draw_public_prompt(moved, 1024, 1024, bold=context == 2048)
    assert torch.equal(drawn, expected.permute(0, 2, 3, 1))
