"""The sizes of CFLD's networks."""

from __future__ import annotations

import json

import pytest
from figura.models.cfld.config import CFLDConfig, released_config
from figura.models.diffusion.checkpoint import config_from_metadata, config_to_metadata


def test_blocks_are_counted_as_comfyui_does() -> None:
    config = released_config()
    assert config.upward == [11, 10, 9, 8, 7, 6, 5, 4, 3] and config.input_blocks == [2, 5, 8]


def test_an_unknown_kind_of_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt is 'words'; it is one of decoder, pooled, tokens"):
        CFLDConfig(prompt="words")


def test_the_configuration_survives_json() -> None:
    config = released_config("pooled", appearance=False)
    stored = json.loads(json.dumps(config_to_metadata(config)))
    assert config_from_metadata(CFLDConfig, stored) == config
