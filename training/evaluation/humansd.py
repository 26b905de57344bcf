"""HumanSD measured on held-out synthetic people, beside its peers on the same base.

Everybody is made from the skeleton and the caption by every model, with the same noise; a pose detector looks
at the pictures. The detector finds one person in a picture of its own size. Pictures of several people
are therefore as many such pictures wide, one pose in each, and it looks at each part alone: that a person
was drawn across a border, or a second one in the same part, it cannot tell.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ...models.diffusion.controlnet import ReplacedTensors, load_change
from ...models.diffusion.latent_model import LatentModel, LatentNetworks, mini_networks
from ...models.diffusion.networks import MINI_SIZE, load_unet
from ...models.diffusion.predict import Control, noise_predictor
from ...models.diffusion.sampling import draw_noise, image_seeds, sample
from ...models.diffusion.schedulers import DDIM, scheduler_of
from ...models.humansd.networks import HumanSD
from ...models.humansd.sampling import generate_people
from ...models.perception.pose import CONFIDENCE, PoseDetector, detect_joints, load_pose_detector
from ...models.sentences import typed
from ...people.keypoints import coco17_from_body18
from ...people.skeleton_coco import draw_coco_bodies
from ...people.synthetic import SyntheticPeople, render_people
from ..reports.sheets import Row
from .intervals import Weighted, drawn_again, per_person
from .loop import Method, Metrics, OnDone, in_batches
from .pose_metrics import (
    Detection,
    average_precision,
    bootstrapped_precision,
    cosine_average_precision,
    people_count_error,
    people_count_errors,
)

log = logging.getLogger(__name__)
ValueT = TypeVar("ValueT")

BATCH, GROUP = 15, 3
IN_THREES = 60
"""How many of the people are also drawn three in a picture, which takes three times as long."""
STEPS, CFG = 20, 3.0
FEWEST_JOINTS = 4
"""With fewer joints nobody counts as found."""
BASE, CONTROLNET, HUMANSD, FINE = "base", "controlnet", "humansd", "humansd_fine"
ATTENTION = "humansd_attention"
WITH_CONTROLNET = {CONTROLNET: "humansd_controlnet", "controlnet_attention": "humansd_controlnet_attention"}
FILES = {
    BASE: "base", **WITH_CONTROLNET, HUMANSD: "humansd", FINE: "humansd_fine", ATTENTION: "humansd_attention",
    "loss_plain": "humansd_plain", "loss_paper": "humansd_paper", "loss_official": "humansd_official",
}  # fmt: skip
PEERS = (BASE, CONTROLNET, HUMANSD)
"""Those that also draw several people."""
COMPARED = (
    (HUMANSD, CONTROLNET), (FINE, HUMANSD), (FINE, CONTROLNET), (HUMANSD, "controlnet_attention"),
    (CONTROLNET, BASE), (f"{HUMANSD}.three", f"{CONTROLNET}.three"),
    ("loss_paper", "loss_plain"), ("loss_official", "loss_plain"), (ATTENTION, "loss_plain"),
)  # fmt: skip

Draw = Callable[[Tensor, Sequence[str], int], Tensor]
"""(skeletons (B,3,H,W), texts, seed of the first) -> pictures (B,3,H,W) in 0..1, on the CPU."""


@dataclass(frozen=True)
class Family:
    """What draws, by name, and the detector that judges."""

    draws: dict[str, Draw]
    detector: PoseDetector


@dataclass(frozen=True)
class Batch:
    """Pictures for a sheet: kind of picture -> who drew it -> (n,3,S,GROUP*S), and a text for each of n."""

    shown: dict[str, dict[str, Tensor]]
    texts: list[str]


def load_family(folder: Path, device: str = "cpu", steps: int = STEPS) -> Family:
    """The models whose weights are in `folder`, on `device`; the log names those that are not.

    Raises FileNotFoundError when autoencoder, text encoder or detector are missing, or every model is.
    """
    folder = Path(folder)
    parts = mini_networks(folder, None)
    detector = load_pose_detector(folder / "pose_detector.safetensors").to(device)
    draws: dict[str, Draw] = {}
    for name, file in FILES.items():
        needed = [f"{each}.safetensors" for each in ((file, "base") if name in WITH_CONTROLNET else (file,))]
        missing = [each for each in needed if not (folder / each).is_file()]
        if missing:
            log.warning("no %s in %s: %s is left out", " and ".join(missing), folder, name)
        else:
            draws[name] = _drawer(name, folder / f"{file}.safetensors", parts, device, steps)
    if not draws:
        raise FileNotFoundError(f"no model to measure in {folder}: run `{typed('train humansd')}`")
    return Family(draws, detector)


def _drawer(name: str, path: Path, parts: LatentNetworks, device: str, steps: int) -> Draw:
    if name == BASE or name in WITH_CONTROLNET:
        model = LatentModel(parts._replace(unet=load_unet(path.with_name("base.safetensors"))), name)
        controlnet: Any = None
        attention = ReplacedTensors({})
        if name in WITH_CONTROLNET:
            controlnet, replaced, _ = load_change(path, WITH_CONTROLNET[name], model.unet)
            controlnet.to(device)
            attention = ReplacedTensors(replaced).to(device)
        return partial(_draw_with_base, model.to(device).eval(), controlnet, attention, steps)
    humansd = HumanSD(parts._replace(unet=load_unet(path, file_kind=HUMANSD)), name).to(device).eval()

    def draw(skeletons: Tensor, texts: Sequence[str], seed: int) -> Tensor:
        return generate_people(humansd, skeletons, texts, steps=steps, cfg=CFG, seed=seed).cpu()

    return draw


@torch.no_grad()
def _draw_with_base(
    model: LatentModel,
    controlnet: Any,
    attention: ReplacedTensors,
    steps: int,
    skeletons: Tensor,
    texts: Sequence[str],
    seed: int,
) -> Tensor:
    """The base by text alone, or with the skeletons through a ControlNet in both branches of the guidance."""
    control = None if controlnet is None else Control(controlnet, skeletons, attention=attention)
    channels, side, _ = model.latent_shape
    cells = [length * side // model.size for length in skeletons.shape[-2:]]
    noise = draw_noise(image_seeds(seed, len(skeletons)), (channels, *cells), model.device)
    predict = noise_predictor(model, texts, CFG, control=control)
    return model.decode(sample(predict, noise, scheduler_of(DDIM), steps)).cpu()


class Measured:
    """Truth and detections of pictures, gathered batch by batch."""

    def __init__(self) -> None:
        self.truth: list[list[np.ndarray]] = []
        self.found: list[list[Detection]] = []

    def add(self, truth: Sequence[list[np.ndarray]], found: Sequence[list[Detection]]) -> None:
        """Take pictures."""
        self.truth += truth
        self.found += found

    def metrics(self) -> dict[str, float]:
        """Every metric by its name; precisions in percent, as the paper has them."""
        precision = average_precision(self.truth, self.found)
        cap = cosine_average_precision(self.truth, self.found)
        released = average_precision(self.truth, self.found, released=True)
        cap_released = cosine_average_precision(self.truth, self.found, released=True)
        shares = {
            "ap": precision.all, "ap_medium": precision.medium, "ap_released": released.all, "cap": cap,
            "cap_released": cap_released,
        }  # fmt: skip
        percent = {name: 100 * value for name, value in shares.items() if np.isfinite(value)}
        return {**percent, "pce": people_count_error(self.truth, self.found)}

    def drawn(self) -> dict[str, np.ndarray]:
        """AP and CAP in percent of the pictures drawn again, for their intervals."""
        picks = drawn_again(len(self.truth))
        return {
            name: 100 * bootstrapped_precision(self.truth, self.found, picks, cosine=name == "cap")
            for name in ("ap", "cap")
        }

    def weighted(self) -> dict[str, Weighted]:
        """PCE of each picture."""
        return {"pce": per_person(torch.from_numpy(people_count_errors(self.truth, self.found)))}


def evaluate_humansd(
    family: Family,
    seeds: Sequence[int],
    *,
    batch_size: int = BATCH,
    on_batch: Callable[[Batch], None] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Every metric by its name: "ap.humansd" with one person in each picture, "ap.humansd.three" with three.

    "truth" is what the detector finds on the people's own pictures.

    Args:
        family: of `load_family`.
        seeds: of the people; the first IN_THREES of them are also drawn in threes.
        batch_size: people in a batch.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.
    """
    measured: dict[str, Measured] = defaultdict(Measured)
    in_threes, threes = set(seeds[:IN_THREES]), 0

    def measure(part: list[int]) -> Batch | None:
        nonlocal threes
        people = render_people(part, MINI_SIZE, occlusion=0.0)
        skeletons = draw_coco_bodies(people.joints, MINI_SIZE, MINI_SIZE)
        alone = _measure_alone(family, people, skeletons, part[0], measured)
        if part[0] not in in_threes:
            return None
        three = _measure_three(family, people, skeletons, part[0], measured)
        threes += len(part) // GROUP
        if on_batch is None or not three:
            return None
        lying = part[0] == seeds[0]
        return _for_sheet(family, people, skeletons, alone, three, part[0], with_lying=lying)

    in_batches(seeds, measure, batch_size=batch_size, on_batch=on_batch, on_done=on_done)
    values = _named({name: each.metrics() for name, each in measured.items()})
    weighted = _named({name: each.weighted() for name, each in measured.items()})
    drawn = _named({name: each.drawn() for name, each in measured.items()})
    return Metrics({**values, "samples.people": len(seeds), "samples.threes": threes}, weighted, drawn)


