"""Nodes of PoCoLD with random weights: what they give, and what they say about bad input."""

import pytest
import torch
from figura.models import store
from figura.models.pocold.checkpoint import load_vae_file
from figura.nodes.pocold import FiguraLoadPoCoLD, FiguraPoCoLDSampler, find_vae
from figura.people.densepose import DensePose, paint_labels
from figura.people.synthetic import render_people
from figura.tests.models.pocold import tiny

SIZE = 40
PEOPLE = render_people([3, 4], SIZE, occlusion=0.0)
TARGET, SOURCE = DensePose(PEOPLE.densepose_i), PEOPLE.unoccluded.permute(0, 2, 3, 1)
OTHER = DensePose(PEOPLE.densepose_i.flip(0))
MASK = torch.zeros(1, SIZE, SIZE)
MASK[:, 10:20] = 1


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return tiny.write_mini_family(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="module")
def model(family):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "MINI_DIR", family)
        return FiguraLoadPoCoLD().run(store.MINI)[0]


def run(model, target=TARGET, **named):
    return FiguraPoCoLDSampler().run(model, target, steps=2, w_pose=2.0, w_source=3.0, seed=5, **named)


def test_mini_comes_first():
    names, options = FiguraLoadPoCoLD.INPUT_TYPES()["required"]["model"]
    assert names[0] == options["default"] == store.MINI


def test_missing_mini_files_are_named_with_their_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    with pytest.raises(FileNotFoundError, match="lacks vae.safetensors, pocold.safetensors.*figura train"):
        FiguraLoadPoCoLD().run(store.MINI)


def test_a_source_is_reposed(model):
    image, attention, matched, labels = run(model, source=SOURCE, source_densepose=OTHER)
    assert image.shape == attention.shape == (2, SIZE, SIZE, 3)
    assert 0 < matched < 1
    assert torch.equal(labels, paint_labels(TARGET.labels).permute(0, 2, 3, 1))


def test_a_pose_alone_is_enough(model):
    image, attention, matched, _ = run(model)
    assert image.shape == (2, SIZE, SIZE, 3) and not attention.any() and matched == 0


def test_one_source_serves_all_poses(model):
    one, each = (run(model, source=source)[0] for source in (SOURCE[:1], SOURCE[:1].expand(2, -1, -1, -1)))
    assert len(one) == 2 and torch.equal(one, each)


def test_appearance_transfer_leaves_the_rest_bit_for_bit(model):
    image, *_ = run(model, source=SOURCE.flip(0), reference=SOURCE, mask=MASK, decay=True)
    outside = (MASK == 0)[..., None].expand(2, -1, -1, 3)
    assert torch.equal(image[outside], SOURCE[outside]) and not torch.equal(image, SOURCE)


def labels(value, count=1):
    return DensePose(torch.full((count, SIZE, SIZE), value))


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"target": labels(25)}, "target_densepose has labels from 25"),
        ({"target": labels(0)}, "target_densepose is only background"),
        ({"target": labels(torch.nan)}, "target_densepose holds NaN"),
        ({"target": labels(1, 3), "source": SOURCE}, "The batches do not match: target_densepose has shape"),
        ({"target": labels(-1)}, "target_densepose has labels from -1"),
        ({"source": SOURCE * torch.nan}, "source holds NaN"),
        ({"reference": SOURCE * torch.nan, "mask": MASK}, "reference holds NaN"),
        ({"reference": SOURCE, "mask": MASK * torch.nan}, "mask holds NaN"),
        ({"reference": SOURCE, "mask": MASK * 0}, "mask is empty"),
        ({"reference": SOURCE, "mask": MASK[:, :, 8:]}, "mask has 32 x 40 pixels"),
        ({"source": SOURCE, "source_densepose": labels(30)}, "source_densepose has labels from 30"),
        ({"source": SOURCE, "source_densepose": labels(0)}, "source_densepose is only background"),
        ({"source": SOURCE, "source_densepose": labels(1, 3)}, "The batches do not match"),
        ({"source": SOURCE, "source_densepose": DensePose(TARGET.labels[:, :9])}, "densepose has 40 x 9"),
        ({"source_densepose": TARGET}, "source_densepose came without a source"),
        ({"mask": MASK}, "mask came without reference"),
        ({"reference": SOURCE}, "reference came without mask"),
        ({"reference": SOURCE[:, :20], "mask": MASK}, "reference has 40 x 20 pixels"),
    ],
)  # fmt: skip
def test_bad_input_is_told_by_its_name(model, named, words):
    with pytest.raises(ValueError, match=words):
        run(model, **named)


def test_a_picture_is_no_densepose(model):
    with pytest.raises(TypeError, match="target_densepose must be a FIGURA_DENSEPOSE; got Tensor"):
        run(model, SOURCE)


class TestAutoencoders:
    def test_a_figura_file_is_one(self, family):
        assert load_vae_file(family / "vae.safetensors").config.latent_channels == 8

    def test_another_kind_is_told(self, family):
        with pytest.raises(ValueError, match="kind 'pocold'; an autoencoder is wanted"):
            load_vae_file(family / "pocold.safetensors")

    @pytest.mark.parametrize("layout", ["now", "older"])
    def test_diffusers_files_of_any_size_are(self, tmp_path, layout):
        from diffusers import AutoencoderKL
        from safetensors.torch import save_file

        torch.manual_seed(0)
        vae = AutoencoderKL(
            block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1,
        )  # fmt: skip
        tensors = vae.state_dict()
        if layout == "older":
            older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
            for new, old in older.items():
                tensors = {name.replace(f".{new}.", f".{old}."): value for name, value in tensors.items()}
        save_file(tensors, str(tmp_path / "vae.safetensors"))
        loaded = load_vae_file(tmp_path / "vae.safetensors")
        images = torch.rand(1, 3, 16, 16)
        torch.testing.assert_close(
            loaded.encode(images).latent_dist.mode(), vae.encode(images).latent_dist.mode()
        )

    def test_automatic_is_that_of_mini_only(self):
        with pytest.raises(ValueError, match="vae: choose the VAE"):
            find_vae("automatic")


def test_automatic_is_what_mini_always_did_and_others_go_by_name(model):
    own = run(model, source=SOURCE)[0]
    assert torch.equal(run(model, source=SOURCE, procedure="figura")[0], own)
    assert not torch.equal(run(model, source=SOURCE, procedure="paper")[0], own)
    with pytest.raises(ValueError, match="procedure is 'demo'"):
        run(model, source=SOURCE, procedure="demo")
