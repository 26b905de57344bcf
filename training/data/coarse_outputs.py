"""Stochastic coarse outputs for the mask network: N completions of each person, drawn once and kept on disk.

The paper draws N = 16 for every training picture; each training step then takes one of them at random.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...models.cluster import Cluster
from ...models.locks import only_one
from ...models.sentences import typed
from ..run.recipe import Split, random_generator
from .masks import disturbed
from .people import (
    HELD_OUT_SEED,
    PeopleDataset,
    Processes,
    create_arrays,
    missing_parts,
    rows,
    run_jobs,
    write_json,
)
from .prompt_images import pose_prompt_images

if TYPE_CHECKING:
    from ...models.phac.networks import PHACModel

logger = logging.getLogger(__name__)

NEEDS = ("vae", "text", "inpaint", "phac")
SHARD = 8
AT_ONCE = 16
EMPTY_TEXT = 0.2
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Sampling:
    """How coarse outputs are drawn: draws per person, DDIM steps; every how many-th has guidance cfg."""

    draws: int = 16
    steps: int = 8
    cfg: float = 2.0
    guided_every: int = 2

    def guided(self) -> np.ndarray:
        """Which draws are made with text guidance (draws,) bool; guidance doubles the work."""
        return np.arange(self.draws) % self.guided_every == self.guided_every - 1


AS_AT_INFERENCE = Sampling(draws=2, steps=20, guided_every=1)


@dataclass(frozen=True)
class CoarseOutputs:
    """Coarse outputs (n,draws,3,S,S) uint8 of the last n people of a data set.

    The last ones, because the U-Nets learn from the first ones: with others, I_cc is as inexact as at
    inference. segmented: visible masks (n,1,S,S) uint8 of the same people as a segmenter makes them
    (`segmented_masks`), where a recipe has asked for them.
    """

    people: PeopleDataset
    images: np.ndarray
    segmented: np.ndarray | None = None

    @classmethod
    def open(cls, root: Path, name: str) -> CoarseOutputs:
        """The finished outputs of the model `name` for the data set in `root`, or FileNotFoundError."""
        folder = Path(root) / f"coarse_{name}"
        path = folder / "images.npy"
        if not path.is_file() or len(list(folder.glob("done_*"))) < shard_count(
            len(np.load(path, mmap_mode="r"))
        ):
            raise FileNotFoundError(
                f"no finished coarse outputs of this model in {folder}: run "
                f"`{typed('train coarse_outputs')}` with the same --data and --init"
            )
        return cls(PeopleDataset.open(root), np.load(path, mmap_mode="r"))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def first(self) -> int:
        """Index of the first person that has outputs."""
        return len(self.people) - len(self)

    def drawn(self, indices: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Output number `draws[i]` of person number `first + indices[i]`: (B,3,S,S) in 0..1."""
        picked = [self.images[index, draw] for index, draw in zip(indices, draws, strict=True)]
        return torch.from_numpy(np.stack(picked)).float() / 255