def _named(found: Mapping[str, Mapping[str, ValueT]]) -> dict[str, ValueT]:
    """METRIC.NAME -> value, by metric first."""
    metrics = dict.fromkeys(metric for each in found.values() for metric in each)
    return {
        f"{metric}.{name}": each[metric]
        for metric in metrics
        for name, each in found.items()
        if metric in each
    }


def _measure_alone(
    family: Family, people: SyntheticPeople, skeletons: Tensor, seed: int, measured: dict[str, Measured]
) -> dict[str, Tensor]:
    truth = [[coco17_from_body18(body)] for body in people.joints.numpy()]
    made = {name: draw(skeletons, people.captions, seed) for name, draw in family.draws.items()}
    for name, images in {**made, "truth": people.unoccluded}.items():
        measured[name].add(truth, detect(family.detector, images))
    return made


def _measure_three(
    family: Family, people: SyntheticPeople, skeletons: Tensor, seed: int, measured: dict[str, Measured]
) -> dict[str, Tensor]:
    """Three people in each picture, all by the text of the first; people left over are not drawn."""
    wide, texts = side_by_side(skeletons), people.captions[: len(skeletons) // GROUP * GROUP : GROUP]
    if not texts:
        return {}
    bodies = people.joints.numpy()
    truth = [
        [_shifted(coco17_from_body18(bodies[row * GROUP + number]), number) for number in range(GROUP)]
        for row in range(len(wide))
    ]
    made = {name: family.draws[name](wide, texts, seed) for name in PEERS if name in family.draws}
    for name, images in made.items():
        measured[f"{name}.three"].add(truth, detect(family.detector, images))
    return made


def side_by_side(images: Tensor) -> Tensor:
    """Pictures (B,3,S,S) three in a row, (B // 3, 3, S, 3 S); those left over are dropped."""
    rows = images[: len(images) // GROUP * GROUP].unflatten(0, (-1, GROUP))
    return torch.cat(list(rows.unbind(1)), dim=-1)


def detect(detector: PoseDetector, images: Tensor) -> list[list[Detection]]:
    """The people found in pictures (B,3,S,n S), at most one in each S x S part of it."""
    parts = images.split(images.shape[-2], dim=-1)
    found: list[list[Detection]] = [[] for _ in images]
    for number, part in enumerate(parts):
        for row, joints in zip(found, detect_joints(detector, part.contiguous()).cpu().numpy(), strict=True):
            coco = _shifted(coco17_from_body18(joints), number, part.shape[-1])
            if (coco[:, 2] >= CONFIDENCE).sum() >= FEWEST_JOINTS:
                row.append(Detection(coco, float(coco[:, 2].mean())))
    return found


def _shifted(joints: np.ndarray, part: int, side: int = MINI_SIZE) -> np.ndarray:
    return joints + np.array([part * side, 0, 0], joints.dtype)


def _for_sheet(
    family: Family,
    people: SyntheticPeople,
    skeletons: Tensor,
    alone: dict[str, Tensor],
    three: dict[str, Tensor],
    seed: int,
    with_lying: bool,
) -> Batch:
    """One person each, three in one picture, and of the first batch the same poses lying, which none of the
    models has seen.
    """
    wide = side_by_side(skeletons)
    drawn_from = side_by_side(people.unoccluded)
    shown = {
        "one each": {"skeleton": wide, **_rows(alone), "drawn from": drawn_from},
        "three": {"skeleton": wide, **three, "drawn from": drawn_from},
    }
    if with_lying:
        lying = draw_coco_bodies(turned(people.joints), MINI_SIZE, MINI_SIZE)
        made = {name: family.draws[name](lying, people.captions, seed) for name in three}
        shown["lying"] = {"skeleton": side_by_side(lying), **_rows(made), "drawn from": drawn_from}
    kept = {target: {name: row[name] for name in shown["three"]} for target, row in shown.items()}
    return Batch(kept, people.captions[: len(wide) * GROUP : GROUP])


def _rows(made: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: side_by_side(images) for name, images in made.items()}


def turned(joints: Tensor) -> Tensor:
    """Joints (B,18,3) in a square picture turned by a quarter, head to the left."""
    x, y, seen = joints.unbind(-1)
    return torch.stack([y, MINI_SIZE - x, seen], dim=-1)


def humansd_rows(batch: Batch) -> Iterable[Row]:
    """What every model makes of the same skeletons: one person in each of three pictures, three in one."""
    for index, text in enumerate(batch.texts):
        for target, made in batch.shown.items():
            yield Row({name: images[index] for name, images in made.items()}, f"{target}: {text}")


METHOD = Method(load_family, evaluate_humansd, humansd_rows, pairs=COMPARED)
