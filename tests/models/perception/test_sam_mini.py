"""The prompt as pictures, a stem that sees them, fine masks; the shipped mini SAM obeys its points."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.sam import NEGATIVE, POSITIVE, UNUSED, prompt_logits, visible_mask
from figura.models.perception.sam_mini import MAPS, ConvStem, FineMasks, prompt_maps
from figura.models.perception.sam_networks import FILE_KIND, MINI, build_sam, load_sam
from figura.models.store import mini_files
from figura.people.synthetic import render_people

SIDE = 64


def maps_of(
    points: list[tuple[float, float]], kinds: list[int], box: tuple[float, ...] | None = None
) -> torch.Tensor:
    labels = torch.tensor([kinds])
    boxes = None if box is None else torch.tensor([box])
    return prompt_maps(labels == POSITIVE, labels == NEGATIVE, torch.tensor([points]), boxes, SIDE)[0]


def randomised(sam: torch.nn.Module) -> torch.nn.Module:
    """The layers that begin with zero, so that they say something."""
    torch.manual_seed(1)
    fine = sam.fine
    ends = fine.join_half[-1], fine.join_full[-1], fine.folded.last
    for layer in (sam.image_encoder.patch_embed.prompt, *ends):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return sam


@pytest.fixture(scope="module")
def mini() -> torch.nn.Module:
    torch.manual_seed(0)
    return randomised(build_sam(MINI))


def test_points_are_discs_in_the_map_of_their_sign() -> None:
    inside, outside, box = maps_of(
        [(10.5, 20.5), (40.5, 50.5), (60.0, 5.0)], [POSITIVE, NEGATIVE, UNUSED], (8.0, 16.0, 12.0, 32.0)
    )
    assert inside[20, 10] == 1 and inside[20, 11] == 1 and inside[20, 14] == 0
    assert outside[50, 40] == 1 and outside[20, 10] == 0 == inside[50, 40]
    assert inside[5, 60] == outside[5, 60] == 0
    assert box.sum() == 4 * 16 and box[16:32, 8:12].min() == 1


def test_discs_on_one_another_are_not_more_than_one_disc() -> None:
    once, twice = maps_of([(30.0, 30.0)], [POSITIVE]), maps_of([(30.0, 30.0)] * 2, [POSITIVE] * 2)
    assert torch.equal(once, twice) and not once[2].any()


def test_no_points_are_empty_maps() -> None:
    labels = torch.zeros(2, 0)
    maps = prompt_maps(labels == POSITIVE, labels == NEGATIVE, torch.zeros(2, 0, 2), None, SIDE)
    assert maps.shape == (2, MAPS, SIDE, SIDE) and not maps.any()


def test_what_the_maps_add_begins_with_nothing() -> None:
    stem = ConvStem(16, (8, 16, 16, 16), 1, maps=MAPS)
    image = torch.rand(1, 3, SIDE, SIDE)
    asked, silent = torch.rand(1, MAPS, SIDE, SIDE), torch.zeros(1, MAPS, SIDE, SIDE)
    assert torch.equal(stem(torch.cat([image, asked], dim=1)), stem(torch.cat([image, silent], dim=1)))


def test_weights_without_prompt_maps_and_fine_masks_go_on_as_they_were() -> None:
    torch.manual_seed(0)
    plain, wide = build_sam(replace(MINI, prompt_maps=False, fine_width=0)), build_sam(MINI)
    wide.load_state_dict(plain.state_dict(), strict=False)
    prompt = torch.rand(2, 3, 128, 128), torch.rand(2, 1, 3, 2) * 128, torch.tensor([1, 0, 1]).expand(2, 1, 3)
    with torch.no_grad():
        for found, expected in zip(prompt_logits(wide, *prompt), prompt_logits(plain, *prompt), strict=True):
            torch.testing.assert_close(found, expected)


def test_blocks_that_correct_outlines_begin_with_nothing_and_then_see_each_pixel_of_the_picture() -> None:
    torch.manual_seed(0)
    without, folded = (FineMasks(3, (16, 8), 12, blocks) for blocks in (0, 2))
    folded.load_state_dict(without.state_dict(), strict=False)
    upscaling = build_sam(MINI).mask_decoder.output_upscaling
    inputs, source = torch.rand(1, 3, 32, 32), torch.rand(1, 64, 8, 8)
    with torch.no_grad():
        assert torch.equal(folded(upscaling, inputs, source), without(upscaling, inputs, source))
        torch.nn.init.normal_(folded.folded.last.weight, std=0.1)
        found, at_half = folded(upscaling, inputs, source), torch.rand(1, 16, 16, 16)
        assert found.shape == (1, 8, 32, 32)
        masks = torch.rand(1, 8, 32, 32)
        first = folded.folded(inputs, at_half, masks)
        for row, column in ((0, 0), (7, 4), (31, 30)):
            other = inputs.clone()
            other[..., row, column] += 1
            changed = (folded.folded(other, at_half, masks) - first).abs().amax(dim=1)[0]
            assert changed[row, column] > 0


def test_files_without_such_blocks_load_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = build_sam(replace(MINI, fine_blocks=0))
    config = {name: value for name, value in config_to_metadata(MINI).items() if name != "fine_blocks"}
    path = save_module(tmp_path / "sam.safetensors", FILE_KIND, before.state_dict(), config)
    assert load_sam(path).fine.folded is None


def test_points_of_either_sign_and_boxes_reach_the_image_encoder(mini: torch.nn.Module) -> None:
    seen = []
    handle = mini.image_encoder.register_forward_hook(lambda *values: seen.append(values[-1]))
    image, point = torch.rand(1, 3, 128, 128), torch.tensor([[[[64.0, 40.0]]]])
    with torch.no_grad():
        for kind in (POSITIVE, NEGATIVE, UNUSED):
            prompt_logits(mini, image, point, torch.full((1, 1, 1), kind))
        box = torch.tensor([[[30.0, 20.0, 90.0, 120.0]]])
        prompt_logits(mini, image, point, torch.full((1, 1, 1), UNUSED), box)
    handle.remove()
    assert all(not torch.equal(a, b) for number, a in enumerate(seen) for b in seen[:number])


def test_each_of_several_prompts_is_answered_as_if_alone(mini: torch.nn.Module) -> None:
    images, points = torch.rand(2, 3, 128, 128), torch.rand(2, 3, 2, 2) * 128
    labels = torch.tensor([POSITIVE, NEGATIVE]).expand(2, 3, 2)
    with torch.no_grad():
        logits, iou = prompt_logits(mini, images, points, labels)
        for prompt in range(3):
            one = slice(prompt, prompt + 1)
            alone, its_iou = prompt_logits(mini, images, points[:, one], labels[:, one])
            torch.testing.assert_close(logits[:, one], alone, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(iou[:, one], its_iou, rtol=1e-4, atol=1e-4)


def test_without_prompt_maps_a_picture_is_encoded_once_whatever_the_prompts() -> None:
    torch.manual_seed(0)
    public = build_sam(replace(MINI, prompt_maps=False, fine_width=0, stem_widths=()))
    seen = []
    public.image_encoder.register_forward_hook(lambda *values: seen.append(values[-1]))
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        for _ in range(2):
            prompt_logits(public, image, torch.rand(1, 4, 2, 2) * 128, torch.ones(1, 4, 2))
        prompt_logits(public, 1 - image, torch.rand(1, 4, 2, 2) * 128, torch.ones(1, 4, 2))
    assert len(seen) == 2 and len(seen[0]) == 1 and not torch.equal(*seen)


# The shipped weights


Pair = tuple[torch.Tensor, list[torch.Tensor]]


def side_by_side(left: int, right: int) -> Pair:
    """A picture (3,128,128) of the people with these seeds, the right one in front, and the mask of each."""
    people = render_people([left, right], size=128)
    pictures, masks = people.unoccluded, people.amodal_mask
    for index, column in enumerate((40, 88)):
        columns = torch.nonzero(masks[index, 0].amax(dim=0) > 0.5)
        shift = column - int(columns.float().mean())
        pictures[index], masks[index] = pictures[index].roll(shift, -1), masks[index].roll(shift, -1)
    first, second = masks[:, 0] > 0.5
    return torch.where(second, pictures[1], pictures[0]), [first & ~second, second]


def spots_on(mask: torch.Tensor) -> torch.Tensor:
    """Three pixel centres (3,2) of a mask, from above downwards."""
    lines, columns = torch.nonzero(mask, as_tuple=True)
    chosen = (torch.tensor([0.25, 0.4, 0.6]) * len(lines)).long()
    return torch.stack([columns[chosen], lines[chosen]], dim=1) + 0.5


def overlap(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_of_two_people_the_points_tell_whose_mask_is_meant() -> None:
    shipped = load_sam(mini_files("sam")[0])
    own, other = [], []
    for number in range(6):
        picture, masks = side_by_side(10_000_500 + 2 * number, 10_000_501 + 2 * number)
        for meant, further in (masks, masks[::-1]):
            found = visible_mask(shipped, picture, spots_on(meant), torch.ones(3))[0] > 0.5
            own.append(overlap(found, meant))
            other.append(overlap(found, further))
    mean_own, mean_other = sum(own) / len(own), sum(other) / len(other)
    assert mean_own > 0.7 and mean_other < 0.1, f"own {mean_own:.2f}, other {mean_other:.2f}"
    assert sum(a > b + 0.2 for a, b in zip(own, other, strict=True)) >= 10
