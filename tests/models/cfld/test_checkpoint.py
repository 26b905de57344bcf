"""Loading CFLD: the released files and back, mini, and files that are something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from figura.models import convert
from figura.models.cfld import checkpoint
from figura.models.cfld.config import CFLDConfig, released_config
from figura.models.cfld.networks import CFLDModel, CFLDNetworks
from figura.models.cfld.sampling import Weights, appearance_of, repose
from figura.models.diffusion import networks as shared
from figura.models.diffusion.checkpoint import config_to_metadata, load_file, save_module
from figura.tests.models.cfld import tiny
from safetensors.torch import save_file


def released(folder: Path, model: CFLDModel) -> tuple[Path, Path]:
    """Both pickles in the authors' layout, with the buffers that theirs hold."""
    tensors = dict(model.networks.state_dict())
    tensors["backbone.layers.0.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    tensors["backbone.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.long)
    torch.save(tensors, folder / checkpoint.MODEL_FILE)
    unet = {f"model.{name}": value for name, value in model.unet.state_dict().items()}
    torch.save(unet, folder / checkpoint.UNET_FILE)
    return folder / checkpoint.MODEL_FILE, folder / checkpoint.UNET_FILE


@pytest.fixture(scope="module")
def model() -> CFLDModel:
    return tiny.tiny_cfld()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model: CFLDModel) -> tuple[Path, Path]:
    return released(tmp_path_factory.mktemp("released"), model)


