"""Pictures for perception: joints, mask and labels go where the person goes, and lose what gets covered."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.people.densepose import MIRRORED
from figura.training.data.backgrounds import Backgrounds, open_backgrounds
from figura.training.data.people import build_people
from figura.training.data.perception import (
    Company,
    Drawn,
    Framing,
    PerceptionData,
    draw_people,
    framed,
    hidden_by,
    images_of,
    mask_boxes,
    open_perception,
    person_views,
    with_company,
    with_photographs,
    within_borders,
)
from figura.training.run.recipe import random_generator
from PIL import Image

COUNT, SIZE = 8, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("perception")
    build_people(folder / "perception", COUNT, 0, SIZE)
    build_people(folder / "held_out", 2, 10_000_000, SIZE)
    (folder / "backgrounds" / "more").mkdir(parents=True)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "backgrounds" / "more" / f"{number}.png")
    (folder / "backgrounds" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def data(root: Path) -> PerceptionData:
    return open_perception(root).train


def as_rendered(data: PerceptionData, kind: int) -> Drawn:
    return images_of(data.people, np.arange(COUNT), torch.full((COUNT,), kind))


def on_mask(drawn: Drawn, reach: int) -> float:
    """Share of the present joints that lie within `reach` px of the mask."""
    near = torch.nn.functional.max_pool2d(drawn.mask, 2 * reach + 1, 1, reach)
    column, line = (drawn.joints[..., axis].long().clamp(0, SIZE - 1) for axis in (0, 1))
    under = near.flatten(1).gather(1, line * SIZE + column)
    return float((under * drawn.present).sum() / drawn.present.sum())


def test_photographs_are_found_in_the_datas_folder(root: Path, data: PerceptionData, tmp_path: Path) -> None:
    assert data.backgrounds is not None and len(data.backgrounds) == 3
    crops = data.backgrounds.crops(5, SIZE, random_generator(1))
    assert crops.shape == (5, 3, SIZE, SIZE) and 0 <= crops.min() and crops.max() <= 1
    assert open_backgrounds(tmp_path) is None
    assert open_perception(root).held_out.backgrounds is None


def test_what_is_covered_is_neither_in_the_mask_nor_among_the_joints(data: PerceptionData) -> None:
    occluded, whole = as_rendered(data, 0), as_rendered(data, 1)
    assert occluded.mask.sum() < whole.mask.sum() and occluded.present.sum() < whole.present.sum()
    for drawn in (occluded, whole):
        assert not (drawn.labels > 0)[drawn.mask == 0].any()
    assert on_mask(whole, 3) > 0.95


def test_photographs_leave_the_person(data: PerceptionData) -> None:
    before, after = as_rendered(data, 3), as_rendered(data, 3)
    black = Backgrounds([torch.zeros(3, 20, 20, dtype=torch.uint8)])
    for number in range(6):
        after = with_photographs(after, torch.full((COUNT,), 3), black, random_generator(number))
    person = before.mask.expand(-1, 3, -1, -1) > 0
    assert torch.equal(after.images[person], before.images[person])
    assert after.images[~person].mean() < 0.2 < before.images[~person].mean()


def test_company_stands_behind_or_covers(data: PerceptionData) -> None:
    before = as_rendered(data, 1)
    masks, images = before.mask.clone(), before.images.clone()
    covered = 0.0
    for number in range(8):
        after = with_company(as_rendered(data, 1), data.people, random_generator(number))
        assert (after.mask <= masks).all() and (after.present <= before.present).all()
        same = (after.mask > 0).expand(-1, 3, -1, -1)
        assert torch.equal(after.images[same], images[same])
        covered += float((masks - after.mask).sum())
    assert covered > 0


def test_who_stands_there_as_well_is_known_wherever_it_can_be_seen(data: PerceptionData) -> None:
    alone = as_rendered(data, 1)
    drawn = with_company(as_rendered(data, 1), data.people, random_generator(3), Company(shares=(1.0,)))
    assert not alone.others.any() and drawn.others.flatten(1).any(1).float().mean() > 0.5
    assert not (drawn.others * drawn.mask).any()
    changed = (drawn.images != alone.images).any(dim=1, keepdim=True)
    assert (drawn.others > 0)[changed].float().mean() > 0.95


def test_the_other_may_be_the_one_that_is_meant(data: PerceptionData) -> None:
    same, instead = (
        with_company(as_rendered(data, 1), data.people, random_generator(3), Company((1.0,), exchanged=share))
        for share in (0.0, 1.0)
    )
    assert torch.equal(same.images, instead.images)
    assert torch.equal(same.mask, instead.others) and torch.equal(same.others, instead.mask)
    assert on_mask(instead, 4) > 0.95
    assert not (instead.labels > 0)[instead.mask == 0].any()


def test_frames_may_be_round_the_company_too(data: PerceptionData) -> None:
    company = Company(shares=(1.0,), nearest=0.3)
    drawn = with_company(as_rendered(data, 1), data.people, random_generator(3), company)
    plain = Framing(sides=(1.2, 1.2), upper=0.0, distant=0.0, degrees=0.0, stray=0.0)
    alone, both = (
        framed(drawn, framing, random_generator(4))[0] for framing in (plain, replace(plain, together=1.0))
    )
    assert both.others.sum() > alone.others.sum()
    assert both.mask.sum() < alone.mask.sum()


def test_frames_move_joints_mask_and_labels_alike(data: PerceptionData) -> None:
    framing = Framing(sides=(1.2, 1.5), upper=0.0, distant=0.0)
    drawn, ends = framed(as_rendered(data, 1), framing, random_generator(2))
    assert torch.isinf(ends).all()
    assert on_mask(drawn, 4) > 0.95
    labelled = drawn.labels > 0
    assert float((labelled == (drawn.mask > 0)).float().mean()) > 0.97


def test_mirrored_frames_exchange_sides(data: PerceptionData) -> None:
    drawn = as_rendered(data, 1)
    plain = Framing(sides=(1.3, 1.3), upper=0.0, distant=0.0, degrees=0.0, stray=0.0)
    moved, _ = framed(drawn, plain, random_generator(5))
    seen = moved.present > 0
    turned = [
        index
        for index in range(COUNT)
        if (moved.joints[index, 5, 0] < moved.joints[index, 2, 0])
        != (drawn.joints[index, 5, 0] < drawn.joints[index, 2, 0])
    ]
    assert seen.any()
    assert not turned, "left stays left: a mirrored person's left shoulder is on the other side as before"
    labels = {int(label) for label in drawn.labels.unique()}
    both = labels | {MIRRORED[label] for label in labels}
    assert {int(label) for label in moved.labels.unique()} <= both


def test_the_frame_is_round_the_box() -> None:
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    plain = Framing(sides=(1.5, 1.5), upper=0.0, distant=0.0, degrees=0.0, stray=0.0)
    views = person_views(boxes, SIZE, plain, random_generator(1))
    corners = views.move(torch.tensor([[[20.0, 40.0], [20.0, 20.0]]]))[0]
    torch.testing.assert_close(corners[0], torch.tensor([32.0, 32.0]))
    assert float(corners[0, 1] - corners[1, 1]) == pytest.approx(SIZE / 1.5 / 2)


def test_upper_parts_end_at_their_line_and_what_lies_beyond_is_gone(data: PerceptionData) -> None:
    framing = Framing(sides=(1.4, 1.4), upper=1.0, distant=0.0, degrees=0.0)
    drawn, ends = framed(as_rendered(data, 1), framing, random_generator(3))
    assert (ends < SIZE).all() and (ends > 0).all()
    cut = within_borders(drawn, ends, 0.0, random_generator(3))
    gone = torch.arange(SIZE) + 0.5 >= ends[:, None]
    below = cut.mask[:, 0].amax(2) * gone
    assert (below.amax(1) == 0).float().mean() > 0.5
    for index in torch.nonzero(below.amax(1) == 0)[:, 0].tolist():
        lower = drawn.joints[index, :, 1] > ends[index] + 1
        assert not cut.present[index, lower].any()
        colour = cut.images[index, :, gone[index]].flatten(1)
        assert (colour == colour[:, :1]).all() or not gone[index].any()


def test_without_borders_pictures_stay_as_they_are(data: PerceptionData) -> None:
    drawn = as_rendered(data, 1)
    same = within_borders(drawn, torch.full((COUNT,), torch.inf), 0.0, random_generator(1))
    assert torch.equal(same.images, drawn.images) and torch.equal(same.present, drawn.present)


def test_boxes_are_those_of_the_masks() -> None:
    masks = torch.zeros(2, 1, 16, 16)
    masks[0, :, 3:9, 4:6] = 1
    assert mask_boxes(masks).tolist() == [[4, 3, 6, 9], [0, 0, 16, 16]]


def test_things_in_front_hide_what_lies_under_them(data: PerceptionData) -> None:
    drawn = as_rendered(data, 1)
    cover = torch.zeros(COUNT, 1, SIZE, SIZE)
    cover[:, :, : SIZE // 2] = 1
    hidden = hidden_by(drawn, cover)
    assert not hidden.mask[:, :, : SIZE // 2].any() and not hidden.labels[:, :, : SIZE // 2].any()
    above = drawn.joints[..., 1] < SIZE // 2
    assert not hidden.present[above].any()
    assert torch.equal(hidden.present[~above], drawn.present[~above])


def test_drawn_people_depend_on_the_generator_alone(data: PerceptionData) -> None:
    first, same, other = (draw_people(data, np.arange(COUNT), random_generator(n)) for n in (1, 1, 2))
    assert torch.equal(first.images, same.images) and torch.equal(first.joints, same.joints)
    assert not torch.equal(first.images, other.images)
    assert 0 <= first.images.min() and first.images.max() <= 1
    assert set(first.mask.unique().tolist()) <= {0.0, 1.0}


def test_frames_alone_keep_the_colours_of_what_was_rendered(data: PerceptionData) -> None:
    plain = Framing(sides=(1.2, 1.2), upper=0.0, distant=0.0, degrees=0.0, stray=0.0)
    occluded = (1.0, 0.0, 0.0, 0.0)

    def colours(share: float) -> torch.Tensor:
        drawn = draw_people(data, np.arange(COUNT), random_generator(3), plain, occluded, only_framed=share)
        assert share < 1 or not drawn.others.any()
        return (drawn.images * drawn.mask).sum(dim=(2, 3)) / drawn.mask.sum(dim=(2, 3)).clamp_min(1)

    rendered = as_rendered(data, 0)
    truth = (rendered.images * rendered.mask).sum(dim=(2, 3)) / rendered.mask.sum(dim=(2, 3)).clamp_min(1)
    assert (colours(1.0) - truth).abs().amax() < 0.06 < (colours(0.0) - truth).abs().amax()


def test_shares_of_what_is_done_to_pictures_hold(data: PerceptionData) -> None:
    many = np.arange(400) % COUNT
    rendered = images_of(data.people, many, torch.zeros(400, dtype=torch.long)).images
    occluded = (1.0, 0.0, 0.0, 0.0)

    def unchanged(**shares: float) -> float:
        drawn = draw_people(data, many, random_generator(5), shares=occluded, **shares)
        return float((drawn.images == rendered).flatten(1).all(1).float().mean())

    assert unchanged(as_rendered=1.0) == 1 and unchanged(as_rendered=0.0, only_framed=1.0) == 0
    assert abs(unchanged(as_rendered=0.35, only_framed=0.5) - 0.35) < 0.1
    assert abs(unchanged() - 0.2) < 0.1


def test_held_out_people_are_shown_as_rendered(root: Path) -> None:
    held = open_perception(root).held_out
    drawn = draw_people(held, np.arange(2), random_generator(0), shares=(1.0, 0.0, 0.0, 0.0))
    assert torch.equal(drawn.images, held.people.images("occluded", np.arange(2)))
