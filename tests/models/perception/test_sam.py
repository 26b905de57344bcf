"""Mini and public Segment Anything: loading by keys, prompts, masks of any picture size."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.sam import (
    Region,
    _closer_region,
    _logits_in_region,
    _widened,
    build_mini_sam,
    prompt_logits,
    prompt_region,
    visible_mask,
)
from figura.models.perception.sam_networks import (
    FILE_KIND,
    MINI,
    SamConfig,
    build_sam,
    config_from_tensors,
    load_sam,
)

TINY_PUBLIC = SamConfig(
    image_size=64,
    patch_size=8,
    embed_dim=32,
    depth=2,
    num_heads=2,
    window_size=3,
    global_attn_indexes=(1,),
    out_chans=32,
    mask_in_chans=8,
    decoder_mlp_dim=64,
    iou_head_hidden_dim=32,
)


@pytest.fixture(scope="module")
def mini() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_mini_sam()


def one_point(x: float, y: float) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([[x, y]]), torch.ones(1)


def test_the_mini_sam_is_made_of_the_original_classes(mini: torch.nn.Module) -> None:
    from segment_anything import modeling

    assert type(mini) is modeling.Sam
    assert type(mini.image_encoder) is modeling.ImageEncoderViT
    assert type(mini.mask_decoder) is modeling.MaskDecoder
    assert sum(p.numel() for p in mini.parameters()) < 1_250_000


def test_batched_decoding_equals_the_original_decoder() -> None:
    torch.manual_seed(0)
    sam = build_sam(replace(MINI, prompt_maps=False, fine_width=0))
    images = torch.rand(2, 3, 128, 128)
    points = torch.rand(2, 3, 4, 2) * 128
    labels = torch.tensor([1, 1, 0, -1]).expand(2, 3, 4)
    boxes = torch.tensor([10.0, 20.0, 90.0, 120.0]).expand(2, 3, 4)
    with torch.no_grad():
        embeddings = sam.image_encoder(sam.preprocess(images * 255))
        for chosen in (None, boxes):
            logits, iou = prompt_logits(sam, images, points, labels, chosen)
            for index in range(2):
                corners = None if chosen is None else chosen[index] - 0.5
                sparse, dense = sam.prompt_encoder((points[index] - 0.5, labels[index]), corners, None)
                position = sam.prompt_encoder.get_dense_pe()
                expected = sam.mask_decoder(embeddings[index : index + 1], position, sparse, dense, False)
                torch.testing.assert_close(logits[index], expected[0][:, 0])
                torch.testing.assert_close(iou[index], expected[1][:, 0])


def test_mini_masks_have_the_resolution_of_the_picture(mini: torch.nn.Module) -> None:
    with torch.no_grad():
        prompt = torch.rand(1, 1, 2, 2) * 128, torch.ones(1, 1, 2)
        logits, _ = prompt_logits(mini, torch.rand(1, 3, 128, 128), *prompt)
    assert logits.shape == (1, 1, 128, 128)


@pytest.mark.parametrize("size", [(128, 128), (1, 1), (90, 50), (300, 700)])
def test_any_picture_size_gives_a_binary_mask_of_that_size(
    mini: torch.nn.Module, size: tuple[int, int]
) -> None:
    mask, score = visible_mask(mini, torch.rand(3, *size), *one_point(size[1] / 2, size[0] / 2))
    assert mask.shape == size
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert 0 <= score <= 1


def test_a_box_alone_is_enough(mini: torch.nn.Module) -> None:
    mask, _ = visible_mask(
        mini, torch.rand(3, 200, 200), torch.zeros(0, 2), torch.zeros(0), (20.0, 30.0, 90.0, 150.0)
    )
    assert mask.shape == (200, 200)


def test_without_any_prompt_the_error_says_what_to_connect(mini: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="BOUNDING_BOX"):
        visible_mask(mini, torch.rand(3, 64, 64), torch.zeros(0, 2), torch.zeros(0))
    with pytest.raises(ValueError, match="no visible joint"):
        visible_mask(mini, torch.rand(3, 64, 64), torch.tensor([[1.0, 2.0]]), torch.zeros(1))


@pytest.mark.parametrize("point", [(-1.0, 5.0), (65.0, 5.0), (5.0, 70.0), (float("nan"), 1.0)])
def test_points_outside_the_picture_are_named(mini: torch.nn.Module, point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="outside the picture of 64x64|not a number"):
        visible_mask(mini, torch.rand(3, 64, 64), *one_point(*point))


@pytest.mark.parametrize("edge", [(64.0, None), (None, 64.0)])
def test_a_point_on_the_far_edge_counts(
    mini: torch.nn.Module, edge: tuple[float | None, float | None]
) -> None:
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    masks = []
    for place in (5.0, 60.0):
        x, y = (place if side is None else side for side in edge)
        logits, _ = _logits_in_region(mini, picture, *one_point(x, y), None, Region(0, 0, 64, 64))
        masks.append(logits)
    assert not torch.equal(*masks)


@pytest.mark.parametrize("box", [(5.0, 5.0, 5.0, 9.0), (70.0, 5.0, 90.0, 9.0)])
def test_a_bad_box_is_refused(mini: torch.nn.Module, box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box"):
        visible_mask(mini, torch.rand(3, 64, 64), torch.zeros(0, 2), torch.zeros(0), box)


def test_small_pictures_are_looked_at_whole() -> None:
    assert prompt_region(torch.tensor([[5.0, 5.0]]), None, (100, 128), 128) == Region(0, 0, 128, 100)


def test_large_pictures_are_cropped_round_the_prompt() -> None:
    points = torch.tensor([[900.0, 500.0], [1000.0, 900.0], [950, 600], [960, 700], [970, 800]])
    region = prompt_region(points, None, (1500, 2000), 128)
    assert region.left < 900 < 1000 < region.right and region.top < 500 < 900 < region.bottom
    assert region.right - region.left == region.bottom - region.top == 680


def test_few_points_say_little_of_the_size_and_a_box_says_all() -> None:
    points = torch.tensor([[900.0, 500.0], [1000.0, 900.0]])
    few = prompt_region(points, None, (1500, 2000), 128)
    assert few.right - few.left == few.bottom - few.top == 1200
    boxed = prompt_region(points, (850.0, 450.0, 1050.0, 950.0), (1500, 2000), 128)
    assert boxed.right - boxed.left == boxed.bottom - boxed.top == 600


def test_round_a_single_point_as_much_is_shown_of_a_picture_however_large_it_is():
    small = prompt_region(torch.tensor([[200.0, 150.0]]), None, (300, 400), 128)
    large = prompt_region(torch.tensor([[2000.0, 1500.0]]), None, (3000, 4000), 128)
    assert large == Region(*(10 * side for side in small))
    assert large.right - large.left > 0.5 * 4000


def test_a_small_network_looks_at_the_mirror_image_as_well(mini: torch.nn.Module) -> None:
    image = torch.rand(3, 128, 128)
    points = torch.tensor([[40.0, 50.0], [60.0, 90.0]])
    mask, score = visible_mask(mini, image, points, torch.ones(2))
    turned = points * torch.tensor([-1.0, 1.0]) + torch.tensor([128.0, 0.0])
    mirrored, same = visible_mask(mini, image.flip(-1), turned, torch.ones(2))
    assert torch.equal(mask, mirrored.flip(-1)) and score == pytest.approx(same, abs=1e-5)


def looked_at_by(monkeypatch: pytest.MonkeyPatch, *finds: Region) -> list[Region]:
    """Where `visible_mask` looks when this part of the picture is all that each look finds."""
    regions = []

    def logits_in(
        sam: object, image: torch.Tensor, points: object, labels: object, box: object, region: Region
    ):
        found = finds[len(regions)]
        regions.append(region)
        logits = torch.full((region.bottom - region.top, region.right - region.left), -2.0 * len(regions))
        top, left = max(0, found.top - region.top), max(0, found.left - region.left)
        logits[top : found.bottom - region.top, left : found.right - region.left] = 1.0
        return logits, 0.5

    monkeypatch.setattr("figura.models.perception.sam._logits_in_region", logits_in)
    return regions


def test_a_small_network_looks_closer_at_somebody_small(
    mini: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Region(40, 20, 60, 70)
    upper = Region(40, 20, 60, 50)
    regions = looked_at_by(monkeypatch, found, upper)
    mask, _ = visible_mask(mini, torch.rand(3, 128, 128), torch.tensor([[50.0, 80.0]]), torch.ones(1))
    # The second look is surer of what is not there than the first of what is.
    assert mask.sum() == 20 * 30 and mask[20:50, 40:60].all()
    whole, closer = regions
    assert whole == Region(0, 0, 128, 128)
    # The person and the point below, and a little round them.
    assert closer.top < 20 < 80 < closer.bottom and closer.left < 40 < 60 < closer.right
    assert closer.right - closer.left == closer.bottom - closer.top == round(60 * 1.06)


def test_nobody_who_fills_the_picture_is_looked_at_twice(
    mini: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = looked_at_by(monkeypatch, Region(40, 2, 60, 120))
    visible_mask(mini, torch.rand(3, 128, 128), torch.tensor([[50.0, 80.0]]), torch.ones(1))
    assert regions == [Region(0, 0, 128, 128)]


@pytest.mark.parametrize(("x", "expected"), [(19.9, Region(10, 0, 20, 10)), (20.0, None)])
def test_a_closer_look_that_would_leave_out_a_point_is_not_taken(x: float, expected: Region | None) -> None:
    inside = torch.zeros(128, 128, dtype=torch.bool)
    inside[5, 11:20] = True
    points, whole = torch.tensor([[10.4, 5.5], [x, 5.5]]), Region(0, 0, 128, 128)
    closer = _closer_region(inside, whole, points, torch.zeros(0, 2), torch.Size((128, 128)))
    assert closer == expected


def test_where_to_look_can_be_told_without_a_prompt(
    mini: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An untrained network's masks reach the border, where the region would be widened.
    monkeypatch.setattr("figura.models.perception.sam._widened", lambda region, *_: region)
    image, points = torch.rand(3, 300, 300), torch.tensor([[150.0, 140.0], [152.0, 150.0]])
    looked_at = (100.0, 100.0, 200.0, 200.0)
    mask, score = visible_mask(mini, image, points, torch.ones(2), around=looked_at)
    image[:, :80], image[:, 220:], image[..., :80], image[..., 220:] = 0.0, 1.0, 1.0, 0.0
    again, same = visible_mask(mini, image, points, torch.ones(2), around=looked_at)
    assert torch.equal(mask, again) and score == same


def test_a_crop_at_the_border_stays_inside() -> None:
    region = prompt_region(torch.tensor([[2.0, 3.0]]), (0.0, 0.0, 50.0, 300.0), (400, 300), 128)
    assert region.left == region.top == 0 and region.right <= 300 and region.bottom <= 400


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_mask_that_runs_out_of_the_crop_is_looked_at_in_a_wider_one(side: str) -> None:
    edges = {"left": (slice(None), 0), "right": (slice(None), -1), "top": 0, "bottom": -1}
    inside, size = torch.zeros(80, 100, dtype=torch.bool), torch.Size((300, 400))
    within = Region(150, 110, 250, 190)
    assert _widened(within, inside, size) == within
    inside[edges[side]] = True
    inside[[0, 0, -1, -1], [0, -1, 0, -1]] = False
    assert _widened(within, inside, size) == Region(125, 75, 275, 225)
    at_border = {"left": (0, 110, 100, 190), "top": (150, 0, 250, 80), "right": (300, 110, 400, 190),
                 "bottom": (150, 220, 250, 300)}  # fmt: skip
    region = Region(*at_border[side])
    assert _widened(region, inside, size) == region


def test_prompts_move_into_the_crop_with_the_picture(mini: torch.nn.Module) -> None:
    image = torch.rand(3, 200, 260, generator=torch.Generator().manual_seed(0))
    points, labels = torch.tensor([[120.0, 90.0], [150.0, 130.0]]), torch.tensor([1.0, 0.0])
    region, origin = Region(80, 50, 230, 180), torch.tensor([80.0, 50.0])
    found = _logits_in_region(mini, image, points, labels, (100.0, 60.0, 200.0, 170.0), region)
    part = image[:, 50:180, 80:230]
    alone = _logits_in_region(
        mini, part, points - origin, labels, (20.0, 10.0, 120.0, 120.0), Region(0, 0, 150, 130)
    )
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_public_checkpoint_is_detected_by_keys_and_shapes(tmp_path: Path, suffix: str) -> None:
    sam = build_sam(TINY_PUBLIC)
    path = tmp_path / f"anything{suffix}"
    write(sam.state_dict(), path)
    assert config_from_tensors(sam.state_dict(), "it") == replace(TINY_PUBLIC, decoder_heads=8)
    loaded = load_sam(path)
    image, prompt = torch.rand(3, 64, 64), one_point(30.0, 30.0)
    assert torch.equal(visible_mask(sam, image, *prompt)[0], visible_mask(loaded, image, *prompt)[0])


def write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    if path.suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file({name: value.contiguous() for name, value in tensors.items()}, str(path))


@pytest.mark.parametrize("int8", [False, True])
def test_a_mini_file_carries_its_configuration(tmp_path: Path, mini: torch.nn.Module, int8: bool) -> None:
    path = tmp_path / "sam.safetensors"
    save_module(path, FILE_KIND, mini.state_dict(), config_to_metadata(MINI), int8=int8)
    loaded = load_sam(path)
    assert loaded.image_encoder.img_size == 128
    frequencies = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert torch.equal(loaded.state_dict()[frequencies], mini.state_dict()[frequencies])


def test_another_kind_of_file_of_this_pack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_module(path, "vae", {"x": torch.zeros(2)}, {})
    with pytest.raises(ValueError, match="'vae' weights, but SAM"):
        load_sam(path)


def test_foreign_truncated_and_missing_files_are_named(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pth"
    torch.save({"layer.weight": torch.zeros(3)}, foreign)
    with pytest.raises(ValueError, match="foreign.pth is no Segment Anything"):
        load_sam(foreign)
    truncated = tmp_path / "cut.pth"
    truncated.write_bytes(foreign.read_bytes()[:100])
    with pytest.raises(ValueError, match="cut.pth is (truncated or no checkpoint|refused)"):
        load_sam(truncated)
    with pytest.raises(FileNotFoundError, match="no SAM weights at"):
        load_sam(tmp_path / "none.pth")


class Harmful:
    """Its pickle would create a file when loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_not_executed(tmp_path: Path) -> None:
    path, trace = tmp_path / "harmful.pth", tmp_path / "trace"
    torch.save({"weights": Harmful(trace)}, path)
    with pytest.raises(ValueError, match="harmful.pth is refused"):
        load_sam(path)
    assert not trace.exists()


