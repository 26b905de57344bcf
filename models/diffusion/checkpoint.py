"""Weight files: one safetensors file per thing, fp16, with its configuration and history in the metadata.

The metadata key `figura` holds JSON: {"kind", "config", "recipe", "seed", "steps", "scores", ...}. Large
networks may be stored as int8, half as large again: a weight NAME with its rows scaled to -127..127, and
their scales (rows,) as NAME.scale.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from ..files import code_of, write_then_rename
from ..reading import told
from ..sentences import as_word, typed, where_typed

Config = TypeVar("Config")
Network = TypeVar("Network", bound=torch.nn.Module)

READABLE_TYPES = {
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
}  # fmt: skip
NUMBERS_AT_ONCE = 1 << 20
METADATA_KEY = "figura"
SAFE_ENDINGS = (".safetensors", ".sft")
"""As in store.py, which needs this file."""
LONGEST_HEADER = 32 << 20
"""Bytes that are looked through; those of the largest published models have about one MiB."""
LONGEST_METADATA = 4 << 20
LARGEST_NUMBER = 4096
"""In a configuration: sides of pictures, of which no tensor tells."""
SPARE_PARAMETERS = 200
"""Beside twice the file's tensors: layers may be made and then replaced."""
SCALE_SUFFIX = ".scale"
LEAST_INT8_NUMBERS = 1024
"""Smaller tensors, and biases and norms of any size, stay fp16: they are few and matter most."""


def save_module(
    path: str | Path,
    file_kind: str,
    tensors: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float16,
    int8: bool = False,
    **meta: Any,
) -> Path:
    """Write tensors as one safetensors file with what they are in its metadata.

    The file is written beside its final place, read back, and only then renamed, so an interrupted or failed
    save never harms an older file.

    Args:
        path: the file; its folder is made when it is missing.
        file_kind: what the file is, such as "unet"; asked for by `load_file`.
        tensors: by name, of any shape.
        config: what the network is built from.
        dtype: of the stored floating tensors.
        int8: store the large ones as int8 rows with a scale each instead.
        meta: more for the metadata, such as recipe, seed and scores.

    Returns:
        `path`.

    Raises:
        ValueError: when a tensor holds NaN or infinity.
        OSError: when the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    stored = {name: _storable(name, tensor, dtype) for name, tensor in tensors.items()}
    if int8:
        stored = in_int8(stored)
    metadata = {METADATA_KEY: json.dumps({"kind": file_kind, "config": dict(config), **meta}, sort_keys=True)}

    def write(unfinished: Path) -> None:
        try:
            save_file(stored, str(unfinished), metadata=metadata)
        except SafetensorError as error:
            raise OSError(code_of(error), str(error), str(unfinished)) from error
        load_file(unfinished, file_kind=file_kind)
        unfinished.chmod(0o644)

    return write_then_rename(path, write)


def load_file(
    path: str | Path, file_kind: str | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a weight file of this pack: (tensors on the CPU as stored, int8 ones as float32; metadata).

    Raises FileNotFoundError, or ValueError for a pickle, a truncated file, a file of another program, a
    file of another kind than `file_kind`, and for tensors with NaN or infinity.
    """
    path = Path(path)
    tensors, raw = read_safetensors(path)
    meta = parse_metadata(path, raw)
    if file_kind is not None and meta["kind"] != file_kind:
        raise ValueError(
            f"{path} holds {meta['kind']!r} weights, but {file_kind!r} weights are needed: "
            "choose another file"
        )
    check_config(meta["config"], tensors, path)
    return from_int8(tensors), meta


