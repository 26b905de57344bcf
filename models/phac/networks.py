"""The networks of PHAC (Noh and Chang, CVPR 2026, arXiv 2603.14741)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion.controlnet import ReplacedTensors
from ..diffusion.latent_model import LatentModel, LatentNetworks
from ..diffusion.networks import hide, latent_mask, with_mask

INPUT_CHANNELS, PROMPT_CHANNELS = 7, 3
GUESS_COUNTS = 0.5
"""With mini's coarse pictures what silhouettes say counts that much once more, unless a prompt tells visible
joints alone: U_iv trusts what is drawn more than these deserve. Our choice; found on people of other seeds
than those reported."""
NOT_SAID = 0.5
"""What stands for a guess of silhouettes that is withheld."""
LEAST_SURE = 1e-3
"""No guess counts for surer than this, or one minus it."""
NORM_GROUPS = 8
CUTOUT_SUFFIX = ", on a white background"


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each followed by GroupNorm and SiLU. (B,c_in,H,W) -> (B,c_out,H,W)."""

    def __init__(self, channels_in: int, channels_out: int, operations: Any = nn) -> None:
        super().__init__()
        self.conv1 = operations.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm1 = operations.GroupNorm(NORM_GROUPS, channels_out)
        self.conv2 = operations.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = operations.GroupNorm(NORM_GROUPS, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(x)))


class UpBlock(nn.Module):
    """Doubles the resolution, joins the skip connection, convolves. Halves the channels."""

    def __init__(self, channels_in: int, channels_out: int, operations: Any = nn) -> None:
        super().__init__()
        self.up = operations.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
        self.block = ConvBlock(2 * channels_out, channels_out, operations)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(torch.cat([skip, self.up(x)], dim=1))


class InvisibleMaskUNet(nn.Module):
    """U_iv: (I_ic, I_cc, M_v), with `prompt` I_p as well, with `guess` what silhouettes say -> logits of the
    invisible mask M_iv.

    The paper says "lightweight U-Net" and gives no widths. base 32 with 5 levels has 7.8 M parameters, which
    fits the stated 30 minutes of training on one RTX 3090; mini has five levels of its own widths, 0.7 M.

    base: channels of the first level, a multiple of 8 (GroupNorm has 8 groups); each level doubles them.
    levels: how many there are.
    widths: channels of each level, multiples of 8, in place of what base and levels say.
    size: side of the square picture that the network works at, in pixels; only a note for the callers, the
        network itself is convolutional and takes any size.
    prompt: whether it sees the prompt picture I_p. The paper's does not (our choice for mini, whose coarse
        pictures keep to the joints less closely than they are given).
    guess: whether it sees what Amodal Mask makes of the visible mask and the prompt, and says what the
        pictures change of that: the guess's logits are added to its own (our choice, too).
    """

    def __init__(
        self,
        base: int = 32,
        levels: int = 5,
        size: int = 256,
        prompt: bool = False,
        widths: Sequence[int] | None = None,
        guess: bool = False,
        operations: Any = nn,
    ) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(levels)] if widths is None else list(widths)
        if any(width < NORM_GROUPS or width % NORM_GROUPS for width in widths):
            raise ValueError(
                f"InvisibleMaskUNet: its levels have {widths} channels; positive multiples of "
                f"{NORM_GROUPS} are needed: change base or widths."
            )
        if len(widths) < 2:
            raise ValueError(f"InvisibleMaskUNet: levels is {len(widths)}; at least 2 are needed.")
        self.config: dict[str, Any] = {"base": widths[0], "levels": len(widths), "size": size}
        if prompt:
            self.config["prompt"] = True
        if guess:
            self.config["guess"] = True
        if widths != [widths[0] * 2**level for level in range(len(widths))]:
            self.config["widths"] = widths
        channels = INPUT_CHANNELS + (PROMPT_CHANNELS if prompt else 0) + guess
        self.stem = ConvBlock(channels, widths[0], operations)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = nn.ModuleList(ConvBlock(thin, wide, operations) for thin, wide in pairs)
        self.up = nn.ModuleList(UpBlock(wide, thin, operations) for thin, wide in reversed(pairs))
        self.head = operations.Conv2d(widths[0], 1, 1)

    @property
    def sees_prompt(self) -> bool:
        """Whether it takes the prompt picture."""
        return bool(self.config.get("prompt"))

    @property
    def sees_guess(self) -> bool:
        """Whether it takes what silhouettes say."""
        return bool(self.config.get("guess"))

    def forward(
        self,
        occluded: Tensor,
        coarse: Tensor,
        visible_mask: Tensor,
        prompt_image: Tensor | None = None,
        guess: Tensor | None = None,
    ) -> Tensor:
        """Logits (B,1,H,W) of the invisible mask, that is of the amodal person without the visible part.

        Args:
            occluded, coarse: I_ic and I_cc, (B,3,H,W) float 0..1. H and W are free: a size that is no
                multiple of 2**(levels-1) is padded inside.
            visible_mask: M_v, (B,1,H,W) float 0..1.
            prompt_image: I_p, (B,3,H,W) float 0..1, for a network that sees it; None, like a black one,
                withholds the prompt.
            guess: probability (B,1,H,W) of the invisible mask by `amodal_mask.hidden_guess`, for a network
                that sees it; None withholds it.
        """
        height, width = occluded.shape[-2:]
        inputs = [occluded, coarse, visible_mask]
        if self.sees_prompt:
            inputs.append(torch.zeros_like(occluded) if prompt_image is None else prompt_image)
        if self.sees_guess:
            inputs.append(torch.full_like(visible_mask, NOT_SAID) if guess is None else guess)
        x = self._padded(torch.cat(inputs, dim=1) * 2.0 - 1.0)
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for block in self.up:
            x = block(x, skips.pop())
        logits = self.head(x)[..., :height, :width]
        if self.sees_guess and guess is not None:
            logits = logits + guess.float().logit(LEAST_SURE).to(logits)
        return logits

    def _padded(self, x: Tensor) -> Tensor:
        multiple = 2 ** (self.config["levels"] - 1)
        height, width = x.shape[-2:]
        padding = (0, -width % multiple, 0, -height % multiple)
        return F.pad(x, padding, mode="replicate") if any(padding) else x


