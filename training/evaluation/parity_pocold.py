"""PoCoLD beside a checkout of the authors' code, for `figura check parity`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...models.diffusion.guidance import cumulative
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import STABLE_DIFFUSION, pndm_leading, timesteps_of
from ...models.pocold.losses import MEAN, Constraint
from ...models.pocold.networks import MAPPED, PoCoLDNetworks, SourceEncoder, released_config
from ...models.pocold.sampling import Weights, latent_labels
from ...people.densepose import LABELS
from .parity import NETWORK_LIMIT, RELATIVE, Row, relative
from .parity_checkouts import old_names, older_diffusers, randomised, released_modules


def compare_pocold(folder: Path, older: Path | None = None) -> Iterator[Row]:
    """Label mapper, source encoder, U-Net with a source and without, penalty; sampling and what goes in."""
    with released_modules(folder, "src", "pocold") as module, older_diffusers():
        code = module("model")
        torch.manual_seed(0)
        config = released_config()
        theirs = {
            "mapper": code.ChannelMapper(LABELS, MAPPED, concat=False),
            "encoder": code.MultiScaleReferenceImageEncoder(),
            "unet": code.UNet2DDoubleAttentionConditionModel(
                in_channels=config.latent_channels + MAPPED, use_constraint_penalty=True
            ),
        }
        for seed, network in enumerate(theirs.values()):
            randomised(network, seed)
        ours = PoCoLDNetworks(config).eval()
        for name, network in theirs.items():
            take(getattr(ours, name), network)
        generator = torch.Generator().manual_seed(2)
        labels = torch.randint(0, LABELS, (1, 64, 48), generator=generator)
        latents, source = torch.randn(2, 1, config.latent_channels, 64, 48, generator=generator)
        one_hot = nn.functional.one_hot(labels).permute(0, 3, 1, 2).float()
        pose = theirs["mapper"].cond_conv(one_hot)
        yield Row("label mapper", relative(pose, ours.map_labels(labels, latents)), NETWORK_LIMIT, RELATIVE)
        maps = theirs["encoder"](source)
        for level, pair in enumerate(zip(maps, ours.encoder(source), strict=True)):
            yield Row(f"source map {level}", relative(*pair), NETWORK_LIMIT, RELATIVE)
        t = torch.tensor([401])
        for part, given in (("U-Net", maps), ("U-Net without a source", None)):
            value = theirs["unet"](torch.cat([latents, pose], 1), t, given).sample
            own = ours.unet(latents, t, pose, given)
            yield Row(part, relative(value, own), NETWORK_LIMIT, RELATIVE)
        yield _penalty(theirs, ours)
        with old_names():
            yield from _sampling(module("pipeline"))
        yield from _preprocessing(module("transform"))
    yield _metrics()


def _penalty(theirs: Mapping[str, nn.Module], ours: PoCoLDNetworks) -> Row:
    """The pose constraint of all modules, where it is paid: in training."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(0, LABELS, (2, 1, 32, 24), generator=generator)
    latents, source = torch.randn(2, 1, ours.config.latent_channels, 32, 24, generator=generator)
    maps, t = theirs["encoder"](source), torch.tensor([401])
    pose = ours.map_labels(labels[0], latents)
    theirs["unet"].train()
    _, paid = theirs["unet"](
        torch.cat([latents, pose], 1), t, maps, labels.transpose(0, 1).float(), return_dict=True
    )
    constraint = Constraint(labels[0], labels[1], include_unmatched=True, reduction=MEAN)
    ours.unet(latents, t, pose, maps, constraint)
    return Row("penalty of all modules", relative(paid, constraint.total()), NETWORK_LIMIT, RELATIVE)


class _Answer(SimpleNamespace):
    """What a network of diffusers gives."""

    sample: Tensor


def _noise(latents: Tensor, t: Tensor, pose: Tensor, source: Tensor | float) -> Tensor:
    """Bends the latents by the time, the pose and the source, as smoothly as a network does."""
    return torch.tanh(0.9 * latents + 0.3 * pose + 0.2 * source + float(t) / 1000)


