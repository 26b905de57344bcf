"""The source encoder against torchvision's Swin Transformer, and its own rules."""

from __future__ import annotations

import pytest
import torch
from figura.models.cfld.swin import SwinEncoder, joined, resized_table, shift_mask, start_from, windows

DEPTHS, HEADS, WINDOW = (2, 2, 2), (2, 2, 4), 4


def theirs_by_our_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchvision's tensors under the released names."""
    named = {}
    for key, value in state.items():
        if not key.startswith("features.") or key.endswith("relative_position_index"):
            continue
        _, place, *rest = key.split(".")
        number, name = int(place), ".".join(rest)
        if number == 0:
            ours = f"patch_embed.{name.replace('0.', 'proj.').replace('2.', 'norm.')}"
        elif number % 2:
            block, _, inner = name.partition(".")
            inner = inner.replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
            ours = f"layers.{number // 2}.blocks.{block}.{inner}"
        else:
            ours = f"layers.{number // 2 - 1}.downsample.{name}"
        named[ours] = value
    return named


def test_maps_equal_those_of_torchvision() -> None:
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    torch.manual_seed(0)
    theirs = swin.SwinTransformer(
        [4, 4], 8, list(DEPTHS), list(HEADS), [WINDOW, WINDOW], num_classes=1
    ).eval()
    ours = SwinEncoder(64, 4, 8, DEPTHS, HEADS, WINDOW).eval()
    ours.load_state_dict(theirs_by_our_names(theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        maps, hidden = ours(images), images
        for number, part in enumerate(theirs.features):
            hidden = part(hidden)
            if number % 2:
                torch.testing.assert_close(
                    maps[number // 2], hidden.permute(0, 3, 1, 2), atol=1e-5, rtol=1e-4
                )


def test_maps_are_those_before_the_merging() -> None:
    maps = SwinEncoder(32, 4, 8, (1, 1, 1), (1, 1, 1), 4)(torch.randn(1, 3, 32, 32))
    assert [tuple(each.shape) for each in maps] == [(1, 8, 8, 8), (1, 16, 4, 4), (1, 32, 2, 2)]


def test_windows_are_joined_as_they_were_cut() -> None:
    tokens = torch.randn(2, 8, 12, 3)
    assert torch.equal(joined(windows(tokens, 4), 4, 8, 12), tokens)


def test_a_shifted_window_lets_only_neighbours_see_each_other() -> None:
    """In the last window four corners of the picture meet: a quarter of its pairs are open."""
    mask = shift_mask(8, 4, 2)
    assert mask.shape == (4, 16, 16) and bool((mask[0] == 0).all())
    assert float((mask[3] == 0).float().mean()) == 0.25


def test_stochastic_depth_is_for_training_alone() -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(32, 4, 8, (2, 2), (1, 1), 4, drop_path=0.9)
    images = torch.randn(4, 3, 32, 32)
    encoder.eval()
    assert torch.equal(encoder(images)[-1], encoder(images)[-1])
    encoder.train()
    assert not torch.equal(encoder(images)[-1], encoder(images)[-1])


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B,3,32,32\) is needed"):
        SwinEncoder(32, 4, 8, (1,), (1,), 4)(torch.zeros(1, 3, 64, 64))


def test_a_published_classifier_starts_the_encoder_and_its_tables_are_resized() -> None:
    torch.manual_seed(0)
    small, large = SwinEncoder(32, 4, 8, (2,), (2,), 4), SwinEncoder(64, 4, 8, (2,), (2,), 8)
    torch.nn.init.normal_(small.layers[0].blocks[0].attn.relative_position_bias_table)
    torch.nn.init.constant_(small.layers[0].blocks[1].attn.relative_position_bias_table, 0.3)
    published = {f"model.{name}": value for name, value in small.state_dict().items()}
    start_from(large, {**published, "model.head.weight": torch.zeros(3)}, "swin.pth")
    assert torch.equal(large.patch_embed.proj.weight, small.patch_embed.proj.weight)
    table = large.layers[0].blocks[1].attn.relative_position_bias_table
    torch.testing.assert_close(table, torch.full((225, 2), 0.3))
    middle = [block.attn.relative_position_bias_table[len(block.attn.relative_position_bias_table) // 2]
              for block in (small.layers[0].blocks[0], large.layers[0].blocks[0])]  # fmt: skip
    torch.testing.assert_close(*middle, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="swin.pth is no Swin Transformer of this size: .* patch_embed"):
        start_from(large, {"other": torch.zeros(1)}, "swin.pth")


def test_a_table_of_the_same_window_stays() -> None:
    table = torch.randn(49, 2)
    assert resized_table(table, torch.zeros(49, 2)) is table