@pytest.mark.slow
def test_the_full_size_layout_of_vit_b_loads(tmp_path: Path) -> None:
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        original = sam_model_registry["vit_b"]()
    tensors = {name: torch.zeros(value.shape) for name, value in original.state_dict().items()}
    path = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save(tensors, path)
    loaded = load_sam(path)
    assert loaded.image_encoder.img_size == 1024
    assert sum(p.numel() for p in loaded.parameters()) == sum(p.numel() for p in original.parameters())


@pytest.mark.parametrize(
    ("name", "embed_dim", "heads", "global_blocks"),
    [
        ("vit_b", 768, 12, (2, 5, 8, 11)),
        ("vit_l", 1024, 16, (5, 11, 17, 23)),
        ("vit_h", 1280, 16, (7, 15, 23, 31)),
    ],
)
def test_public_sizes_are_told_apart_without_loading_them(
    name: str, embed_dim: int, heads: int, global_blocks: tuple[int, ...]
) -> None:
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        tensors = sam_model_registry[name]().state_dict()
    config = config_from_tensors(tensors, name)
    assert (config.embed_dim, config.num_heads, config.global_attn_indexes) == (
        embed_dim,
        heads,
        global_blocks,
    )
    assert (config.image_size, config.patch_size, config.window_size, config.mlp_ratio) == (1024, 16, 14, 4)
