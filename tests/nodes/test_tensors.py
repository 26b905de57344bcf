"""The host's types at the nodes' doors."""

import numpy as np
import pytest
import torch
from figura.nodes import tensors
from figura.people.boxes import Box


def test_an_image_round_trips_bit_for_bit():
    image = torch.rand(2, 5, 7, 3)
    assert torch.equal(tensors.bchw_to_image(tensors.image_to_bchw(image)), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_grey_and_alpha(channels):
    image = torch.rand(1, 1, 1, channels)
    pixels = tensors.image_to_bchw(image)
    colours = image[..., :3] if channels >= 3 else image[..., :1].expand(1, 1, 1, 3)
    assert torch.equal(pixels.permute(0, 2, 3, 1), colours)


def test_huge_finite_values_are_no_error():
    assert tensors.image_to_bchw(torch.full((1, 4, 4, 3), 3e38)).max() > 1e38


def test_half_precision_and_one_picture_without_batch():
    assert tensors.image_to_bchw(torch.zeros(4, 6, 3, dtype=torch.float16)).dtype == torch.float32
    assert tensors.image_to_bchw(torch.zeros(4, 6, 3)).shape == (1, 3, 4, 6)
    assert tensors.mask_to_b1hw(torch.full((4, 6), 7.0)).shape == (1, 1, 4, 6)
    assert tensors.mask_to_b1hw(torch.full((4, 6), 7.0)).max() == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_names_the_input(bad):
    image, mask = torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 4)
    image[0, 1, 1, 1] = mask[0, 2, 2] = bad
    with pytest.raises(ValueError, match="coarse holds NaN"):
        tensors.image_to_bchw(image, "coarse")
    with pytest.raises(ValueError, match="visible_mask holds NaN"):
        tensors.mask_to_b1hw(mask, "visible_mask")


@pytest.mark.parametrize("shape", [(1, 4, 4, 5), (1, 3, 4, 4, 3), (3, 4)])
def test_other_shapes_are_refused_as_images(shape):
    with pytest.raises(ValueError, match=rf"image has shape \({shape[0]}, "):
        tensors.image_to_bchw(torch.zeros(shape))


def test_empty_and_foreign_values():
    with pytest.raises(ValueError, match="image is empty"):
        tensors.image_to_bchw(torch.zeros(0, 4, 4, 3))
    with pytest.raises(ValueError, match="mask is empty"):
        tensors.mask_to_b1hw(torch.zeros(1, 0, 4))
    with pytest.raises(ValueError, match="Is an IMAGE connected"):
        tensors.mask_to_b1hw(torch.zeros(1, 4, 4, 3))
    with pytest.raises(TypeError, match="image must be an IMAGE"):
        tensors.image_to_bchw([1, 2])


def test_one_serves_all():
    image, mask, prompt = torch.rand(3, 3, 4, 4), torch.rand(1, 1, 4, 4), ["one"]
    a, b, c, nothing = tensors.broadcast_batches(image=image, mask=mask, prompt=prompt, pose=None)
    assert torch.equal(a, image) and b.shape == (3, 1, 4, 4) and c == ["one"] * 3 and nothing is None
    assert tensors.batch_length(image=mask, prompt=prompt) == 1


def test_other_lengths_name_both_shapes_and_the_fix():
    with pytest.raises(
        ValueError,
        match=r"image has shape \(3, 3, 4, 4\), mask has shape \(2, 1, 4, "
        r"4\).*Give one",
    ):
        tensors.broadcast_batches(image=torch.rand(3, 3, 4, 4), mask=torch.rand(2, 1, 4, 4))
    with pytest.raises(ValueError, match="pose has 4 entries"):
        tensors.batch_length(image=torch.rand(3, 3, 4, 4), pose=[0] * 4)
    with pytest.raises(ValueError, match="pose is empty"):
        tensors.batch_length(image=torch.rand(3, 3, 4, 4), pose=[])


def test_other_sizes_name_both():
    with pytest.raises(ValueError, match="mask has 5 x 4 pixels but image has 4 x 4.*Resize mask"):
        tensors.check_same_size(image=torch.rand(1, 3, 4, 4), mask=torch.rand(1, 1, 4, 5))


@pytest.mark.parametrize(
    "value",
    [
        {"x": 1, "y": 2, "width": 3, "height": 4},
        [{"x": 1, "y": 2, "width": 3, "height": 4}],
        [[{"x": 1, "y": 2, "width": 3, "height": 4}]],
        [[{"x": 1, "y": 2, "width": 1, "height": 1}, {"x": 3, "y": 5, "width": 1, "height": 1}]],
        [1, 2, 4, 6],
        (1.0, 2.0, 4.0, 6.0),
        [[1, 2, 4, 6]],
        [[[1, 2, 4, 6]]],
        np.array([[1, 2, 4, 6]]),
        list(np.array([1, 2, 4, 6], np.float32)),
        [list(np.array([1, 2, 4, 6]))],
        torch.tensor([1, 2, 4, 6]),
    ],
)
def test_every_form_of_a_box_is_read(value):
    assert tensors.read_bounding_box(value) == [Box(1, 2, 4, 6)]


def test_boxes_are_written_as_the_host_does():
    box = Box(0.5, 2, 3.2, 6)
    assert tensors.write_bounding_box([box]) == {"x": 0, "y": 2, "width": 4, "height": 4}
    two = tensors.write_bounding_box([box, Box(1, 1, 2, 2)])
    assert two[1] == [{"x": 1, "y": 1, "width": 1, "height": 1}]
    assert tensors.read_bounding_box(two) == [Box(0, 2, 4, 6), Box(1, 1, 2, 2)]


@pytest.mark.parametrize(
    "value",
    [
        3, "box", [], [3], ["box"], {"x": 1}, [1, 2, 1, 6], [1, 2, float("nan"), 6],
        {"x": 1, "y": 1, "width": -3, "height": 2}, [[{"x": 1, "y": None, "width": 3, "height": 2}]],
    ],
)  # fmt: skip
def test_boxes_that_are_none_are_refused_by_name(value):
    with pytest.raises(ValueError, match="roi"):
        tensors.read_bounding_box(value, "roi")
