"""HumanSD's drawing, sizes, schedule, trajectory and metrics beside the authors' code."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from ...models.diffusion.guidance import cfg
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import STABLE_DIFFUSION, TRAINING_STEPS, ddim_leading, timesteps_of
from ...models.humansd.checkpoint import RELEASED_CFG
from ...models.humansd.pipeline import image_size
from ...people.keypoints import Person, Pose, body18_from_coco17
from ...people.skeleton_coco import draw_coco_pose
from .parity import DRAWN, NETWORK_LIMIT, PIXEL_LIMIT, RELATIVE, Row, lacking, misdrawn, relative
from .parity_checkouts import StandIn
from .pose_metrics import Detection, average_precision, cosine_average_precision

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


def compare_process(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    """All of it. module: gives the modules of their checkout."""
    yield from _drawings(module)
    yield from _sampling(module)
    yield from _metrics(module)


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
        yield Row(f"skeletons, {side} px", misdrawn(theirs, ours), PIXEL_LIMIT, DRAWN)
    sizes = [(width, height) for width in range(256, 1281, 48) for height in range(256, 1281, 48)]
    unlike = [size for size in sizes if _their_size(demo, *size) != _our_size(*size)]
    reason = "sides midway between two multiples of 64 are rounded up, theirs to the even multiple"
    known = reason if all(_is_midway(*size) for size in unlike) else ""
    yield Row("sizes of pictures", len(unlike) / len(sizes), 0.0, "of the sizes", known)


def _is_midway(width: int, height: int) -> bool:
    """Whether a side, where the shorter one becomes 512, is midway between two multiples of 64."""
    step = 64 * min(width, height)
    return any(2 * (512 * side % step) == step for side in (width, height))


def _their_size(demo: ModuleType, width: int, height: int) -> tuple[int, int]:
    resized = demo.resize_image(np.zeros((height, width, 3), np.uint8), demo.IMAGE_RESOLUTION)
    return resized.shape[1], resized.shape[0]


def _our_size(width: int, height: int) -> tuple[int, int]:
    size = image_size(0, 0, Pose((), width, height), 512)
    return size.width, size.height


# Schedule and trajectory


class _Model:
    """What their sampler asks of a model; its noise is a function of what goes in, `bent_noise`."""

    num_timesteps, device, parameterization = TRAINING_STEPS, torch.device("cpu"), "eps"

    def __init__(self, betas: np.ndarray) -> None:
        cumulated = np.cumprod(1 - betas)
        self.betas = torch.tensor(betas, dtype=torch.float32)
        self.alphas_cumprod = torch.tensor(cumulated, dtype=torch.float32)
        self.alphas_cumprod_prev = torch.tensor(np.append(1.0, cumulated[:-1]), dtype=torch.float32)

    @staticmethod
    def apply_model(latents: Tensor, t: Tensor, condition: Mapping[str, list[Tensor]]) -> Tensor:
        (pose,), (text,) = condition["c_concat"], condition["c_crossattn"]
        return bent_noise(latents, t, pose, text)


def bent_noise(latents: Tensor, t: Tensor, pose: Tensor, text: Tensor) -> Tensor:
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
        return cfg(bent_noise(z, t, pose, negative), bent_noise(z, t, pose, text), RELEASED_CFG)

    own = sample(predict, latents, scheduler, STEPS, start_step=SKIPPED, clean_end=False)
    yield Row("trajectory of 49 steps, guidance 10", relative(made, own), NETWORK_LIMIT, RELATIVE)


# Metrics


def _metrics(module: Callable[[str], ModuleType]) -> Iterator[Row]:
    parts = ("AP, as released", "AP of medium people, as released", "CAP, as released")
    _without_masks()
    similarity = module("utils.metrics.coco_similarity")
    if not hasattr(similarity.COCOeval, "computeOks"):
        for part in parts:
            yield lacking(part, "xtcocotools")
        return
    sys.modules["ldm.metrics.coco_similarity"] = similarity
    metrics = module("utils.metrics.pose_metrics")
    truth, found = _crowd()
    with tempfile.TemporaryDirectory() as place:
        judge = object.__new__(metrics.PoseMetrics)
        judge.tmp_res_dir, judge.mmpose_model = str(Path(place) / "results"), None
        seen = ([{"keypoints": d.joints, "score": np.float64(d.score)} for d in row] for row in found)
        metrics.__dict__["inference_bottom_up_pose_model"] = lambda *a, **k: (next(seen), None)
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
