"""`figura bench gpu`: every method at its full size with random weights, on the best device there is.

A step's time does not hang on what was learnt. diffusers' inpainting pipeline of the same modules runs in the
same rounds. On a CPU, where this takes hours, the tiny scale shows that it works.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...models.cfld.config import CFLDConfig, released_config
from ...models.diffusion.latent_model import LatentNetworks
from ...models.diffusion.networks import noise_schedule
from ...models.phac.networks import Inpainter, InvisibleMaskUNet, PHACModel
from ...models.pocold import networks as pocold
from ..reports.document import report
from .memory import SDXL_UNET

log = logging.getLogger(__name__)

STEPS, ROUNDS = 20, 3
TOKENS, POOLED = 77, 1280
LEVELS = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")


@dataclass(frozen=True)
class Scale:
    """Numbers of a family of networks. size: side of its pictures. unet, vae: diffusers' settings."""

    size: int
    unet: dict[str, Any]
    vae_channels: tuple[int, ...] = (128, 256, 512, 512)
    vae_layers: int = 2
    groups: int = 32
    context: int = 768
    cfld: CFLDConfig = field(default_factory=released_config)
    pocold: pocold.PoCoLDConfig = field(default_factory=pocold.released_config)
    mask_base: int = 32


SD15 = Scale(512, {"cross_attention_dim": 768, "attention_head_dim": 8})
SDXL = Scale(1024, SDXL_UNET, context=2048)
TINY = Scale(
    64,
    {
        "cross_attention_dim": 32, "block_out_channels": (32, 64, 64), "layers_per_block": 1,
        "down_block_types": (*LEVELS[:2], "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 2, "norm_num_groups": 8,
    },
    (8, 8, 8, 8), 1, 4, 32,
    CFLDConfig(
        channels=(32, 64), layers=1, context=32, source_size=32, embed=8, depths=(2, 1, 1), heads=(1, 2, 2),
        window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32, 32), pose_size=64, groups=8,
    ),
    pocold.PoCoLDConfig(4, (8, 16), 1, 2, 4, 4, sides=(64, 64)), 8,
)  # fmt: skip
SCALES = {"sd15": SD15, "sdxl": SDXL, "tiny": TINY}


class Text(nn.Module):
    """States of texts at the width that a U-Net takes; text is not what is measured."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.randn(1, TOKENS, width))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B,L,D)."""
        return self.states.expand(len(texts), -1, -1)

    def pooled(self, texts: Sequence[str]) -> Tensor:
        """(B,P)."""
        return self.states.new_zeros(len(texts), POOLED)


def bench_gpu(
    scales: Sequence[str] = ("sd15", "sdxl"), steps: int = STEPS, rounds: int = ROUNDS, device: str = ""
) -> dict[str, Any]:
    """PHAC end to end, a step of every method, and memory at its peak; ratios to diffusers' pipeline.

    Args:
        scales: names of SCALES; the methods beside PHAC run at all of them but sdxl.
        steps: of each run.
        rounds: that are counted; the first one warms up.
        device: as PyTorch writes it; empty is the GPU, and without one the CPU for tiny alone.

    Raises ValueError where there is no GPU for networks of full size.
    """
    if not device and not torch.cuda.is_available() and set(scales) != {"tiny"}:
        raise ValueError("bench gpu needs a CUDA GPU, and there is none; --scales tiny works on the CPU")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float32 if device == "cpu" else torch.float16
    figures: dict[str, float] = {"steps": steps, "rounds": rounds}
    with torch.inference_mode():
        for name in scales:
            log.info("%s on %s", name, device)
            with torch.device(device):
                works = {**phac_works(SCALES[name], steps, dtype)}
            figures |= measured(works, name, rounds, steps, device)
            ours, theirs = (figures[f"seconds.{name}.{work}"] for work in ("coarse_alone", "diffusers"))
            figures[f"time_ratio.{name}.diffusers"] = ours / theirs
            del works
            for method, make in METHODS.items() if name != "sdxl" else ():
                with torch.device(device):
                    work = make(SCALES[name], steps, dtype)
                figures |= measured({method: work}, name, rounds, steps, device)
                del work
    return report("gpu", rounds, 0, device, torch.get_num_threads(), figures)


