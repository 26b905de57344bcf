"""Text conditions: the mini CLIP text encoder with its own words, behind the interface that CLIP-L shares."""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint import built, load_file
from .networks import TEXT_WIDTH

if TYPE_CHECKING:
    from transformers import CLIPTextModel

log = logging.getLogger(__name__)

TOKENS = 28
_SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")
_WORD = re.compile(r"[a-z0-9]+|,")
GENERAL_WORDS = tuple(
    (
        "a an the of in on at with and or to from person man woman boy girl child human people photo "
        "picture image full body standing walking sitting running reaching kneeling jumping dancing waving "
        "facing front back side left right up down wearing shirt blouse sweater jacket coat top t trousers "
        "pants jeans shorts skirt dress shoes boots hat cap hair skin head face arm arms hand hands leg "
        "legs foot feet long short sleeve sleeves sleeveless bald striped checked dotted plain patterned "
        "spotted stripes dots red orange yellow green blue purple violet pink brown black white grey gray "
        "beige cyan teal navy dark light bright pale blond blonde young old tall small large background "
        "wall street grass sky room floor behind before box tree pillar board table outdoors indoors alone "
        ","
    ).split()
)


class WordTokenizer:
    """Lower-case words to numbers. Unknown words become <unk>, texts are cut or padded to `length` tokens."""

    def __init__(self, words: Iterable[str], length: int = TOKENS) -> None:
        self.words = _SPECIAL + tuple(dict.fromkeys(word for word in words if word not in _SPECIAL))
        self.length = length
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def from_captions(cls, captions: Iterable[str]) -> WordTokenizer:
        """A vocabulary of the general words and all words of `captions`."""
        found = {word for caption in captions for word in split_words(caption)}
        return cls((*GENERAL_WORDS, *sorted(found)))

    @property
    def end(self) -> int:
        """Number of the end token."""
        return _SPECIAL.index("<end>")

    def __call__(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Texts -> token numbers (B,L) int64 and attention mask (B,L), 1 to the end token."""
        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, not one string: write [text]")
        rows = [self._row(text) for text in texts]
        tokens = torch.tensor([row + [0] * (self.length - len(row)) for row in rows], dtype=torch.long)
        return tokens.reshape(len(rows), self.length), (tokens != 0).long().reshape(len(rows), self.length)

    def _row(self, text: str) -> list[int]:
        unknown = self._number["<unk>"]
        words = [self._number.get(word, unknown) for word in split_words(text)][: self.length - 2]
        return [self._number["<start>"], *words, self.end]


def reads_all(encoder: Any, text: str) -> bool:
    """Whether an encoder reads a text to its end; one without a tokenizer does."""
    tokenizer = getattr(encoder, "tokenizer", None)
    if tokenizer is None:
        return True
    if isinstance(tokenizer, WordTokenizer):
        return len(split_words(text)) <= tokenizer.length - 2
    return len(tokenizer(text).input_ids) <= tokenizer.model_max_length


def with_suffix(encoder: Any, text: str, suffix: str) -> str:
    """A text with words behind it that the encoder must read: the end of a long text gives way to them.

    An empty text stays empty.
    """
    if not text.strip():
        return text
    words = text.split()

    def is_too_long(count: int) -> bool:
        return not reads_all(encoder, " ".join(words[:count]) + suffix)

    # Halved, not word by word: a pasted page would keep the tokenizer busy for minutes.
    kept = max(1, bisect_left(range(1, len(words) + 1), True, key=is_too_long))
    if kept < len(words):
        log.warning("the text is longer than the model reads: what follows %r is left out", words[kept - 1])
        return " ".join(words[:kept]) + suffix
    return text + suffix


def split_words(text: str) -> list[str]:
    """Lower-case words and commas of a text."""
    return _WORD.findall(text.lower())


def mini_text_model(vocabulary: int, length: int = TOKENS) -> CLIPTextModel:
    """The mini CLIP text transformer: 2 layers of width 96."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=length,
            projection_dim=TEXT_WIDTH,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


class TextEncoder(torch.nn.Module):
    """Tokenizer and text transformer together: texts -> (B, L, D)."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.model = mini_text_model(len(tokenizer.words), tokenizer.length)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask (B,L) -> hidden states (B,L,D) and the state at the end token (B,D)."""
        output = self.model(input_ids=tokens, attention_mask=mask)
        return output.last_hidden_state, output.pooler_output

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts -> hidden states (B, L, D); an empty text is the unconditional one."""
        device = next(self.parameters()).device
        tokens, mask = self.tokenizer(texts)
        return self(tokens.to(device), mask.to(device))[0]

    def config(self) -> dict[str, Any]:
        """What `text_encoder_from` needs beside the tensors."""
        return {"words": list(self.tokenizer.words), "length": self.tokenizer.length}


def text_encoder_from(
    tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], name: str = "text weights"
) -> TextEncoder:
    """The mini text encoder from the content of a weights file, in eval mode. name: of the file."""
    encoder = built(lambda: TextEncoder(WordTokenizer(config["words"], config["length"])), tensors, name)
    return encoder.eval()


def load_text_encoder(path: str | Path) -> TextEncoder:
    """The mini text encoder from its weights file; errors as in `checkpoint.load_file`."""
    tensors, meta = load_file(path, file_kind="text")
    return text_encoder_from(tensors, meta["config"], str(path))


class CLIPTextCondition(torch.nn.Module):
    """A full-size CLIP text encoder (CLIP-L, OpenCLIP-H) with the same interface."""

    def __init__(self, tokenizer: Any, model: CLIPTextModel) -> None:
        super().__init__()
        self.tokenizer, self.model = tokenizer, model

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts -> last hidden states (B, 77, D)."""
        tokens = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        return self.model(input_ids=tokens.input_ids.to(self.model.device)).last_hidden_state
