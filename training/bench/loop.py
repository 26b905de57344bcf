"""`figura bench loop`: the sampling loop against the network alone, and against diffusers' own pipeline."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...models.diffusion.latent_model import LatentModel, LatentNetworks
from ...models.diffusion.networks import MINI_SIZE, TEXT_WIDTH, mini_unet, mini_vae, noise_schedule
from ...models.diffusion.predict import noise_predictor
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import DDIM, scheduler_of
from ...models.diffusion.text import TOKENS
from ..reports.document import report
from .threads import one_thread
from .turns import Work, in_turns, ratio, seconds

STEPS, PICTURES, ROUNDS, GUIDANCE = 10, 4, 7, 2.0


class NoText(torch.nn.Module):
    """States of texts, drawn once: text is not what is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.states = torch.randn(1, TOKENS, TEXT_WIDTH)

    def encode(self, texts: list[str]) -> Tensor:
        """(B,L,D)."""
        return self.states.expand(len(texts), -1, -1)


def bench_loop(steps: int = STEPS, pictures: int = PICTURES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time of our loop over that of the bare network's calls, and over diffusers' pipeline of it.

    Mini's text-to-image U-Net under guidance with DDIM, from noise to latents; random weights.

    Args:
        steps: of each run.
        pictures: at once.
        rounds: that are counted.
    """
    with one_thread(), torch.inference_mode():
        works = loops(steps, pictures)
        times = in_turns(works, rounds)
    figures = {
        "time_ratio.network": ratio(times, "ours", "network"),
        "time_ratio.diffusers": ratio(times, "ours", "diffusers"),
    }
    about = {"steps": steps, "pictures": pictures, "rounds": rounds}
    return report("loop", rounds, 0, "cpu", 1, {**figures, **seconds(times), **about})


def loops(steps: int, pictures: int) -> dict[str, Work]:
    """The bare calls, our loop and the pipeline, from the same noise and text to latents."""
    torch.manual_seed(0)
    model = LatentModel(
        LatentNetworks(mini_vae().eval(), mini_unet().eval(), NoText().eval(), MINI_SIZE), "bench"
    )
    noise = torch.randn(pictures, *model.latent_shape)
    texts = ["a woman"] * pictures
    predict = noise_predictor(model, texts, GUIDANCE)
    both, t = torch.cat([noise, noise]), torch.tensor(500)
    states = model.text.encode(texts * 2)
    pipeline = diffusers_pipeline(model)

    def network() -> None:
        for _ in range(steps):
            model.unet(both, t, encoder_hidden_states=states)

    def theirs() -> Tensor:
        made: Tensor = pipeline(
            prompt_embeds=states[:pictures], negative_prompt_embeds=states[pictures:], latents=noise,
            num_inference_steps=steps, guidance_scale=GUIDANCE, output_type="latent",
        ).images  # fmt: skip
        return made

    return {
        "network": network,
        "ours": lambda: sample(predict, noise, scheduler_of(DDIM), steps),
        "diffusers": theirs,
    }


def diffusers_pipeline(model: LatentModel) -> Any:
    """diffusers' StableDiffusionPipeline of a model's own modules, with our DDIM schedule."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    scheduler = DDIMScheduler.from_config(noise_schedule().config, timestep_spacing="trailing")
    pipeline = StableDiffusionPipeline(
        vae=model.vae, text_encoder=None, tokenizer=None, unet=model.unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
