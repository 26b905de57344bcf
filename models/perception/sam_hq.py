"""What SAM-HQ adds to Segment Anything: one more token, and masks that see early and late features.

The names of the parts are those of the published files (sam_hq_vit_b, _l, _h).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


def add_fine_decoder(decoder: Any, vit_width: int) -> Any:
    """SAM's mask decoder (changed in place) with SAM-HQ's parts; vit_width: channels of the image encoder."""
    from segment_anything.modeling.common import LayerNorm2d
    from segment_anything.modeling.mask_decoder import MLP

    width = decoder.transformer_dim
    quarter, eighth = width // 4, width // 8
    decoder.hf_token = nn.Embedding(1, width)
    decoder.hf_mlp = MLP(width, width, eighth, 3)
    decoder.compress_vit_feat = nn.Sequential(
        nn.ConvTranspose2d(vit_width, width, 2, 2),
        LayerNorm2d(width),
        nn.GELU(),
        nn.ConvTranspose2d(width, eighth, 2, 2),
    )
    decoder.embedding_encoder = nn.Sequential(
        nn.ConvTranspose2d(width, quarter, 2, 2),
        LayerNorm2d(quarter),
        nn.GELU(),
        nn.ConvTranspose2d(quarter, eighth, 2, 2),
    )
    decoder.embedding_maskfeature = nn.Sequential(
        nn.Conv2d(eighth, quarter, 3, padding=1),
        LayerNorm2d(quarter),
        nn.GELU(),
        nn.Conv2d(quarter, eighth, 3, padding=1),
    )
    return decoder


def encode(sam: Sam, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the image encoder makes of inputs (B,3,S,S): the embedding (B,C,g,g), and for SAM-HQ the sum of
    early and late features at the masks' size (B,C/8,4g,4g); else None. The encoder may work in half
    precision; what it gives is float32, as the decoder is.
    """
    decoder = sam.mask_decoder
    inputs = inputs.to(next(sam.image_encoder.parameters()).dtype)
    if not hasattr(decoder, "hf_token"):
        return sam.image_encoder(inputs).float(), None
    early: list[torch.Tensor] = []
    # The first block that sees all of the picture gives the early features.
    block = next(block for block in sam.image_encoder.blocks if block.window_size == 0)
    hook = block.register_forward_hook(lambda module, given, result: early.append(result))
    try:
        embedding = sam.image_encoder(inputs).float()
    finally:
        hook.remove()
    shallow = decoder.compress_vit_feat(early[0].float().permute(0, 3, 1, 2))
    return embedding, decoder.embedding_encoder(embedding) + shallow


def fine_logits(
    decoder: Any, answer: torch.Tensor, upscaled: torch.Tensor, fine: torch.Tensor
) -> torch.Tensor:
    """The logits (N,4g,4g) of SAM-HQ's own token, which are added to SAM's.

    Args:
        decoder: with SAM-HQ's parts.
        answer: (N,C) what the token became.
        upscaled: (N,C/8,4g,4g) SAM's upscaled embedding.
        fine: (N,C/8,4g,4g) of `encode`.
    """
    kernel = decoder.hf_mlp(answer)
    return torch.einsum("nc,nchw->nhw", kernel, decoder.embedding_maskfeature(upscaled) + fine)