def _sampling(code: ModuleType) -> Iterator[Row]:
    """Their pipeline with the falling guidance of their script, on a function in the networks' place."""
    generator = torch.Generator().manual_seed(6)
    noise, pose, source = torch.randn(3, 2, 4, 16, 12, generator=generator)

    def unet(
        inputs: Tensor, t: Tensor, encoder_hidden_states: Tensor | None, constraint_maps: None
    ) -> _Answer:
        given = 0.0 if encoder_hidden_states is None else encoder_hidden_states
        return _Answer(sample=_noise(inputs[:, :4], t, inputs[:, 4:], given))

    from diffusers import PNDMScheduler

    stable = PNDMScheduler(**STABLE_DIFFUSION, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False)
    encoded = SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: source / 0.18215))
    pipeline = SimpleNamespace(
        vae=SimpleNamespace(encode=lambda image: encoded), rie=_Encoder(), unet=unet, scheduler=stable,
        channel_mapper=lambda latents, labels: torch.cat([latents, labels], 1), device=torch.device("cpu"),
        prepare_extra_step_kwargs=lambda *a: {}, progress_bar=lambda times: times,
        decode_latents=lambda latents: latents,
    )  # fmt: skip
    (theirs,) = code.PoseTransferPipeline.__call__(
        pipeline, source, pose, 128, 96, 50, 5.0, 5.0, latents=noise, output_type="np", return_dict=False,
        cfg_decay=True, end_cfg=3.0,
    )  # fmt: skip
    scheduler, weights = pndm_leading(STABLE_DIFFUSION), Weights(decay=True)
    walked = timesteps_of(scheduler, 50)
    unlike = (
        float((walked != stable.timesteps).float().mean()) if len(walked) == len(stable.timesteps) else 1.0
    )
    yield Row("schedule, time steps", unlike, 0.0, "of the steps")

    def predict(z: Tensor, t: Tensor) -> Tensor:
        none, posed, full = _noise(z, t, 0 * pose, 0.0), _noise(z, t, pose, 0.0), _noise(z, t, pose, source)
        return cumulative(none, posed, full, *weights.at(int(t)))

    own = sample(predict, noise, scheduler, 50, clean_end=False)
    yield Row("trajectory of 50 steps, falling guidance", relative(theirs, own), NETWORK_LIMIT, RELATIVE)


class _Encoder:
    """Gives back what it reads, as the source's map."""

    config = SimpleNamespace(use_time_emb=False)

    def __call__(self, latents: Tensor) -> Tensor:
        return latents


def _preprocessing(code: ModuleType) -> Iterator[Row]:
    """A picture and its labels as their evaluation reads them, at 512 x 384 and an eighth of it."""
    rng = np.random.default_rng(8)
    image = Image.fromarray(rng.integers(0, 256, (512, 384, 3), dtype=np.uint8))
    parts = np.kron(rng.integers(0, LABELS, (32, 24), dtype=np.uint8), np.ones((16, 16), np.uint8))
    theirs, labels = code.build_dual_transforms(512, 384, LABELS, 8, is_train=False)(
        image, Image.fromarray(parts)
    )
    own = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    yield Row("preprocessing, picture", relative(theirs, own * 2 - 1), NETWORK_LIMIT, RELATIVE)
    small = latent_labels(torch.from_numpy(parts)[None], (64, 48))[0]
    unlike = float((labels.argmax(0) != small).float().mean())
    yield Row("preprocessing, labels", unlike, 0.0, "of the cells")


def _metrics() -> Row:
    reason = "not compared: they are FID and LPIPS of trained networks, which Figura's tables do not use"
    return Row("metrics", float("nan"), NETWORK_LIMIT, RELATIVE, reason)


POCOLD_NAMES = (
    (r"^down_blocks\.(\d)\.downsamplers\.0\.(?:op|conv)\.", r"downsamplers.\1.conv."),
    (r"^up_blocks\.(\d)\.upsamplers\.0\.", r"upsamplers.\1."),
    (r"^mid_block\.resnets\.0\.", "mid_first."), (r"^mid_block\.resnets\.1\.", "mid_last."),
    (r"^mid_block\.attentions\.0\.", "mid_attention."), (r"^down_blocks\.", "down."),
    (r"^up_blocks\.", "up."), (r"^time_embedding\.", "time."), (r"^conv_norm_out\.", "norm_out."),
    (r"\.scale$", ".residual"),
    (r"^cond_conv\.", ""),
)  # fmt: skip
"""Their names and ours, as patterns."""
ENCODER_NAMES = (
    (r"^down\.(\d)\.resnets\.0\.", r"resnets.\1."),
    (r"^downsamplers\.1\.", "downsamplers.0."), (r"^downsamplers\.2\.", "downsamplers.1."),
    (r"^downsamplers\.3\.", "downsamplers.2."),
)  # fmt: skip
"""Of the source encoder, whose first level does not shrink, after the others."""


def take(ours: nn.Module, theirs: nn.Module) -> None:
    """Give ours their parameters. ValueError names those that have no counterpart."""
    patterns = (*POCOLD_NAMES, *ENCODER_NAMES) if isinstance(ours, SourceEncoder) else POCOLD_NAMES
    own, given = dict(ours.named_parameters()), {}
    for name, value in theirs.named_parameters():
        for pattern, into in patterns:
            name = re.sub(pattern, into, name)
        given[name] = value
    wrong = sorted(set(own) ^ set(given))
    if wrong:
        raise ValueError(
            f"{type(theirs).__name__}: {len(wrong)} parameters have no counterpart, first {wrong[0]}"
        )
    for name, parameter in own.items():
        parameter.data.copy_(given[name].data.reshape(parameter.shape))
