"""Loading Giving a Hand: mini, public files of full size, trained ones of full size; errors name files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from figura.models.diffusion import networks, single_file
from figura.models.diffusion.checkpoint import load_file, save_module
from figura.models.hands import checkpoint, sampling
from figura.models.hands.networks import DRAWINGS, MEDIAPIPE, OPENPOSE, hand_unet
from figura.people.skeleton_mediapipe import draw_mediapipe_hand
from figura.people.skeleton_openpose import draw_openpose
from figura.tests.models.diffusion import full_size as makers
from figura.tests.nodes import hands_helpers as helpers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.write_mini_family(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return makers.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def trained_body(unet: Any, path: Path, factor: float = 2.0) -> Path:
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32, 96, 256))
    tensors = {f"unet.{n}": factor * v for n, v in unet.state_dict().items() if ".attn2." in n}
    tensors |= {f"controlnet.{n}": v for n, v in control.state_dict().items() if "zero" not in n}
    return save_module(path, "body", tensors, {"controlnet": networks.plain_config(control)})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Full-size layouts with small channel counts."""
    torch.manual_seed(0)
    folder, plain = tmp_path_factory.mktemp("files"), makers.unet(4)
    control = ControlNetModel.from_unet(plain, conditioning_embedding_out_channels=(16, 32, 96, 256))
    hands = hand_unet(makers.unet(4), 4)
    stranger = makers.unet(4, use_linear_projection=True)
    return {
        "plain": makers.write(folder / "plain.safetensors", makers.sd15_tensors(plain)),
        "inpaint": makers.write(folder / "inpaint.safetensors", makers.sd15_tensors(makers.unet(9))),
        "sd2": makers.write(folder / "sd2.safetensors", stranger.state_dict()),
        "xl": makers.write(folder / "xl.safetensors", makers.xl_unet().state_dict()),
        "control": makers.write(folder / "control.safetensors", control.state_dict()),
        "control_ldm": makers.write(
            folder / "control_ldm.safetensors", makers.ldm.controlnet_to_ldm(control.state_dict(), 1)
        ),
        "vae": makers.write(folder / "vae.safetensors", makers.vae().state_dict()),
        "hands": save_module(
            folder / "hands.safetensors", "hands", hands.state_dict(), networks.plain_config(hands)
        ),
        "body": trained_body(plain, folder / "body.safetensors"),
        "unet": save_module(
            folder / "unet.safetensors", "hands", plain.state_dict(), networks.plain_config(plain)
        ),
    }


def test_mini_is_read_from_its_five_files(folder: Path) -> None:
    model = checkpoint.load_mini_hands(folder)
    hands, _ = load_file(folder / "hands.safetensors", file_kind="hands")
    base, _ = load_file(folder / "base.safetensors")
    change, _ = load_file(folder / "body.safetensors")
    assert all(torch.equal(v, hands[n].float()) for n, v in model.generator.unet.state_dict().items())
    assert all(torch.equal(v, base[n].float()) for n, v in model.body.unet.state_dict().items())
    own = model.body.attention.tensors()
    assert set(own) == {name for name in base if ".attn2." in name}
    assert all(torch.equal(value, change[f"unet.{name}"].float()) for name, value in own.items())
    controlnet = model.body.controlnet.state_dict()
    assert all(torch.equal(value, change[f"controlnet.{name}"].float()) for name, value in controlnet.items())
    assert not any(module.training for module in model.modules())


def test_both_stages_of_mini_share_autoencoder_and_text(folder: Path) -> None:
    model = checkpoint.load_mini_hands(folder)
    assert model.generator.vae is model.body.vae and model.generator.text is model.body.text
    assert model.generator.has_mask and model.generator.latent_shape == model.body.latent_shape == (8, 16, 16)


@pytest.mark.parametrize("name", ["vae", "text", "base", "hands", "body"])
def test_a_missing_file_of_mini_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    for path in folder.glob("*.safetensors"):
        if path.stem != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(FileNotFoundError, match=rf"{name}\.safetensors"):
        checkpoint.load_mini_hands(tmp_path)


def test_a_body_of_another_base_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.safetensors"):
        if path.stem != "body":
            (tmp_path / path.name).symlink_to(path)
    save_module(tmp_path / "body.safetensors", "body", {"unet.conv_in.weight": torch.ones(3, 3)}, {})
    with pytest.raises(ValueError, match=r"body\.safetensors does not fit .*conv_in\.weight"):
        checkpoint.load_mini_hands(tmp_path)


