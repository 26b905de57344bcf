"""What a U-Net predicts under guidance, and what a ControlNet beside it gets and adds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from figura.models.diffusion import predict
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