def measured(
    works: dict[str, Callable[[], object]], name: str, rounds: int, steps: int, device: str
) -> dict[str, float]:
    """Seconds of each, and of a step of it, medians; GiB at the peak on a GPU.

    Args:
        works: what is timed, by its name in the figures.
        name: of the scale.
        rounds: that are counted.
        steps: of each run.
        device: as PyTorch writes it.
    """
    figures: dict[str, float] = {}
    times: dict[str, list[float]] = {work: [] for work in works}
    for number in range(rounds + 1):
        for work, run in works.items():
            with watched(device, figures, f"peak_gib.{name}.{work}"):
                started = time.perf_counter()
                run()
                if device != "cpu":
                    torch.cuda.synchronize()
                if number:
                    times[work].append(time.perf_counter() - started)
    for work, each in times.items():
        figures[f"seconds.{name}.{work}"] = statistics.median(each)
        figures[f"step_seconds.{name}.{work}"] = statistics.median(each) / steps
    return figures


@contextmanager
def watched(device: str, figures: dict[str, float], name: str) -> Iterator[None]:
    """Note the most memory that was taken on a GPU inside the block."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    yield
    if device != "cpu":
        figures[name] = torch.cuda.max_memory_allocated() / 2**30


def parts(scale: Scale, unet: Any) -> LatentNetworks:
    """A U-Net with an autoencoder and texts of its scale."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=scale.vae_channels, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=scale.vae_layers, latent_channels=4,
        norm_num_groups=scale.groups,
    )  # fmt: skip
    return LatentNetworks(vae, unet, Text(scale.context), scale.size)


