"""DensePose labels: checks, mirror images, coarse parts, colour maps."""

import numpy as np
import pytest
import torch
from figura.people import densepose
from figura.people.densepose import (
    COLOUR_MAPS,
    LABELS,
    PARTS,
    WHOLE_BODY,
    DensePose,
    labels_from_colours,
    mirrored,
    paint_labels,
    part_mask,
    read_densepose,
)
from figura.people.synthetic import render_people

EVERY = torch.arange(LABELS, dtype=torch.uint8).reshape(1, 5, 5)
COARSE = (0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14)
COARSE_NAMES = (
    "background", "torso", "right hand", "left hand", "left foot", "right foot", "right thigh", "left thigh",
    "right shin", "left shin", "left upper arm", "right upper arm", "left lower arm", "right lower arm",
    "head",
)  # fmt: skip


def coarse_labels(labels: torch.Tensor) -> torch.Tensor:
    """Labels as numbers of COARSE_NAMES: front and back of a part are one."""
    return torch.tensor(COARSE, dtype=torch.uint8)[labels.long()]


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_every_label_survives_its_colour(colours):
    assert torch.equal(labels_from_colours(paint_labels(EVERY, colours)), EVERY)


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_a_little_noise_does_not_change_most_labels(colours):
    labels = render_people([1, 2], 48).densepose_i
    image = paint_labels(labels, colours)
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    noisy = (image + 2 * 2 / 255 * noise).clamp(0, 1)
    assert (labels_from_colours(noisy) == labels).float().mean() > 0.95


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_colours_are_those_that_the_preprocessors_paint(colours):
    cv2 = pytest.importorskip("cv2")
    levels = (np.arange(1, LABELS) * 255 / 24).astype(np.uint8)[:, None]
    painted = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{colours.upper()}"))[:, 0, ::-1]
    assert [tuple(colour) for colour in painted.tolist()] == list(COLOUR_MAPS[colours][1:])


def test_pictures_of_one_batch_may_be_of_different_maps():
    both = torch.cat([paint_labels(EVERY, colours) for colours in COLOUR_MAPS])
    assert torch.equal(labels_from_colours(both), EVERY.repeat(2, 1, 1))


@pytest.mark.parametrize(
    "image", [torch.ones(1, 3, 8, 8), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))]
)
def test_other_pictures_are_refused(image):
    with pytest.raises(ValueError, match="photo is no DensePose colour map.*viridis"):
        labels_from_colours(image, "photo")


def test_mirroring_twice_gives_the_labels_again():
    value = DensePose(render_people([3], 48).densepose_i)
    assert torch.equal(mirrored(mirrored(value)).labels, value.labels)


def test_mirroring_exchanges_left_and_right():
    names = [COARSE_NAMES[int(n)] for n in coarse_labels(EVERY).flatten()]
    for label, name in enumerate(names):
        row = torch.tensor([[[label, 0]]])
        other = COARSE_NAMES[int(coarse_labels(mirrored(DensePose(row)).labels)[0, 0, 1])]
        swapped = {"left": "right", "right": "left"}
        assert other == " ".join(swapped.get(word, word) for word in name.split())


def test_coarse_labels_are_the_synthetic_peoples_sides():
    # The joints say where the parts are: an ankle is within a shin or a foot of its own side.
    people = render_people(range(8), 96, occlusion=0.0)
    parts = coarse_labels(people.densepose_i)
    wanted = {"right": {"right shin", "right foot"}, "left": {"left shin", "left foot"}}
    hits = total = 0
    for index, joints in enumerate(people.joints):
        for side, ankle in (("right", 10), ("left", 13)):
            x, y, present = joints[ankle].tolist()
            if present:
                total += 1
                hits += COARSE_NAMES[int(parts[index, int(y), int(x)])] in wanted[side]
    assert total > 8 and hits / total > 0.7


class TestMasks:
    def test_the_whole_body_is_all_but_background(self):
        assert torch.equal(part_mask(EVERY, WHOLE_BODY), (EVERY > 0).float()[:, None])

    def test_parts_are_the_ones_they_are_called_by(self):
        names = [COARSE_NAMES[int(n)] for n in coarse_labels(EVERY).flatten()]
        words = {
            "upper body": ("torso", "arm"), "lower body": ("thigh", "shin"), "torso": ("torso",),
            "clothes": ("torso", "arm", "thigh", "shin"), "head": ("head",), "hands": ("hand",),
            "feet": ("foot",), WHOLE_BODY: tuple(COARSE_NAMES[1:]),
        }  # fmt: skip
        assert set(words) == set(PARTS)
        for parts, known in words.items():
            wanted = [float(any(word in name for word in known)) for name in names]
            assert part_mask(EVERY, parts).flatten().tolist() == wanted, parts

    def test_unknown_parts_are_told(self):
        with pytest.raises(ValueError, match="parts is 'hat'; it is one of whole body, clothes"):
            part_mask(EVERY, "hat")


class TestReading:
    def test_labels_come_out(self):
        assert torch.equal(read_densepose(DensePose(EVERY.float())), EVERY)

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (torch.full((1, 4, 4), 25), "labels from 25 to 25"),
            (torch.full((1, 4, 4), -1), "labels from -1"),
            (torch.full((1, 4, 4), 0.5), "whole numbers"),
            (torch.full((1, 4, 4), torch.nan), "NaN"),
            (torch.ones(4, 4), r"shape \(4, 4\)"),
            (torch.stack([torch.ones(4, 4), torch.zeros(4, 4)]), r"\(picture 2 of 2\) is only background"),
        ],
    )
    def test_bad_labels_are_told(self, labels, words):
        with pytest.raises(ValueError, match=f"pose.*{words}"):
            read_densepose(DensePose(labels), "pose")

    def test_another_type_is_told(self):
        with pytest.raises(TypeError, match="FIGURA_DENSEPOSE; got Tensor"):
            read_densepose(torch.zeros(1, 4, 4))


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_large_colour_maps_are_read_in_parts(monkeypatch, colours):
    sizes, distances = [], torch.cdist
    monkeypatch.setattr(densepose, "AT_ONCE", 7)
    monkeypatch.setattr(torch, "cdist", lambda x, y: sizes.append(len(x)) or distances(x, y))
    assert torch.equal(labels_from_colours(paint_labels(EVERY, colours)), EVERY)
    assert max(sizes) == 7 and sum(sizes) % EVERY.numel() == 0
