"""The command `figura data`: pictures of one's own, or Figura's people, in the form that recipes read."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...models.cluster import add_cluster_arguments, named_cluster
from ...models.files import default_folder
from ...models.sentences import typed

logger = logging.getLogger(__name__)

HELD_OUT = 256
LEAST_SIDE = 8
"""Pixels: a latent's."""


def main(argv: Sequence[str] | None = None) -> int:
    """`figura data import KIND ...` and `figura data synth ...`; 0 when done."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger(str(__package__).rpartition(".")[0]).setLevel(logging.INFO)
    args = build_parser().parse_args(argv)
    _check_numbers(args)
    args.work(args)
    return 0


def _check_numbers(args: argparse.Namespace) -> None:
    """ValueError for counts below 1 and sides below LEAST_SIDE, which would end in arrays without rows."""
    least = {"count": 1, "held_out": 1, "processes": 1, "size": LEAST_SIDE, "sides": LEAST_SIDE}
    for name, smallest in least.items():
        given = getattr(args, name, ())
        numbers = given if isinstance(given, Sequence) else (given,)
        if min(numbers, default=smallest) < smallest:
            came = " ".join(map(str, numbers))
            raise ValueError(f"--{name.replace('_', '-')} is {came}; {smallest} or more is accepted")


def build_parser() -> argparse.ArgumentParser:
    """The options of `figura data`; docs/data.md explains them."""
    parser = argparse.ArgumentParser(prog=typed("data"), description="Data to train on: docs/data.md.")
    steps = parser.add_subparsers(required=True, metavar="STEP")
    sources = steps.add_parser("import", help="pictures of one's own").add_subparsers(
        required=True, metavar="KIND"
    )
    _add_coco(sources)
    _add_pairs(sources)
    _add_hands(sources)
    _add_released(sources)
    _add_synth(steps)
    _add_shards(steps, sources)
    return parser


def _common(parser: argparse.ArgumentParser, size: int = 512) -> None:
    parser.add_argument("--data", type=Path, default=default_folder("data"), help="folder to write to")
    parser.add_argument("--size", type=int, default=size, help=f"side of the pictures in px ({size})")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help=f"for evaluation ({HELD_OUT})")
    parser.add_argument("--processes", type=int, default=1)


def _add_coco(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .imported_people import PURPOSES

    parser = sources.add_parser("coco", help="people of COCO or COCO-WholeBody")
    parser.add_argument("images", type=Path, help="folder of the pictures")
    parser.add_argument(
        "--annotations", type=Path, required=True, help="person_keypoints_*.json, or its like"
    )
    parser.add_argument("--for", dest="purpose", choices=PURPOSES, required=True, help="recipe to train")
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument("--captions", type=Path, help="COCO's captions_*.json, or {file name: text}")
    texts.add_argument("--caption", help="one text for all pictures")
    _common(parser)
    parser.set_defaults(work=import_coco)


def _add_pairs(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = sources.add_parser("pairs", help="the same person in two poses, such as DeepFashion's")
    parser.add_argument("images", type=Path, help="folder of the pictures, or of train.csv and held_out.csv")
    parser.add_argument(
        "--pairs", type=Path, help="list of training pairs (from,to), as DPTN and CFLD have it"
    )
    parser.add_argument("--held-out-pairs", type=Path, help="list of the pairs kept for evaluation")
    parser.add_argument("--joints", type=Path, nargs="+", help="their joints (name:keypoints_y:keypoints_x)")
    parser.add_argument("--densepose", type=Path, help="folder of DensePose pictures of the same names, .png")
    parser.add_argument("--sides", type=int, nargs=2, default=(512, 384), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--data", type=Path, default=default_folder("data"), help="folder to write to")
    parser.add_argument("--processes", type=int, default=1)
    parser.set_defaults(work=import_pairs)


def _add_hands(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .imported_hands import ORDERS

    parser = sources.add_parser("hands", help="hands with 21 joints and masks")
    parser.add_argument("list", type=Path, help="one JSON object a line: image, joints, left, mask, caption")
    parser.add_argument("--order", choices=ORDERS, default=ORDERS[0], help="of the joints")
    _common(parser)
    parser.set_defaults(work=import_hands)


def _add_released(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    humansd = sources.add_parser("humansd", help="HumanSD's own mapping file")
    humansd.add_argument("list", type=Path, help="mapping_file_training.json")
    humansd.add_argument("--images", type=Path, required=True, help="folder that its paths are relative to")
    _common(humansd)
    humansd.set_defaults(work=import_humansd)
    pocold = sources.add_parser("pocold", help="PoCoLD's own list of pairs")
    pocold.add_argument("list", type=Path, help="folder of the package datasets, or .csv, .jsonl of it")
    pocold.add_argument("--held-out-list", type=Path, required=True, help="the pairs kept for evaluation")
    pocold.add_argument("--images", type=Path, required=True, help="folder that its paths are relative to")
    pocold.add_argument("--sides", type=int, nargs=2, default=(512, 384), metavar=("HEIGHT", "WIDTH"))
    pocold.add_argument("--data", type=Path, default=default_folder("data"), help="folder to write to")
    pocold.add_argument("--processes", type=int, default=1)
    pocold.set_defaults(work=import_pocold)
    hagrid = sources.add_parser("hagrid", help="hands of HaGRID, with masks of one's own")
    hagrid.add_argument("annotations", type=Path, help="a gesture's JSON file, or a folder of them")
    hagrid.add_argument("--images", type=Path, required=True, help="folder with one folder a gesture")
    hagrid.add_argument("--masks", type=Path, required=True, help="folder with KEY_0.png, KEY_1.png")
    _common(hagrid)
    hagrid.set_defaults(work=import_hagrid)


def _add_synth(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = steps.add_parser("synth", help="Figura's own people, hands and pairs, at any size")
    parser.add_argument("--count", type=int, default=8000, help="of each")
    parser.add_argument("--what", nargs="+", choices=("people", "hands", "pairs"), default=["people"])
    _common(parser)
    add_cluster_arguments(parser)
    parser.set_defaults(work=synth)


def _add_shards(
    steps: argparse._SubParsersAction[argparse.ArgumentParser],
    sources: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    from .shards import KINDS

    pack = steps.add_parser("pack", help="a data set as shards: WebDataset tars, or safetensors")
    pack.add_argument("out", type=Path, help="folder of the shards")
    pack.add_argument("--data", type=Path, default=default_folder("data"), help="folder to read")
    pack.add_argument("--kind", choices=KINDS, default=KINDS[0])
    pack.set_defaults(work=pack_shards)
    unpack = sources.add_parser("shards", help="what `figura data pack` wrote")
    unpack.add_argument("shards", type=Path, help="their folder")
    unpack.add_argument("--data", type=Path, default=default_folder("data"), help="folder to write to")
    unpack.set_defaults(work=import_shards)


def pack_shards(args: argparse.Namespace) -> None:
    """Shards of a data set."""
    from .shards import pack

    pack(args.data, args.out, args.kind)


def import_shards(args: argparse.Namespace) -> None:
    """A data set of shards."""
    from .shards import unpack

    logger.info("%d shards were read into %s", unpack(args.shards, args.data), args.data)


def import_coco(args: argparse.Namespace) -> None:
    """People of COCO's annotations."""
    from .imported_people import import_people

    captions = args.caption or (read_captions(args.captions) if args.captions else "")
    counts = import_people(
        args.data, args.images, args.annotations, captions, args.purpose, args.size,
        held_out=args.held_out, processes=args.processes,
    )  # fmt: skip
    logger.info("%d people to train on and %d held out are in %s", *counts, args.data)


