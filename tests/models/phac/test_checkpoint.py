"""Loading PHAC: mini from the files that the recipes write; errors say what is wrong with which file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, load_file, save_module
from figura.models.phac import checkpoint
from figura.models.phac.amodal_mask import AmodalMaskNet
from figura.models.phac.networks import InvisibleMaskUNet, PHACModel
from figura.tests.nodes import phac_helpers as helpers


def replaced_in(model: PHACModel, kind: str) -> dict[str, torch.Tensor]:
    replaced = model.replaced_tensors(kind)
    assert replaced is not None
    return replaced.tensors()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpers.write_mini_family(tmp_path_factory.mktemp("mini"))


def test_mini_takes_cross_attention_from_the_change_and_the_rest_from_the_backbone(folder: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    backbone, _ = load_file(folder / "inpaint.safetensors")
    change, _ = load_file(folder / "phac_pose.safetensors")
    attention = {name for name in backbone if ".attn2." in name}
    for name, value in model.unet.state_dict().items():
        assert torch.equal(value, backbone[name].float()), name
    assert set(replaced_in(model, "pose")) == attention
    for name, value in replaced_in(model, "pose").items():
        assert torch.equal(value, change[f"unet.{name}"].float()), name
    for name, value in model.controlnets["pose"].state_dict().items():
        assert torch.equal(value, change[f"controlnet.{name}"].float()), name
    assert list(model.controlnets) == ["pose"] and model.size == 128


def test_each_kind_keeps_its_own_cross_attention(folder: Path, tmp_path: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    before = {name: value.clone() for name, value in replaced_in(model, "pose").items()}
    helpers.write_change(tmp_path / "phac_roi_box.safetensors", model.unet, "roi_box", factor=3.0)
    checkpoint.apply_change(model, tmp_path / "phac_roi_box.safetensors")
    assert set(model.controlnets) == {"pose", "roi_box"}
    after, added = replaced_in(model, "pose"), replaced_in(model, "roi_box")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    name = next(name for name in before if name.endswith("to_q.weight"))
    torch.testing.assert_close(added[name], 3 * model.unet.state_dict()[name], atol=2e-3, rtol=2e-3)


def test_the_kinds_tensors_follow_the_models_dtype(folder: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    torch.nn.Module.to(model, torch.float64)
    assert {value.dtype for value in replaced_in(model, "pose").values()} == {torch.float64}


def test_a_kind_without_tensors_of_its_own_is_sampled_with_the_backbones(folder: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    model.add_kind("pose", model.controlnets["pose"])
    assert model.replaced_tensors("pose") is None


def test_the_refiner_is_a_network_of_its_own_that_sees_the_whole_composite(folder: Path) -> None:
    refiner = checkpoint.load_mini_refiner(folder)
    own, _ = load_file(folder / "refiner.safetensors", file_kind="refiner")
    assert all(torch.equal(value, own[name].float()) for name, value in refiner.unet.state_dict().items())
    side = refiner.size
    image, mask = torch.rand(1, 3, side, side), torch.zeros(1, 1, side, side)
    mask[..., 32:96, 32:96] = 1
    condition = refiner.condition(image, mask)
    torch.testing.assert_close(condition[:, 1:], refiner.encode(image))
    assert condition[0, 0, 4:12, 4:12].all() and condition[0, 0].sum() == 64
    backbone = checkpoint.load_mini_phac(folder)
    assert not torch.allclose(backbone.condition(image, mask)[:, 1:], backbone.encode(image))


def test_tensors_that_the_change_leaves_out_are_the_backbones(folder: Path, tmp_path: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    embedding = "controlnet_cond_embedding.conv_in.weight"
    before = model.controlnets["pose"].state_dict()[embedding]
    tensors = {f"controlnet.{embedding}": torch.ones_like(before)}
    config = {"prompt": "full_box", "controlnet": networks.plain_config(model.controlnets["pose"])}
    save_module(tmp_path / "phac_box.safetensors", "phac", tensors, config)
    checkpoint.apply_change(model, tmp_path / "phac_box.safetensors")
    added = model.controlnets["full_box"].state_dict()
    assert torch.equal(added[embedding], torch.ones_like(before))
    assert torch.equal(added["conv_in.weight"], model.unet.state_dict()["conv_in.weight"])


def test_everything_is_in_eval_mode_and_runs(folder: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    assert not any(module.training for module in model.modules())
    assert model.latent_shape == (8, 16, 16)


def test_a_change_of_another_backbone_is_refused(folder: Path, tmp_path: Path) -> None:
    model = checkpoint.load_mini_phac(folder)
    assert model.guess_counts == 0.5  # its coarse pictures deserve less trust than a large model's
    save_module(tmp_path / "p.safetensors", "phac", {"unet.conv_in.weight": torch.ones(3, 3)}, {})
    with pytest.raises(ValueError, match=r"p\.safetensors does not fit .*conv_in\.weight"):
        checkpoint.apply_change(model, tmp_path / "p.safetensors")


def test_a_missing_family_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"figura train phac.* copy it there from data/weights"):
        checkpoint.load_mini_phac(tmp_path)


def test_a_mask_network_comes_back_with_its_own_widths_prompt_and_guess(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = InvisibleMaskUNet(widths=(16, 16, 24), size=32, prompt=True, guess=True).eval()
    path = save_module(tmp_path / "m.safetensors", "invisible_mask", network.state_dict(), network.config)
    loaded = checkpoint.load_mask_net(path)
    assert loaded.config == network.config
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_the_network_of_silhouettes_comes_with_a_mask_network_that_sees_its_guess(tmp_path: Path) -> None:
    silhouettes = AmodalMaskNet()
    beside = save_module(
        tmp_path / "a.safetensors", "amodal_mask", silhouettes.state_dict(),
        config_to_metadata(silhouettes.config),
    )  # fmt: skip
    for guess in (True, False):
        network = InvisibleMaskUNet(widths=(8, 16), size=32, guess=guess)
        file = save_module(tmp_path / "m.safetensors", "invisible_mask", network.state_dict(), network.config)
        assert (checkpoint.load_mask_nets(file, beside)[1] is not None) == guess
        assert checkpoint.load_mask_nets(file, None)[1] is None
    network = InvisibleMaskUNet(widths=(8, 16), size=32, guess=True)
    file = save_module(tmp_path / "m.safetensors", "invisible_mask", network.state_dict(), network.config)
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        checkpoint.load_mask_nets(file, tmp_path / "missing.safetensors")


def test_a_file_of_another_kind_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="vae.*invisible_mask"):
        checkpoint.load_mask_net(folder / "vae.safetensors")
    assert checkpoint.is_change(folder / "phac_pose.safetensors")
    assert not checkpoint.is_change(folder / "vae.safetensors")
