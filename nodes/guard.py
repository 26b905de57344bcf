"""The nodes' door: whatever comes by a link or over the API is checked and brought to one form before a node
runs.

ComfyUI checks the names of types, and the values of constants; what a link carries it passes on as it is.
An error raised here names the node and the input. Errors from inside of a node pass as they are: cancelling,
memory that ran out, and mistakes of ours.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..models import store
from ..models.sentences import shown
from ..people.crops import CropPlan
from ..people.densepose import DensePose
from ..people.keypoints import read_pose_keypoint
from ..people.prompts import PointPrompt
from .inputs import AUTOMATIC
from .tensors import plain_image, plain_mask, read_bounding_box

Options = Mapping[str, Any]
Check = Callable[[Any, str, Options], Any]

PLACEHOLDER = (64, 64)
LONGEST_TEXT = 2**22
LONGEST_FILE_NAME = 255
NETWORKS = {
    "FIGURA_PHAC": (("PHACModel", "Pix2Gestalt"), "Load PHAC"),
    "FIGURA_REFINER": (("Inpainter",), "Load Refiner"),
    "FIGURA_HUMANSD": (("HumanSD",), "Load HumanSD"),
    "FIGURA_HANDS": (("HandsModel",), "Load Hands"),
    "FIGURA_CFLD": (("CFLDModel",), "Load CFLD"),
    "FIGURA_POCOLD": (("PoCoLDModel",), "Load PoCoLD"),
    "FIGURA_SAM": (("Sam",), "Load SAM"),
}
"""Classes that a socket takes, by their names (importing all would load every method), and their loader."""


def guarded(node_class: type, title: str) -> type:
    """The node class, its function behind the door. title: what errors call the node."""
    function = getattr(node_class, "FUNCTION")  # noqa: B009 - no Protocol for one attribute
    run = getattr(node_class, function)
    signature = inspect.signature(run)
    defaults = {name for name, each in signature.parameters.items() if each.default is not each.empty}

    @functools.wraps(run)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{title}: {error}") from None
        (_, own), *inputs = given.items()
        given = {name: value for name, value in inputs if value is not None or name not in defaults}
        return run(own, **checked_inputs(node_class, title, given))

    setattr(node_class, function, checked)
    return node_class


def checked_inputs(node_class: Any, title: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a node in the forms that it works with. given: by name; what has a default may lack.

    Raises TypeError and ValueError that name the node and the input.
    """
    declared = node_class.INPUT_TYPES()
    specs = {**declared.get("required", {}), **declared.get("optional", {})}
    done = dict(given)
    try:
        for name in [name for name in specs if name in given]:
            kind, *options = specs[name]
            done[name] = checked_input(given[name], name, kind, options[0] if options else {})
        return _without_placeholders(done, specs, declared.get("required", {}))
    except (TypeError, ValueError) as error:
        # A kind of its own may be made of more than a text, as UnicodeDecodeError is.
        plain = TypeError if isinstance(error, TypeError) else ValueError
        raise plain(f"{title}: {error}") from error


def _without_placeholders(
    done: Mapping[str, Any], specs: Mapping[str, Any], required: Container[str]
) -> dict[str, Any]:
    """The inputs without the masks that Load Image makes for pictures without alpha: they mean no mask."""
    masks = {name for name in specs if name in done and specs[name][0] == "MASK"}
    empty = {name for name in masks if _may_be_placeholder(done[name])}
    sizes = _picture_sizes(done, specs) if empty else set()
    found = empty if sizes and PLACEHOLDER not in sizes else set()
    for name in sorted(found):
        if name in required:
            height, width = PLACEHOLDER
            raise ValueError(
                f"{name} is the empty mask of {width} x {height} pixels that Load Image gives for a picture "
                "without alpha: connect a mask"
            )
    return {name: value for name, value in done.items() if name not in found}


def _picture_sizes(done: Mapping[str, Any], specs: Mapping[str, Any]) -> set[tuple[int, ...]]:
    """(height, width) of the pictures that came; of a node without any, of those that its poses and prompts
    are of. A pose that does not say its size is read as of the mask's.
    """
    given = [(specs[name][0], done[name]) for name in specs if name in done]
    images = {tuple(value.shape[1:3]) for kind, value in given if kind == "IMAGE"}
    if images:
        return images
    poses = [
        pose
        for kind, value in given
        if kind == "POSE_KEYPOINT"
        for pose in read_pose_keypoint(value, PLACEHOLDER)
    ]
    prompts = [prompt for kind, value in given if kind == "FIGURA_PROMPT" for prompt in value]
    return {(each.height, each.width) for each in (*poses, *prompts)}


def _may_be_placeholder(mask: torch.Tensor) -> bool:
    return mask.shape[1:3] == PLACEHOLDER and not bool(mask.any())


def checked_input(value: Any, name: str, kind: Any, options: Options) -> Any:
    """One value in the form that nodes work with.

    Args:
        value: whatever came.
        name: of the input, for errors.
        kind: as INPUT_TYPES declares it, a type or its choices.
        options: as INPUT_TYPES declares them: min and max of numbers.
    """
    if kind == "MODEL":
        return value  # what it must have is each node's own matter, and its own sentence
    if value is None:
        raise TypeError(f"{name} is missing: connect a {kind if isinstance(kind, str) else 'choice'}")
    if isinstance(kind, (list, tuple)):
        return _choice(value, name, kind)
    if kind in NETWORKS:
        return _network(value, name, kind, *NETWORKS[kind])
    return CHECKS[kind](value, name, options)