def read_captions(path: Path) -> Mapping[str, str]:
    """Text by file name, of COCO's captions or a JSON object. ValueError names a file that is neither."""
    from .texts import parse, read_text

    if not path.is_file():
        raise FileNotFoundError(f"no captions at {path}")
    content = parse(read_text(path), str(path))
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        names = {image["id"]: image["file_name"] for image in content["images"]}
        own = [each for each in content["annotations"] if each["image_id"] in names]
        return {names[each["image_id"]]: each["caption"].strip() for each in reversed(own)}
    if isinstance(content, dict) and all(isinstance(value, str) for value in content.values()):
        return content
    raise ValueError(f"{path} holds no captions: COCO's captions file or {{file name: text}} is wanted")


def import_pairs(args: argparse.Namespace) -> None:
    """Pairs of tables, or of DPTN's and CFLD's lists."""
    from .imported_pairs import import_pairs, listed_pairs, write_pairs
    from .pairs import PAIRS

    sides = tuple(args.sides)
    if args.pairs is None:
        if args.held_out_pairs or args.joints or args.densepose:
            raise ValueError("--held-out-pairs, --joints and --densepose go with --pairs: add that list")
        import_pairs(args.data, args.images, sides, args.processes)
        return
    if args.held_out_pairs is None or not args.joints:
        raise ValueError("--pairs needs --held-out-pairs and --joints: all three come with DPTN's lists")
    joints = args.joints * 2 if len(args.joints) == 1 else args.joints
    if len(joints) != 2:
        raise ValueError(f"--joints takes one file, or one of training and one held out; {len(joints)} came")
    for part, pairs, own in zip(
        ("train", "held_out"), (args.pairs, args.held_out_pairs), joints, strict=True
    ):
        lines = listed_pairs(pairs, own, args.densepose and args.densepose.absolute())
        write_pairs(args.data / part / PAIRS, args.images, lines, sides, args.processes)


