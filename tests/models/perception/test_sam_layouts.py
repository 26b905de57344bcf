"""Segment Anything as others publish it: the library that made a layout says what its weights must give."""

from pathlib import Path
from typing import Any

import pytest
import torch
from figura.models.perception.sam import prompt_logits
from figura.models.perception.sam_layouts import meta_names
from figura.models.perception.sam_networks import (
    HQ_KEY,
    MOBILE,
    SamConfig,
    build_sam,
    load_sam,
    read_sam,
)
from safetensors.torch import save_file

SIDE = 64
VISION: dict[str, Any] = dict(
    hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE, patch_size=8, window_size=3,
    global_attn_indexes=[1, 2], output_channels=32, mlp_dim=128, num_pos_feats=16,
)  # fmt: skip
PROMPT = dict(hidden_size=32, image_size=SIDE, patch_size=8, mask_input_channels=8, image_embedding_size=8)
POINTS, LABELS = torch.tensor([[[[20.0, 30.0], [40.0, 22.0]]]]), torch.tensor([[[1, 0]]])
DECODER = dict(hidden_size=32, mlp_dim=64, iou_head_hidden_dim=32)


def transformers_model(hq: bool) -> Any:
    """A tiny SamModel or SamHQModel of transformers with random weights."""
    import transformers

    torch.manual_seed(0)
    name = "SamHQ" if hq else "Sam"
    made = getattr(transformers, f"{name}Config")(
        vision_config=VISION,
        prompt_encoder_config=PROMPT,
        mask_decoder_config=DECODER | ({"vit_dim": 32} if hq else {}),
    )
    model = getattr(transformers, f"{name}Model")(made).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def saved(model: Any, path: Path) -> Path:
    save_file({key: value.clone() for key, value in model.state_dict().items()}, path)
    return path


