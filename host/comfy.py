"""The pack inside ComfyUI. The only file that imports ComfyUI's modules, and only when a method is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..models import store
from ..models.diffusion.in_turn import images_for, network_bytes, placed
from ..models.diffusion.placement import IMAGES_AT_ONCE
from .throttle import Throttle

if TYPE_CHECKING:
    from .interface import Preview

PREVIEW_SIZE_PX = 512
_PATCHER = "_figura_patcher"


class _Holder(torch.nn.Module):
    """A place for the attributes ComfyUI's manager sets; diffusers modules have a read-only `device`."""

    def __init__(self, held: torch.nn.Module) -> None:
        super().__init__()
        self.held = held


class ComfyProgress:
    """ComfyUI's bar on one node; every step checks for an interrupt, previews are throttled.

    They are made whatever --preview-method says: it names how latents are decoded, and is "none" unless it is
    given, which cannot be told from somebody's wish.
    """

    def __init__(self, total: int, node_id: str | int | None) -> None:
        import comfy.utils

        self._bar = comfy.utils.ProgressBar(total, node_id=None if node_id is None else str(node_id))
        self._total = total
        self._throttle = Throttle()

    def step(self, done: int, preview: Preview = None) -> None:
        import comfy.model_management

        comfy.model_management.throw_exception_if_processing_interrupted()
        if preview is None or not self._throttle.ready():
            self._bar.update_absolute(done, self._total)
            return
        image = preview() if callable(preview) else preview
        self._bar.update_absolute(done, self._total, ("JPEG", image.convert("RGB"), PREVIEW_SIZE_PX))


class ComfyPlacement:
    """Networks go to the device by ComfyUI's manager, which takes away others, anybody's, where it has to.

    With --novram the manager leaves all weights where they are, for its own layers to fetch: what is made of
    other layers is moved here, and back when others come and at the end.

    memory: bytes that are needed beside the weights, for IMAGES_AT_ONCE pictures.
    """

    def __init__(self, memory: int) -> None:
        import comfy.model_management

        self.device: torch.device = comfy.model_management.get_torch_device()
        self._memory = memory
        self._last: tuple[torch.nn.Module, ...] = ()

    def bring(self, networks: Sequence[torch.nn.Module]) -> None:
        import comfy.model_management

        wanted = tuple(networks)
        if wanted == self._last:
            return
        self.leave()
        comfy.model_management.load_models_gpu(
            [_patcher(network) for network in wanted], memory_required=self._memory, force_full_load=True
        )
        if _is_novram():
            _move_plain_layers(wanted, self.device)
        self._last = wanted

    def leave(self) -> None:
        """Where ComfyUI keeps no weights on the device, neither do we."""
        if _is_novram():
            _move_plain_layers(self._last, torch.device("cpu"))
        self._last = ()

    def images_at_once(self, drawing: Sequence[torch.nn.Module]) -> int:
        import comfy.model_management

        if self.device.type == "cpu" or not self._memory:
            return IMAGES_AT_ONCE
        # All other models may have to go, so that all of the device counts.
        total = comfy.model_management.get_total_memory(self.device)
        kept = comfy.model_management.extra_reserved_memory() + sum(map(network_bytes, drawing))
        return images_for(total - kept, self._memory)


class ComfyHost:
    """Everything through ComfyUI's own managers, so that it can load, offload, free, show and stop."""

    def __init__(self) -> None:
        register_folders()

    def device(self) -> torch.device:
        import comfy.model_management

        device: torch.device = comfy.model_management.get_torch_device()
        return device

    def dtype(self, parameters: int = 0) -> torch.dtype:
        import comfy.model_management

        device = self.device()
        dtype: torch.dtype = comfy.model_management.unet_dtype(device, model_params=parameters)
        if dtype.itemsize > 1:
            return dtype
        # --fp8_*: only ComfyUI's own layers compute with such weights.
        half = comfy.model_management.should_use_fp16(device, model_params=parameters)
        return torch.float16 if half else self.wide_dtype()

    def operations(self) -> Any:
        import comfy.ops

        return comfy.ops.manual_cast

    def wide_dtype(self) -> torch.dtype:
        import comfy.model_management

        return torch.bfloat16 if comfy.model_management.should_use_bf16(self.device()) else torch.float32

    @contextmanager
    def managed(self, *modules: torch.nn.Module, memory: int = 0) -> Iterator[Any]:
        placement = ComfyPlacement(memory)
        with placed(modules, placement) as whole:
            try:
                placement.bring(whole)
                yield modules[0] if len(modules) == 1 else modules
            finally:
                placement.leave()

    def progress(self, total: int, node_id: str | int | None = None) -> ComfyProgress:
        return ComfyProgress(total, node_id)

    def check_cancelled(self) -> None:
        import comfy.model_management

        comfy.model_management.throw_exception_if_processing_interrupted()

    def model_folders(self, file_kind: str) -> list[Path]:
        import folder_paths

        known = [key for key in store.folder_keys(file_kind) if key in folder_paths.folder_names_and_paths]
        return [Path(folder) for key in known for folder in folder_paths.get_folder_paths(key)]

    def find_model(self, file_kind: str, name: str) -> Path:
        return store.locate(file_kind, name, self.model_folders(file_kind))

    def clip_tokenizer(self) -> Path:
        import comfy.sd1_clip

        return Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer"

    def input_dir(self) -> Path:
        import folder_paths

        return Path(folder_paths.get_input_directory())

    def output_dir(self) -> Path:
        import folder_paths

        return Path(folder_paths.get_output_directory())

    def temp_dir(self) -> Path:
        import folder_paths

        return Path(folder_paths.get_temp_directory())


def _is_novram() -> bool:
    import comfy.model_management

    states = comfy.model_management.VRAMState
    return bool(comfy.model_management.vram_state == states.NO_VRAM)


def _move_plain_layers(networks: Sequence[torch.nn.Module], device: torch.device) -> None:
    """Move the weights of layers that compute where these lie; ComfyUI's own fetch theirs by themselves."""
    for network in networks:
        for part in network.modules():
            if not hasattr(part, "comfy_cast_weights"):
                part._apply(lambda tensor: tensor.to(device), recurse=False)  # type: ignore[no-untyped-call]


def _patcher(module: torch.nn.Module) -> Any:
    """The one ModelPatcher of a module. It hangs on the module, so both are freed together."""
    import comfy.model_management
    import comfy.model_patcher

    if _PATCHER not in module.__dict__:
        module.__dict__[_PATCHER] = comfy.model_patcher.ModelPatcher(
            _Holder(module),
            load_device=comfy.model_management.get_torch_device(),
            offload_device=comfy.model_management.unet_offload_device(),
        )
    return module.__dict__[_PATCHER]


def register_folders() -> None:
    """Tell ComfyUI of the pack's own model folders; paths from the user's extra_model_paths.yaml stay."""
    import folder_paths

    for key in store.own_folder_keys():
        paths, suffixes = folder_paths.folder_names_and_paths.get(key, ([], set()))
        default = str(Path(folder_paths.models_dir) / key)
        kept = [*paths] if default in paths else [*paths, default]
        folder_paths.folder_names_and_paths[key] = (
            kept,
            set(suffixes) | folder_paths.supported_pt_extensions,
        )