@pytest.mark.parametrize("control", ["control", "control_ldm"])
def test_public_files_stand_in_for_both_stages(files: dict[str, Path], tokenizer: Path, control: str) -> None:
    model = checkpoint.load_hands(files["plain"], files[control], files[control], tokenizer)
    assert not model.generator.has_mask and model.generator.unet is model.body.unet
    assert model.body.attention.tensors() == {} and model.generator.size == model.body.size == 512
    expected = single_file.read_weights(files["control"])
    for network in (model.generator.controlnet, model.body.controlnet):
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_a_public_hand_controlnet_sees_hands_as_it_was_taught_them(
    files: dict[str, Path], tokenizer: Path
) -> None:
    """controlnet_hands_sd15 learnt MediaPipe's drawing; what is trained here has its own."""
    joints = torch.rand(1, 21, 3) * 300 + 100
    given = files["plain"], files["control"], files["control"], tokenizer
    seen = {
        drawing: sampling.condition_image(checkpoint.load_hands(*given, **named).generator, joints)
        for drawing, named in (("", {}), *((name, {"drawing": name}) for name in DRAWINGS))
    }
    assert torch.equal(seen[""], seen[MEDIAPIPE])
    assert torch.equal(seen[MEDIAPIPE], draw_mediapipe_hand(joints, 512, 512))
    alone = torch.stack([torch.zeros_like(joints), joints], dim=1)
    assert torch.equal(seen[OPENPOSE], draw_openpose(torch.zeros(1, 18, 3), 512, 512, alone))
    trained = checkpoint.load_hands(files["plain"], files["hands"], files["body"], tokenizer).generator
    assert torch.equal(sampling.condition_image(trained, joints), sampling.skeleton_image(joints, 512))
    with pytest.raises(ValueError, match="hand_drawing is 'photo'; it is one of mediapipe, openpose"):
        checkpoint.load_hands(*given, drawing="photo")


def test_trained_files_of_full_size_load_and_run(files: dict[str, Path], tokenizer: Path) -> None:
    model = checkpoint.load_hands(files["plain"], files["hands"], files["body"], tokenizer)
    assert model.generator.has_mask and model.generator.unet.config.in_channels == 8
    assert model.generator.unet is not model.body.unet and model.body.attention.tensors()
    model.generator.size = model.body.size = 64
    joints = torch.rand(1, 21, 3) * 64 + 1
    skeleton = sampling.skeleton_image(joints, 64)
    images, masks = sampling.generate_hands(model.generator, skeleton, ["a hand"], steps=1)
    assert images.isfinite().all() and not masks.any(), "an untrained mask head says 0"
    known = torch.zeros(1, 1, 64, 64)
    known[..., :20, :20] = 1
    made = sampling.outpaint_body(model.body, images, known, skeleton, ["a man"], steps=1)
    assert made.image.isfinite().all()


def test_the_asked_dtype_is_that_of_every_network(files: dict[str, Path], tokenizer: Path) -> None:
    model = checkpoint.load_hands(
        files["plain"], files["hands"], files["body"], tokenizer, dtype=torch.bfloat16
    )
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {value.dtype for value in model.body.attention.tensors().values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "inpaint"}, "inpaint.safetensors is a 9-channel U-Net .*a 4-channel text-to-image"),
        ({"checkpoint": "control"}, "control.safetensors is a ControlNet; a 4-channel text-to-image"),
        ({"checkpoint": "sd2"}, "sd2.safetensors is a 4-channel U-Net of Stable Diffusion 2; a 4-channel"),
        ({"checkpoint": "xl"}, "xl.safetensors is a 9-channel U-Net of Stable Diffusion XL"),
        ({"hand": "plain"}, "plain.safetensors is a 4-channel U-Net .*as hand_controlnet .*'hands'"),
        ({"hand": "body"}, "body.safetensors is a Figura file of the kind 'body'; as hand_controlnet"),
        ({"hand": "unet"}, r"unet.safetensors: the U-Net has 4 input .* 8 \(latents, skeleton\) and 5"),
        ({"body": "hands"}, "hands.safetensors is a Figura file of the kind 'hands'; as body_controlnet"),
        ({"body": "vae"}, "vae.safetensors is an autoencoder .*as body_controlnet .*openpose"),
    ],
)
def test_the_wrong_file_is_named_for_what_it_is(
    files: dict[str, Path], tokenizer: Path, change: dict[str, str], message: str
) -> None:
    chosen = {"checkpoint": "plain", "hand": "control", "body": "control", **change}
    paths = [files[chosen[name]] for name in ("checkpoint", "hand", "body")]
    with pytest.raises(ValueError, match=message):
        checkpoint.load_hands(*paths, tokenizer)


def test_a_network_of_another_family_is_refused(
    files: dict[str, Path], folder: Path, tokenizer: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="hands.safetensors reads texts of width 96.*plain.* have 64"):
        checkpoint.load_hands(files["plain"], folder / "hands.safetensors", files["control"], tokenizer)
    with pytest.raises(ValueError, match=r"body\.safetensors does not fit"):
        checkpoint.load_hands(files["plain"], files["control"], folder / "body.safetensors", tokenizer)
    other = ControlNetModel.from_unet(networks.mini_unet())
    path = makers.write(tmp_path / "other.safetensors", other.state_dict())
    with pytest.raises(ValueError, match="other.safetensors is a ControlNet with block_out_channels"):
        checkpoint.load_hands(files["plain"], path, files["control"], tokenizer)


def test_a_missing_or_truncated_file_is_named(
    files: dict[str, Path], tokenizer: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="gone.safetensors"):
        checkpoint.load_hands(files["plain"], tmp_path / "gone.safetensors", files["body"], tokenizer)
    short = tmp_path / "short.safetensors"
    short.write_bytes(files["hands"].read_bytes()[:4000])
    with pytest.raises(ValueError, match="short.safetensors is truncated"):
        checkpoint.load_hands(files["plain"], short, files["body"], tokenizer)
