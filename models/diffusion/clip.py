"""Full-size text encoders beyond CLIP-L alone, and CLIP's tokenizer."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CLIP_TOKENS = 77


class OpenCLIPTextCondition(torch.nn.Module):
    """SD2's text encoder, OpenCLIP-H. model: all its layers but the last, as SD2 uses it."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        super().__init__()
        self.tokenizer, self.model = tokenizer, model

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts -> normalised states of the last layer but one, (B, 77, 1024)."""
        cleaned = [unescaped(text) for text in texts]
        tokens = zeros_behind_end(tokens_of(self.tokenizer, cleaned), self.tokenizer.eos_token_id)
        return self.model(input_ids=tokens.to(next(self.parameters()).device)).last_hidden_state


class SDXLTextCondition(torch.nn.Module):
    """SDXL's two text encoders: CLIP-L and OpenCLIP-bigG side by side."""

    def __init__(self, tokenizer: Any, small: Any, big: Any) -> None:
        super().__init__()
        self.tokenizer, self.small, self.big = tokenizer, small, big

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts -> last hidden states but one of both encoders, (B, 77, 768 + 1280)."""
        tokens = self._tokens(texts)
        small = self.small(input_ids=tokens, output_hidden_states=True).hidden_states[-2]
        big = self.big(input_ids=self._ended(tokens), output_hidden_states=True).hidden_states[-2]
        return torch.cat([small, big], dim=-1)

    @torch.no_grad()
    def pooled(self, texts: Sequence[str]) -> Tensor:
        """Texts -> the projected embeddings of the second encoder, (B, 1280)."""
        return self.big(input_ids=self._ended(self._tokens(texts))).text_embeds

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        return tokens_of(self.tokenizer, texts).to(next(self.parameters()).device)

    def _ended(self, tokens: Tensor) -> Tensor:
        return zeros_behind_end(tokens, self.tokenizer.eos_token_id)


def unescaped(text: str) -> str:
    """Text as open_clip's tokenizer reads it: "&amp;" is "&", also when it was escaped twice."""
    return html.unescape(html.unescape(text)).strip()


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Token numbers (B,77) int64 on the CPU, cut or padded with end tokens."""
    length = tokenizer.model_max_length
    return tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids


def zeros_behind_end(tokens: Tensor, end: int) -> Tensor:
    """OpenCLIP was trained with zeros, not end tokens, behind the end of the text."""
    ends = (tokens == end).long()
    return torch.where(ends.cumsum(dim=1) - ends > 0, torch.zeros_like(tokens), tokens)


def load_tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer from a folder with vocab.json and merges.txt; FileNotFoundError says what to do."""
    from transformers import CLIPTokenizer

    absent = [name for name in ("vocab.json", "merges.txt") if not (folder / name).is_file()]
    if absent:
        raise FileNotFoundError(
            f"no {' and '.join(absent)} in {folder}: put CLIP's tokenizer there, from the folder `tokenizer` "
            "of any Stable Diffusion 1.5 repository (vocab.json and merges.txt)"
        )
    tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, CLIP_TOKENS)
    return tokenizer
