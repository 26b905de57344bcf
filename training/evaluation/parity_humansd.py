"""HumanSD beside a checkout of the authors' code, for `figura check parity`.

Their U-Net, autoencoder and text encoder are written to a checkpoint of the released layout, which the loader
of the node then reads.
"""

from __future__ import annotations

import colorsys
import contextlib
import importlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...models.diffusion.guidance import cfg
from ...models.diffusion.predict import predict_once
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import STABLE_DIFFUSION, TRAINING_STEPS, ddim_leading, timesteps_of
from ...models.humansd.checkpoint import RELEASED_CFG, load_humansd
from ...models.humansd.networks import HumanSD
from ...models.humansd.pipeline import image_size
from ...people.keypoints import Person, Pose, body18_from_coco17
from ...people.skeleton_coco import draw_coco_pose
from .parity import NETWORK_LIMIT, PIXEL_LIMIT, RELATIVE, Row, differing, relative
from .parity_checkouts import Anything, StandIn, randomised, released_modules, stand_ins
from .pose_metrics import Detection, average_precision, cosine_average_precision

PACKAGES = (
    "einops", "gradio", "imwatermark", "kornia", "matplotlib", "mmpose", "omegaconf", "open_clip",
    "pytorch_lightning", "seaborn", "xtcocotools",
)  # fmt: skip
"""What the authors' modules import; stood in for where it is not installed; parts that use it say so."""
TEXTS = (
    "a man & a woman, R&amp;B &amp;lt;3 singers",
    "",
    "two people dancing in the rain, best quality " * 8,
)
STEPS, SKIPPED = 50, 1
"""The demo walks 49 of 50 steps."""
PEOPLE = (
    ((256, 90), (266, 80), (246, 80), (280, 88), (232, 88), (310, 150), (200, 152), (330, 240), (180, 236),
     (340, 320), (172, 318), (290, 310), (222, 312), (296, 400), (216, 402), (300, 490), (212, 492)),
    ((401, 203), (407, 197), (395, 198), (414, 201), (388, 203), (433, 241), (370, 245), (460, 280),
     (352, 290), (478, 320), (340, 331), (420, 338), (381, 340), (424, 395), (376, 398), (430, 451),
     (371, 455)),
)  # fmt: skip
"""Two drawn people, COCO's 17 joints x, y in a picture of 512 x 512."""


def compare_humansd(folder: Path, older: Path | None = None) -> Iterator[Row]:
    """U-Net, autoencoder, text; drawing, sizes, schedule, trajectory under guidance; AP and CAP."""
    given = {
        "pytorch_lightning": {"LightningModule": nn.Module},
        "seaborn": {"color_palette": _palette},
        "einops": {"rearrange": Anything(), "repeat": Anything()},
    }
    quiet = contextlib.redirect_stdout(io.StringIO())
    with stand_ins(PACKAGES, given), released_modules(folder, "", "humansd") as module, quiet:
        yield from _networks(module)
        yield from _drawings(module)
        yield from _sampling(module)
        yield from _metrics(module)


def _palette(name: str, count: int) -> list[tuple[float, float, float]]:
    """What seaborn documents of its palette "hls", for where it is not installed."""
    return [colorsys.hls_to_rgb((number / count + 0.01) % 1.0, 0.6, 0.65) for number in range(count)]


# Networks


def _networks(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    if not _is_there(module("ldm.modules.attention"), "rearrange"):
        for part in ("U-Net", "autoencoder"):
            yield _lacking(part, "einops")
        return
    with tempfile.TemporaryDirectory() as place:
        checkpoint, words = Path(place) / "humansd.safetensors", Path(place)
        theirs = _their_networks(module, checkpoint, words)
        ours = load_humansd(checkpoint, words)
        yield from _compared(theirs, ours)


def _their_networks(
    module: Callable[[str], ModuleType], checkpoint: Path, words: Path
) -> dict[str, Tensor | None]:
    """Writes their networks as a checkpoint, and gives what they make of `_inputs`."""
    given, made, tensors = _inputs(), {}, {}
    torch.manual_seed(0)
    vae = randomised(_autoencoder(module), 1)
    posterior = vae.encode(given["image"] * 2 - 1)  # type: ignore[operator]
    made["latents"], made["spread"] = 0.18215 * posterior.mean, posterior.std
    made["picture"] = (vae.decode(given["z"] / 0.18215) / 2 + 0.5).clamp(0, 1)  # type: ignore[operator]
    tensors |= _prefixed("first_stage_model.", vae)
    made["states"], made["tokens"], text = _their_text(module, words)
    if text is not None:
        tensors |= _prefixed("cond_stage_model.model.", text)
    else:
        tensors |= _some_text(words)
    unet = randomised(_unet(module), 2)
    both = torch.cat([given["noisy"], given["pose"]], 1).repeat(2, 1, 1, 1)
    made["noise"] = unet(both, given["t"].repeat(2), context=given["context"])
    tensors |= _prefixed("model.diffusion_model.", unet)
    save_file(tensors, str(checkpoint))
    return made


def _inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "image": torch.rand(1, 3, 256, 256, generator=generator), "z": draw(1, 4, 32, 32),
        "noisy": draw(1, 4, 32, 32), "pose": draw(1, 4, 32, 32), "context": draw(2, 77, 1024),
        "t": torch.tensor([401]),
    }  # fmt: skip


