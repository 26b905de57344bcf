"""Public Stable Diffusion files with random weights as networks: tensors in place, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel
from figura.models.diffusion import single_file
from figura.models.phac import checkpoint
from figura.tests.models.diffusion import full_size
from figura.tests.models.diffusion import ldm_layout as ldm
from transformers import CLIPTextModel, CLIPTextModelWithProjection


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_size.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder, network = tmp_path_factory.mktemp("files"), full_size.unet()
    control = ControlNetModel.from_unet(
        full_size.unet(4), conditioning_embedding_out_channels=(16, 32, 96, 256)
    )
    plain = full_size.unet(4)
    control_ldm = ldm.controlnet_to_ldm(control.state_dict(), 1)
    paths = {
        "inpaint": full_size.write(folder / "inpaint.safetensors", full_size.sd15_tensors(network)),
        "unet": full_size.write(folder / "unet.safetensors", network.state_dict()),
        "plain": full_size.write(folder / "plain.safetensors", full_size.sd15_tensors(plain)),
        "control": full_size.write(folder / "control.safetensors", control_ldm),
        "control_diffusers": full_size.write(folder / "control_diffusers.safetensors", control.state_dict()),
        "lora": full_size.write(
            folder / "lora.safetensors", {"lora_unet_down_blocks_0.lora_up.weight": torch.ones(2, 2)}
        ),
        "vae": full_size.write(folder / "vae.safetensors", full_size.vae().state_dict()),
    }
    torch.save({"state_dict": control_ldm}, folder / "control.pth")
    return {**paths, "control_pth": folder / "control.pth", "folder": folder}


def test_every_tensor_of_a_single_file_lands_in_its_place(files: dict[str, Path], tokenizer: Path) -> None:
    stack = single_file.load_stack(files["inpaint"], tokenizer)
    expected = single_file.read_weights(files["unet"])
    assert stack.family == single_file.SD15 and stack.networks.size == 512
    assert stack.networks.vae.config.scaling_factor == 0.18215
    own = stack.networks.unet.state_dict()
    assert own.keys() == expected.keys() and all(torch.equal(own[key], expected[key]) for key in own)
    assert stack.networks.unet.config.attention_head_dim == 8 and not stack.networks.unet.training


def test_the_converted_networks_compute_what_the_originals_do(
    files: dict[str, Path], tokenizer: Path
) -> None:
    torch.manual_seed(0)
    network = full_size.unet().eval()
    stack = single_file.load_stack(files["inpaint"], tokenizer)
    latents, text = torch.randn(1, 9, 8, 8), torch.randn(1, 7, 64)
    network.load_state_dict(single_file.read_weights(files["unet"]))
    with torch.no_grad():
        ours, original = (
            net(latents, 5, encoder_hidden_states=text).sample for net in (stack.networks.unet, network)
        )
        torch.testing.assert_close(ours, original)
        assert stack.networks.vae.encode(torch.rand(1, 3, 16, 16)).latent_dist.mode().isfinite().all()
        assert stack.networks.text.encode(["a man", ""]).shape == (2, 77, 64)


def test_a_unet_alone_takes_the_rest_from_another_file(files: dict[str, Path], tokenizer: Path) -> None:
    stack = single_file.load_stack(files["unet"], tokenizer, parts=files["plain"])
    assert stack.networks.unet.config.in_channels == 9
    with pytest.raises(ValueError, match="unet.safetensors has no autoencoder.*text_and_vae"):
        single_file.load_stack(files["unet"], tokenizer)


@pytest.mark.parametrize("name", ["control", "control_diffusers", "control_pth"])
def test_controlnets_load_from_every_layout(files: dict[str, Path], name: str) -> None:
    network = single_file.load_controlnet(files[name])
    expected = single_file.read_weights(files["control_diffusers"])
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    assert network.config.conditioning_embedding_out_channels == (16, 32, 96, 256)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plain", "a 4-channel U-Net of Stable Diffusion 1.5; a 9-channel inpainting"),
        ("lora", "is a LoRA"),
        ("control", "is a ControlNet"),
        ("vae", "an autoencoder"),
    ],
)
def test_the_wrong_file_is_named_for_what_it_is(
    files: dict[str, Path], tokenizer: Path, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        single_file.load_stack(files[name], tokenizer)
    assert files[name].name in str(error.value)


def test_a_checkpoint_is_no_controlnet(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="9-channel U-Net of Stable Diffusion 1.5; a ControlNet"):
        single_file.load_controlnet(files["inpaint"])


def test_stable_diffusion_2_is_refused_by_name(tmp_path: Path, tokenizer: Path) -> None:
    path = full_size.write(
        tmp_path / "sd2.safetensors", full_size.unet(use_linear_projection=True).state_dict()
    )
    with pytest.raises(ValueError, match="9-channel U-Net of Stable Diffusion 2"):
        single_file.load_stack(path, tokenizer)


@pytest.mark.parametrize("mark", ["v_pred", "edm_mean"])
def test_what_does_not_predict_noise_is_refused(tmp_path: Path, tokenizer: Path, mark: str) -> None:
    tensors = full_size.unet(4).state_dict() | {mark: torch.tensor([])}
    path = full_size.write(tmp_path / "v.safetensors", tensors)
    for load in (
        lambda: single_file.load_stack(path, tokenizer, channels=single_file.TEXT_CHANNELS),
        lambda: single_file.load_unet(path, single_file.SD15),
    ):
        with pytest.raises(ValueError, match=f"v.safetensors does not predict noise, as its tensor '{mark}'"):
            load()


def test_incomplete_and_damaged_files(files: dict[str, Path], tokenizer: Path, tmp_path: Path) -> None:
    tensors = single_file.read_weights(files["inpaint"])
    gone = {key: value for key, value in tensors.items() if "out.2.bias" not in key}
    with pytest.raises(ValueError, match="1 tensors are missing.*conv_out.bias"):
        single_file.load_stack(full_size.write(tmp_path / "gone.safetensors", gone), tokenizer)
    broken = {**tensors, "model.diffusion_model.out.2.bias": torch.full((4,), float("nan"))}
    with pytest.raises(ValueError, match="NaN"):
        single_file.load_stack(full_size.write(tmp_path / "nan.safetensors", broken), tokenizer)
    (tmp_path / "short.safetensors").write_bytes(files["inpaint"].read_bytes()[:5000])
    with pytest.raises(ValueError, match="short.safetensors is truncated"):
        single_file.load_stack(tmp_path / "short.safetensors", tokenizer)


def test_a_missing_tokenizer_says_what_to_put_where(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="vocab.json and merges.txt.*Stable Diffusion 1.5"):
        single_file.load_stack(files["inpaint"], tmp_path)


def test_sdxl_with_two_text_encoders(tmp_path: Path, tokenizer: Path) -> None:
    big = CLIPTextModelWithProjection(full_size.clip_config("gelu"))
    tensors = ldm.unet_to_ldm(full_size.xl_unet().state_dict(), 1) | ldm.vae_to_ldm(
        full_size.vae().state_dict(), 4
    )
    small = CLIPTextModel(full_size.clip_config()).state_dict()
    tensors |= ldm.clip_to_ldm(small, "conditioner.embedders.0.transformer.")
    tensors |= ldm.big_clip_to_ldm(big.state_dict())
    path = full_size.write(tmp_path / "xl.safetensors", tensors)
    refiner = checkpoint.load_refiner(path, tokenizer)
    own = refiner.text.big.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in big.state_dict().items())
    assert refiner.size == 1024 and refiner.vae.config.scaling_factor == 0.13025
    text = refiner.text_condition(["a man"])
    assert text.states.shape == (1, 77, 128) and text.pooled.shape == (1, 64) and text.sides.shape == (1, 6)
    with pytest.raises(ValueError, match="Stable Diffusion XL; PHAC's coarse stage"):
        checkpoint.load_phac(path, path, path, tokenizer)


def test_the_second_text_encoder_sees_zeros_behind_the_end(tokenizer: Path) -> None:
    words = single_file.load_tokenizer(tokenizer)
    condition = single_file.SDXLTextCondition(words, None, None)
    tokens = torch.tensor([[256, 5, 257, 257, 257]])
    assert condition._ended(tokens).tolist() == [[256, 5, 257, 0, 0]]


def test_phac_at_full_size_runs_with_a_public_controlnet(
    files: dict[str, Path], tokenizer: Path, tmp_path: Path
) -> None:
    from figura.models.diffusion.checkpoint import save_module
    from figura.models.phac.networks import InvisibleMaskUNet
    from figura.models.phac.sampling import complete

    mask_net = InvisibleMaskUNet(base=8, levels=2, size=32)
    save_module(tmp_path / "mask.safetensors", "invisible_mask", mask_net.state_dict(), mask_net.config)
    model = checkpoint.load_phac(files["inpaint"], files["control"], tmp_path / "mask.safetensors", tokenizer)
    model.size = 128
    with torch.no_grad():
        coarse, _ = complete(
            model, torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128), torch.zeros(1, 3, 128, 128),
            ["a man"], steps=1,
        )  # fmt: skip
    assert coarse.shape == (1, 3, 128, 128) and coarse.isfinite().all()