def test_a_file_of_transformers_gives_what_transformers_gives(tmp_path):
    theirs = transformers_model(hq=False)
    ours = load_sam(saved(theirs, tmp_path / "model.safetensors"))
    images = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        logits, iou = prompt_logits(ours, images, POINTS, LABELS)
        pixels = ours.preprocess(images * 255)
        said = {"pixel_values": pixels, "input_points": POINTS - 0.5, "input_labels": LABELS}
        wanted = theirs(**said, multimask_output=False)
    torch.testing.assert_close(logits, wanted.pred_masks[:, :, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(iou, wanted.iou_scores[:, :, 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "before"), [("a.pth", "module.sam."), ("a.safetensors", "model.")])
def test_what_trainers_put_before_the_names_is_passed_over(tmp_path, name, before):
    small = SamConfig(
        image_size=SIDE, patch_size=8, embed_dim=32, depth=2, num_heads=2, mlp_ratio=2.0, window_size=4,
        global_attn_indexes=(1,), out_chans=32, mask_in_chans=8, decoder_mlp_dim=64, iou_head_hidden_dim=32,
    )  # fmt: skip
    own = build_sam(small).state_dict()
    tensors = {before + key: value.clone() for key, value in own.items()}
    torch.save(tensors, tmp_path / name) if name == "a.pth" else save_file(tensors, tmp_path / name)
    read, config = read_sam(tmp_path / name)
    assert config == small and set(read) == set(own)


def test_sam_hq_decodes_by_the_authors_formula(tmp_path):
    """Made of the parts of transformers; its own forward upscales what stood before the attention, theirs
    what came out of it.
    """
    theirs = transformers_model(hq=True)
    ours = load_sam(saved(theirs, tmp_path / "model.safetensors"))
    images = torch.rand(1, 3, SIDE, SIDE)
    decoder = theirs.mask_decoder
    with torch.no_grad():
        logits, iou = prompt_logits(ours, images, POINTS, LABELS)
        seen = theirs.vision_encoder(ours.preprocess(images * 255))
        sparse, dense = theirs.prompt_encoder(POINTS - 0.5, LABELS, None, None)
        queries = (decoder.iou_token.weight, decoder.mask_tokens.weight, decoder.hq_token.weight)
        tokens = torch.cat([torch.cat(queries)[None, None], sparse], dim=2)
        position = theirs.get_image_wide_positional_embeddings()
        answers, keys = decoder.transformer(tokens, seen.last_hidden_state + dense, position, None)
        keys = keys[0].transpose(1, 2).unflatten(2, (8, 8))
        act = decoder.activation
        up = act(decoder.upscale_conv2(act(decoder.upscale_layer_norm(decoder.upscale_conv1(keys)))))
        early = seen.intermediate_embeddings[0].permute(0, 3, 1, 2)
        shallow = decoder.compress_vit_conv2(
            act(decoder.compress_vit_norm(decoder.compress_vit_conv1(early)))
        )
        deep = decoder.encoder_conv2(act(decoder.encoder_norm(decoder.encoder_conv1(seen.last_hidden_state))))
        fine = decoder.mask_conv2(act(decoder.mask_norm(decoder.mask_conv1(up)))) + deep + shallow
        kernels = (
            decoder.output_hypernetworks_mlps[0](answers[0, :, 1]),
            decoder.hq_mask_mlp(answers[0, :, 5]),
        )
        wanted = sum(torch.einsum("nc,nchw->nhw", *pair) for pair in zip(kernels, (up, fine), strict=True))
    torch.testing.assert_close(logits[0], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        iou[0], decoder.iou_prediction_head(answers[0, :, 0])[:, 0], atol=1e-4, rtol=1e-4
    )


def test_the_early_features_of_sam_hq_matter(tmp_path):
    theirs = transformers_model(hq=True)
    path = tmp_path / "hq.SAFETENSORS"
    tensors = meta_names({key: value.clone() for key, value in theirs.state_dict().items()})
    assert "mask_decoder.hf_token.weight" in tensors and "mask_decoder.compress_vit_feat.3.bias" in tensors
    save_file(tensors, path)
    given = torch.rand(1, 3, SIDE, SIDE), torch.tensor([[[[20.0, 30.0]]]]), torch.ones(1, 1, 1)
    with torch.no_grad():
        full = prompt_logits(load_sam(path), *given)[0]
        save_file({**tensors, "mask_decoder.compress_vit_feat.3.weight": torch.zeros(32, 4, 2, 2)}, path)
        without = prompt_logits(load_sam(path), *given)[0]
    assert (full - without).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("sam_mask_decoder.iou_token.weight", "SAM 2"),
        ("detector.backbone.weight", "SAM 3"),
        ("image_encoder.layers.0.blocks.0.conv1.c.weight", "a part of MobileSAM"),
    ],
)
def test_another_segment_anything_is_refused_by_its_name(key, says, tmp_path):
    save_file({key: torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=f"is {says}.*accepted are sam_vit_b"):
        load_sam(tmp_path / "other.safetensors")


def test_the_tiny_sam_hq_is_refused_by_its_name(tmp_path):
    sam = build_sam(MOBILE)
    tensors = {name: each.contiguous() for name, each in sam.state_dict().items()}
    save_file({**tensors, HQ_KEY: torch.zeros(1, 256)}, tmp_path / "sam_hq_vit_tiny.safetensors")
    with pytest.raises(ValueError, match="sam_hq_vit_tiny.*not supported: choose sam_hq_vit_b"):
        load_sam(tmp_path / "sam_hq_vit_tiny.safetensors")


def test_published_sizes_of_sam_hq_are_counted_right():
    """sam_hq_vit_b has 93 735 472 + the parts HQ adds: the paper gives 4.1 million more for vit_b."""
    from figura.models.perception.sam_networks import SamConfig, build_sam

    with torch.device("meta"):
        plain, fine = (
            sum(p.numel() for p in build_sam(SamConfig(hq=hq)).parameters()) for hq in (False, True)
        )
    assert plain == 93_735_472
    parts = {
        "hf_token": 256,
        "hf_mlp": 2 * (256 * 256 + 256) + 256 * 32 + 32,
        "compress_vit_feat": 768 * 256 * 4 + 256 + 2 * 256 + 256 * 32 * 4 + 32,
        "embedding_encoder": 256 * 64 * 4 + 64 + 2 * 64 + 64 * 32 * 4 + 32,
        "embedding_maskfeature": 32 * 64 * 9 + 64 + 2 * 64 + 64 * 32 * 9 + 32,
    }
    assert fine - plain == sum(parts.values())
