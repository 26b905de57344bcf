"""Pictures with alpha: what is promised to come back bit for bit is, alpha too; and Compare sees it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.nodes.common import resized_to
from figura.people.boxes import Box
from figura.people.crops import plan_crop
from figura.tests.fuzz.good_calls import SIDE, good_call, pose


def run(node_id: str, **inputs: Any) -> Any:
    node = NODE_CLASS_MAPPINGS[node_id]()
    return getattr(node, node.FUNCTION)(**inputs)


def rgba(seed: int = 0, count: int = 1, channels: int = 4) -> torch.Tensor:
    return torch.rand(count, SIDE, SIDE, channels, generator=torch.Generator().manual_seed(seed))


def stitched(image: torch.Tensor, patch: torch.Tensor, **masks: torch.Tensor) -> tuple[torch.Tensor, ...]:
    plan = plan_crop(Box(8, 8, 40, 40), (SIDE, SIDE), (32, 32), 0.0)
    return run("FiguraStitch", image=image, patch=patch, crop=[plan], **masks)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("within", [False, True])
def test_stitch_gives_a_picture_with_alpha_back_bit_for_bit_outside_the_mask(
    channels: int, within: bool
) -> None:
    image, patch, mask = rgba(), torch.rand(1, 32, 32, channels), torch.zeros(1, 32, 32)
    mask[:, 8:20, 8:20] = 1
    limits = {"within": torch.ones(1, SIDE, SIDE).tril()} if within else {}
    made, changed = stitched(image, patch, mask=mask, **limits)
    kept = changed == 0
    assert made.shape == image.shape and torch.equal(made[kept], image[kept])
    assert not torch.equal(made[..., :3], image[..., :3])
    assert torch.equal(made[..., 3], image[..., 3]) == (channels == 3)


def test_a_patch_with_alpha_goes_into_a_picture_without_as_its_colours() -> None:
    image, patch = rgba(channels=3), torch.rand(1, 32, 32, 4)
    assert torch.equal(stitched(image, patch)[0], stitched(image, patch[..., :3])[0])


def test_one_picture_with_alpha_serves_a_batch_of_patches() -> None:
    image = rgba()
    made, _ = stitched(image, torch.rand(3, 32, 32, 3))
    assert made.shape == (3, SIDE, SIDE, 4) and torch.equal(made[2, ..., 3], image[0, ..., 3])


@pytest.mark.parametrize("side", [12, 40])
def test_the_colours_of_what_is_transparent_mix_into_no_resized_coarse_picture(side: int) -> None:
    coarse, image = torch.zeros(1, 4, 24, 24), torch.rand(1, 3, side, side)
    coarse[..., 7:18, 5:16] = torch.tensor([0.9, 0.3, 0.2, 1.0])[:, None, None]
    made = resized_to(coarse, image)
    colours = made[:, :3, made[0, 3] > 0]
    torch.testing.assert_close(
        colours, torch.tensor([0.9, 0.3, 0.2])[None, :, None].expand_as(colours), atol=1e-4, rtol=0
    )
    assert torch.equal(resized_to(coarse[:, 3:].expand(-1, 3, -1, -1), image)[:, :1], made[:, 3:])


def test_grey_with_alpha_comes_back_as_colours_with_alpha() -> None:
    image = rgba(channels=2)
    made, _ = stitched(image, torch.rand(1, 32, 32, 3), mask=torch.zeros(1, 32, 32))
    assert torch.equal(made, image[..., [0, 0, 0, 1]])


def test_compare_counts_alpha_as_a_channel() -> None:
    image = rgba()
    other = torch.cat([image[..., :3], 1 - image[..., 3:]], dim=-1)
    figures, difference, psnr, _, largest, *_ = run("FiguraCompare", image_a=image, image_b=other, gain=1.0)
    assert f"changed {SIDE * SIDE} of" in figures and psnr < 20 and largest > 0.5
    expected = (image[..., 3:] - other[..., 3:]).abs().expand(-1, -1, -1, 3)
    torch.testing.assert_close(difference, expected)
    same = run("FiguraCompare", image_a=image, image_b=image.clone(), gain=1.0)
    assert "changed 0 of" in same[0] and "alpha" not in same[0]


@pytest.mark.parametrize(
    ("first", "there", "lacking"), [(4, "image_a", "image_b"), (3, "image_b", "image_a")]
)
def test_compare_says_that_one_picture_alone_has_alpha(first: int, there: str, lacking: str) -> None:
    image, colours = rgba(), rgba()[..., :3]
    pair = (image, colours) if first == 4 else (colours, image)
    figures, difference, *_ = run("FiguraCompare", image_a=pair[0], image_b=pair[1], gain=1.0)
    assert f"alpha: {there} has it and {lacking} does not" in figures and "changed 0 of" in figures
    assert difference.shape == (1, SIDE, SIDE, 3)


@pytest.mark.parametrize("channels", [3, 4])
def test_split_and_stitched_people_keep_the_alpha_of_their_picture(channels: int) -> None:
    image = rgba()
    split, *_ = run("FiguraSplitPeople", image=image, pose_keypoint=pose(), order="as given")
    assert torch.equal(split, image)
    changed, completed = torch.zeros(1, SIDE, SIDE), rgba(1, channels=channels)
    changed[:, 8:20, 8:20] = 1
    made, mask = run(
        "FiguraStitchPeople", image=image, completed=completed, changed_mask=changed,
        visible_mask=torch.zeros(1, SIDE, SIDE), colour_match=1.0,
    )  # fmt: skip
    kept = mask == 0
    assert torch.equal(made[kept], image[kept])
    alpha = completed if channels == 4 else image
    assert torch.equal(made[..., 3][~kept], alpha[..., 3][~kept])


@pytest.mark.parametrize(
    ("node_id", "pictures", "mask"),
    [("FiguraInpaintRefiner", (0, 1), 4), ("FiguraRefinePrepare", (4,), 5)],
)
def test_a_completed_person_shows_and_the_rest_of_alpha_stays(
    node_id: str, pictures: tuple[int, ...], mask: int
) -> None:
    given = {**good_call(node_id), "image": rgba()}
    given.pop("crop", None)
    made = run(node_id, **given)
    changed = given["invisible_mask"] > 0.5
    person = changed & (made[mask] > 0.5)
    assert person.any() and not changed.all()
    for number in pictures:
        assert torch.equal(made[number][~changed], given["image"][~changed])
        assert bool((made[number][..., 3][person] == 1).all())


@pytest.mark.parametrize("node_id", ["FiguraCFLDSampler", "FiguraPoCoLDSampler"])
def test_a_reference_with_alpha_comes_back_bit_for_bit_outside_the_mask(node_id: str) -> None:
    given = {**good_call(node_id), "reference": rgba()}
    made, kept = run(node_id, **given)[0], given["mask"] == 0
    assert torch.equal(made[kept], given["reference"][kept])
    assert torch.equal(made[..., 3], given["reference"][..., 3])
