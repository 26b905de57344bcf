"""The command `figura train RECIPE`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..models.diffusion.checkpoint import read_metadata
from .data import build_split
from .recipes import CONTINUES, load_recipe, recipe_names
from .trainer import changed_plan, train

MINI = Path(__file__).resolve().parent.parent / "weights" / "mini"


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `figura train`."""
    parser.add_argument("recipe", choices=["data", *recipe_names()], help="data renders the people, the rest train")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of rendered people and caches")
    parser.add_argument("--out", type=Path, help="weights file to write (default: weights/mini/RECIPE.safetensors)")
    parser.add_argument("--work", type=Path, help="checkpoints, log and samples (default: DATA/work/RECIPE)")
    parser.add_argument("--init", type=Path, nargs="*", default=[], help="weights of earlier recipes")
    parser.add_argument("--count", type=int, default=8000, help="data: number of training people")
    parser.add_argument("--processes", type=int, default=2, help="data: rendering processes")
    parser.add_argument("--device", help="cpu to stay on the CPU; otherwise accelerate chooses")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="train that long; the learning rate follows the time")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--accumulation", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"))
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)


def train_command(args: argparse.Namespace) -> int:
    """Run `figura train`; 0 when finished, 1 when stopped before the end (the same command goes on)."""
    if args.recipe == "data":
        build_split(args.data, args.count, processes=args.processes)
        return 0
    recipe = load_recipe(args.recipe)
    plan = changed_plan(
        recipe.plan, steps=args.steps, minutes=args.minutes, batch_size=args.batch, accumulation=args.accumulation,
        learning_rate=args.lr, seed=args.seed, mixed_precision=args.precision, device=args.device,
    )
    out = args.out or MINI / f"{CONTINUES.get(recipe.name, recipe.name)}.safetensors"
    work = args.work or args.data / "work" / recipe.name
    init = find_init(recipe.needs, args.init)
    return 0 if train(recipe, args.data, init, out, work, plan, resume=args.resume) is not None else 1


def find_init(needs: Sequence[str], given: Sequence[Path], folder: Path = MINI) -> Mapping[str, Path]:
    """Weight files by the name of the recipe that made them: those given first, else the ones in `folder`."""
    found = {made_by(path): Path(path) for path in given}
    for name in needs:
        found.setdefault(name, folder / f"{name}.safetensors")
        if not found[name].is_file():
            raise FileNotFoundError(f"no weights of recipe {name!r} at {found[name]}: train it first or give --init FILE")
    return found


def made_by(path: Path) -> str:
    """The recipe that other recipes know this weights file by."""
    name = read_metadata(path).get("recipe", Path(path).stem)
    return CONTINUES.get(name, name)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m figura.training.command RECIPE ...`: the same command without the rest of the CLI."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    parser = argparse.ArgumentParser(prog="figura train", description="Train one recipe of the mini family.")
    add_train_arguments(parser)
    return train_command(parser.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