def unet_of(scale: Scale, channels: int) -> Any:
    """A U-Net with that many input channels and random weights."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=scale.size // 8, in_channels=channels, out_channels=4, **scale.unet
    )


def phac_works(scale: Scale, steps: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """PHAC's three stages, its coarse stage without ControlNet, and diffusers' pipeline of the same."""
    from diffusers import ControlNetModel

    from ...models.phac.sampling import complete, invisible_mask, predict_invisible, refine

    unet = unet_of(scale, 9)
    control = ControlNetModel.from_unet(unet)
    mask_net = InvisibleMaskUNet(base=scale.mask_base, size=min(256, scale.size))
    model = PHACModel(parts(scale, unet), {"pose": control}, mask_net, name="bench").to(dtype=dtype).eval()
    refiner = Inpainter(LatentNetworks(model.vae, unet, model.text, scale.size), "bench").eval()
    image = torch.rand(1, 3, scale.size, scale.size)
    visible, prompt = torch.zeros_like(image[:, :1]), torch.zeros_like(image)
    visible[..., : scale.size // 2, scale.size // 4 : scale.size // 2] = 1
    texts = ["a woman"]

    def end_to_end() -> Tensor:
        coarse, _ = complete(model, image, visible, prompt, texts, steps=steps)
        hidden = invisible_mask(predict_invisible(model.mask_net, image, coarse, visible)).to(image.device)
        hidden[..., scale.size // 2 :, scale.size // 4 : scale.size // 2] = 1  # random weights find nothing
        return refine(refiner, image, coarse, visible, hidden, texts, steps=steps).image

    return {
        "phac": end_to_end,
        "coarse": lambda: complete(model, image, visible, prompt, texts, steps=steps),
        "coarse_alone": lambda: complete(
            model, image, visible, prompt, texts, steps=steps, control_strength=0.0
        ),
        "diffusers": diffusers_work(model, image, 1 - visible, steps),
    }


def diffusers_work(model: PHACModel, image: Tensor, mask: Tensor, steps: int) -> Callable[[], object]:
    """diffusers' inpainting pipeline of the same modules, without ControlNet.

    Args:
        model: whose modules it takes.
        image: (B,3,S,S) in 0..1.
        mask: (B,1,S,S), 1 where it paints.
        steps: of its sampling.
    """
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline

    scheduler = DDIMScheduler.from_config(noise_schedule().config, timestep_spacing="trailing")
    states = model.text.encode(["", ""]).to(model.vae.dtype).split(1)
    given = {
        "prompt_embeds": states[0], "negative_prompt_embeds": states[1], "image": image, "mask_image": mask,
        "num_inference_steps": steps, "guidance_scale": 2.0, "strength": 1.0, "output_type": "pt",
        "height": model.size, "width": model.size,
    }  # fmt: skip
    own = {
        "vae": model.vae,
        "unet": model.unet,
        "scheduler": scheduler,
        "text_encoder": None,
        "tokenizer": None,
    }
    pipeline: Any
    if model.unet.config.addition_embed_type == "text_time":
        pooled = model.text.pooled([""]).to(model.vae.dtype)
        given |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": pooled}
        pipeline = StableDiffusionXLInpaintPipeline(**own, text_encoder_2=None, tokenizer_2=None)
    else:
        pipeline = StableDiffusionInpaintPipeline(
            **own, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    return lambda: pipeline(**given)


def humansd_work(scale: Scale, steps: int, dtype: torch.dtype) -> Callable[[], object]:
    """People from skeletons."""
    from ...models.humansd.networks import HumanSD, pose_unet
    from ...models.humansd.sampling import generate_people

    model = HumanSD(parts(scale, pose_unet(unet_of(scale, 4))), "bench").to(dtype=dtype).eval()
    skeletons = torch.rand(1, 3, scale.size, scale.size)
    return lambda: generate_people(model, skeletons, ["a woman"], steps=steps)


def hands_work(scale: Scale, steps: int, dtype: torch.dtype) -> Callable[[], object]:
    """Hands close up, the first stage."""
    from ...models.hands.networks import HandGenerator, hand_unet
    from ...models.hands.sampling import generate_hands

    model = HandGenerator(parts(scale, hand_unet(unet_of(scale, 4), 4)), "bench").to(dtype=dtype).eval()
    skeletons = torch.rand(1, 3, scale.size, scale.size)
    return lambda: generate_hands(model, skeletons, ["a hand"], steps=steps)


def cfld_work(scale: Scale, steps: int, dtype: torch.dtype) -> Callable[[], object]:
    """A person in another pose, by CFLD."""
    from ...models.cfld.attention import key_value_names
    from ...models.cfld.networks import CFLDModel, CFLDNetworks
    from ...models.cfld.sampling import appearance_of, repose

    unet = unet_of(scale, 4)
    state = unet.state_dict()
    trained = {name: state[name].clone() for name in key_value_names(list(state))}
    vae = parts(scale, unet).vae
    model = CFLDModel(vae, unet, CFLDNetworks(scale.cfld), trained, scale.size // 2, "bench")
    model = model.to(dtype=dtype).eval()
    side, pose_side = scale.cfld.source_size, scale.cfld.pose_size
    source, pose = torch.rand(1, 3, side, side), torch.rand(1, 21, pose_side, pose_side)
    return lambda: repose(model, appearance_of(model, source), pose, steps=steps)


def pocold_work(scale: Scale, steps: int, dtype: torch.dtype) -> Callable[[], object]:
    """A person in another pose, by PoCoLD."""
    from ...models.pocold.sampling import generate

    vae = parts(scale, None).vae
    model = pocold.PoCoLDModel(vae, pocold.PoCoLDNetworks(scale.pocold), "bench").to(dtype=dtype).eval()
    height, width = scale.pocold.sides
    target, source = torch.zeros(1, height, width, dtype=torch.uint8), torch.rand(1, 3, height, width)
    target[:, height // 4 : height // 2, width // 4 : width // 2] = 2
    return lambda: generate(model, target, source, steps=steps)


METHODS = {"humansd": humansd_work, "hands": hands_work, "cfld": cfld_work, "pocold": pocold_work}
