"""Segment Anything as transformers has it, and what both it and Figura's answer to the same points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SIDE, PATCH = 256, 16
"""A small picture: attention over the 4096 patches of 1024 pixels would take a gigabyte."""
LAYERS = 3
POINTS, LABELS = torch.tensor([[[[70.0, 110.0], [160.0, 90.0]]]]), torch.tensor([[[1, 0]]])


def wide() -> Any:
    """vit_b of the true widths with fewer layers, and random weights.

    The decoder's norms add 1e-5, as Meta's; transformers' own configuration says 1e-6: 3e-4 in masks.
    """
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    config = SamConfig(
        vision_config={"image_size": SIDE, "num_hidden_layers": LAYERS, "global_attn_indexes": [2]},
        prompt_encoder_config={"image_size": SIDE, "image_embedding_size": SIDE // PATCH},
        mask_decoder_config={"layer_norm_eps": 1e-5},
    )
    model = SamModel(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "norm" not in name:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return model


@torch.no_grad()
def answers(
    ours: Any, theirs: Any, prompted: Callable[..., tuple[Tensor, Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    """Mask logits and scores of both, of one picture. prompted: `sam.prompt_logits`."""
    images = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    logits, scores = prompted(ours, images, POINTS, LABELS)
    pixels = ours.preprocess(images * 255)
    said = {"pixel_values": pixels, "input_points": POINTS - 0.5, "input_labels": LABELS}
    wanted = theirs(**said, multimask_output=False)
    return [(logits, wanted.pred_masks[:, :, 0]), (scores, wanted.iou_scores[:, :, 0])]
