"""A run that begins with an earlier file: its weights, those of a part alone, words by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import save_module
from figura.models.diffusion.text import TextEncoder, WordTokenizer
from figura.training.recipes.text import shared_words
from figura.training.run.start import start_from


class Both(torch.nn.Module):
    """What is exported, and what only helps to train it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.helper = torch.nn.Linear(3, 2), torch.nn.Linear(5, 1)


def test_a_file_of_a_part_goes_into_that_part(tmp_path: Path) -> None:
    made, both = torch.nn.Linear(3, 2), Both()
    helper = both.helper.weight.clone()
    start_from(both, save_module(tmp_path / "part.safetensors", "toy", made.state_dict(), {}))
    assert torch.allclose(both.kept.weight, made.weight, atol=1e-3)
    assert torch.equal(both.helper.weight, helper)


def test_a_part_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = save_module(tmp_path / "part.safetensors", "toy", torch.nn.Linear(4, 2).state_dict(), {})
    with pytest.raises(ValueError, match="not of this recipe"):
        start_from(Both(), path)


def test_words_keep_their_rows_and_new_ones_begin_as_they_are() -> None:
    torch.manual_seed(0)
    earlier = TextEncoder(WordTokenizer(["red", "shirt", "hat"]))
    own = TextEncoder(WordTokenizer(["beard", "hat", "red"]))
    fresh = own.state_dict()
    weights = shared_words(earlier, own)
    (name,) = [n for n, tensor in weights.items() if n.endswith("token_embedding.weight")]
    own.load_state_dict(weights)

    def row(encoder: TextEncoder, tensors: dict[str, torch.Tensor], word: str) -> torch.Tensor:
        return tensors[name][encoder.tokenizer.words.index(word)]

    for word in ("red", "hat", "<end>"):
        assert torch.equal(row(own, weights, word), row(earlier, earlier.state_dict(), word))
    assert torch.equal(row(own, weights, "beard"), row(own, fresh, "beard"))
    assert torch.equal(own.encode(["red hat"]), earlier.encode(["red hat"]))