class Inpainter(LatentModel):
    """An inpainting model: the refiner Phi_RF, and eps_cig's backbone.

    Input channels of its U-Net are [z_t, mask (1), masked picture's latents]. sees_all: it was taught to see
    the part to be made as it is, where others see grey there. binary_mask: its mask channel holds 0 and 1
    alone, as that of public weights.
    """

    def __init__(
        self,
        networks: LatentNetworks,
        name: str = "mini",
        sees_all: bool = False,
        binary_mask: bool = False,
    ) -> None:
        super().__init__(networks, name)
        found, needed = self.unet.config.in_channels, 2 * self.vae.config.latent_channels + 1
        if found != needed:
            raise ValueError(
                f"{name}: the U-Net takes {found} channels; an inpainting U-Net with {needed} "
                "(latents, mask, masked picture) is needed"
            )
        self.sees_all, self.binary_mask = sees_all, binary_mask

    def condition(self, images: Tensor, mask: Tensor) -> Tensor:
        """The extra channels (B,1+C,h,w): mask, 1 = to be made, and the latents of the picture, without that
        part unless the model `sees_all`.
        """
        if self.sees_all:
            seen = self.encode(images)
            return torch.cat([latent_mask(mask.to(seen), seen.shape[-2:]), seen], dim=1)
        return with_mask(self.encode(hide(images, mask)), mask, self.binary_mask)


class PHACModel(Inpainter):
    """All networks of PHAC: the coarse stage eps_cig with its ControlNets Phi_CN, and U_iv.

    controlnets: one ControlNetModel per prompt kind ("pose", ...). mask_net: U_iv. amodal_net: that of Amodal
    Mask, whose guess U_iv sees; None where it sees none. guess_counts: see GUESS_COUNTS; 0 for others.
    text_suffix: is put behind every text; it says that the person is to be alone on a plain background.
    attention: for the kinds that were trained here, their own cross-attention of the U-Net; a kind without is
    sampled with the backbone's. The U-Net itself always stays the backbone.
    """

    amodal_net: Any
    guess_counts = 0.0

    def __init__(
        self,
        networks: LatentNetworks,
        controlnets: Mapping[str, Any],
        mask_net: InvisibleMaskUNet,
        text_suffix: str = CUTOUT_SUFFIX,
        name: str = "mini",
        binary_mask: bool = False,
        amodal_net: nn.Module | None = None,
    ) -> None:
        super().__init__(networks, name, binary_mask=binary_mask)
        self.controlnets = nn.ModuleDict(controlnets)
        self.attention = nn.ModuleDict()
        self.mask_net, self.amodal_net = mask_net, amodal_net
        self.text_suffix = text_suffix

    def controlnet(self, kind: str) -> Any:
        """The ControlNet of that prompt kind; ValueError lists the kinds there are."""
        if kind not in self.controlnets:
            raise ValueError(
                f"{self.name} has no ControlNet for {kind!r} prompts (it has: {self.known_kinds()}): "
                "change the prompt kind"
            )
        return self.controlnets[kind]

    def known_kinds(self) -> str:
        """The prompt kinds that have a ControlNet here, for messages."""
        return ", ".join(self.controlnets) or "none"

    def add_kind(self, kind: str, controlnet: Any, attention: Mapping[str, Tensor] | None = None) -> None:
        """Add, or replace, a prompt kind: its ControlNet, and the U-Net tensors that it was trained with."""
        self.controlnets[kind] = controlnet
        if attention:
            self.attention[kind] = ReplacedTensors(attention)
        elif kind in self.attention:
            del self.attention[kind]

    def replaced_tensors(self, kind: str) -> ReplacedTensors | None:
        """The U-Net tensors that this kind is sampled with in place of the backbone's, if there are any."""
        return cast(ReplacedTensors, self.attention[kind]) if kind in self.attention else None
