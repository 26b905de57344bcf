"""Pairs of the same person on disk, pictures of one's own, and the recipes of PoCoLD, at toy size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.models.diffusion.networks import encode_image, load_vae
from figura.models.pocold.checkpoint import load_networks
from figura.models.pocold.networks import VANILLA, PoCoLDConfig
from figura.people.densepose import paint_labels
from figura.people.synthetic import render_people
from figura.tests.training.conftest import HELD_OUT_PAIRS, PAIR_SIZE, TRAIN_PAIRS
from figura.tests.training.toy_runs import file_of_an_exact_resume
from figura.training.data.imported_pairs import import_pairs, read_labels, read_lines
from figura.training.data.pairs import (
    drawn_pairs,
    open_pairs,
    render_pairs,
)
from figura.training.data.people import rows
from figura.training.recipes import load_recipe
from figura.training.recipes.pocold import EVERYTHING, NEITHER, NO_POSE, NO_SOURCE, PoCoLDRecipe, Switches
from figura.training.run.command import find_init
from figura.training.run.trainer import train
from PIL import Image

SMALL = PoCoLDConfig(heads=2, filters=4)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes build small networks."""
    monkeypatch.setattr("figura.training.recipes.pocold.PoCoLDConfig", lambda: SMALL)


class TestRenderedPairs:
    def test_the_same_person_in_the_pose_of_the_next(self):
        pairs, next_ones = render_pairs([4, 5], PAIR_SIZE), render_people([5, 6], PAIR_SIZE, occlusion=0.0)
        alone = render_people([4, 5], PAIR_SIZE, occlusion=0.0)
        assert torch.equal(pairs.source, alone.cutout) and pairs.captions == alone.captions
        assert not torch.equal(pairs.target_densepose, pairs.source_densepose)
        again = render_people([4], PAIR_SIZE, occlusion=0.0, pose_seeds=[5])
        assert torch.equal(pairs.target[:1], again.cutout)
        assert next_ones.captions != pairs.captions

    def test_arrays_hold_them_with_their_latents(self, pairs, toy_weights):
        assert len(pairs.train) == TRAIN_PAIRS and len(pairs.held_out) == HELD_OUT_PAIRS
        vae, truth = load_vae(toy_weights["vae"]), render_pairs([2], PAIR_SIZE)
        assert np.array_equal(pairs.train.target_densepose[2], truth.target_densepose[0].numpy())
        np.testing.assert_allclose(pairs.train.target_joints[2], truth.target_joints[0].numpy())
        image = rows(pairs.train.source, np.array([2])).float() / 255
        torch.testing.assert_close(image, truth.source, atol=0.003, rtol=0)
        with torch.no_grad():
            latents = encode_image(vae, image)
        found = rows(pairs.train.source_latents, np.array([2])).float()
        torch.testing.assert_close(found, latents, atol=0.05, rtol=0.05)

    def test_sides_change_places_where_asked(self, pairs):
        indices, data = np.array([0, 3]), pairs.train
        drawn = drawn_pairs(data, indices, torch.tensor([False, True]))
        for name in ("densepose", "joints", "latents"):
            first, second = getattr(data, f"source_{name}"), getattr(data, f"target_{name}")
            for row, (one, two) in zip((0, 1), ((first, second), (second, first)), strict=True):
                assert np.array_equal(drawn[f"source_{name}"][row], one[indices[row]])
                assert np.array_equal(drawn[f"target_{name}"][row], two[indices[row]])

    def test_data_that_was_not_rendered_is_missed_by_name(self, tmp_path, toy_weights):
        with pytest.raises(FileNotFoundError, match="pairs_data"):
            open_pairs(tmp_path, load_vae(toy_weights["vae"]))