def config_to_metadata(config: Any) -> dict[str, Any]:
    """A network's configuration, a dataclass of numbers, strings and tuples, as JSON values."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}


def config_from_metadata(config_class: type[Config], values: Mapping[str, Any]) -> Config:
    """The configuration that a weights file carries: JSON lists become tuples, what it lacks has its default.

    Values that `config_class`, a dataclass, does not know are left out.
    """
    known = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name in known}
    return config_class(**given)


def in_int8(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Large floating weights of 2 or more dimensions as int8 rows with fp16 scales; all others unchanged."""
    stored = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= LEAST_INT8_NUMBERS:
            rows = tensor.float().flatten(1)
            # Not below the normal fp16 numbers, whose rounding stays relative.
            scale = (rows.abs().amax(dim=1) / 127).clamp(min=2.0**-14).half()
            quotient = (rows / scale.float()[:, None]).round().clamp(-127, 127)
            stored[name] = quotient.to(torch.int8).reshape(tensor.shape)
            stored[name + SCALE_SUFFIX] = scale
        else:
            stored[name] = tensor
    return stored


def from_int8(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights again: int8 rows times their scales, as float32."""
    scales = {
        name: tensor
        for name, tensor in stored.items()
        if name.endswith(SCALE_SUFFIX) and is_int8(stored.get(name.removesuffix(SCALE_SUFFIX)))
    }
    tensors = {name: tensor for name, tensor in stored.items() if name not in scales}
    for name, scale in scales.items():
        own = name.removesuffix(SCALE_SUFFIX)
        rows = tensors[own].float().flatten(1) * scale.float()[:, None]
        tensors[own] = rows.reshape(tensors[own].shape)
    return tensors


def is_int8(tensor: torch.Tensor | None) -> bool:
    """Whether there is a tensor and it holds int8."""
    return tensor is not None and tensor.dtype == torch.int8


def read_safetensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Any safetensors file: (finite tensors, raw metadata). Errors as in `load_file`, of any origin."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _check_is_safetensors(path)
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            raw = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged ({error}): copy or download it again") from error
    for name, tensor in told(tensors.items()):
        check_finite(name, tensor, str(path))
    return tensors, raw


def holds_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do, whatever its ending: with the header and its length."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def may_be_own(path: str | Path) -> bool:
    """Whether the pack's name stands in a safetensors header, which is looked through and not parsed: that of
    a checkpoint has thousands of tensors. Raises OSError.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return f'"{METADATA_KEY}"'.encode() in file.read(min(length, LONGEST_HEADER))


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Only the metadata of a weight file of this pack (no tensors are read)."""
    return parse_metadata(path, raw_metadata(path))


def raw_metadata(path: str | Path) -> dict[str, str]:
    """The texts in the header of any safetensors file. Errors as in `load_file`."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _check_is_safetensors(path)
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or damaged ({error}): copy or download it again") from error


def parse_metadata(path: str | Path, raw: Mapping[str, str]) -> dict[str, Any]:
    """The pack's own metadata out of a safetensors header; ValueError when there is none."""
    if METADATA_KEY not in raw:
        raise ValueError(
            f"{path} was not written by Figura (no {METADATA_KEY!r} metadata): choose a Figura weights file"
        )
    try:
        if len(raw[METADATA_KEY]) > LONGEST_METADATA:
            raise ValueError("it is too long")
        meta = json.loads(raw[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ValueError(
            f"{path} has damaged {METADATA_KEY!r} metadata ({reason}): copy or download it again"
        ) from error
    if not isinstance(meta, dict) or not _is_described(meta):
        raise ValueError(
            f"{path} has {METADATA_KEY!r} metadata without kind and config: choose a Figura weights file"
        )
    return meta


def _is_described(meta: Mapping[str, Any]) -> bool:
    return isinstance(meta.get("kind"), str) and isinstance(meta.get("config"), dict)


def built(network: Callable[[], Network], tensors: Mapping[str, torch.Tensor], name: str) -> Network:
    """The network that `network` makes of a file's configuration, with the file's tensors.

    It is made without memory first and held against the tensors: sizes are a stranger's words until then.
    Raises ValueError that names the file.
    """
    check_fits(outlined(network, tensors, name), tensors, name)
    module = network()
    load_into(module, tensors, name)
    return module


def outlined(network: Callable[[], Network], tensors: Mapping[str, torch.Tensor], name: str) -> Network:
    """The network that `network` makes of a file's configuration, without memory for its weights.

    Raises ValueError that names the file: nothing can be made of it, or a network deeper than the file.
    """
    try:
        with torch.device("meta"), _at_most(2 * len(tensors) + SPARE_PARAMETERS):
            return network()
    except ValueError as error:
        raise error if str(error).startswith(name) else ValueError(_no_network(name, error)) from error
    except Exception as error:  # whatever a stranger's numbers make of a constructor
        raise ValueError(_no_network(name, error)) from error


@contextlib.contextmanager
def _at_most(most: int) -> Iterator[None]:
    """ValueError as soon as this thread registers more parameters: a depth is only a number in a file."""
    own, count = threading.get_ident(), 0

    def counted(module: torch.nn.Module, name: str, parameter: torch.Tensor | None) -> None:
        nonlocal count
        if threading.get_ident() != own or parameter is None:
            return
        count += 1
        if count > most:
            raise ValueError(f"it would have more than {most} tensors")

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()


def _no_network(name: str, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return f"{name} describes no network that can be made ({reason}): choose another file"


def check_config(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """ValueError for a configuration with numbers larger than any side of these tensors or of a picture."""
    sides = [side for tensor in tensors.values() if tensor.numel() for side in tensor.shape]
    largest = max([*sides, LARGEST_NUMBER])
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, (int, float)) and not abs(value) <= largest:
            raise ValueError(
                f"{path} describes a network with {str(value)[:30]} of something, and holds no such tensor: "
                "choose another file"
            )


def load_into(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], name: str) -> torch.nn.Module:
    """Load `tensors` into `module`, strictly; ValueError names the first keys that do not fit."""
    check_fits(module, tensors, name)
    own = module.state_dict()
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()})
    return module


def check_fits(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """ValueError unless the module's weights have these names and shapes."""
    own = module.state_dict()
    wrong = sorted(set(own) ^ set(tensors))
    wrong += [key for key in own if key in tensors and own[key].shape != tensors[key].shape]
    if wrong:
        raise ValueError(
            f"{name} does not fit {type(module).__name__}: {len(wrong)} keys differ, first {wrong[:3]}"
        )


def _storable(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    tensor = tensor.detach().to("cpu")
    if tensor.is_floating_point():
        tensor = tensor.to(dtype)
    check_finite(name, tensor, "the weights to be saved")
    return tensor.contiguous().clone()


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor of any type holds neither NaN nor infinity.

    The least and the greatest value say it, and are found some forty times as fast as `torch.isfinite`
    looks at each. Types of 8 bits, which cannot be compared, are looked at as 16 bits, part by part.
    """
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    if tensor.itemsize == 1:
        return all(is_finite(part.half()) for part in tensor.flatten().split(NUMBERS_AT_ONCE))
    return all(bool(value.isfinite()) for value in tensor.aminmax())


def check_finite(name: str, tensor: torch.Tensor, where: str) -> None:
    """ValueError that names a tensor with NaN or infinity, or of a type that no network takes."""
    if tensor.dtype not in READABLE_TYPES:
        raise ValueError(
            f"tensor {name[:80]!r} in {where} has numbers of type {str(tensor.dtype)[6:]}, "
            "which no network here takes: use another version of the file, such as fp16"
        )
    if not is_finite(tensor):
        raise ValueError(
            f"tensor {name!r} in {where} holds NaN or infinity: the file is not usable, use another"
        )


def _check_is_safetensors(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}: copy it there, or name another file or folder")
    with path.open("rb") as file:
        head = file.read(9)
    # A safetensors header's length may begin with the bytes of a pickle or of a zip file, so first this.
    if head[8:9] == b"{":
        return
    is_pickle = head[:2] == b"PK" or head[:1] == b"\x80"
    if is_pickle and path.suffix.lower() in SAFE_ENDINGS:
        raise ValueError(
            f"{path} has the ending of safetensors and is a pickle: rename it to {path.stem}.ckpt"
        )
    if is_pickle:
        raise ValueError(
            f"{path} is a pickle, not safetensors: convert it first with "
            f"`{typed(f'models convert {as_word(path.absolute())}')}`{where_typed()}"
        )
    if len(head) < 9 or head[8:9] != b"{":
        raise ValueError(f"{path} is not a safetensors file, or it is truncated: copy or download it again")
