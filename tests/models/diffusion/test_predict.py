"""What a U-Net predicts under guidance, and what a ControlNet beside it gets and adds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from figura.models.diffusion import predict
from figura.models.diffusion.latent_model import TextStates
from figura.models.phac import sampling as phac
from figura.tests.models.phac import tiny
from figura.tests.models.phac.tiny import images
from torch import Tensor

SIZE = tiny.SIZE


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_phac()


def test_guidance_one_is_the_conditional_prediction(model: Any) -> None:
    given = images()
    condition = model.condition(given["image"], 1 - given["visible_mask"])
    latents, t = torch.randn(2, *model.latent_shape), torch.tensor(500)
    control = predict.Control(model.controlnet("pose"), given["prompt_image"])
    plain = predict.noise_predictor(model, given["texts"], 1.0, condition=condition, control=control)(
        latents, t
    )
    conditional = predict.predict_once(
        model, latents, t, model.text_condition(given["texts"]), condition, control
    )
    assert torch.equal(plain, conditional)
    near = predict.noise_predictor(model, given["texts"], 1.0 + 1e-6, condition=condition, control=control)(
        latents, t
    )
    torch.testing.assert_close(near, plain, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("negative", [None, "red"])
def test_sdxl_without_a_negative_text_is_guided_away_from_zeros_as_in_its_own_pipeline(negative: Any) -> None:
    from diffusers import StableDiffusionXLInpaintPipeline

    class Seen(NamedTuple):
        text_embeds: Tensor
        hidden_states: tuple[Tensor, ...]

    class Encoder(torch.nn.Module):
        dtype, device = torch.float32, torch.device("cpu")

        def forward(self, tokens: Tensor, output_hidden_states: bool = True) -> Seen:
            states = tokens.float()[..., None].expand(-1, -1, 3)
            return Seen(tokens[:, :3].float() + 1, (states, states + 2, states))

    class Tokenizer:
        model_max_length = 5

        def __call__(self, texts: Any, padding: str = "max_length", **_: Any) -> Any:
            rows = [[9, *map(len, text.split()), *[8] * 4][:5] for text in texts]
            return SimpleNamespace(input_ids=torch.tensor(rows))

    tokenizer, encoder = Tokenizer(), Encoder()
    config = SimpleNamespace(force_zeros_for_empty_prompt=True)
    pipeline: Any = SimpleNamespace(
        tokenizer=tokenizer, tokenizer_2=tokenizer, text_encoder=encoder, text_encoder_2=encoder,
        config=config, _execution_device="cpu", unet=None,
    )  # fmt: skip
    texts = ["a man", "a woman standing"]
    theirs = StableDiffusionXLInpaintPipeline.encode_prompt(
        pipeline, texts, device="cpu", negative_prompt=None if negative is None else [negative] * 2
    )

    class SDXL:
        """Its texts as latent_model.py gives them."""

        def text_condition(self, some: list[str]) -> TextStates:
            seen = encoder(tokenizer(some).input_ids)
            sides = torch.full((len(some), 6), 7.0)
            return TextStates(torch.cat([seen.hidden_states[-2]] * 2, dim=-1), seen.text_embeds, sides)

    model: Any = SDXL()
    ours = predict.negative_condition(model, negative or "", model.text_condition(texts))
    assert torch.equal(model.text_condition(texts).states, theirs[0]) and ours.sides is not None
    assert torch.equal(ours.states, theirs[1]) and torch.equal(ours.pooled, theirs[3])
    assert bool(ours.states.any()) is (negative is not None) and (ours.sides == 7).all()


def test_the_prompt_can_stay_out_of_the_unconditional_branch(model: Any) -> None:
    inputs = torch.randn(4, 9, 4, 4)
    text = model.text_condition(["a"] * 4).for_network(inputs)
    image = images()["prompt_image"]

    def middle(control: predict.Control) -> Tensor:
        residuals = predict.control_residuals(control, inputs, torch.tensor(5), text)
        return residuals["mid_block_additional_residual"]

    network = model.controlnet("pose")
    seen, unseen = (
        middle(predict.Control(network, image)),
        middle(predict.Control(network, image, in_uncond=False)),
    )
    black = middle(predict.Control(network, torch.zeros_like(image)))
    assert not torch.equal(seen[:2], black[:2])
    torch.testing.assert_close(unseen, torch.cat([black[:2], seen[2:]]))


def test_a_controlnet_of_the_latents_alone_gets_only_those() -> None:
    model = tiny.tiny_phac()
    network = model.controlnets["pose"] = tiny.tiny_controlnet(tiny.tiny_unet(tiny.LATENTS)).eval()
    assert phac.complete(model, **images(), steps=1)[0].isfinite().all()
    inputs, text = torch.randn(2, 9, 4, 4), model.text_condition(["a"] * 2).for_network(torch.zeros(1))

    def middle(seen: Tensor) -> Tensor:
        control = predict.Control(network, images()["prompt_image"])
        residuals = predict.control_residuals(control, seen, torch.tensor(5), text)
        return residuals["mid_block_additional_residual"]

    other = torch.cat([inputs[:, : tiny.LATENTS], 0 * inputs[:, tiny.LATENTS :]], dim=1)
    assert torch.equal(middle(inputs), middle(other)) and not torch.equal(middle(inputs), middle(0 * inputs))


def test_the_strength_is_a_factor_on_all_residuals(model: Any) -> None:
    inputs, image = torch.randn(2, 9, 4, 4), images()["prompt_image"]
    text = model.text_condition(["a"] * 2).for_network(inputs)
    whole, part = (
        predict.control_residuals(
            predict.Control(model.controlnet("pose"), image, strength), inputs, torch.tensor(5), text
        )
        for strength in (1.0, 0.3)
    )
    torch.testing.assert_close(
        part["down_block_additional_residuals"],
        [0.3 * each for each in whole["down_block_additional_residuals"]],
    )
    middle = "mid_block_additional_residual"
    torch.testing.assert_close(part[middle], 0.3 * whole[middle])
    assert whole[middle].any()


def test_the_prompt_is_read_once_and_again_when_it_changes() -> None:
    reads: list[Tensor] = []

    class Embedding(torch.nn.Module):
        def forward(self, prompt: Tensor) -> Tensor:
            reads.append(prompt)
            return prompt * 2

    network = torch.nn.Module()
    network.controlnet_cond_embedding = embedding = Embedding().eval()
    first, other = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    with predict.prompt_embedded_once(network), torch.no_grad():
        for prompt in (first, first.clone(), other, other, first, first.repeat(2, 1, 1, 1)):
            assert torch.equal(network.controlnet_cond_embedding(prompt), prompt * 2)
    assert [int(prompt.sum()) for prompt in reads] == [48, 0, 96]
    assert network.controlnet_cond_embedding is embedding
