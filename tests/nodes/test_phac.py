"""The nodes of PHAC's stages A and B on a random mini family: any size, batches, candidates, errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from figura.host import Cancelled, use_host
from figura.host.plain import PlainHost
from figura.models import store
from figura.models.diffusion import in_turn
from figura.models.phac.checkpoint import apply_change
from figura.nodes import phac as nodes
from figura.people.prompts import parse_points
from figura.tests.nodes import phac_helpers as helpers


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.write_mini_family(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="module")
def phac(family: Path) -> Any:
    return nodes.load_mini_phac(family)


def prompt(height: int, width: int, count: int = 1) -> list[Any]:
    joints = {"neck": (0.5, 0.2), "right_hip": (0.4, 0.6), "right_knee": (0.4, 0.8)}
    points = {name: {"x": x * width, "y": y * height, "state": "given"} for name, (x, y) in joints.items()}
    text = json.dumps({"version": 1, "people": [{"joints": points}]})
    return [parse_points(text, width, height)] * count


def picture(height: int = 128, width: int = 128, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(count, height, width)
    mask[:, height // 5 : height // 2 + 1, width // 3 : 2 * width // 3 + 1] = 1
    return image, mask


def sample(phac: Any, image: torch.Tensor, mask: torch.Tensor, prompts: list[Any], **change: Any) -> Any:
    settings = {
        "text": "a person",
        "steps": 1,
        "cfg": 1.0,
        "seed": 0,
        "control_strength": 1.0,
        "count": 1,
        **change,
    }
    return nodes.FiguraPHACSampler().run(phac, image, mask, prompts, **settings)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (150, 90), (33, 200), (1, 1), (400, 300)])
def test_the_coarse_picture_has_the_size_of_the_picture(phac: Any, height: int, width: int) -> None:
    coarse, latent = sample(phac, *picture(height, width), prompt(height, width))
    assert coarse.shape == (1, height, width, 3) and 0 <= coarse.min() and coarse.max() <= 1
    assert latent["samples"].shape == (1, 8, 16, 16)


def test_outside_the_crop_the_coarse_picture_is_white(phac: Any) -> None:
    image, mask = torch.rand(1, 100, 600, 3), torch.zeros(1, 100, 600)
    mask[:, 30:60, 40:60] = 1
    said = json.dumps({"people": [{"joints": {"neck": {"x": 50, "y": 35}}}]})
    coarse, _ = sample(phac, image, mask, [parse_points(said, 600, 100)])
    assert (coarse[:, :, 300:] == 1).all() and (coarse[:, :, :60] != 1).any()


def test_candidates_have_seeds_of_their_own_and_follow_as_in_repeat_image_batch(phac: Any) -> None:
    image, mask = picture(count=2)
    all_four, _ = sample(phac, image, mask, prompt(128, 128), count=2, seed=7)
    assert all_four.shape[0] == 4 and not torch.equal(all_four[0], all_four[2])
    third, _ = sample(phac, image[:1], mask[:1], prompt(128, 128), seed=9)
    torch.testing.assert_close(all_four[2:3], third, atol=1e-4, rtol=1e-4)


def test_one_mask_and_one_prompt_serve_a_batch(phac: Any) -> None:
    image, mask = picture(count=2)
    one_for_all, _ = sample(phac, image, mask[:1], prompt(128, 128))
    one_for_each, _ = sample(phac, image, mask[:1].expand(2, -1, -1), prompt(128, 128) * 2)
    assert torch.equal(one_for_all, one_for_each)


def test_a_prompt_set_on_another_size_is_scaled(phac: Any) -> None:
    image, mask = picture(100, 80)
    small, _ = sample(phac, image, mask, prompt(100, 80))
    large, _ = sample(phac, image, mask, prompt(1000, 800))
    torch.testing.assert_close(small, large, atol=1e-4, rtol=1e-4)


def test_batches_that_do_not_match_are_named(phac: Any) -> None:
    image, mask = picture(count=3)
    with pytest.raises(ValueError, match="visible_mask"):
        sample(phac, image, mask[:2], prompt(128, 128))
    with pytest.raises(ValueError, match="visible_mask"):
        sample(phac, image, mask[:, :64], prompt(128, 128))


def test_a_picture_without_a_person_says_so(phac: Any) -> None:
    image, mask = picture()
    with pytest.raises(ValueError, match="visible_mask is empty"):
        sample(phac, image, torch.zeros_like(mask), prompt(128, 128))


def test_nan_and_alpha_pictures(phac: Any) -> None:
    image, mask = picture()
    with pytest.raises(ValueError, match="NaN"):
        sample(phac, image * float("nan"), mask, prompt(128, 128))
    coarse, _ = sample(phac, torch.cat([image, image[..., :1]], dim=3), mask, prompt(128, 128))
    assert coarse.shape == (1, 128, 128, 3)


def box_prompt(kind: str, box: list[float], size: int = 128) -> Any:
    points = {"neck": {"x": size / 2, "y": size / 4, "state": "given"}}
    said = {"people": [{"joints": points}], "roi_box": box, "full_box": box}
    return parse_points(json.dumps(said), size, size, kind)


def test_a_kind_is_read_by_its_own_controlnet(family: Path, tmp_path: Path) -> None:
    model = nodes.load_mini_phac(family)
    helpers.write_change(tmp_path / "phac_roi_box.safetensors", model.unet, "roi_box", factor=3.0)
    apply_change(model, tmp_path / "phac_roi_box.safetensors")
    image, mask = picture(count=3)
    kinds = ("roi_box", "pose", "roi_box")
    prompts = [box_prompt(kind, [40, 60, 90, 120]) for kind in kinds]
    mixed, latents = sample(model, image, mask, prompts, seed=4)
    for index in range(3):
        alone, latent = sample(model, image[index : index + 1], mask[:1], prompts[index : index + 1],
                               seed=4 + index)  # fmt: skip
        torch.testing.assert_close(mixed[index : index + 1], alone, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            latents["samples"][index : index + 1], latent["samples"], atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("kind", ["roi_box", "full_box", "pose_roi_box", "pose_full_box"])
@pytest.mark.parametrize("size", [128, 200])
def test_a_box_without_a_controlnet_limits_where_the_person_may_be(
    phac: Any, caplog: pytest.LogCaptureFixture, kind: str, size: int
) -> None:
    image, mask = picture(size, size)
    x0, y0, x1, y1 = (round(side * size) for side in (0.3, 0.2, 0.7, 0.9))
    prompts = [box_prompt(kind, [x0, y0, x1, y1], size)]
    coarse, _ = sample(phac, image, mask, prompts)
    assert "no ControlNet for this kind of prompt (it has: pose)" in caplog.text
    allowed = mask[0] > 0.5
    allowed[max(y0 - 2, 0) : y1 + 2, x0 - 2 : x1 + 2] = True
    grown = torch.nn.functional.max_pool2d(allowed[None, None].float(), 7, 1, 3)[0, 0] > 0
    assert (coarse[0][~grown] > 1 - 1e-5).all() and (coarse[0][allowed] < 0.9).any()
    masks = nodes.FiguraInvisibleMask().run(phac, image, 1 - image, mask, 0.0, -1, prompts)
    outside = torch.ones(size, size, dtype=torch.bool)
    outside[y0:y1, x0:x1] = False
    assert not any(each[0][outside].any() for each in masks) and masks[0].any()


def test_the_joints_of_a_box_prompt_are_still_seen_without_its_controlnet(phac: Any) -> None:
    image, mask = picture()
    first = box_prompt("pose_roi_box", [40, 20, 90, 120])
    moved = replace(first, joints=first.joints + [20, 20, 0])
    assert not torch.equal(sample(phac, image, mask, [first])[0], sample(phac, image, mask, [moved])[0])
    alone = replace(first, kind="roi_box")
    same = replace(moved, kind="roi_box")
    torch.testing.assert_close(
        sample(phac, image, mask, [alone])[0], sample(phac, image, mask, [same])[0], atol=1e-4, rtol=1e-4
    )


def test_a_kind_that_cannot_be_read_names_those_there_are(family: Path) -> None:
    model = nodes.load_mini_phac(family)
    model.add_kind("full_box", model.controlnets["pose"])
    del model.controlnets["pose"]
    for kind in ("pose", "roi_box"):
        with pytest.raises(ValueError, match=f"no ControlNet for '{kind}' prompts .it has: full_box."):
            sample(model, *picture(), [box_prompt(kind, [40, 60, 90, 120])])


def test_progress_counts_all_steps_and_shows_previews(
    phac: Any, reports: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_turn, "IMAGES_AT_ONCE", 1)
    sample(phac, *picture(count=2), prompt(128, 128), steps=2, unique_id="5")
    assert [report[:3] for report in reports] == [("5", done, 4) for done in (1, 2, 3, 4)]
    assert reports[0][3].size == (128, 128)


def test_cancelling_stops_within_a_step(phac: Any, reports_until_cancelled: list[Any]) -> None:
    with pytest.raises(Cancelled):
        sample(phac, *picture(), prompt(128, 128), steps=5)
    assert [done for _, done, _, _ in reports_until_cancelled] == [1]


@pytest.mark.parametrize(("height", "width"), [(128, 128), (200, 90), (1, 1)])
def test_the_invisible_mask_covers_the_exact_one_and_spares_the_visible(
    phac: Any, height: int, width: int
) -> None:
    image, mask = picture(height, width)
    dilated, exact = nodes.FiguraInvisibleMask().run(phac, image, 1 - image, mask, threshold=0.4, dilation=-1)
    assert dilated.shape == exact.shape == (1, height, width)
    assert set(dilated.unique().tolist()) <= {0.0, 1.0} and (dilated >= exact).all()
    assert (exact[mask > 0.5] == 0).all()


def test_dilation_is_in_pixels_of_the_picture(phac: Any) -> None:
    image, mask = picture(256, 256)
    masks = [
        nodes.FiguraInvisibleMask().run(phac, image, image, mask, threshold=0.5, dilation=d)[0]
        for d in (0, 8, 40)
    ]
    assert masks[0].sum() <= masks[1].sum() <= masks[2].sum()
    assert torch.equal(masks[0], nodes.FiguraInvisibleMask().run(phac, image, image, mask, 0.5, 0)[1])


def test_a_coarse_picture_of_another_size_is_fitted_and_of_another_shape_refused(phac: Any) -> None:
    image, mask = picture(100, 60)
    coarse = torch.rand(1, 300, 180, 3)
    dilated, _ = nodes.FiguraInvisibleMask().run(phac, image, coarse, mask, 0.5, -1)
    assert dilated.shape == (1, 100, 60)
    with pytest.raises(ValueError, match="coarse has 300 x 180 .* image has 60 x 100"):
        nodes.FiguraInvisibleMask().run(phac, image, coarse.transpose(1, 2), mask, 0.5, -1)


def test_the_loader_offers_mini_first_and_loads_it(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainHost, "find_model", lambda self, file_kind, name: family)
    inputs = nodes.FiguraLoadPHAC.INPUT_TYPES()
    assert inputs["required"]["model"][0][0] == store.MINI
    assert nodes.FiguraLoadPHAC().run(store.MINI)[0].size == 128


@pytest.mark.parametrize("kind", ["roi_box", "full_box"])
def test_a_frame_without_anybody_has_no_box_and_an_empty_mask(phac: Any, kind: str) -> None:
    image, mask = picture(count=3)
    mask[1] = 0
    box = box_prompt(kind, [40, 60, 90, 120])
    empty = replace(box, roi_box=None, full_box=None, joints=0 * box.joints, given=box.given & False)
    coarse, _ = sample(phac, image, mask, [box, empty, box])
    changed, exact = nodes.FiguraInvisibleMask().run(phac, image, coarse, mask, 0.0, -1, [box, empty, box])
    assert not changed[1].any() and not exact[1].any() and changed[0].any() and changed[2].any()


def test_mini_takes_a_file_that_was_trained_on_it(
    family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "figura" / "my_phac.safetensors"
    own.parent.mkdir()
    helpers.write_change(own, nodes.load_mini_phac(family).unet, factor=5.0)
    with use_host(PlainHost(models_dir=tmp_path, device="cpu")):
        monkeypatch.setattr(store, "MINI_DIR", family)
        monkeypatch.setattr(store, "mini_files", lambda kind: [family / "vae.safetensors"])
        loaded = nodes.FiguraLoadPHAC().run(store.MINI, own.name)[0]
    wanted, shipped = nodes.load_mini_phac(family), nodes.load_mini_phac(family)
    apply_change(wanted, own)
    (name, *_) = [name for name in wanted.attention.state_dict() if name.startswith("pose")]
    values = [each.attention.state_dict()[name] for each in (loaded, wanted, shipped)]
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_choices_that_do_not_count_with_mini_are_named(
    family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "controlnet").mkdir()
    (tmp_path / "controlnet" / "openpose.pth").write_bytes(b"x")
    with use_host(PlainHost(models_dir=tmp_path, device="cpu")):
        monkeypatch.setattr(store, "MINI_DIR", family)
        monkeypatch.setattr(store, "mini_files", lambda kind: [family / "vae.safetensors"])
        nodes.FiguraLoadPHAC().run(store.MINI, "openpose.pth", "sd15.safetensors", "better.vae.pt")
    for name in ("prompt_network: openpose.pth", "text_and_vae: sd15.safetensors", "vae: better.vae.pt"):
        assert f"{name} is not used with mini" in caplog.text


def test_candidates_of_one_picture_hold_it_once(phac: Any, monkeypatch) -> None:
    given: list[torch.Tensor] = []

    def taken(model: Any, images: torch.Tensor, masks: torch.Tensor, *others: Any, **settings: Any) -> Any:
        given.extend([images, masks])
        return images, torch.zeros(len(images), 4, 8, 8)

    monkeypatch.setattr("figura.nodes.phac.complete_images", taken)
    image, mask = picture()
    sample(phac, image, mask, prompt(128, 128), count=3)
    assert [len(each) for each in given] == [3, 3]
    assert [each.untyped_storage().nbytes() for each in given] == [image.nbytes, mask.nbytes]
