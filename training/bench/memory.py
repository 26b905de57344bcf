"""`figura bench memory`: what refining with SDXL at 1024 x 1024 allocates at its peak, at its true size.

The networks run without numbers: torch's meta device makes every tensor with its shape and type alone, so
that all that a device would have to hold is counted exactly, on any machine, in a minute.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ...models.diffusion.in_turn import PlainPlacement, network_bytes, placed
from ...models.diffusion.latent_model import LatentNetworks
from ...models.diffusion.placement import set_tiles, working_memory
from ...models.diffusion.predict import noise_predictor
from ...models.phac.networks import Inpainter
from ..reports.document import report

SIDE, GIB = 1024, 2**30
DEVICE_BYTES = 8 * GIB
SPARE_BYTES = GIB // 2
"""For the system's own use of a graphics card of 8 GiB."""
PICTURES, TOKENS = 8, 77
"""Pictures of float32 at full size that `sampling.refine` holds meanwhile; tokens of a text."""
SDXL_UNET: dict[str, Any] = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_BIG = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
}  # fmt: skip
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "scaling_factor": 0.13025,
}


def bench_memory(side: int = SIDE, make: Callable[[], LatentNetworks] | None = None) -> dict[str, Any]:
    """Peaks in GiB, weights and all that is made meanwhile, of one refined picture with guidance.

    Args:
        side: of the picture in pixels.
        make: the networks, on the meta device; None is SDXL inpainting in half precision.

    Returns:
        A report: peak_gib.together, all networks at once; peak_gib.in_turn, each while it is used, on a
        device of DEVICE_BYTES; peak_gib.in_tiles, the same with an autoencoder in tiles; weights_gib.NETWORK.
    """
    networks = (make or _sdxl)()._replace(size=side)
    model = Inpainter(networks, "SDXL", binary_mask=True).eval()
    figures = {"side": float(side)}
    for name in ("unet", "vae", "text"):
        figures[f"weights_gib.{name}"] = network_bytes(getattr(model, name)) / GIB
    figures["peak_gib.together"] = peak_bytes(model, float("inf"), keep=True) / GIB
    figures["peak_gib.in_turn"] = peak_bytes(model, DEVICE_BYTES - SPARE_BYTES) / GIB
    set_tiles(model.vae)
    figures["peak_gib.in_tiles"] = peak_bytes(model, DEVICE_BYTES - SPARE_BYTES) / GIB
    return report("memory", 1, 0, "meta", 1, figures)


def peak_bytes(model: Inpainter, device_bytes: float, keep: bool = False) -> int:
    """The most that one refinement holds at once, in the order of `sampling.refine`.

    Args:
        model: on the meta device.
        device_bytes: of the device that is imagined.
        keep: all networks are there from the beginning.
    """
    memory = CountedMemory(model)
    device = CountedPlacement(memory, device_bytes, working_memory(model.size))
    if keep:
        device.bring([module for _, module in model.named_children()])
    with torch.no_grad(), placed([model], device), memory, FusedAttention():
        _refined(model)
    return memory.peak


def _refined(model: Inpainter) -> Tensor:
    """What `sampling.refine` has the networks do, for one picture and one step with guidance."""
    size = model.size
    held = torch.empty(PICTURES, 3, size, size, device="meta")
    mask = torch.empty(1, 1, size, size, device="meta")
    latents, condition = model.encode(held[:1]), model.condition(held[:1], mask)
    predict = noise_predictor(model, ["a person"], 5.0, condition=condition)
    latents = latents - predict(latents, torch.tensor(500, device="meta"))
    return model.decode(latents)


class CountedPlacement(PlainPlacement):
    """A device of that many bytes, of which nothing but the count exists."""

    def __init__(self, counted: CountedMemory, device_bytes: float, memory: int) -> None:
        super().__init__(torch.device("meta"), memory)
        self._counted, self._bytes = counted, device_bytes

    def move(self, network: nn.Module, device: torch.device) -> None:
        sign = -1 if any(network is each for each in self.there) else 1
        self._counted.hold(sign * network_bytes(network))

    def free(self) -> float:
        return self._bytes - self._counted.held - self._counted.live


class CountedMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive; `peak` is the most, held weights included."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.held = self.peak = self.live = 0
        self._known = {each.untyped_storage()._cdata for each in (*model.parameters(), *model.buffers())}
        self._alive: dict[int, weakref.ref[Any]] = {}

    def hold(self, size: int) -> None:
        """Weights of so many bytes came, or went."""
        self.held += size
        self.peak = max(self.peak, self.held + self.live)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self._count(value for value in tree_leaves(made) if isinstance(value, Tensor))
        return made

    def _count(self, tensors: Iterable[Tensor]) -> None:
        for storage in (tensor.untyped_storage() for tensor in tensors):
            key, size = storage._cdata, storage.nbytes()
            if key in self._known:
                continue
            self._known.add(key)
            self.live += size
            self._alive[key] = weakref.ref(storage, self._when_gone(key, size))
        self.peak = max(self.peak, self.held + self.live)

    def _when_gone(self, key: int, size: int) -> Callable[[object], None]:
        def gone(_: object) -> None:
            self._known.discard(key)
            self._alive.pop(key, None)
            self.live -= size

        return gone


class FusedAttention(TorchFunctionMode):
    """Attention allocates its result alone, as torch's fused kernels do on graphics cards and CPUs."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        named = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
        query, value = named["query"], named["value"]
        return query.new_empty(*query.shape[:-1], value.shape[-1])


def _sdxl() -> LatentNetworks:
    """SDXL inpainting with its autoencoder and both text encoders, in half precision, on the meta device."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, **SDXL_UNET).to(torch.float16)
        vae = AutoencoderKL(**VAE).to(torch.bfloat16)
        encoders = (
            CLIPTextModel(CLIPTextConfig(**CLIP_L)).to(torch.float16),
            CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_BIG, projection_dim=1280)).to(torch.float16),
        )
        return LatentNetworks(vae, unet, SpokenText(*encoders), SIDE)


class SpokenText(nn.Module):
    """SDXL's text encoders without words: what they are given has a length alone."""

    def __init__(self, small: Any, big: Any) -> None:
        super().__init__()
        self.small, self.big = small, big

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B,77,2048)."""
        tokens = torch.zeros(len(texts), TOKENS, dtype=torch.long, device="meta")
        states = [
            each(input_ids=tokens, output_hidden_states=True).hidden_states[-2]
            for each in (self.small, self.big)
        ]
        return torch.cat(states, dim=-1)

    def pooled(self, texts: Sequence[str]) -> Tensor:
        """(B,1280)."""
        tokens = torch.zeros(len(texts), TOKENS, dtype=torch.long, device="meta")
        return self.big(input_ids=tokens).text_embeds