class TestOwnImages:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Two pairs a part, with labels in each form that is read."""
        labels = render_people([1], 40, occlusion=0.0).densepose_i[0].numpy()
        iuv = np.stack([np.full_like(labels, 200), np.full_like(labels, 90), labels], axis=-1)
        colours = paint_labels(torch.from_numpy(labels)[None], "parula")[0].permute(1, 2, 0)
        Image.fromarray(labels).save(tmp_path / "grey.png")
        Image.fromarray(iuv).save(tmp_path / "iuv.png")
        Image.fromarray((colours * 255).round().byte().numpy()).save(tmp_path / "parula.png")
        Image.new("RGB", (40, 40), (200, 30, 60)).save(tmp_path / "person.png")
        (tmp_path / "joints.json").write_text(json.dumps([[20.0, 10.0, 1.0]] * 18))
        table = "source,target,source_densepose,target_densepose,source_joints\n"
        table += (
            "person.png,person.png,grey.png,iuv.png,joints.json\nperson.png,person.png,parula.png,iuv.png,\n"
        )
        for part in ("train", "held_out"):
            (tmp_path / f"{part}.csv").write_text(table)
        return tmp_path

    def test_all_forms_give_the_same_arrays(self, folder, tmp_path_factory, toy_weights):
        place = tmp_path_factory.mktemp("imported")
        import_pairs(place, folder, (32, 24))
        train = open_pairs(place, load_vae(toy_weights["vae"])).train
        assert train.source.shape == (2, 3, 32, 24) and train.source_latents.shape == (2, 8, 4, 3)
        assert (train.source[:, 0] == 200).all()
        assert np.array_equal(train.source_densepose[0], train.source_densepose[1])
        assert np.array_equal(train.source_densepose[0], train.target_densepose[0])
        np.testing.assert_allclose(train.source_joints[0, 0], [12.0, 8.0, 1.0])
        assert not train.source_joints[1].any()

    def test_what_is_wrong_is_told(self, folder):
        with pytest.raises(FileNotFoundError, match="other.csv.*source, target"):
            read_lines(folder / "other.csv")
        (folder / "train.csv").write_text("source\nperson.png\n")
        with pytest.raises(ValueError, match="lacks target: its columns are source, target"):
            read_lines(folder / "train.csv")
        with pytest.raises(ValueError, match="person.png is no DensePose colour map"):
            read_labels(folder / "person.png", (8, 8))

    def test_labels_may_be_of_the_picture_before_it_was_made_smaller(self, tmp_path):
        path = tmp_path / "labels.png"
        Image.fromarray(np.full((201, 300), 3, np.uint8)).save(path)
        assert (read_labels(path, (14, 20), like=(7, 10)) == np.full((14, 20), 3)).all()
        with pytest.raises(ValueError, match="300x201 pixels, its picture 10x14: make the labels from"):
            read_labels(path, (14, 20), like=(14, 10))


class TestRecipes:
    @pytest.mark.parametrize("name", ["pocold", "pocold_mass", "pocold_sparse", "pocold_vanilla"])
    def test_a_recipe_makes_a_file_and_resumes_exactly(self, toy_pairs, toy_weights, tmp_path, name, small):
        made = file_of_an_exact_resume(name, toy_pairs, toy_weights, tmp_path, batch_size=4)
        assert (load_networks(made).config.attention == VANILLA) == (name == "pocold_vanilla")

    def test_the_penalty_is_what_the_comparison_leaves_out(self, pairs, toy_weights, small):
        losses = {}
        for name in ("pocold", "pocold_sparse"):
            recipe, torch_seed = load_recipe(name), torch.manual_seed(0)
            batch = {**recipe.batch(pairs.train, 0, 0, 4), "dropped": torch.tensor(EVERYTHING)}
            total, parts = recipe.loss(recipe.build(toy_weights), batch, torch_seed.manual_seed(1))
            losses[name] = {"total": float(total.detach())} | {
                key: float(v.detach()) for key, v in parts.items()
            }
        full, sparse = losses["pocold"], losses["pocold_sparse"]
        assert full["noise"] == pytest.approx(sparse["total"], rel=1e-5) and "penalty" not in sparse
        assert full["penalty"] > 0 and full["total"] == pytest.approx(
            full["noise"] + Switches().penalty_weight * full["penalty"], rel=1e-5
        )

    def test_shares_of_what_is_left_out(self):
        recipe = PoCoLDRecipe(switches=Switches(no_pose=0.1, no_source=0.2, neither=0.3))
        kinds = [recipe.dropped((number + 0.5) / 100) for number in range(100)]
        shares = {kind: kinds.count(kind) for kind in (NO_POSE, NO_SOURCE, NEITHER, EVERYTHING)}
        assert list(shares.values()) == [10, 20, 30, 40]

    @pytest.mark.parametrize("dropped", [NO_POSE, NO_SOURCE, NEITHER])
    def test_batches_with_something_left_out_pay_no_penalty(self, pairs, toy_weights, small, dropped):
        recipe = load_recipe("pocold")
        batch = {**recipe.batch(pairs.train, 0, 0, 2), "dropped": torch.tensor(dropped)}
        module = recipe.build(toy_weights)
        calls = []
        module.encoder.register_forward_hook(lambda *_: calls.append(1))
        _, parts = recipe.loss(module, batch, torch.Generator().manual_seed(0))
        assert "penalty" not in parts and bool(calls) == (dropped == NO_POSE)

    def test_a_full_size_autoencoder_makes_full_size_networks(self, toy_weights, monkeypatch):
        class SDLike:
            class config:
                latent_channels = 4

        monkeypatch.setattr("figura.training.recipes.pocold.load_vae_file", lambda _: SDLike)
        with torch.device("meta"):
            module = load_recipe("pocold").build({"vae": Path("sd.safetensors")})
        assert module.config.channels == (128, 256, 512, 512)

    def test_files_that_no_recipe_made_are_given_by_name(self, toy_weights):
        found = find_init(["vae"], [Path(f"vae={toy_weights['vae']}")])
        assert found == {"vae": toy_weights["vae"]}


def test_the_densepose_recipe_makes_a_file(toy_data, toy_weights, tmp_path):
    recipe, root = load_recipe("densepose"), tmp_path / "data"
    root.mkdir()
    for name, of in (("perception", "train"), ("held_out", "held_out")):
        (root / name).symlink_to(toy_data / of)
    plan = replace(
        recipe.plan, steps=2, minutes=None, batch_size=4, mixed_precision="no", checkpoint_seconds=1e9
    )
    scores = train(recipe, root, toy_weights, tmp_path / "densepose.safetensors", tmp_path / "work", plan)
    assert scores and 0 <= scores["accuracy.unoccluded"] <= 1
    assert load_file(tmp_path / "densepose.safetensors", file_kind="densepose")[1]["recipe"] == "densepose"


def test_labels_of_occluded_people_end_where_they_are_hidden(toy_data):
    from figura.training.data.people import open_split
    from figura.training.recipes.densepose import labels_of, mean_iou

    people = open_split(toy_data).train
    where = np.arange(len(people))
    seen, whole = labels_of(people, where, "occluded"), labels_of(people, where, "complete")
    assert ((seen == whole) | (seen == 0)).all() and (seen != whole).any()
    assert mean_iou(whole, whole) == 1.0 > mean_iou(seen, whole)
