"""FiguraDensePose: where labels come from, and what is told when they cannot."""

import pickle

import pytest
import torch
from figura.host import Cancelled
from figura.host.plain import PlainHost
from figura.models import store
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception import densepose_rcnn
from figura.models.perception.densepose import FILE_KIND, DensePoseConfig, DensePoseNet
from figura.models.perception.densepose_rcnn import DensePoseRCNN, RCNNConfig
from figura.nodes import densepose
from figura.nodes.densepose import COLOUR_MAP, FiguraDensePose
from figura.people.densepose import paint_labels
from figura.people.synthetic import render_people

LABELS = render_people([3, 4], 48, occlusion=0.0).densepose_i
IMAGE = paint_labels(LABELS, "parula").permute(0, 2, 3, 1)


@pytest.fixture
def mini(tmp_path, monkeypatch):
    """An untrained mini estimator."""
    torch.manual_seed(0)
    config = DensePoseConfig(32, (8, 8, 16, 16), 1)
    net = DensePoseNet(config)
    save_module(tmp_path / "densepose.safetensors", FILE_KIND, net.state_dict(), config_to_metadata(config))
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)


def test_everything_is_described():
    assert len(FiguraDensePose.RETURN_TYPES) == len(FiguraDensePose.OUTPUT_TOOLTIPS)
    sources = FiguraDensePose.INPUT_TYPES()["required"]["source"][0]
    assert sources[:2] == [store.MINI, COLOUR_MAP]


def test_a_colour_map_gives_its_labels_and_their_preview():
    densepose, preview, mask = FiguraDensePose().run(IMAGE, COLOUR_MAP)
    assert torch.equal(mask, (LABELS > 0).float())
    assert torch.equal(densepose.labels, LABELS)
    torch.testing.assert_close(preview, paint_labels(LABELS).permute(0, 2, 3, 1))


def test_a_mirrored_map_has_its_sides_exchanged():
    densepose, _, mask = FiguraDensePose().run(IMAGE, COLOUR_MAP, mirror=True, parts="hands")
    hands = LABELS.flip(2) == 3
    assert hands.any() and (densepose.labels[hands] == 4).all() and (mask[hands] == 1).all()


def test_the_mini_estimator_labels_any_size(mini):
    densepose, preview, mask = FiguraDensePose().run(torch.rand(2, 40, 56, 3), store.MINI)
    assert densepose.labels.shape == (2, 40, 56) and densepose.labels.max() <= 24
    assert preview.shape == (2, 40, 56, 3) and mask.shape == (2, 40, 56)


def test_it_can_be_cancelled_between_two_pictures(mini, monkeypatch, tmp_path):
    host, looked = PlainHost(tmp_path, tmp_path, device="cpu"), []

    def look(net, picture):
        looked.append(picture.shape)
        host.cancel()
        return torch.zeros(1, *picture.shape[-2:], dtype=torch.uint8)

    monkeypatch.setattr(densepose, "get_host", lambda: host)
    monkeypatch.setattr(densepose, "estimate_labels", look)
    with pytest.raises(Cancelled):
        FiguraDensePose().run(torch.rand(3, 16, 24, 3), store.MINI)
    assert looked == [(1, 3, 16, 24)]


def test_the_mask_is_of_the_parts_and_grows():
    _, _, tight = FiguraDensePose().run(IMAGE, COLOUR_MAP, parts="torso")
    assert torch.equal(tight, ((LABELS == 1) | (LABELS == 2)).float())
    _, _, grown = FiguraDensePose().run(IMAGE, COLOUR_MAP, parts="torso", grow=2)
    near = torch.nn.functional.max_pool2d(tight[:, None], 5, 1, 2)[:, 0]
    assert (grown >= tight).all() and (grown <= near).all() and grown.sum() > tight.sum()


def test_a_photo_is_no_colour_map():
    with pytest.raises(ValueError, match="image is no DensePose colour map"):
        FiguraDensePose().run(torch.ones(1, 16, 16, 3), COLOUR_MAP)


@pytest.mark.parametrize("source", [store.MINI, COLOUR_MAP])
def test_nan_is_told(mini, source):
    with pytest.raises(ValueError, match="image holds NaN"):
        FiguraDensePose().run(IMAGE * torch.nan, source)


def test_a_missing_mini_file_is_named_with_its_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    with pytest.raises(FileNotFoundError, match="lacks densepose.safetensors.*figura train densepose"):
        FiguraDensePose().run(IMAGE, store.MINI)


def test_an_empty_picture_is_told(caplog):
    FiguraDensePose().run(torch.zeros(1, 16, 16, 3), COLOUR_MAP)
    assert "nobody found in the picture" in caplog.text


class Program(torch.nn.Module):
    """Finds nobody."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return torch.zeros(0, 4), torch.zeros(0, 2, 8, 8), torch.zeros(0, 25, 8, 8)


def test_torchscript_is_run_only_behind_its_switch(tmp_path, monkeypatch):
    path = tmp_path / "strange.torchscript"
    torch.jit.script(Program()).save(str(path))
    monkeypatch.setattr(densepose.get_host(), "find_model", lambda kind, name: path)
    with pytest.raises(ValueError, match="is TorchScript, a program"):
        FiguraDensePose().run(IMAGE, path.name)
    labels, _, _ = FiguraDensePose().run(IMAGE, path.name, run_torchscript=True)
    assert not labels.labels.any()


def test_public_weights_are_run_as_a_network_of_ones_own(tmp_path, monkeypatch):
    stages = ((1, 8, 16), (1, 8, 24), (1, 8, 32), (1, 8, 40))
    net = DensePoseRCNN(RCNNConfig(8, stages, 8, 8, 16, 24, 2, False, 2))
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": {name: each.numpy() for name, each in net.state_dict().items()}}))
    monkeypatch.setattr(densepose.get_host(), "find_model", lambda kind, name: path)
    monkeypatch.setattr(densepose_rcnn, "SHORT_SIDE", 64)
    labels, _, _ = FiguraDensePose().run(IMAGE, path.name)
    assert labels.labels.shape == LABELS.shape
