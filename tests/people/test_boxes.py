"""Box algebra."""

import numpy as np
import torch
from figura.people.boxes import EMPTY, Box


def test_union_ignores_empty_boxes():
    box = Box(1, 2, 3, 4)
    assert box.union(EMPTY) == box and EMPTY.union(box) == box
    assert box.union(Box(0, 3, 2, 9)) == Box(0, 2, 3, 9)


def test_clip_and_intersect():
    assert Box(-5, -5, 5, 50).clip(20, 10) == Box(0, 0, 5, 20)
    assert Box(30, 30, 40, 40).clip(20, 20) == EMPTY


def test_expand_scale_shift_outward():
    assert Box(1, 1, 2, 2).expand(1) == Box(0, 0, 3, 3)
    assert Box(1, 2, 3, 4).scaled(2, 10) == Box(2, 20, 6, 40)
    assert Box(1, 2, 3, 4).shifted(-1, 1) == Box(0, 3, 2, 5)
    assert Box(0.2, -0.2, 1.1, 3).outward() == Box(0, -1, 2, 3)


def test_around_points_leaves_out_absent_ones():
    points = np.array([[5.0, 6.0, 1.0], [100.0, 100.0, 0.0], [7.0, 2.0, 0.4]])
    assert Box.around_points(points) == Box(5, 2, 7, 6)
    assert Box.around_points(np.zeros((18, 3))) == EMPTY


def test_around_mask():
    mask = torch.zeros(9, 9)
    assert Box.around_mask(mask) == EMPTY
    mask[2:4, 5] = 1
    assert Box.around_mask(mask) == Box(5, 2, 6, 4)
