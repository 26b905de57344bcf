"""Stage B on pictures of any size: what U_iv is shown, and where its masks lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models import store
from figura.models.phac.amodal_mask import AmodalMaskNet
from figura.models.phac.checkpoint import load_mini_phac
from figura.models.phac.invisible import invisible_images
from figura.people.boxes import Box
from figura.people.crops import CropPlan
from figura.people.prompts import PointPrompt
from figura.people.synthetic import render_people
from figura.tests.models.phac import tiny
from figura.training.recipes.invisible_mask import mask_iou


def test_the_dilation_is_in_pixels_of_the_picture_however_large_the_crop() -> None:
    class Spot(torch.nn.Module):
        """Finds 4 x 4 of its pixels."""

        def __init__(self) -> None:
            super().__init__()
            self.config, self.anything = {"size": 32}, torch.nn.Parameter(torch.zeros(1))

        def forward(self, *pictures: torch.Tensor) -> torch.Tensor:
            logits = torch.full_like(pictures[2], -30.0)
            logits[..., 20:24, 14:18] = 30.0
            return logits

    model = tiny.tiny_phac()
    model.mask_net = Spot()
    image, visible = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    visible[..., :16, :] = 1  # so that the crop is the whole picture, at a quarter of its size
    dilated, exact = invisible_images(model, image, image, visible, dilation_px=8.0)
    found, grown = Box.around_mask(exact[0, 0]), Box.around_mask(dilated[0, 0])
    assert found == Box(56, 80, 72, 96)
    for side, wanted in zip(grown, found.expand(8), strict=True):
        assert abs(side - wanted) <= 2


class Watched(torch.nn.Module):
    """Finds nothing, and keeps the prompt pictures and guesses that it is shown."""

    def __init__(self, sees_prompt: bool) -> None:
        super().__init__()
        self.config, self.anything = {"size": 64}, torch.nn.Parameter(torch.zeros(1))
        self.sees_prompt, self.shown, self.guesses = sees_prompt, [], []

    def forward(self, *pictures: torch.Tensor) -> torch.Tensor:
        self.shown += [each for each in pictures[3:4] if each is not None]
        self.guesses += [each for each in pictures[4:5] if each is not None]
        return torch.full_like(pictures[2], -30.0)


@pytest.mark.parametrize("kind", ["pose", "roi_box"])
def test_a_mask_network_that_sees_prompts_is_shown_them_where_they_lie_in_its_crop(kind: str) -> None:
    """The prompt was set on a picture of half the size; the tiny model has no ControlNet for the box."""
    model, joints = tiny.tiny_phac(), np.zeros((18, 3), np.float32)
    joints[0] = 72, 40, 1
    box = Box(68, 36, 76, 44)
    prompt = PointPrompt(kind, 128, 128, joints, np.zeros(18, bool), roi_box=box)
    image, visible = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    visible[..., 64:192, 64:192] = 1
    plan = CropPlan(256, 256, Box(64, 64, 192, 192), 32, 32)
    for sees in (True, False):
        model.mask_net = Watched(sees)
        invisible_images(model, image, image, visible, prompts=[prompt], plans=[plan])
        assert len(model.mask_net.shown) == sees
        if sees:
            shown = model.mask_net.shown[0]
            drawn = Box.around_mask((shown[0].amax(0) > 0.2).float())
            centre = (drawn.x0 + drawn.x1) / 2, (drawn.y0 + drawn.y1) / 2
            assert shown.shape == (1, 3, 64, 64)
            assert centre == pytest.approx(((144 - 64) / 2, (80 - 64) / 2), abs=1)
    model.mask_net = Watched(True)
    invisible_images(model, image, image, visible)
    assert model.mask_net.shown == []


class Silhouettes(torch.nn.Module):
    """Says that the person fills the box of the whole person."""

    def __init__(self) -> None:
        super().__init__()
        self.config, self.anything = AmodalMaskNet().config, torch.nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return 60 * (features[:, 21:22] - 0.5)


class Everywhere(Silhouettes):
    """Says that the person is everywhere."""

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return 60 * torch.ones_like(features[:, :1])


def test_what_silhouettes_say_lies_in_the_crop_where_the_prompt_does() -> None:
    """Prompts of pictures of half the size; the crop reaches out of the picture, where nobody can be."""
    model, joints = tiny.tiny_phac(), np.zeros((18, 3), np.float32)
    prompt = PointPrompt("full_box", 128, 128, joints, np.zeros(18, bool), full_box=Box(40, 60, 60, 120))
    image, visible = torch.rand(2, 3, 256, 256), torch.zeros(2, 1, 256, 256)
    visible[..., 120:160, 80:120] = 1
    plans = [CropPlan(256, 256, Box(0, 100, 256, 356), 64, 64)] * 2
    model.mask_net, model.amodal_net = Watched(True), Silhouettes()
    invisible_images(model, image, image, visible, prompts=[prompt, prompt], plans=plans)
    guess = model.mask_net.guesses[0]
    assert guess.shape == (2, 1, 64, 64) and torch.equal(guess[0], guess[1])
    expected = torch.zeros(64, 64)
    expected[5:35, 20:30], expected[5:15, 20:30] = 1, 0  # what is seen is not hidden
    assert ((guess[0, 0] > 0.5) != (expected > 0.5)).float().mean() < 0.01
    invisible_images(model, image, image, visible, plans=plans)  # nothing is said
    model.amodal_net = None
    invisible_images(model, image, image, visible, prompts=[prompt, prompt], plans=plans)
    assert len(model.mask_net.guesses) == 1


@pytest.mark.parametrize("kind", ["pose", "full_box"])
def test_a_guess_counts_once_more_for_mini_unless_visible_joints_alone_are_told(kind: str) -> None:
    """The stub finds nothing, by far: only a guess that is added can move it."""
    model, joints = tiny.tiny_phac(), np.zeros((18, 3), np.float32)
    joints[:2] = (20, 15, 1), (30, 45, 1)
    image, visible = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    visible[..., 10:20, 10:50] = 1
    seen, told = np.zeros(18, bool), np.arange(18) == 1
    prompts = [
        PointPrompt(kind, 64, 64, joints, given, full_box=Box(10, 10, 50, 50)) for given in (seen, told)
    ]
    model.mask_net, model.amodal_net = Watched(True), Everywhere()
    assert model.guess_counts == 0.0
    for counts, found in ((0.0, [False, False]), (10.0, [kind == "full_box", True])):
        model.guess_counts = counts
        _, exact = invisible_images(model, image, image, visible, prompts=prompts)
        assert exact.flatten(1).any(1).tolist() == found


PHAC_FILES = store.mini_files("phac")
SOMEBODY = range(10_000_400, 10_000_404)


@pytest.mark.skipif(not all(path.is_file() for path in PHAC_FILES), reason="weights/mini is not complete")
@pytest.mark.parametrize("said", [True, False])
def test_the_invisible_mask_does_not_depend_on_the_ground_of_the_coarse_picture(said: bool) -> None:
    """Only the top third of every person is seen: the crop has to follow the prompt, or the person drawn."""
    people, model = render_people(SOMEBODY, 192, occlusion=0.6), load_mini_phac(store.MINI_DIR)
    amodal, visible = people.amodal_mask, people.visible_mask.clone()
    for seen, whole in zip(visible, amodal, strict=True):
        box = Box.around_mask(whole[0])
        seen[:, int(box.y0 + box.height / 3) :] = 0
    given = ~people.joint_visible & (people.joints[..., 2] > 0)
    prompts = [
        PointPrompt("pose", 192, 192, joints.numpy(), marked.numpy())
        for joints, marked in zip(people.joints, given, strict=True)
    ]
    overlaps = {}
    for level in (1.0, 0.95, 0.89, 0.5, 0.0):
        coarse = torch.where(amodal > 0.5, people.complete, level)
        _, exact = invisible_images(
            model, people.occluded, coarse, visible, prompts=prompts if said else None
        )
        overlaps[level] = float(mask_iou(exact, amodal * (1 - visible)).mean())
    assert overlaps[1.0] > 0.6
    assert max(abs(overlap - overlaps[1.0]) for overlap in overlaps.values()) <= 0.05, overlaps
