"""Words to numbers to states: any text goes in, the known words count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from figura.models.diffusion.checkpoint import save_module
from figura.models.diffusion.text import (
    TextEncoder,
    WordTokenizer,
    load_text_encoder,
    reads_all,
    split_words,
    with_suffix,
)

CAPTIONS = ["a woman in a zigzag coat, walking"]


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return WordTokenizer.from_captions(CAPTIONS)


@pytest.fixture(scope="module")
def encoder(tokenizer: WordTokenizer) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(tokenizer).eval()


def words(tokenizer: WordTokenizer, text: str) -> list[str]:
    return [tokenizer.words[number] for number in tokenizer([text])[0][0].tolist()]


def test_captions_and_general_words_are_known(tokenizer: WordTokenizer) -> None:
    assert "<unk>" not in words(tokenizer, "a woman in a zigzag coat, standing outdoors")


def test_unknown_words_have_one_number(tokenizer: WordTokenizer) -> None:
    made = words(tokenizer, "a Quokka woman")
    assert made[:6] == ["<start>", "a", "<unk>", "woman", "<end>", "<pad>"]


def test_case_and_signs_do_not_matter(tokenizer: WordTokenizer) -> None:
    assert split_words("A Red-Coat,  (BLUE)!") == ["a", "red", "coat", ",", "blue"]
    assert words(tokenizer, "WALKING") == words(tokenizer, "walking.")


def test_long_texts_are_cut_and_still_end(tokenizer: WordTokenizer) -> None:
    tokens, mask = tokenizer(["red " * 200, ""])
    assert tokens.shape == mask.shape == (2, tokenizer.length)
    assert tokens[0, -1] == tokenizer.end and mask[0].all()
    assert mask[1].tolist() == [1, 1] + [0] * (tokenizer.length - 2)


def test_special_words_cannot_be_written(tokenizer: WordTokenizer) -> None:
    assert words(tokenizer, "<end> <pad>").count("<end>") == 1


def test_one_string_is_not_a_list(tokenizer: WordTokenizer) -> None:
    with pytest.raises(TypeError, match="list of strings"):
        tokenizer("a woman")


def test_no_texts_at_all(tokenizer: WordTokenizer) -> None:
    assert tokenizer([])[0].shape == (0, tokenizer.length)


def test_states_depend_on_the_text_and_not_on_the_batch(encoder: TextEncoder) -> None:
    texts = ["a red coat", "a blue coat", ""]
    together = encoder.encode(texts)
    alone = torch.cat([encoder.encode([text]) for text in texts])
    assert together.shape == (3, encoder.tokenizer.length, 96)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_round_trip(encoder: TextEncoder, tmp_path: Path) -> None:
    path = save_module(
        tmp_path / "text.safetensors", "text", encoder.state_dict(), encoder.config(), dtype=torch.float32
    )
    loaded = load_text_encoder(path)
    assert loaded.tokenizer.words == encoder.tokenizer.words
    assert torch.equal(loaded.encode(CAPTIONS), encoder.encode(CAPTIONS))


def test_what_must_be_read_is_read_behind_a_long_text(
    encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    suffix = ", standing outdoors"
    for count in (1, 5, encoder.tokenizer.length, 3 * encoder.tokenizer.length):
        read = words(encoder.tokenizer, with_suffix(encoder, "red " * count, suffix))
        end = read.index("<end>")
        assert read[end - 3 : end] == [",", "standing", "outdoors"]
        assert ("longer than the model reads" in caplog.text) == (count > encoder.tokenizer.length - 2 - 3)
    assert with_suffix(encoder, "a  man", suffix) == "a  man, standing outdoors"
    assert with_suffix(encoder, " ", suffix) == " "


def test_tokens_of_clip_are_counted_with_both_ends() -> None:
    class Tokenizer:
        model_max_length = 6

        def __call__(self, text: str) -> SimpleNamespace:
            return SimpleNamespace(input_ids=[0, *range(len(text.split())), 0])

    clip = SimpleNamespace(tokenizer=Tokenizer())
    assert reads_all(clip, "a b c d") and not reads_all(clip, "a b c d e")
    assert reads_all(object(), "an encoder without a tokenizer")


def test_a_pasted_page_is_cut_after_a_few_looks() -> None:
    looked: list[str] = []

    class Tokenizer:
        model_max_length = 77

        def __call__(self, text: str) -> SimpleNamespace:
            looked.append(text)
            return SimpleNamespace(input_ids=[0, *text.split(), 0])

    made = with_suffix(SimpleNamespace(tokenizer=Tokenizer()), "red " * 5000, " and alone")
    assert made.split() == ["red"] * 73 + ["and", "alone"] and len(looked) < 20