def _wrong(name: str, wanted: str, value: Any) -> TypeError:
    came = shown(value) if isinstance(value, (str, bool, numbers.Number)) else type(value).__name__
    return TypeError(f"{name} must be {wanted}; got {came}")


def _whole(value: Any, name: str, options: Options) -> int:
    if not isinstance(value, numbers.Real):
        raise _wrong(name, "a whole number", value)
    _check_range(value, name, options)
    whole: Any = math.floor(value)
    if value != whole:
        raise ValueError(f"{name} must be a whole number; got {shown(value)}")
    return int(whole)


def _number(value: Any, name: str, options: Options) -> float:
    if not isinstance(value, numbers.Real):
        raise _wrong(name, "a number", value)
    _check_range(value, name, options)
    return float(value)


def _check_range(value: Any, name: str, options: Options) -> None:
    low, high = options["min"], options["max"]
    if not low <= value <= high:  # NaN is in no range
        raise ValueError(f"{name} is {shown(value)}; {low} to {high} is accepted")


def _flag(value: Any, name: str, options: Options) -> bool:
    if isinstance(value, (numbers.Real, np.bool_)) and value in (0, 1):
        return bool(value)
    raise _wrong(name, "true or false", value)


def _text(value: Any, name: str, options: Options) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} has {len(value)} characters; at most {LONGEST_TEXT} are read")
    if any("\ud800" <= each <= "\udfff" for each in value):
        raise ValueError(f"{name} holds half a character (a lone surrogate): type the text again")
    return value


def _choice(value: Any, name: str, choices: Sequence[Any]) -> Any:
    if not isinstance(value, str):
        raise _wrong(name, f"one of {_listed(choices)}", value)
    if value in choices or _may_name_a_file(value, choices):
        return value
    raise ValueError(f"{name} is {shown(value)}; it is one of {_listed(choices)}")


def _may_name_a_file(value: str, choices: Sequence[Any]) -> bool:
    """Whether the loader had better say itself what file this is, and where it was sought."""
    files = len(choices) > 0 and choices[0] in (store.MINI, AUTOMATIC)
    return files and 0 < len(value) <= LONGEST_FILE_NAME and value.isprintable()


def _listed(choices: Sequence[Any], most: int = 12) -> str:
    more = f" and {len(choices) - most} more" if len(choices) > most else ""
    return ", ".join(map(str, choices[:most])) + more


def _pose(value: Any, name: str, options: Options) -> Any:
    if not read_pose_keypoint(value, size=(1, 1), name=name):
        raise ValueError(f"{name} is empty: connect the pose of at least one picture")
    return value


def _box(value: Any, name: str, options: Options) -> Any:
    read_bounding_box(value, name)
    return value


def _instance(value: Any, name: str, kind: str, wanted: type, source: str) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"{name} must be a {kind}; got {type(value).__name__}. Connect {source}")
    return value


def _list_of(kind: str, wanted: type, source: str) -> Check:
    """A check for a list with one of our own values for each picture. source: the nodes it comes from."""

    def check(value: Any, name: str, options: Options) -> Any:
        values = value if isinstance(value, (list, tuple)) else [value]
        return [_instance(each, name, kind, wanted, source) for each in values]

    return check


def _densepose(value: Any, name: str, options: Options) -> Any:
    return _instance(value, name, "FIGURA_DENSEPOSE", DensePose, "DensePose")


def _network(value: Any, name: str, kind: str, class_names: Sequence[str], loader: str) -> Any:
    if not any(each.__name__ in class_names for each in type(value).__mro__):
        raise TypeError(f"{name} must be a {kind}; got {type(value).__name__}. Connect {loader}")
    return value


def _vae(value: Any, name: str, options: Options) -> Any:
    # Texts have an encode, bytes a decode.
    both = all(callable(getattr(value, name, None)) for name in ("encode", "decode"))
    if not both or isinstance(value, torch.nn.Module):
        raise TypeError(f"{name} must be a VAE; got {type(value).__name__}. Connect Load VAE")
    return value


def _conditioning(value: Any, name: str, options: Options) -> Any:
    if not isinstance(value, list) or not value or not all(map(_is_conditioning, value)):
        raise TypeError(
            f"{name} must be a CONDITIONING; got {type(value).__name__}. Connect CLIP Text Encode"
        )
    return value


def _is_conditioning(entry: Any) -> bool:
    return isinstance(entry, (list, tuple)) and len(entry) == 2 and isinstance(entry[1], dict)


CHECKS: dict[str, Check] = {
    "IMAGE": lambda value, name, options: plain_image(value, name).cpu(),
    "MASK": lambda value, name, options: plain_mask(value, name).cpu(),
    "INT": _whole,
    "FLOAT": _number,
    "BOOLEAN": _flag,
    "STRING": _text,
    "POSE_KEYPOINT": _pose,
    "BOUNDING_BOX": _box,
    "VAE": _vae,
    "CONDITIONING": _conditioning,
    "FIGURA_PROMPT": _list_of("FIGURA_PROMPT", PointPrompt, "Point Prompt"),
    "FIGURA_CROP": _list_of("FIGURA_CROP", CropPlan, "Crop Person, Coarse Prepare or Refine Prepare"),
    "FIGURA_DENSEPOSE": _densepose,
}
