"""Comparisons with a checkout of released code: what is imported goes away again, differences are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from figura.cli import main as cli
from figura.models.cfld.pipeline import pose_image
from figura.models.pocold.networks import PoCoLDNetworks
from figura.tests.models.pocold import tiny
from figura.training.evaluation import (
    parity,
    parity_cfld,
    parity_checkouts,
    parity_humansd_process,
    parity_methods,
    parity_pocold,
)
from torch import nn


def test_modules_of_a_checkout_are_found_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").write_text("raise RuntimeError('not to be run')")
    (tmp_path / "src" / "model.py").write_text("from .other import NUMBER\nTWICE = 2 * NUMBER\n")
    (tmp_path / "src" / "other.py").write_text("NUMBER = 21\n")
    before, paths = set(sys.modules), list(sys.path)
    with parity_checkouts.released_modules(tmp_path, "src", "toy") as module:
        assert module("model").TWICE == 42
    assert set(sys.modules) == before and sys.path == paths


def test_names_of_other_versions_are_there_inside_alone() -> None:
    with parity_checkouts.older_diffusers(), parity_checkouts.timm_layers():
        from diffusers.models.unet_2d_blocks import get_down_block
        from timm.models.layers import to_2tuple

        settings = {"num_layers": 1, "in_channels": 8, "out_channels": 8, "temb_channels": None}
        named = {"add_downsample": False, "resnet_eps": 1e-5, "resnet_act_fn": "silu", "resnet_groups": 4}
        assert get_down_block("DownBlock2D", attn_num_head_channels=1, **settings, **named) is not None
        assert to_2tuple(3) == (3, 3)
    assert "diffusers.models.unet_2d_blocks" not in sys.modules and "perceiver_pytorch" not in sys.modules


def test_differences_are_relative_and_of_visible_pixels() -> None:
    ours = torch.ones(3, 10, 10)
    assert parity.relative(ours, ours) == 0
    assert parity.relative(ours, 1.01 * ours) == pytest.approx(0.01, rel=1e-4)
    assert parity.relative(ours, ours[:2]) == float("inf")
    other = ours.clone()
    other[1, 0, :5] -= 0.5
    other[:, 5] -= 0.01
    assert parity.differing(ours, other) == pytest.approx(0.05)


@pytest.mark.parametrize("joint", range(18))
def test_a_drawing_without_one_joint_is_misdrawn(joint: int) -> None:
    joints = torch.tensor([[(x * 256 / 176, float(y), 1.0) for x, y in parity_cfld.PERSON]])
    whole = pose_image(joints, 256)[0, :3]
    joints[:, joint] = 0
    assert parity.misdrawn(whole, pose_image(joints, 256)[0, :3]) > parity.PIXEL_LIMIT


def test_softer_edges_are_not_misdrawn_and_shifted_ones_are() -> None:
    ours = torch.zeros(3, 32, 32)
    ours[:, 8:24, 8:24] = 1
    soft = ours.clone()
    soft[:, 7, 8:24] = 0.4
    assert parity.misdrawn(soft, ours) == 0 == parity.misdrawn(ours, soft)
    assert parity.misdrawn(ours.roll(2, 1), ours) == pytest.approx((16 + 14) / (16 * 18))
    assert parity.misdrawn(0 * ours, 0 * ours) == 0


def test_only_sides_midway_between_two_sizes_are_excused() -> None:
    assert parity_humansd_process._is_midway(512, 544) and parity_humansd_process._is_midway(1088, 1024)
    assert not any(parity_humansd_process._is_midway(512, side) for side in (512, 543, 545, 576))


def test_no_parameter_stays_at_zero() -> None:
    layer = nn.Conv2d(2, 2, 1)
    nn.init.zeros_(layer.weight)
    assert (parity_checkouts.randomised(layer).weight != 0).all() and not layer.training


def test_parameters_without_a_counterpart_are_named() -> None:
    ours = PoCoLDNetworks(tiny.tiny_config())
    with pytest.raises(
        ValueError, match="Linear: 4 parameters have no counterpart, first bias|no counterpart"
    ):
        parity_pocold.take(ours.unet, nn.Linear(2, 2))
    mapper = nn.Module()
    mapper.cond_conv = nn.Conv2d(25, 4, 1)
    parity_pocold.take(ours.mapper, mapper)
    assert torch.equal(ours.mapper.weight, mapper.cond_conv.weight)


def test_the_command_says_what_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rows = [parity.Row("a", 2e-7, 1e-5, "relative"), parity.Row("b", 0.02, 0.01, "of the pixels")]
    monkeypatch.setitem(parity_methods.METHODS, "cfld", ((), lambda folder, older: iter(rows)))
    words = ["check", "parity", "cfld", "--released", str(tmp_path), "--out", str(tmp_path / "parity.md")]
    assert cli.main(words) == 1
    written = (tmp_path / "parity.md").read_text(encoding="utf-8")
    assert (
        "| a | 2e-07 relative | 1e-05 | agrees |" in written
        and "| b | 0.02 of the pixels | 0.01 | differs |" in written
    )
    assert "agrees" in capsys.readouterr().out
    rows.pop()
    assert cli.main(words) == 0


def test_other_methods_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are comparisons for cfld, humansd, pocold"):
        parity_methods.parity("phac", tmp_path)
    with pytest.raises(FileNotFoundError, match="no src/model.py in"):
        parity_methods.parity("pocold", tmp_path)


def test_packages_that_are_not_there_are_stood_in_for_and_leave_nothing() -> None:
    before = set(sys.modules)
    given = {"no_such_package": {"Base": nn.Module}}
    with parity_checkouts.stand_ins(["no_such_package", "torch"], given):
        import no_such_package
        from no_such_package.deeper import anything

        class Own(no_such_package.Base, anything):
            pass

        assert isinstance(Own(), nn.Module) and anything().whatever(1) is not None
        assert not parity_checkouts.is_there(no_such_package, "other")
        assert parity_checkouts.is_there(no_such_package, "Base")
        assert torch is sys.modules["torch"]  # what is installed stays
    assert set(sys.modules) == before


def test_what_differs_with_a_reason_does_not_fail_and_says_why() -> None:
    explained = parity.Row("a", 0.5, 0.01, "of the pixels", "rounded up")
    assert not explained.agrees and not explained.fails and explained.line().endswith("| rounded up |")
    assert parity.Row("a", 0.5, 0.01, "of the pixels").fails
    nothing = parity.lacking("b", "einops")
    assert (
        nothing.line() == "| b | - | 1e-05 | not compared: needs the package einops |" and not nothing.fails
    )
