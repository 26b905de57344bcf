"""The nodes of Giving a Hand on a random mini family: hands, canvas and body together, any size, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from figura.host import Cancelled
from figura.host.plain import PlainHost
from figura.models import store
from figura.models.diffusion import in_turn
from figura.models.perception.sam import build_mini_sam
from figura.nodes import hands as nodes
from figura.nodes.hand_canvas import FiguraHandCanvas
from figura.people.keypoints import read_pose_keypoint
from figura.tests.nodes import hands_helpers as helpers


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.write_mini_family(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="module")
def model(family: Path) -> Any:
    return nodes.load_mini_hands(family)


def draw(model: Any, pose: Any, **change: Any) -> Any:
    settings = {"text": "a hand", "steps": 1, "cfg": 1.0, "seed": 0, **change}
    return nodes.FiguraHandSampler().run(model, pose, **settings)


def canvas(height: int = 128, width: int = 128, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    image, mask = torch.full((count, height, width, 3), 0.5), torch.zeros(count, height, width)
    mask[:, height // 4 : height // 2, width // 8 : width // 3] = 1
    image[mask > 0.5] = torch.rand(int(mask.sum()), 3, generator=torch.Generator().manual_seed(0))
    return image, mask


def outpaint(model: Any, image: torch.Tensor, mask: torch.Tensor, pose: Any, **change: Any) -> Any:
    settings = {"text": "a person", "steps": 1, "cfg": 1.0, "seed": 0, **change}
    return nodes.FiguraBodyOutpaint().run(model, image, mask, pose, **settings)


def test_one_close_up_comes_for_every_hand(model: Any) -> None:
    images, masks, poses, skeletons = draw(model, helpers.pose_value(count=2))
    assert images.shape == skeletons.shape == (4, 128, 128, 3) and masks.shape == (4, 128, 128)
    frames = read_pose_keypoint(poses)
    sides = ["right" if frame.people[0].right_hand is not None else "left" for frame in frames]
    assert sides == ["right", "left"] * 2 and {frame.width for frame in frames} == {128}
    assert skeletons.max() > 0.9 and 0 <= masks.min() and masks.max() <= 1


@pytest.mark.parametrize("which", ["both", "right", "left"])
def test_hands_go_through_the_canvas_into_the_body(model: Any, which: str) -> None:
    pose = helpers.pose_value()
    images, masks, hand_pose, _ = draw(model, pose, which=which)
    masks = torch.zeros_like(masks)
    masks[:, 20:108, 20:108] = 1
    laid, known = FiguraHandCanvas().run(images, masks, hand_pose, pose, "grey", 0.5)
    assert known.any() and known[0, :, 64:].any() == (which != "right")
    image, blended = outpaint(model, laid, known, pose, feather=0.0)
    inside = known > 0.5
    assert torch.equal(image[inside], laid[inside]) and torch.equal(image[~inside], blended[~inside])


def test_a_model_of_load_sam_finds_the_masks(model: Any) -> None:
    torch.manual_seed(0)
    sam = build_mini_sam().eval()
    _, masks, _, _ = draw(model, helpers.pose_value(left=False), sam=sam)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


def test_an_empty_mask_is_logged(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    nodes.warn_of_empty(torch.tensor([1.0, 0.0, 0.4]).reshape(3, 1, 1, 1))
    assert "the mask of hands 2, 3 of 3 is empty" in caplog.text


@pytest.mark.parametrize(("height", "width"), [(128, 128), (150, 90), (33, 200), (300, 401)])
def test_the_result_has_the_size_of_the_canvas(model: Any, height: int, width: int) -> None:
    pose = helpers.pose_value(height=height, width=width)
    image, blended = outpaint(model, *canvas(height, width), pose)
    assert image.shape == blended.shape == (1, height, width, 3)
    assert 0 <= blended.min() and blended.max() <= 1


def test_one_pose_serves_a_batch_and_batches_that_do_not_match_are_named(model: Any) -> None:
    image, mask = canvas(count=3)
    both, _ = outpaint(model, image[:2], mask[:1], helpers.pose_value())
    assert both.shape[0] == 2
    with pytest.raises(ValueError, match="The batches do not match: canvas has shape .*pose_keypoint"):
        outpaint(model, image, mask, helpers.pose_value(count=2))
    with pytest.raises(ValueError, match="known_mask has 64 x 128 .*canvas has 128 x 128"):
        outpaint(model, image, mask[:, :, :64], helpers.pose_value())


def test_without_pasting_both_outputs_are_the_same(model: Any) -> None:
    image, blended = outpaint(model, *canvas(), helpers.pose_value(), paste_hand=False)
    assert torch.equal(image, blended)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"which": "left"}, "pose_keypoint has no left hand"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_what_the_sampler_cannot_draw_is_named(model: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(model, helpers.pose_value(left=False), **change)


def test_what_cannot_be_outpainted_is_named(model: Any) -> None:
    (image, mask), pose = canvas(), helpers.pose_value()
    for change, message in (
        ({"mask": torch.zeros_like(mask)}, "known_mask is empty"),
        ({"mask": torch.ones_like(mask)}, "known_mask is 1 everywhere"),
        ({"image": image * float("nan")}, "canvas holds NaN"),
        ({"steps": 0}, "steps is 0"),
        ({"pose": [{"people": [], "canvas_width": 128, "canvas_height": 128}]}, "has no joints"),
        ({"pose": helpers.pose_value(width=64)}, "64 x 128 pixels and canvas has 128 x 128"),
    ):
        given = {"image": image, "mask": mask, "pose": pose, **change}
        with pytest.raises(ValueError, match=message):
            outpaint(model, **given)


def test_nobodys_hands_are_an_error_that_says_what_to_do(model: Any) -> None:
    nobody = [{"people": [], "canvas_width": 64, "canvas_height": 64}]
    with pytest.raises(ValueError, match="pose_keypoint has no hand: use a detector that finds hands"):
        draw(model, nobody)


def test_progress_counts_all_steps_and_shows_previews(
    model: Any, reports: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_turn, "IMAGES_AT_ONCE", 1)
    draw(model, helpers.pose_value(), unique_id="5")
    outpaint(model, *canvas(), helpers.pose_value(), unique_id="6", steps=2)
    assert [report[:3] for report in reports] == [("5", 1, 2), ("5", 2, 2), ("6", 1, 2), ("6", 2, 2)]
    assert reports[0][3].size == (128, 128)


def test_cancelling_stops_within_a_step(model: Any, reports_until_cancelled: list[Any]) -> None:
    with pytest.raises(Cancelled):
        draw(model, helpers.pose_value(left=False), steps=5)
    with pytest.raises(Cancelled):
        outpaint(model, *canvas(), helpers.pose_value(), steps=5)
    assert [done for _, done, _, _ in reports_until_cancelled] == [1]


def test_the_loader_offers_mini_first_and_loads_it(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainHost, "find_model", lambda self, file_kind, name: family)
    inputs = nodes.FiguraLoadHands.INPUT_TYPES()
    assert inputs["required"]["model"][0][0] == store.MINI
    assert [inputs["optional"][name][0][0] for name in ("hand_controlnet", "body_controlnet")] == [
        nodes.inputs.AUTOMATIC
    ] * 2
    (loaded,) = nodes.FiguraLoadHands().run(store.MINI)
    assert loaded.generator.size == loaded.body.size == 128


def test_a_checkpoint_needs_both_controlnets() -> None:
    with pytest.raises(ValueError, match="hand_controlnet: choose .*controlnet_hands_sd15"):
        nodes.find_network(nodes.inputs.AUTOMATIC, "hands")
    with pytest.raises(ValueError, match="body_controlnet: choose .*openpose"):
        nodes.find_network(nodes.inputs.AUTOMATIC, "body")


def test_trained_files_are_offered_where_they_belong(tmp_path: Path, host: PlainHost, family: Path) -> None:
    folder = tmp_path / "models" / "figura"
    folder.mkdir(parents=True)
    for name in ("hands", "body", "base"):
        (folder / f"my_{name}.safetensors").write_bytes((family / f"{name}.safetensors").read_bytes())
    options = nodes.FiguraLoadHands.INPUT_TYPES()["optional"]
    assert options["hand_controlnet"][0] == [nodes.inputs.AUTOMATIC, "my_hands.safetensors"]
    assert options["body_controlnet"][0] == [nodes.inputs.AUTOMATIC, "my_body.safetensors"]
    assert nodes.find_network("my_body.safetensors", "body") == (folder / "my_body.safetensors").resolve()