def drawn(model: CFLDModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    looks = appearance_of(model, torch.rand(1, 3, 32, 32, generator=generator))
    pose = torch.rand(1, 21, 64, 64, generator=generator)
    return repose(model, looks, pose, weights=Weights(2.0, 1.5), scheduler="ddim", steps=2)


def base_like(model: CFLDModel) -> object:
    """A U-Net that is the model's but for the trained matrices."""
    unet = tiny.tiny_unet()
    state = {
        n: torch.randn_like(v) if n in model.key_values else v for n, v in model.unet.state_dict().items()
    }
    unet.load_state_dict(state)
    return unet


def test_released_files_through_the_delta_draw_the_same(model, files, tmp_path: Path) -> None:
    base = base_like(model)
    delta = checkpoint.convert_released(
        *files, tmp_path / "delta.safetensors", base=base, config=tiny.CONFIG, dtype=torch.float32
    )
    networks, matrices = checkpoint.load_change(delta)
    again = CFLDModel(model.vae, base, networks, matrices, tiny.SIZE).eval()
    assert torch.equal(drawn(again), drawn(model))


def test_the_delta_holds_the_networks_and_the_trained_matrices_in_half(model, files, tmp_path: Path) -> None:
    delta = checkpoint.convert_released(*files, tmp_path / "delta.safetensors", config=tiny.CONFIG)
    tensors, meta = load_file(delta, file_kind="cfld")
    assert {name for name in tensors if name.startswith("unet.")} == {f"unet.{n}" for n in model.key_values}
    assert len(tensors) == len(model.networks.state_dict()) + len(model.key_values)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert meta["config"]["cfld"] == config_to_metadata(tiny.CONFIG)


def test_a_base_with_other_values_is_logged(files, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(5)
    checkpoint.convert_released(*files, tmp_path / "d.safetensors", base=tiny.tiny_unet(), config=tiny.CONFIG)
    assert "differs from this Stable Diffusion 1.5 in" in caplog.text


def test_swapped_files_are_named(files) -> None:
    networks, unet = files
    with pytest.raises(ValueError, match="pytorch_model_1.bin is a U-Net: the two files are swapped"):
        checkpoint.read_networks(unet, tiny.CONFIG)
    with pytest.raises(
        ValueError, match="pytorch_model.bin holds CFLD's networks: the two files are swapped"
    ):
        checkpoint.read_unet(networks, tiny.CONFIG)


def test_missing_and_unexpected_tensors_are_named(model, tmp_path: Path) -> None:
    tensors = dict(model.networks.state_dict())
    tensors["decoder.extra"] = tensors.pop("decoder.query_feat")
    tensors["pose_encoder.conv_in.bias"] = torch.zeros(5)
    torch.save(tensors, tmp_path / "other.bin")
    with pytest.raises(ValueError) as error:
        checkpoint.read_networks(tmp_path / "other.bin", tiny.CONFIG)
    for part in (
        "1 missing (decoder.query_feat)",
        "1 unexpected (decoder.extra)",
        "(pose_encoder.conv_in.bias)",
    ):
        assert part in str(error.value)


SDXL = {
    "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 32, "use_linear_projection": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "family"),
    [
        ({"cross_attention_dim": 48, "use_linear_projection": True}, "Stable Diffusion 2"),
        ({"cross_attention_dim": 48, **SDXL}, "Stable Diffusion XL"),
    ],
)
def test_a_unet_of_another_family_is_named(tmp_path: Path, change: dict, family: str) -> None:
    other = tiny.tiny_unet(**change)
    torch.save(other.state_dict(), tmp_path / "other.bin")
    with pytest.raises(ValueError, match=f"is a 4-channel U-Net of {family}; .*that of Stable Diffusion 1.5"):
        checkpoint.read_unet(tmp_path / "other.bin", tiny.CONFIG)


def test_a_unet_that_is_not_quite_stable_diffusion_is_told_by_its_tensors(model, tmp_path: Path) -> None:
    tensors = tiny.tiny_unet(in_channels=9).state_dict()
    tensors["time_embedding.other.weight"] = tensors.pop("time_embedding.linear_1.weight")
    torch.save(tensors, tmp_path / "other.bin")
    for base in (None, tiny.tiny_unet()):
        with pytest.raises(
            ValueError, match="does not hold the U-Net of Stable Diffusion 1.5: of its tensors"
        ) as error:
            checkpoint.read_unet(tmp_path / "other.bin", tiny.CONFIG, base)
        for part in (
            "1 missing (time_embedding.linear_1.weight)",
            "1 unexpected (time_embedding.other.weight)",
            "1 of another shape (conv_in.weight)",
        ):
            assert part in str(error.value)


def test_the_released_sizes_are_those_of_stable_diffusion() -> None:
    with torch.device("meta"):
        own = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8).state_dict()
    made = checkpoint.stable_diffusion_tensors(released_config())
    assert {name: value.shape for name, value in made.items()} == {n: v.shape for n, v in own.items()}


def test_something_else_is_no_unet(tmp_path: Path) -> None:
    torch.save({"decoder.weight": torch.zeros(2)}, tmp_path / "vae.bin")
    with pytest.raises(ValueError, match="is an autoencoder .*the U-Net of CFLD is wanted"):
        checkpoint.read_unet(tmp_path / "vae.bin", tiny.CONFIG)


@pytest.mark.parametrize("which", [0, 1])
def test_a_truncated_pickle_is_named_and_leaves_nothing(files, tmp_path: Path, which: int) -> None:
    pair = [tmp_path / each.name for each in files]
    for source, copy in zip(files, pair, strict=True):
        copy.write_bytes(source.read_bytes())
    whole = pair[which].read_bytes()
    pair[which].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{pair[which].name} is truncated or no checkpoint"):
        checkpoint.convert_released(*pair, tmp_path / "delta.safetensors", config=tiny.CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in pair)


def test_either_pickle_becomes_one_delta_once(files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [tmp_path / each.name for each in files]
    for source, copy in zip(files, pair, strict=True):
        copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(checkpoint, "released_config", lambda: tiny.CONFIG)
    delta = checkpoint.as_delta(pair[1])
    made = delta.stat().st_mtime_ns
    assert checkpoint.as_delta(pair[0]) == delta == checkpoint.as_delta(delta)
    assert delta.stat().st_mtime_ns == made
    os.utime(pair[0], (delta.stat().st_mtime + 10,) * 2)
    assert checkpoint.as_delta(pair[0]).stat().st_mtime_ns > made


def test_a_folder_that_may_not_be_written_to_is_no_hindrance(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    pair = [folder / each.name for each in files]
    for source, copy in zip(files, pair, strict=True):
        copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(checkpoint, "released_config", lambda: tiny.CONFIG)
    monkeypatch.setattr(convert.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    save = checkpoint.save_module

    def refused(path: Path, *args, **kwargs) -> Path:
        if path.parent == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return save(path, *args, **kwargs)

    monkeypatch.setattr(checkpoint, "save_module", refused)
    delta = checkpoint.as_delta(pair[1])
    assert delta.is_relative_to(tmp_path / "temporary") and str(delta) in caplog.text
    assert checkpoint.as_delta(pair[0]) == delta
    checkpoint.load_change(delta)
    assert sorted(folder.iterdir()) == sorted(pair)


def test_older_pickles_that_are_put_there_later_become_a_new_delta(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cp -p or an archive leaves them: another file, and yet older than the delta."""
    pair = [tmp_path / each.name for each in files]
    for source, copy in zip(files, pair, strict=True):
        copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(checkpoint, "released_config", lambda: tiny.CONFIG)
    delta = checkpoint.as_delta(pair[1])
    made = delta.stat().st_ino
    os.utime(pair[1], (1e9, 1e9))
    assert checkpoint.as_delta(pair[1]).stat().st_ino != made


@pytest.mark.parametrize("metadata", [None, {"figura": '{"kind": "cfld", "config": {}}'}])
def test_a_delta_of_another_origin_is_neither_read_nor_replaced(files, tmp_path: Path, metadata) -> None:
    pair = [tmp_path / each.name for each in files]
    for source, copy in zip(files, pair, strict=True):
        copy.write_bytes(source.read_bytes())
    delta = tmp_path / checkpoint.DELTA_FILE
    save_file({"w": torch.zeros(1)}, delta, metadata=metadata)
    content = delta.read_bytes()
    with pytest.raises(ValueError, match="is there already and was not made from pytorch_model.bin, "):
        checkpoint.as_delta(pair[0])
    assert delta.read_bytes() == content


def test_a_lone_or_renamed_pickle_says_what_is_needed(files, tmp_path: Path) -> None:
    alone = tmp_path / checkpoint.MODEL_FILE
    alone.write_bytes(files[0].read_bytes())
    with pytest.raises(FileNotFoundError, match="no pytorch_model_1.bin in .*two files"):
        checkpoint.as_delta(alone)
    with pytest.raises(ValueError, match="pickle of an unknown name"):
        checkpoint.as_delta(tmp_path / "cfld.bin")


# Mini and full size


def test_mini_is_loaded_from_what_the_recipe_writes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae, base = shared.mini_vae(), shared.mini_unet()
    save_module(tmp_path / "vae.safetensors", "vae", vae.state_dict(), shared.plain_config(vae))
    save_module(tmp_path / "base.safetensors", "unet", base.state_dict(), shared.plain_config(base))
    config = CFLDConfig()
    tensors = checkpoint.change_tensors(CFLDNetworks(config), base.state_dict())
    tensors = {name: value + 1 if name.startswith("unet.") else value for name, value in tensors.items()}
    meta = {"cfld": config_to_metadata(config), "backbone": "base"}
    save_module(tmp_path / "cfld.safetensors", "cfld", tensors, meta, int8=True)
    model = checkpoint.load_mini_cfld(tmp_path)
    name = next(iter(model.key_values))
    torch.testing.assert_close(model.unet.state_dict()[name], base.state_dict()[name] + 1, atol=0.02, rtol=0)
    assert model.latent_shape == (8, 16, 16) and model.size == 128


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cfld.safetensors"):
        checkpoint.load_mini_cfld(tmp_path)


def test_without_a_checkpoint_only_networks_and_matrices_are_loaded(files, tmp_path: Path) -> None:
    delta = checkpoint.convert_released(*files, tmp_path / "delta.safetensors", config=tiny.CONFIG)
    loaded = checkpoint.load_cfld(delta)
    assert loaded.unet is None and loaded.vae is None and len(loaded.key_values) == 8
    assert loaded.device.type == "cpu"


def test_a_checkpoint_gives_the_unet_and_one_of_another_kind_is_named(model, files, tmp_path: Path) -> None:
    delta = checkpoint.convert_released(*files, tmp_path / "delta.safetensors", config=tiny.CONFIG)
    save_file(base_like(model).state_dict(), str(tmp_path / "sd15.safetensors"))
    save_file(tiny.tiny_vae(32).state_dict(), str(tmp_path / "vae.safetensors"))
    loaded = checkpoint.load_cfld(delta, tmp_path / "sd15.safetensors", vae=tmp_path / "vae.safetensors")
    name = next(iter(model.key_values))
    torch.testing.assert_close(loaded.unet.state_dict()[name], model.key_values[name], atol=2e-3, rtol=2e-3)
    for change in ({"use_linear_projection": True}, {"in_channels": 9}, SDXL):
        other = tmp_path / "other.safetensors"
        save_file(tiny.tiny_unet(**change).state_dict(), str(other))
        with pytest.raises(ValueError, match="other.safetensors is a .*Stable Diffusion 1.5 is wanted"):
            checkpoint.load_cfld(delta, other)


def test_a_hosts_unet_of_other_shapes_is_refused(model) -> None:
    shapes = {name: tuple(value.shape) for name, value in model.key_values.items()}
    checkpoint.check_unet_shapes(shapes, model, "model")
    wide = {name: (shape[0], 1024) for name, shape in shapes.items()}
    for wrong in (wide, {}):
        with pytest.raises(ValueError, match="model does not fit tiny CFLD: 8 of 8 .*not SD2 or SDXL"):
            checkpoint.check_unet_shapes(wrong, model, "model")
