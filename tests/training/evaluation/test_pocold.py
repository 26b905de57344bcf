"""PoCoLD's evaluation at toy size with untrained weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception import pose
from figura.models.pocold.checkpoint import FILE_KIND
from figura.models.pocold.networks import VANILLA, PoCoLDConfig, PoCoLDNetworks
from figura.training.data.people import HELD_OUT_SEED
from figura.training.evaluation.command import eval_command
from figura.training.evaluation.pocold import FILES, ORDER, evaluate_pocold, load_family, pocold_rows
from figura.training.evaluation.reposing import order
from figura.training.reports.tables import meaning

SEEDS = range(HELD_OUT_SEED, HELD_OUT_SEED + 3)


def write_family(folder: Path, names: tuple[str, ...]) -> Path:
    torch.manual_seed(0)
    vae, config = networks.mini_vae(), pose.PoseConfig(64, (8, 8, 8, 8), (1, 1))
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    detector = pose.PoseDetector(config)
    save_module(
        folder / "pose_detector.safetensors",
        pose.FILE_KIND,
        detector.state_dict(),
        config_to_metadata(config),
    )
    for name in names:
        attention = VANILLA if name == "vanilla" else "sparse"
        config = PoCoLDConfig(channels=(16, 16), heads=2, filters=4, attention=attention)
        save_module(
            folder / FILES[name], FILE_KIND, PoCoLDNetworks(config).state_dict(), config_to_metadata(config)
        )
    return folder


def test_every_model_is_measured(tmp_path):
    family = load_family(write_family(tmp_path, tuple(FILES)))
    batches, done = [], []
    figures = evaluate_pocold(
        family, SEEDS, steps=2, batch_size=2, on_batch=batches.append, on_done=done.append
    )
    for name in FILES:
        assert 0 <= figures[f"wrong_mass.{name}"] <= 1 and -1 <= figures[f"ssim.{name}"] <= 1
        assert figures[f"psnr.{name}"] > 0 and figures[f"joint_err.{name}"] >= 0
    for name in (*FILES, "truth", "autoencoder"):
        assert 0 <= figures[f"joint_missing.{name}"] <= 1 and f"joint_err.{name}" in figures
    assert {"order.ssim.full_sparse", "order.wrong_mass.sparse_vanilla"} <= set(figures)
    assert {"order.ssim.strong_sparse", "order.wrong_mass.mass_sparse"} <= set(figures)
    assert figures["samples.people"] == sum(done) == 3
    rows = list(pocold_rows(batches[0]))
    assert len(rows) == 2
    assert list(rows[0].images) == ["source", "pose", *FILES, "truth"]
    assert all(meaning(name, "pocold") for name in figures)
    assert not any("hidden" in meaning(name, "pocold") for name in figures)


def test_missing_weights_are_left_out_with_a_word(tmp_path, caplog):
    family = load_family(write_family(tmp_path, ("full",)))
    assert list(family.models) == ["full"]
    assert "figura train pocold_vanilla" in caplog.text and "figura train pocold_sparse" in caplog.text


def test_no_weights_at_all_are_an_error(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"copy one there from where `.*figura train pocold` writes it, data.weights"
    ):
        load_family(write_family(tmp_path, ()))


def test_the_report_names_what_it_measured(tmp_path):
    write_family(tmp_path, ("full",))
    done = eval_command(
        "pocold", 1, weights=tmp_path, sheet=tmp_path / "sheet.png", table=tmp_path / "table.md"
    )
    assert done["name"] == "pocold" and "ssim.full" in done["metrics"]
    assert (tmp_path / "sheet.png").is_file()
    assert "| wrong_mass.full |" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_the_order_is_that_of_the_paper():
    figures = {"ssim.full": 0.9, "ssim.sparse": 0.8, "wrong_mass.sparse": 0.5, "wrong_mass.vanilla": 0.4}
    assert order(figures, ORDER) == {"order.ssim.full_sparse": 1.0, "order.wrong_mass.sparse_vanilla": 0.0}
