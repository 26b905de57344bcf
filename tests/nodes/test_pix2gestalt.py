"""pix2gestalt in the place of PHAC's coarse stage: loaded, sampled and masked by the same nodes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from figura.host.plain import PlainHost
from figura.nodes import crops, phac, refine
from figura.nodes.guard import checked_inputs, guarded
from figura.people.prompts import parse_points
from figura.tests.models.diffusion import full_size
from figura.tests.models.pix2gestalt import released
from figura.tests.models.pix2gestalt.test_sampling import tiny_pix2gestalt
from figura.tests.nodes import phac_helpers as helpers

HEIGHT, WIDTH = 60, 45


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_pix2gestalt()


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 10:30, 12:30] = 1
    return image, mask


def prompt(kind: str = "pose", **boxes: list[int]) -> list[Any]:
    joints = {"neck": {"x": 20, "y": 12}, "right_knee": {"x": 20, "y": 50}}
    said = json.dumps({"version": 1, "people": [{"joints": joints, **boxes}]})
    return [parse_points(said, WIDTH, HEIGHT, kind)]


def sample(model: Any, prompts: list[Any], text: str = "", strength: float = 1.0) -> torch.Tensor:
    image, mask = picture()
    return phac.FiguraPHACSampler().run(model, image, mask, prompts, text, 1, 2.0, 5, strength)[0]


def test_load_phac_takes_the_file_and_the_sampler_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    helpers.write_mini_family(tmp_path)
    path = full_size.write(tmp_path / "epoch=000005.safetensors", released.small()[0])
    places = {"phac": tmp_path, "checkpoint": path}
    monkeypatch.setattr(PlainHost, "find_model", lambda self, file_kind, name: places[file_kind])
    loaded = phac.FiguraLoadPHAC().run("epoch=000005.safetensors")[0]
    assert loaded.size == 256 and loaded.name == "epoch=000005.safetensors"
    node = guarded(type("Sampler", (phac.FiguraPHACSampler,), {}), "PHAC Sampler")
    image, mask = picture()
    coarse, latent = node().run(loaded, image, mask, prompt(), "", 1, 1.0, 0, 1.0)
    assert coarse.shape == image.shape and latent["samples"].shape == (1, 4, 32, 32)
    with pytest.raises(TypeError, match="refiner must be a FIGURA_REFINER; got Pix2Gestalt"):
        checked_inputs(refine.FiguraInpaintRefiner, "Inpaint Refiner", {"refiner": loaded})


def test_text_and_strength_change_nothing_and_the_log_says_so(
    model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        plain = sample(model, prompt())
    assert "the text is not read" in caplog.text
    assert torch.equal(plain, sample(model, prompt(), "a man in a red coat", 0.0))


def test_the_points_say_how_large_the_crop_is(model: Any) -> None:
    near = [parse_points(json.dumps({"people": [{"joints": {"neck": {"x": 20, "y": 12}}}]}), WIDTH, HEIGHT)]
    assert not torch.equal(sample(model, prompt()), sample(model, near))


def test_a_box_limits_what_is_drawn_and_what_may_change(model: Any) -> None:
    image, mask = picture()
    boxed = prompt("roi_box", roi_box=[10, 30, 34, 55])
    coarse = sample(model, boxed)
    assert bool((coarse[:, 57:] == 1).all()) and not bool((coarse[:, 32:50, 14:30] == 1).all())
    changed, exact = phac.FiguraInvisibleMask().run(model, image, coarse, mask, 0.0, 0, boxed)
    assert changed.shape == (1, HEIGHT, WIDTH) and bool(exact.any()) and not bool(exact[:, 57:].any())


def test_crop_person_takes_its_size(model: Any) -> None:
    image, mask = picture()
    cropped = crops.FiguraCropPerson().run(image, 0, 0, 0.15, mask=mask, phac=model)
    assert cropped[0].shape == (1, model.size, model.size, 3)
