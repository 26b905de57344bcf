"""MobileSAM: its published file's keys and sizes, its windows, and half precision of the image encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from figura.models.perception.sam import prompt_logits, visible_mask
from figura.models.perception.sam_hq import encode
from figura.models.perception.sam_networks import MOBILE, SamConfig, build_sam, load_sam
from figura.models.perception.sam_tiny import BiasedAttention, TinyViTConfig, WindowBlock, distances
from safetensors.torch import save_file

TINY = SamConfig(out_chans=32, mask_in_chans=8, decoder_mlp_dim=64, iou_head_hidden_dim=32)
SMALL = replace(TINY, tiny=TinyViTConfig(dims=(8, 12, 16, 320), heads=(0, 2, 2, 4), depths=(1, 1, 2, 1)))
PUBLISHED_PARAMETERS = 10_130_092
"""With the classifier, which is not used: 640 of its norm, and 321 000."""
PUBLISHED_TENSORS = 439
POINTS, LABELS = torch.tensor([[[[20.0, 30.0], [50.0, 60.0]]]]), torch.tensor([[[1, 0]]])
VIT = replace(
    TINY, image_size=128, embed_dim=32, depth=2, num_heads=2, window_size=4, global_attn_indexes=(1,)
)


def randomised(sam: torch.nn.Module) -> torch.nn.Module:
    """With norms and biases that do something."""
    torch.manual_seed(0)
    for name, tensor in sam.state_dict().items():
        if "attention_biases" in name or name.endswith("running_mean"):
            tensor.normal_(std=0.3)
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return sam


def published_keys() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of mobile_sam.pt, written down from its public layout."""
    norm = {"weight": (), "bias": (), "running_mean": (), "running_var": ()}
    keys: dict[str, tuple[int, ...]] = {}

    def conv(name: str, *shape: int) -> None:
        keys[f"{name}.c.weight"] = shape
        keys.update({f"{name}.bn.{part}": shape[:1] for part in norm})
        keys[f"{name}.bn.num_batches_tracked"] = ()

    def pair(name: str, *shape: int) -> None:
        keys[f"{name}.weight"], keys[f"{name}.bias"] = shape, shape[:1]

    dims, depths, heads, windows = (64, 128, 160, 320), (2, 2, 6, 2), (0, 4, 5, 10), (0, 7, 14, 7)
    conv("patch_embed.seq.0", 32, 3, 3, 3)
    conv("patch_embed.seq.2", 64, 32, 3, 3)
    for stage, (width, depth, head, window) in enumerate(zip(dims, depths, heads, windows, strict=True)):
        for number in range(depth):
            block = f"layers.{stage}.blocks.{number}"
            if stage == 0:
                conv(f"{block}.conv1", 4 * width, width, 1, 1)
                conv(f"{block}.conv2", 4 * width, 1, 3, 3)
                conv(f"{block}.conv3", width, 4 * width, 1, 1)
                continue
            keys[f"{block}.attn.attention_biases"] = (head, window**2)
            pair(f"{block}.attn.norm", width)
            pair(f"{block}.attn.qkv", 3 * width, width)
            pair(f"{block}.attn.proj", width, width)
            pair(f"{block}.mlp.norm", width)
            pair(f"{block}.mlp.fc1", 4 * width, width)
            pair(f"{block}.mlp.fc2", width, 4 * width)
            conv(f"{block}.local_conv", width, 1, 3, 3)
        if stage < len(dims) - 1:
            wide = dims[stage + 1]
            conv(f"layers.{stage}.downsample.conv1", wide, width, 1, 1)
            conv(f"layers.{stage}.downsample.conv2", wide, 1, 3, 3)
            conv(f"layers.{stage}.downsample.conv3", wide, wide, 1, 1)
    keys |= {"neck.0.weight": (256, 320, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    pair("neck.1", 256)
    pair("neck.3", 256)
    pair("norm_head", 320)
    pair("head", 1000, 320)
    return {f"image_encoder.{key}": shape for key, shape in keys.items()}


def test_the_published_layout_is_met_at_its_true_size() -> None:
    with torch.device("meta"):
        sam = build_sam(MOBILE)
    own = {key: tuple(value.shape) for key, value in sam.state_dict().items()}
    encoder = {key: shape for key, shape in own.items() if key.startswith("image_encoder.")}
    published = published_keys()
    classifier = {key: shape for key, shape in published.items() if "head" in key}
    assert encoder == {key: shape for key, shape in published.items() if key not in classifier}
    assert len(own) + len(classifier) == PUBLISHED_TENSORS
    used = sum(parameter.numel() for parameter in sam.parameters())
    assert used + 2 * 320 + 321_000 == PUBLISHED_PARAMETERS


@pytest.mark.slow
def test_a_file_of_true_size_loads_with_its_classifier_and_finds_a_mask(tmp_path: Path) -> None:
    sam = randomised(build_sam(MOBILE))
    head = {key: torch.zeros(shape) for key, shape in published_keys().items() if "head" in key}
    torch.save({**sam.state_dict(), **head}, tmp_path / "mobile_sam.pt")
    loaded = load_sam(tmp_path / "mobile_sam.pt")
    images = torch.rand(1, 3, 200, 300)
    with torch.no_grad():
        assert torch.equal(
            loaded.image_encoder(loaded.preprocess(images)), sam.image_encoder(sam.preprocess(images))
        )
    mask, score = visible_mask(loaded, images[0], torch.tensor([[50.0, 60.0]]), torch.ones(1))
    assert mask.shape == (200, 300) and 0 <= score <= 1


def test_attention_counts_distances_as_the_file_numbers_them() -> None:
    """The first token's distances to all come in the order of the tokens; every other pair refers to them."""
    found = distances(3)
    assert found[0].tolist() == list(range(9)) and torch.equal(found, found.T)
    assert found[4].tolist() == [4, 3, 4, 1, 0, 1, 4, 3, 4]


def test_a_bias_moves_what_is_attended_to() -> None:
    attention = BiasedAttention(8, heads=2, window=2)
    tokens = torch.rand(1, 4, 8)
    with torch.no_grad():
        attention.attention_biases[:, 0] = 1e4  # each token sees itself alone
        values = attention.qkv(attention.norm(tokens)).view(1, 4, 2, 12)[..., 8:].reshape(1, 4, 8)
        torch.testing.assert_close(attention(tokens), attention.proj(values))


def test_windows_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    block = WindowBlock(8, heads=2, window=4, mlp_ratio=2.0).eval()
    picture = torch.rand(1, 8, 10, 10)
    other = picture.clone()
    other[..., 9, 9] += 1
    with torch.no_grad():
        changed = (block._attended(picture) - block._attended(other)).abs().amax((0, 1)) > 0
    assert changed[8:, 8:].all() and not changed[:8].any() and not changed[:, :8].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("hq", [False, True])
def test_half_precision_of_the_encoder_finds_the_same_mask(
    hq: bool, dtype: torch.dtype, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = build_sam(replace(VIT, hq=hq))
    exact, half = both_precisions(made, tmp_path, dtype)
    assert {p.dtype for p in half.mask_decoder.parameters()} == {torch.float32}
    images = torch.rand(1, 3, VIT.image_size, VIT.image_size)
    with torch.no_grad():
        wanted, found = (prompt_logits(sam, images, POINTS, LABELS)[0] for sam in (exact, half))
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.05 * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_of_mobile_sam(dtype: torch.dtype, tmp_path: Path) -> None:
    exact, half = both_precisions(randomised(build_sam(SMALL)), tmp_path, dtype)
    with torch.no_grad():
        wanted, found = (
            encode(sam, torch.rand(1, 3, 96, 96, generator=seeded()))[0] for sam in (exact, half)
        )
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.1 * wanted.abs().max()


@torch.no_grad()
def test_a_picture_is_encoded_once_for_all_points_until_any_weight_of_it_changes() -> None:
    torch.manual_seed(0)
    sam = build_sam(replace(VIT, hq=True))
    calls: list[Any] = []
    sam.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    images = torch.rand(1, 3, VIT.image_size, VIT.image_size)
    first = prompt_logits(sam, images, POINTS, LABELS)[0]
    assert not torch.equal(first, prompt_logits(sam, images, POINTS + 9, LABELS)[0]) and len(calls) == 1
    sam.mask_decoder.compress_vit_feat[0].weight.add_(1)  # SAM-HQ's, beside the image encoder
    changed = prompt_logits(sam, images, POINTS, LABELS)[0]
    assert len(calls) == 2 and not torch.equal(first, changed)
    assert not torch.equal(changed, prompt_logits(sam, images.flip(-1), POINTS, LABELS)[0])


def both_precisions(made: torch.nn.Module, folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The same file loaded in float32, and with its image encoder in `dtype`."""
    save_file({key: value.clone() for key, value in made.state_dict().items()}, folder / "sam.sft")
    exact, half = load_sam(folder / "sam.sft"), load_sam(folder / "sam.sft", dtype)
    assert {p.dtype for p in half.image_encoder.parameters()} == {dtype}
    return exact, half


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)
