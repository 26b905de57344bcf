"""The people that perception learns from are seen whole, close and from the hips up."""

from pathlib import Path

import numpy as np
import torch
from figura.people.synthetic import render_people
from figura.training.data.framed_people import VIEWS, build_perception, render_views
from PIL import Image

SIZE = 64


def test_every_seed_has_its_view_and_its_picture_in_any_batch(tmp_path: Path) -> None:
    seeds = list(range(4))
    people = render_views(tmp_path, seeds, SIZE)
    for seed in seeds:
        alone = render_people([seed], SIZE, view=VIEWS[seed])
        assert torch.equal(people.occluded[seed], alone.occluded[0])
        assert people.captions[seed] == alone.captions[0]


def test_photographs_stand_behind_some(tmp_path: Path) -> None:
    seeds = list(range(8))
    plain = render_views(tmp_path, seeds, SIZE)
    photos = tmp_path / "other"
    (photos / "backgrounds").mkdir(parents=True)
    red = np.zeros((80, 80, 3), np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).save(photos / "backgrounds" / "red.png")
    replaced = render_views(photos, seeds, SIZE)
    changed = [not torch.equal(a, b) for a, b in zip(plain.unoccluded, replaced.unoccluded, strict=True)]
    assert any(changed) and not all(changed)


def test_the_folder_is_filled(tmp_path: Path) -> None:
    people = build_perception(tmp_path, 3, processes=1)
    assert len(people) == 3 and (tmp_path / "perception" / "captions.json").is_file()