def shard_count(count: int) -> int:
    """Number of shards of `count` people."""
    return -(-count // SHARD)


def model_name(init: Mapping[str, Path]) -> str:
    """A short name for the coarse stage made of these weight files."""
    digest = hashlib.sha256()
    for name in NEEDS:
        digest.update(Path(init[name]).read_bytes())
    return digest.hexdigest()[:10]


def open_outputs(root: Path, init: Mapping[str, Path]) -> Split:
    """The finished coarse outputs for training and for evaluation."""
    name = model_name(init)
    return Split(*(CoarseOutputs.open(Path(root) / part, name) for part in ("train", "held_out")))


def build_outputs(
    root: Path,
    init: Mapping[str, Path],
    count: int = 400,
    held_out: int = 64,
    sampling: Sampling = Sampling(),
    processes: Processes = 2,
    device: str | None = None,
) -> Split:
    """Draw the outputs of both data sets in `root`, or finish them; the held-out ones as at inference.

    Args:
        root: folder of the data sets `train` and `held_out`.
        init: weight files of NEEDS, by the names of the recipes that made them.
        count: training people, the last ones of the data set.
        held_out: held-out people, likewise.
        sampling: draws per person, steps and guidance of the training part.
        processes: how many draw at once, each on one thread.
        device: of the model; None is the GPU where there is one.
    """
    build_part(Path(root) / "train", init, count, sampling, processes, device)
    build_part(Path(root) / "held_out", init, held_out, AS_AT_INFERENCE, processes, device, HELD_OUT_SEED)
    return open_outputs(root, init)


def build_part(
    root: Path,
    init: Mapping[str, Path],
    count: int,
    sampling: Sampling,
    processes: Processes = 1,
    device: str | None = None,
    first_seed: int = 0,
) -> None:
    """Draw the outputs of the last `count` people of the data set in `root`, shard by shard.

    Args:
        root: folder of one data set.
        init: weight files of NEEDS, by the names of the recipes that made them.
        count: at most so many people.
        sampling: draws per person, steps and guidance.
        processes: how many draw at once, each on one thread.
        device: of the model; None is the GPU where there is one.
        first_seed: seed of the noise of the data set's first person.

    Raises:
        ValueError: the folder was begun with other settings.
        FolderInUseError: another process draws there.
    """
    root = Path(root).absolute()
    people = PeopleDataset.open(root)
    count = min(count, len(people))
    folder = root / f"coarse_{model_name(init)}"
    folder.mkdir(exist_ok=True)
    _check_settings(folder / SETTINGS, {**asdict(sampling), "count": count})
    shape = (count, sampling.draws, 3, people.size, people.size)
    layout = {"images": (shape, "uint8")}
    files = tuple(str(Path(init[name]).absolute()) for name in NEEDS)
    on_cluster = isinstance(processes, Cluster)
    device = device or ("" if on_cluster else _best_device())
    done = {number: _done_file(folder, number) for number in range(shard_count(count))}
    if missing_parts(folder, layout, done):
        with only_one(folder, "draw in"):
            missing = missing_parts(folder, layout, done)
            create_arrays(folder, layout)
            jobs = [(root, folder, number, files, sampling, device, first_seed) for number in missing]
            _draw(jobs, processes if on_cluster or device == "cpu" else 1, sampling)


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _draw(jobs: list[tuple[Any, ...]], processes: Processes, sampling: Sampling) -> None:
    begin = time.monotonic()
    for done, _ in enumerate(run_jobs(_draw_shard, jobs, processes), start=1):
        rate = done * SHARD * sampling.draws / max(time.monotonic() - begin, 1e-9)
        left = (len(jobs) - done) * SHARD * sampling.draws / rate
        logger.info("drawn %d of %d shards, %.1f pictures/s, %.0f s left", done, len(jobs), rate, left)


def _check_settings(path: Path, settings: Mapping[str, float]) -> None:
    if not path.is_file():
        write_json(path, settings)
    elif (begun := json.loads(path.read_text(encoding="utf-8"))) != settings:
        raise ValueError(
            f"{path.parent} was begun with {begun}, not {settings}: use those or delete the folder"
        )


def _done_file(folder: Path, number: int) -> Path:
    return folder / f"done_{number:07d}"


def _draw_shard(
    root: Path,
    folder: Path,
    number: int,
    files: tuple[str, ...],
    sampling: Sampling,
    device: str,
    first_seed: int,
) -> None:
    people = PeopleDataset.open(root)
    model = coarse_model(files, people.size).to(device or _best_device())
    images = np.load(folder / "images.npy", mmap_mode="r+")
    rows = range(number * SHARD, min((number + 1) * SHARD, len(images)))
    indices = [len(people) - len(images) + row for row in rows]
    drawn = draw_people(model, people, indices, sampling, first_seed)
    images[rows.start : rows.stop] = (drawn * 255).round().byte().numpy()
    images.flush()
    _done_file(folder, number).touch()


@functools.lru_cache(maxsize=1)
def coarse_model(files: tuple[str, ...], size: int) -> PHACModel:
    """The coarse stage out of weight files in the order of NEEDS, at `size` px; its U_iv is untrained."""
    from ...models.diffusion.latent_model import LatentNetworks
    from ...models.diffusion.networks import load_unet, load_vae
    from ...models.diffusion.text import load_text_encoder
    from ...models.phac.checkpoint import apply_change
    from ...models.phac.networks import InvisibleMaskUNet, PHACModel

    vae, text, inpaint, phac = files
    networks = LatentNetworks(load_vae(vae), load_unet(inpaint), load_text_encoder(text), size)
    model = PHACModel(networks, {}, InvisibleMaskUNet(base=8, levels=2))
    apply_change(model, phac)
    return model.eval().to(memory_format=torch.channels_last)


@torch.no_grad()
def draw_people(
    model: PHACModel, people: PeopleDataset, indices: list[int], sampling: Sampling, first_seed: int = 0
) -> torch.Tensor:
    """Coarse outputs (n,draws,3,S,S) of some people; prompts, masks and texts vary as a user's would.

    Args:
        model: the coarse stage.
        people: the data set.
        indices: whom to complete.
        sampling: draws per person, steps and guidance.
        first_seed: seed of the noise of the data set's first person.
    """
    from ...models.phac.sampling import complete

    asked = [draw_requests(people, index, sampling.draws, first_seed) for index in indices]
    image, visible, prompts = (torch.cat(parts) for parts in list(zip(*asked, strict=True))[:3])
    texts = [text for each in asked for text in each[3]]
    draws = range(sampling.draws)
    seeds = [first_seed + index * len(draws) + draw for index in indices for draw in draws]
    guided = np.tile(sampling.guided(), len(indices))
    result = torch.empty_like(image)
    for cfg, chosen in ((1.0, ~guided), (sampling.cfg, guided)):
        numbers = np.flatnonzero(chosen)
        for start in range(0, len(numbers), AT_ONCE):
            where = numbers[start : start + AT_ONCE]
            with torch.autocast(model.device.type, torch.bfloat16):
                result[where] = complete(
                    model, image[where], visible[where], prompts[where], [texts[row] for row in where],
                    steps=sampling.steps, cfg=cfg, seed=[seeds[row] for row in where],
                )[0].float().cpu()  # fmt: skip
    return result.unflatten(0, (len(indices), len(draws)))


def draw_requests(
    people: PeopleDataset, index: int, draws: int, first_seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """What `draws` completions of one person are asked with: picture, visible mask, prompt picture
    (draws,3|1|3,S,S) and texts.

    Args:
        people: the data set.
        index: whose.
        draws: how many completions.
        first_seed: seed of the data set's first person.
    """
    generator, repeated = random_generator(first_seed + index, 21), [index] * draws
    visible = disturbed((people.images("visible_mask", repeated) > 0.5).float(), generator)
    visible = torch.where(visible.amax(dim=(1, 2, 3), keepdim=True) > 0, visible, torch.ones_like(visible))
    prompts = pose_prompt_images(rows(people.joints, repeated), people.size, generator)
    empty = torch.rand(draws, generator=generator) < EMPTY_TEXT
    texts = ["" if none else people.captions[index] for none in empty]
    return people.images("occluded", repeated), visible, prompts, texts
