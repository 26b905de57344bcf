"""The picture of the routes shows what they really do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from figura.workflows.photo import IMAGE
from figura.workflows.routes import ROUTES, route_pictures
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["phac_native_one_pass", "refine_anything"])
def test_only_where_the_model_may_draw_the_photograph_changes(name: str, tmp_path: Path) -> None:
    canvas, mask, _, stitched = route_pictures(name, tmp_path)
    size = ROUTES[name][1]
    assert canvas.shape == mask.shape == (1, size, size, 3)
    photograph = torch.from_numpy(np.asarray(Image.open(IMAGE).convert("RGB"))) / 255
    changed = (stitched[0] != photograph).any(-1).float().mean()
    assert 0 < changed < 0.3


def test_the_coarse_routes_keep_the_person(tmp_path: Path) -> None:
    canvas, mask, _, _ = route_pictures("phac_native_sd15", tmp_path)
    kept = mask[..., 0] == 0
    assert 0.1 < kept.float().mean() < 0.6 and (canvas[mask[..., 0] > 0] == 1).float().mean() > 0.9