def import_hands(args: argparse.Namespace) -> None:
    """Hands of a list."""
    from .imported_hands import import_hands

    counts = import_hands(args.data, args.list, args.order, args.size, args.held_out, args.processes)
    logger.info("%d hands to train on and %d held out are in %s", *counts, args.data)


def import_humansd(args: argparse.Namespace) -> None:
    """People of HumanSD's mapping file."""
    from .imported_people import HUMANSD, import_people
    from .released_lists import humansd_as_coco

    annotations, texts = humansd_as_coco(args.list, args.images, args.data / "humansd_list.json")
    counts = import_people(
        args.data, args.images, annotations, texts, HUMANSD, args.size,
        held_out=args.held_out, processes=args.processes,
    )  # fmt: skip
    logger.info("%d people to train on and %d held out are in %s", *counts, args.data)


def import_pocold(args: argparse.Namespace) -> None:
    """Pairs of PoCoLD's list."""
    from .imported_pairs import write_pairs
    from .pairs import PAIRS
    from .released_lists import pocold_lines

    for part, listed in (("held_out", args.held_out_list), ("train", args.list)):
        lines = pocold_lines(listed)
        write_pairs(args.data / part / PAIRS, args.images, lines, tuple(args.sides), args.processes)


def import_hagrid(args: argparse.Namespace) -> None:
    """Hands of HaGRID."""
    from .imported_hands import OPENPOSE, import_hands
    from .released_lists import hagrid_hands

    listed = hagrid_hands(args.annotations, args.images, args.masks, args.data / "hagrid_list.jsonl")
    counts = import_hands(args.data, listed, OPENPOSE, args.size, args.held_out, args.processes)
    logger.info("%d hands to train on and %d held out are in %s", *counts, args.data)


def synth(args: argparse.Namespace) -> None:
    """Figura's own people."""
    from .hands import build_hands_data
    from .pairs import build_pairs
    from .people import build_split

    processes = named_cluster(args) or args.processes
    for what, build in (("people", build_split), ("hands", build_hands_data), ("pairs", build_pairs)):
        if what in args.what:
            build(args.data, args.count, args.held_out, args.size, processes)  # type: ignore[operator]
