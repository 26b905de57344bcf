"""HumanSD's nodes for stock graphs, with stand-ins of ComfyUI's MODEL and VAE."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from figura.nodes import humansd_native as nodes
from figura.people.keypoints import write_pose_keypoint
from figura.tests.models.humansd import tiny


def test_the_pose_picture_says_its_size() -> None:
    skeleton, width, height = nodes.FiguraHumanSDPose().run(
        write_pose_keypoint([tiny.standing(width=150, height=300)]), 0, 500
    )
    assert (width, height) == (256, 512) and skeleton.shape == (1, 512, 256, 3) and skeleton.any()


class StockModel:
    """What the node needs of ComfyUI's ModelPatcher."""

    def __init__(self, **config: Any) -> None:
        settings = {"in_channels": 8, "context_dim": 1024, **config}
        self.model = SimpleNamespace(model_config=SimpleNamespace(unet_config=settings))
        self.object_patches: dict[str, Any] = {}

    def clone(self) -> StockModel:
        return StockModel(**self.model.model_config.unet_config)

    def add_object_patch(self, name: str, value: Any) -> None:
        self.object_patches[name] = value


class StockVAE:
    """Latents of one eighth of the size: means of the channels."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        grey = torch.nn.functional.avg_pool2d(pixels.permute(0, 3, 1, 2), 8).mean(1, keepdim=True)
        return grey.expand(-1, 4, -1, -1) * 2 - 1

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("no node of ours decodes with a stock VAE")


def apply(
    model: Any = None, skeleton: torch.Tensor | None = None, strength: float = 1.0, vae: Any = None
) -> Any:
    texts = [[["positive", {"pooled": 1}], ["second", {}]], [["negative", {}]]]
    given = torch.rand(2, 64, 128, 3) if skeleton is None else skeleton
    made = nodes.FiguraApplyHumanSD().run(model or StockModel(), *texts, vae or StockVAE(), given, strength)
    return made, texts


def test_pose_latents_go_into_both_texts_and_the_model_reads_them() -> None:
    model, skeleton = StockModel(), torch.rand(2, 64, 128, 3)
    (patched, positive, negative, latent), texts = apply(model, skeleton)
    expected = StockVAE().encode(skeleton)
    assert patched is not model and patched.object_patches == {"concat_keys": ("concat_image",)}
    for made in (*positive, *negative):
        assert torch.equal(made[1]["concat_latent_image"], expected)
    assert [made[0] for made in (*positive, *negative)] == ["positive", "second", "negative"]
    assert positive[0][1]["pooled"] == 1
    assert latent["samples"].shape == (2, 4, 8, 16) and not latent["samples"].any()
    assert model.object_patches == {} and texts[0][0][1] == {"pooled": 1} and texts[1][0][1] == {}


def test_the_strength_goes_towards_a_black_picture() -> None:
    skeleton = torch.rand(2, 64, 64, 3)
    (_, positive, _, _), _ = apply(skeleton=skeleton, strength=0.25)
    full, black = StockVAE().encode(skeleton), StockVAE().encode(torch.zeros(1, 64, 64, 3))
    torch.testing.assert_close(positive[0][1]["concat_latent_image"], 0.25 * full + 0.75 * black)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"in_channels": 4}, r"a 4-channel .* \(Stable Diffusion 2, text to image\)"),
        ({"in_channels": 9}, r"a 9-channel .* \(Stable Diffusion 2, inpainting\)"),
        ({"context_dim": 768}, r"a 8-channel .* \(Stable Diffusion 1.5, instruct-pix2pix\)"),
        ({"in_channels": 16, "context_dim": 4096}, r"a 16-channel .* \(of another kind\)"),
    ],
)
def test_another_model_is_named_for_what_it_is(config: dict[str, int], what: str) -> None:
    with pytest.raises(ValueError, match=f"model is {what}; HumanSD has 8 channels"):
        apply(StockModel(**config))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match="model must be a MODEL of ComfyUI; got str"):
        apply("model")


def test_a_skeleton_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="skeleton has 100 x 64 pixels.*HumanSD Pose"):
        apply(skeleton=torch.rand(1, 64, 100, 3))


class OtherVAE(StockVAE):
    """Of another family: its latents have the shape of one skeleton's."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(pixels), *self.shape)


@pytest.mark.parametrize(
    "shape", [(16, 8, 16), (16, 4, 8), (4, 4, 8), (16, 1, 8, 16), (4, 1, 8, 16), (64, 16)], ids=str
)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_vae_of_another_family_is_refused_before_the_sampler(
    shape: tuple[int, ...], strength: float
) -> None:
    with pytest.raises(
        ValueError, match=r"vae gives latents of shape \(2, .*the VAE of the HumanSD checkpoint"
    ):
        apply(vae=OtherVAE(*shape), strength=strength)


class ScaledVAE(StockVAE):
    """As ComfyUI's TAESD, which knows the scale of its latents."""

    def __init__(self, scale: float) -> None:
        self.first_stage_model = SimpleNamespace(vae_scale=torch.tensor(scale, dtype=torch.float16))


def test_a_vae_that_says_it_is_sdxls_is_refused() -> None:
    with pytest.raises(ValueError, match=r"by 0\.130.* \(Stable Diffusion XL by 0\.13025\).* 0\.18215"):
        apply(vae=ScaledVAE(0.13025))
    with pytest.raises(ValueError, match=r"vae scales its latents by 1\.53"):
        apply(vae=ScaledVAE(1.5305))
    for scale in (0.18215, 1.0):
        apply(vae=ScaledVAE(scale))
