"""Loading HumanSD: mini, and files of the released layout; wrong and damaged ones are named and refused."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from figura.models import convert
from figura.models.diffusion import single_file
from figura.models.diffusion.checkpoint import load_file
from figura.models.humansd import checkpoint, sampling
from figura.models.humansd.networks import PoseConv2d
from figura.tests.models.humansd import tiny
from transformers import CLIPTextConfig, CLIPTextModel

FULL_SIZE = 865_910_724 + 320 * 4 * 9
"""Parameters of SD 2.1's U-Net and of 4 more input channels."""
RELEASED_TEXT_LAYERS = 24
"""Of OpenCLIP ViT-H/14's text encoder; SD2 uses the states before the last one."""


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.makers.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return tiny.write_released(tmp_path_factory.mktemp("released") / "humansd-v1.ckpt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_mini_family(tmp_path_factory.mktemp("mini"))


def test_mini_is_read_from_its_files(folder: Path) -> None:
    model = checkpoint.load_mini_humansd(folder)
    tensors, _ = load_file(folder / "humansd.safetensors", file_kind="humansd")
    assert all(torch.equal(value, tensors[name].float()) for name, value in model.unet.state_dict().items())
    assert isinstance(model.unet.conv_in, PoseConv2d) and not model.training
    assert model.size == 128 and model.cfg == 3.0 and not model.released


@pytest.mark.parametrize("name", ["vae", "text", "humansd"])
def test_a_missing_file_of_mini_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    for path in folder.glob("*.safetensors"):
        if path.stem != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(FileNotFoundError, match=rf"{name}\.safetensors"):
        checkpoint.load_mini_humansd(tmp_path)


def test_a_base_unet_is_no_mini_humansd(folder: Path, tmp_path: Path) -> None:
    for name, of in (("vae", "vae"), ("text", "text"), ("humansd", "base")):
        (tmp_path / f"{name}.safetensors").symlink_to(folder / f"{of}.safetensors")
    with pytest.raises(ValueError, match="holds 'unet' weights, but 'humansd' weights are needed"):
        checkpoint.load_mini_humansd(tmp_path)


def test_the_released_layout_loads_without_its_estimator_and_steps(released: Path, tokenizer: Path) -> None:
    model = checkpoint.load_humansd(released, tokenizer)
    assert model.unet.config.in_channels == 8 and model.size == 512 and model.name == released.name
    assert model.cfg == 10.0 and model.released and model.vae.config.scaling_factor == 0.18215
    expected = tiny.makers.ldm.unet_to_ldm(model.unet.state_dict(), 1)
    held = single_file.read_weights(released)
    assert all(torch.equal(value, held[name]) for name, value in expected.items())
    skeletons = torch.rand(1, 3, 64, 128)
    made = sampling.generate_people(model, skeletons, ["a man"], negative="bad", steps=2)
    assert made.shape == (1, 3, 64, 128) and made.isfinite().all()


def test_a_pickle_is_converted_once_and_the_copy_serves_as_well(
    released: Path, tokenizer: Path, tmp_path: Path
) -> None:
    own = tmp_path / released.name
    own.write_bytes(released.read_bytes())
    first = checkpoint.load_humansd(own, tokenizer)
    twin = own.with_suffix(".safetensors")
    before = twin.stat().st_mtime_ns
    second, third = checkpoint.load_humansd(own, tokenizer), checkpoint.load_humansd(twin, tokenizer)
    assert twin.stat().st_mtime_ns == before
    for other in (second, third):
        pairs = zip(first.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs)


@pytest.mark.parametrize("text", ["a man &amp; a woman", "a man &amp;amp; a woman", " a man & a woman "])
def test_escaped_texts_are_read_as_open_clip_reads_them(released: Path, tokenizer: Path, text: str) -> None:
    model = checkpoint.load_humansd(released, tokenizer)
    assert torch.equal(model.text.encode([text]), model.text.encode(["a man & a woman"]))
    assert not torch.equal(model.text.encode(["a man &"]), model.text.encode(["a man"]))


@pytest.mark.parametrize("layers", [3, RELEASED_TEXT_LAYERS])
def test_texts_and_scaling_are_those_of_diffusers_on_the_same_weights(
    tokenizer: Path, tmp_path: Path, layers: int
) -> None:
    torch.manual_seed(3)
    text, vae, unet = tiny.open_clip(layers), tiny.makers.vae().eval(), tiny.sd2_unet().eval()
    path = tiny.makers.write(tmp_path / "x.safetensors", tiny.released_tensors(unet, text, vae))
    model = checkpoint.load_humansd(path, tokenizer)
    words = single_file.load_tokenizer(tokenizer)
    rows = [words([text_]).input_ids[0] for text_ in ("a man", "")]
    tokens = torch.tensor([row + [0] * (77 - len(row)) for row in rows])
    images, latents = torch.rand(1, 3, 64, 64), torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        states = text(input_ids=tokens, output_hidden_states=True).hidden_states[-2]
        norm = getattr(text, "text_model", text).final_layer_norm
        assert model.text.model.config.num_hidden_layers == layers - 1
        encoded = vae.encode(images * 2 - 1).latent_dist.mode() * 0.18215
        noise = unet(latents, 5, encoder_hidden_states=states).sample
        torch.testing.assert_close(model.text.encode(["a man", ""]), norm(states), atol=1e-4, rtol=0)
        torch.testing.assert_close(model.encode(images), encoded, atol=1e-4, rtol=0)
        ours = model.unet(latents, 5, encoder_hidden_states=states).sample
        torch.testing.assert_close(ours, noise, atol=1e-4, rtol=0)


def test_the_asked_dtype_is_that_of_every_network(released: Path, tokenizer: Path) -> None:
    model = checkpoint.load_humansd(released, tokenizer, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("unet", "message"),
    [
        (lambda: tiny.sd2_unet(4), "a 4-channel U-Net of Stable Diffusion 2; a 8-channel checkpoint of Hum"),
        (lambda: tiny.sd2_unet(9), "a 9-channel U-Net of Stable Diffusion 2; a 8-channel checkpoint of Hum"),
        (lambda: tiny.makers.unet(8), "a 8-channel U-Net of Stable Diffusion 1.5; a 8-channel checkpoint of"),
        (lambda: tiny.makers.xl_unet(), "a 9-channel U-Net of Stable Diffusion XL"),
    ],
)
def test_other_checkpoints_are_named_for_what_they_are(
    tmp_path: Path, tokenizer: Path, unet, message: str
) -> None:
    path = tiny.makers.write(tmp_path / "other.safetensors", unet().state_dict())
    with pytest.raises(ValueError, match=f"other.safetensors is {message}"):
        checkpoint.load_humansd(path, tokenizer)


@pytest.mark.parametrize(
    ("prefix", "what"),
    [("cond_stage_model.", "OpenCLIP text encoder"), ("first_stage_model.", "autoencoder")],
)
def test_what_a_file_lacks_is_named(tmp_path: Path, tokenizer: Path, prefix: str, what: str) -> None:
    tensors = {key: value for key, value in tiny.released_tensors().items() if not key.startswith(prefix)}
    path = tiny.makers.write(tmp_path / "part.safetensors", tensors)
    with pytest.raises(ValueError, match=f"part.safetensors has no {what}"):
        checkpoint.load_humansd(path, tokenizer)


def test_a_truncated_or_foreign_pickle_is_refused_and_nothing_in_it_runs(
    released: Path, tokenizer: Path, tmp_path: Path
) -> None:
    short, evil, trap = tmp_path / "short.ckpt", tmp_path / "evil.ckpt", tmp_path / "trap"
    short.write_bytes(released.read_bytes()[:20_000])
    torch.save({"state_dict": {"a": torch.ones(1)}, "callbacks": Malicious(trap)}, evil)
    for path, message in ((short, "short.ckpt is (truncated|refused)"), (evil, "evil.ckpt is refused")):
        with pytest.raises(ValueError, match=message):
            checkpoint.load_humansd(path, tokenizer)
        assert not path.with_suffix(".safetensors").exists()
    assert not trap.exists()


def test_a_full_disk_leaves_the_pickle_and_nothing_half_written(
    released: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "humansd.ckpt"
    own.write_bytes(released.read_bytes())

    def save(tensors: object, place: Path, source: str) -> None:
        place.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(place))

    monkeypatch.setattr(convert, "_save", save)
    with pytest.raises(OSError, match="the disk is full, nothing was saved"):
        checkpoint.load_humansd(own, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["humansd.ckpt"]
    assert own.read_bytes() == released.read_bytes()


def test_lightnings_mention_of_its_callback_is_let_through(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As files of Stable Diffusion's training have it: the class is a key beside the tensors."""
    package, _, name = convert.LIGHTNING_CALLBACK.rpartition(".")
    parts = package.split(".")
    modules = [".".join(parts[: count + 1]) for count in range(len(parts))]
    shell = type(name, (), {"__module__": package})
    with monkeypatch.context() as patch:
        for module in modules:
            patch.setitem(sys.modules, module, ModuleType(module))
        setattr(sys.modules[package], name, shell)
        content = {"state_dict": tiny.released_tensors(), "callbacks": {shell: {"best": 1.0}}}
        torch.save(content, tmp_path / "pl.ckpt")
    assert checkpoint.load_humansd(tmp_path / "pl.ckpt", tokenizer).unet.config.in_channels == 8


def sd21_unet(in_channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=in_channels, cross_attention_dim=1024, use_linear_projection=True,
        attention_head_dim=(5, 10, 20, 20),
    )  # fmt: skip


def test_the_released_size_is_read_off_the_tensors() -> None:
    with torch.device("meta"):
        unet = sd21_unet(8)
    tensors = single_file.unet_tensors_of(tiny.makers.ldm.unet_to_ldm(unet.state_dict(), 2))
    config = single_file.unet_config(tensors)
    assert single_file.family_of(config) == single_file.SD2 and config["in_channels"] == 8
    with torch.device("meta"):
        again = UNet2DConditionModel(**config)
    assert sum(value.numel() for value in again.parameters()) == FULL_SIZE


def filled(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Random bfloat16 values for a network on the meta device: one draw, repeated, which takes no time."""
    draw = 0.02 * torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)).bfloat16()
    return {
        name: draw.repeat(-(-value.numel() // len(draw)))[: value.numel()].reshape(value.shape)
        for name, value in network.state_dict().items()
    }


@pytest.mark.slow
def test_a_full_size_file_of_the_released_layout_loads_and_steps(tmp_path: Path, tokenizer: Path) -> None:
    """Sizes of SD 2.1-base in bfloat16; the text encoder has its width, but few layers and words."""
    text = CLIPTextConfig(
        vocab_size=258, hidden_size=1024, intermediate_size=4096, num_hidden_layers=2, num_attention_heads=16,
        projection_dim=1024, hidden_act="gelu", bos_token_id=256, eos_token_id=257, pad_token_id=257,
    )  # fmt: skip
    with torch.device("meta"):
        unet, encoder = sd21_unet(8), CLIPTextModel(text)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
    words = {f"text_model.{name.removeprefix('text_model.')}": v for name, v in filled(encoder).items()}
    words["text_projection.weight"] = torch.eye(1024)
    ldm = tiny.makers.ldm
    tensors = ldm.unet_to_ldm(filled(unet), 2) | ldm.vae_to_ldm(filled(vae), 4)
    tensors |= ldm.big_clip_to_ldm(words, "cond_stage_model.model.")
    path = tiny.write_released(tmp_path / "humansd-v1.ckpt", tensors)
    del tensors
    model = checkpoint.load_humansd(path, tokenizer, dtype=torch.bfloat16)
    assert sum(value.numel() for value in model.unet.parameters()) == FULL_SIZE
    made = sampling.generate_people(model, torch.rand(1, 3, 64, 64), ["a man"], steps=2, cfg=1.0)
    assert made.shape == (1, 3, 64, 64) and made.isfinite().all()
