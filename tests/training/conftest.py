"""A toy data set of a few small people, and untrained weights of every network, for the training tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.diffusion.text import TextEncoder, WordTokenizer
from figura.models.perception.pose import FILE_KIND as POSE
from figura.models.perception.pose import PoseDetector
from figura.models.perception.sam_networks import FILE_KIND as SAM
from figura.models.perception.sam_networks import MINI, build_sam
from figura.models.phac.amodal_mask import FILE_KIND as AMODAL
from figura.models.phac.amodal_mask import AmodalMaskNet
from figura.training.data.pairs import build_pairs, open_pairs
from figura.training.data.people import HELD_OUT_SEED, build_people, open_split
from figura.training.recipes.controlled import ControlledUNet
from figura.training.run.recipe import Split

SIZE = 64
PEOPLE = 10
PAIR_SIZE, TRAIN_PAIRS, HELD_OUT_PAIRS = 32, 5, 3


@pytest.fixture(autouse=True)
def accelerate_forgets() -> Iterator[None]:
    """accelerate keeps the first run's precision for the whole process; every test is a run of its own."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets `train` and `held_out` of PEOPLE pictures of SIZE px each."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("data")
    build_people(root / "train", PEOPLE, 0, SIZE)
    build_people(root / "held_out", PEOPLE, HELD_OUT_SEED, SIZE)
    return root


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory, toy_data: Path) -> Mapping[str, Path]:
    """Files of untrained weights by the name of the recipe that would make them."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    vae, base, inpaint = networks.mini_vae(), networks.mini_unet(), networks.mini_inpaint_unet()
    text = TextEncoder(WordTokenizer.from_captions(open_split(toy_data).train.captions))
    change, config = ControlledUNet(inpaint).change("inpaint")
    phac_config = {"prompt": "pose", **config}
    detector, silhouettes = PoseDetector(), AmodalMaskNet()
    contents = {
        "vae": ("vae", vae.state_dict(), networks.plain_config(vae)),
        "text": ("text", text.state_dict(), text.config()),
        "base": ("unet", base.state_dict(), networks.plain_config(base)),
        "inpaint": ("unet", inpaint.state_dict(), networks.plain_config(inpaint)),
        "phac": ("phac", change, phac_config),
        "pose_detector": (POSE, detector.state_dict(), config_to_metadata(detector.config)),
        "sam": (SAM, build_sam(MINI).state_dict(), config_to_metadata(MINI)),
        "amodal_mask": (AMODAL, silhouettes.state_dict(), config_to_metadata(silhouettes.config)),
    }
    return {
        # An autoencoder is stored in int8 rows, as its recipe does it.
        name: save_module(folder / f"{name}.safetensors", *content, recipe=name, int8=name == "vae")
        for name, content in contents.items()
    }


@pytest.fixture(scope="session")
def toy_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few pairs of the same person, PAIR_SIZE px each."""
    root = tmp_path_factory.mktemp("pairs")
    build_pairs(root, TRAIN_PAIRS, HELD_OUT_PAIRS, PAIR_SIZE, processes=1)
    return root


@pytest.fixture(scope="session")
def pairs(toy_pairs: Path, toy_weights: Mapping[str, Path]) -> Split:
    """The pairs of `toy_pairs` with their latents."""
    return open_pairs(toy_pairs, networks.load_vae(toy_weights["vae"]))
