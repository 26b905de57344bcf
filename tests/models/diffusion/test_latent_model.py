"""What a latent model tells its U-Net of texts."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from figura.models.diffusion.latent_model import LatentModel, LatentNetworks
from torch import Tensor, nn


class Words(nn.Module):
    def encode(self, texts: list[str]) -> Tensor:
        return torch.tensor([[[float(len(text))]] for text in texts]).expand(-1, 7, 5)

    def pooled(self, texts: list[str]) -> Tensor:
        return torch.tensor([[10.0 * len(text)] for text in texts]).expand(-1, 3)


class Unet(nn.Module):
    config = SimpleNamespace(addition_embed_type="text_time")

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


@torch.no_grad()
def test_sdxl_gets_pooled_texts_and_the_sides_of_a_whole_picture_in_diffusers_order() -> None:
    model = LatentModel(LatentNetworks(nn.Identity(), Unet(), Words(), 64), "tiny").eval()
    both = model.text_condition([""]).followed_by(model.text_condition(["a", "ab"]))
    given = both.for_network(torch.zeros(1, dtype=torch.float64))
    added = given["added_cond_kwargs"]
    assert given["encoder_hidden_states"][:, 0, 0].tolist() == [0, 1, 2]
    assert added["text_embeds"][:, 0].tolist() == [0, 10, 20]
    # Original height and width, top and left of the crop, target height and width.
    assert added["time_ids"].tolist() == [[64, 64, 0, 0, 64, 64]] * 3
    assert {tensor.dtype for tensor in (given["encoder_hidden_states"], *added.values())} == {torch.float64}