def _unet(module: Callable[[str], ModuleType]) -> nn.Module:
    return module("ldm.modules.diffusionmodules.openaimodel").UNetModel(
        image_size=32, in_channels=8, out_channels=4, model_channels=320, attention_resolutions=[4, 2, 1],
        num_res_blocks=2, channel_mult=[1, 2, 4, 4], num_head_channels=64, use_spatial_transformer=True,
        use_linear_in_transformer=True, transformer_depth=1, context_dim=1024, legacy=False,
    )  # fmt: skip


def _autoencoder(module: Callable[[str], ModuleType]) -> nn.Module:
    sizes = {
        "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
        "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    return module("ldm.models.autoencoder").AutoencoderKL(sizes, {"target": "torch.nn.Identity"}, 4)


def _prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {prefix + name: value.contiguous() for name, value in network.state_dict().items()}


def _their_text(
    module: Callable[[str], ModuleType], words: Path
) -> tuple[Tensor | None, Tensor | None, nn.Module | None]:
    """States and tokens of TEXTS by their encoder of 24 layers, and its network; None without open_clip.

    Writes open_clip's words as CLIP's tokenizer has them.
    """
    encoders = module("ldm.modules.encoders.modules")
    if not _is_there(encoders, "open_clip", "model"):
        return None, None, None
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    from open_clip.tokenizer import SimpleTokenizer

    _write_words(SimpleTokenizer(), words)
    sizes = CLIPTextCfg(width=1024, heads=16, layers=24)
    with torch.device("cpu"):
        clip = CLIP(1024, CLIPVisionCfg(layers=1, width=64, head_width=64, patch_size=32), sizes)
    randomised(clip, 4)
    encoders.open_clip.create_model_and_transforms = lambda *a, **k: (clip, None, None)
    theirs = encoders.FrozenOpenCLIPEmbedder(device="cpu", layer="penultimate")
    return theirs(list(TEXTS)), encoders.open_clip.tokenize(list(TEXTS)), theirs.model


def _write_words(tokenizer: Any, folder: Path) -> None:
    """open_clip's words as CLIP's tokenizer has them, where the first and the last have other names."""
    called = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    words = {called.get(word, word): number for word, number in tokenizer.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _some_text(words: Path) -> dict[str, Tensor]:
    """A text encoder that nothing is compared with, so that the checkpoint is whole."""
    (words / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    width, prefix = 1024, "cond_stage_model.model."
    own = {"positional_embedding": (77, width), "token_embedding.weight": (2, width)}
    own |= {f"ln_final.{kind}": (width,) for kind in ("weight", "bias")}
    for layer in range(2):
        block = f"transformer.resblocks.{layer}."
        shapes = {
            "attn.in_proj": (3 * width, width), "attn.out_proj": (width, width), "ln_1": (width,),
            "ln_2": (width,), "mlp.c_fc": (width, width), "mlp.c_proj": (width, width),
        }  # fmt: skip
        for name, shape in shapes.items():
            sign = "_" if name.endswith("in_proj") else "."
            own |= {f"{block}{name}{sign}weight": shape, f"{block}{name}{sign}bias": shape[:1]}
    return {prefix + name: torch.zeros(shape) for name, shape in own.items()}


def _compared(theirs: Mapping[str, Tensor | None], ours: HumanSD) -> Iterator[Row]:
    given = _inputs()
    from ...models.diffusion.latent_model import TextStates
    from ...models.diffusion.networks import image_posterior

    posterior = image_posterior(ours.vae, given["image"])
    latents, picture = ours.encode(given["image"]), ours.decode(given["z"])
    noise = predict_once(
        ours, given["noisy"].repeat(2, 1, 1, 1), given["t"][0], TextStates(given["context"]),
        given["pose"].repeat(2, 1, 1, 1),
    )  # fmt: skip
    for part, name, own in (
        ("autoencoder, mean of the latents", "latents", latents),
        ("autoencoder, spread of the latents", "spread", posterior.std),
        ("autoencoder, picture", "picture", picture), ("U-Net of 8 channels", "noise", noise),
    ):  # fmt: skip
        yield Row(part, relative(_known(theirs[name]), own), NETWORK_LIMIT, RELATIVE)
    none, full = _known(theirs["noise"]).chunk(2)
    guided = none + RELEASED_CFG * (full - none)
    own = cfg(*noise.chunk(2), RELEASED_CFG)
    difference = relative(guided, own)
    reason = "the scale multiplies the rounding of two passes; the formula itself is in the trajectory"
    yield Row(
        "guided noise of the U-Net, scale 10", difference, NETWORK_LIMIT, RELATIVE,
        reason if difference < RELEASED_CFG * NETWORK_LIMIT else "",
    )  # fmt: skip
    if theirs["states"] is None or theirs["tokens"] is None:
        yield _lacking("text states, 24 layers", "open_clip_torch==2.7.0")
        return
    from ...models.diffusion.clip import tokens_of, unescaped, zeros_behind_end

    words = ours.text.tokenizer
    tokens = zeros_behind_end(tokens_of(words, [unescaped(text) for text in TEXTS]), words.eos_token_id)
    unlike = float((tokens != theirs["tokens"]).float().mean())
    yield Row('tokens, "&amp;" among them', unlike, 0.0, "of the tokens")
    states = relative(theirs["states"], ours.text.encode(TEXTS))
    yield Row("text states, 24 layers", states, NETWORK_LIMIT, RELATIVE)


def _known(value: Tensor | None) -> Tensor:
    if value is None:
        raise ValueError("the authors' network made nothing")
    return value


def _is_there(module: ModuleType, *names: str) -> bool:
    """Whether what a module imported is no stand-in."""
    found: Any = module
    for name in names:
        found = getattr(found, name, None)
    return not (found is None or isinstance(found, Anything) or found is Anything)


def _lacking(part: str, package: str) -> Row:
    reason = f"not compared: needs {package} (pip install --no-deps {package})"
    return Row(part, float("nan"), NETWORK_LIMIT, RELATIVE, reason)


# Drawing


def _drawings(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    demo = module("scripts.pose2img")
    for side in (512, 768):
        poses = [np.array([(x * side / 512, y * side / 512, 1.0) for x, y in each]) for each in PEOPLE]
        drawn = demo.draw_humansd_skeleton(
            np.zeros((side, side, 3), np.uint8), [{"keypoints": each} for each in poses], 0.05
        )
        people = tuple(Person(body18_from_coco17(each.astype(np.float32))) for each in poses)
        ours = draw_coco_pose(Pose(people, side, side), thickness=10)
        theirs = torch.from_numpy(drawn).permute(2, 0, 1) / 255
        yield Row(f"skeletons, {side} px", differing(theirs, ours), PIXEL_LIMIT, "of the pixels")
    sizes = [(width, height) for width in range(256, 1281, 48) for height in range(256, 1281, 48)]
    unlike = [size for size in sizes if _their_size(demo, *size) != _our_size(*size)]
    reason = "sides midway between two multiples of 64 are rounded up, theirs to the even multiple"
    yield Row("sizes of pictures", len(unlike) / len(sizes), 0.0, "of the sizes", reason if unlike else "")


def _their_size(demo: ModuleType, width: int, height: int) -> tuple[int, int]:
    resized = demo.resize_image(np.zeros((height, width, 3), np.uint8), demo.IMAGE_RESOLUTION)
    return resized.shape[1], resized.shape[0]


def _our_size(width: int, height: int) -> tuple[int, int]:
    size = image_size(0, 0, Pose((), width, height), 512)
    return size.width, size.height


# Schedule and trajectory


class _Model:
    """What their sampler asks of a model; its noise is a function of what goes in, `_noise`."""

    num_timesteps, device, parameterization = TRAINING_STEPS, torch.device("cpu"), "eps"

    def __init__(self, betas: np.ndarray) -> None:
        cumulated = np.cumprod(1 - betas)
        self.betas = torch.tensor(betas, dtype=torch.float32)
        self.alphas_cumprod = torch.tensor(cumulated, dtype=torch.float32)
        self.alphas_cumprod_prev = torch.tensor(np.append(1.0, cumulated[:-1]), dtype=torch.float32)

    @staticmethod
    def apply_model(latents: Tensor, t: Tensor, condition: Mapping[str, list[Tensor]]) -> Tensor:
        (pose,), (text,) = condition["c_concat"], condition["c_crossattn"]
        return _noise(latents, t, pose, text)


def _noise(latents: Tensor, t: Tensor, pose: Tensor, text: Tensor) -> Tensor:
    """Bends the latents by the time, the pose and the text, as smoothly as a network does."""
    return torch.tanh(0.9 * latents + 0.3 * pose + 0.1 * text + t.view(-1, 1, 1, 1) / 1000)


def _sampling(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    betas = module("ldm.modules.diffusionmodules.util").make_beta_schedule(
        "linear", TRAINING_STEPS, linear_start=0.00085, linear_end=0.012
    )
    sampler = module("ldm.models.diffusion.ddim").DDIMSampler(_Model(betas), device=torch.device("cpu"))
    sampler.make_schedule(STEPS, ddim_eta=0.0, verbose=False)
    scheduler = ddim_leading(STABLE_DIFFUSION)
    walked = timesteps_of(scheduler, STEPS, SKIPPED)
    theirs = torch.from_numpy(np.flip(sampler.ddim_timesteps[: STEPS - SKIPPED]).copy())
    unlike = float((theirs != walked).float().mean()) if theirs.shape == walked.shape else 1.0
    yield Row("schedule, time steps", unlike, 0.0, "of the steps")
    alphas = relative(sampler.model.alphas_cumprod, scheduler.alphas_cumprod)
    yield Row("schedule, alphas", alphas, NETWORK_LIMIT, RELATIVE)
    generator = torch.Generator().manual_seed(5)
    latents, pose, text, negative = torch.randn(4, 2, 4, 16, 16, generator=generator)
    made = sampler.decode(
        latents, {"c_concat": [pose], "c_crossattn": [text]}, STEPS - SKIPPED, RELEASED_CFG,
        {"c_concat": [pose], "c_crossattn": [negative]},
    )  # fmt: skip

    def predict(z: Tensor, t: Tensor) -> Tensor:
        return cfg(_noise(z, t, pose, negative), _noise(z, t, pose, text), RELEASED_CFG)

    own = sample(predict, latents, scheduler, STEPS, start_step=SKIPPED, clean_end=False)
    yield Row("trajectory of 49 steps, guidance 10", relative(made, own), NETWORK_LIMIT, RELATIVE)


# Metrics


def _metrics(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    parts = ("AP, as released", "AP of medium people, as released", "CAP, as released")
    _without_masks()
    similarity = module("utils.metrics.coco_similarity")
    if not hasattr(similarity.COCOeval, "computeOks"):
        for part in parts:
            yield _lacking(part, "xtcocotools")
        return
    sys.modules["ldm.metrics.coco_similarity"] = similarity
    metrics = module("utils.metrics.pose_metrics")
    truth, found = _crowd()
    with tempfile.TemporaryDirectory() as place:
        judge = object.__new__(metrics.PoseMetrics)
        judge.tmp_res_dir, judge.mmpose_model = str(Path(place) / "results"), None
        seen = ([{"keypoints": d.joints, "score": np.float64(d.score)} for d in row] for row in found)
        metrics.inference_bottom_up_pose_model = lambda *a, **k: (next(seen), None)
        most = max(map(len, truth))
        padded = np.zeros((len(truth), most, 17, 3))
        for row, people in enumerate(truth):
            for number, joints in enumerate(people):
                padded[row, number] = joints
        images = np.full((len(truth), 512, 512, 3), 255, np.uint8)
        results = list(judge.compute({"pose": torch.from_numpy(padded)}, images).values())
    own = average_precision(truth, found, released=True)
    cap = cosine_average_precision(truth, found, released=True)
    for part, theirs, ours in zip(
        parts, map(float, (results[0], results[3], results[10])), (*own, cap), strict=True
    ):
        yield Row(part, abs(theirs - ours) / max(abs(theirs), 1e-12), NETWORK_LIMIT, RELATIVE)


def _without_masks() -> None:
    """xtcocotools' masks, which joints do not need, are built for numpy 1: a stand-in where they fail."""
    try:
        importlib.import_module("xtcocotools._mask")
    except (ImportError, ValueError):
        sys.modules["xtcocotools._mask"] = StandIn("xtcocotools._mask")


def _crowd() -> tuple[list[list[np.ndarray]], list[list[Detection]]]:
    """Pictures of two people, some joints missing, and detections more and less near them."""
    rng = np.random.default_rng(7)
    truth, found = [], []
    for picture in range(24):
        people, seen = [], []
        for each in PEOPLE:
            scale = 0.12 if picture % 3 == 0 else 0.9
            joints = np.column_stack([np.array(each, float) * scale + 20, np.full(17, 2.0)])
            if picture % 2:
                joints[rng.choice(17, 4, replace=False)] = (-1.0, -1.0, 0.0)
            people.append(joints)
            near = np.column_stack([np.array(each, float) * scale + 20, np.ones(17)])
            near[:, :2] += rng.normal(0, (picture % 6) * 3 * scale, (17, 2))
            seen.append(Detection(near, float(rng.uniform(0.3, 1))))
        truth.append(people)
        found.append(seen)
    return truth, found
