"""`figura eval complete-pose`: names, the baseline, and what a perfect network would get."""

from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception.pose_completion import FILE_KIND, PoseCompletion
from figura.people.boxes import Box
from figura.people.synthetic import render_people
from figura.training.evaluation import command as reports
from figura.training.evaluation import complete_pose as evaluation
from figura.training.reports import tables as results

SEEDS = range(10_000_000, 10_000_012)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = PoseCompletion()
    net.mean_pose.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("weights")
    save_module(
        folder / evaluation.WEIGHTS,
        FILE_KIND,
        net.state_dict(),
        config_to_metadata(net.config),
        dtype=torch.float32,
    )
    return folder


@pytest.fixture(scope="module")
def people():
    people = render_people(SEEDS)
    boxes = torch.tensor([Box.around_mask(mask[0]) for mask in people.amodal_mask])
    return people.joints, people.joint_visible, boxes


def test_eval_writes_figures_a_table_and_a_sheet(folder: Path, tmp_path: Path) -> None:
    files = {"table": tmp_path / "poses.md", "sheet": tmp_path / "poses.jpg"}
    done = reports.eval_command("complete-pose", 12, 0, tmp_path / "p.json", weights=folder, **files)
    metrics = done["metrics"]
    kinds = ("", ".sample", ".best_of_8", ".mean_pose")
    assert {f"joint_err{box}{kind}" for box in ("", ".box") for kind in kinds} <= set(metrics)
    assert {"limb_err", "limb_err.mean_pose", "limb_err.box.sample", "told", "told.box"} <= set(metrics)
    assert any(name.startswith("joint_err.box.best_of_8.hidden_") for name in metrics)
    assert metrics["samples.people"] == 12
    groups = [metrics[f"samples.hidden_{low}_{high}"] for low, high in evaluation.GROUPS]
    assert sum(groups) <= 12 and metrics["samples.hidden_joints"] > 20
    text = files["table"].read_text()
    assert "mean pose fitted to what is known" in text and "figura eval complete-pose --samples 12" in text
    assert files["sheet"].stat().st_size > 1000


def test_the_best_of_several_is_no_worse_than_the_first(folder: Path, people) -> None:
    net = evaluation.load_pose_completion(folder / evaluation.WEIGHTS)
    scores = evaluation.completion_scores(net, *people, 128)
    for base in ("joint_err", "joint_err.box"):
        assert scores[f"{base}.best_of_8"] < scores[f"{base}.sample"]


def test_a_network_that_knows_the_truth_makes_no_error(folder: Path, people, monkeypatch) -> None:
    joints, visible, boxes = people

    def oracle(net, known, noise):
        where = evaluation.frame_and_known(
            net, joints[kept], visible[kept].float(), boxes[kept].float(), boxed, 128
        )
        return where[0].to_units(joints[kept][..., :2]), joints[kept][..., 2]

    monkeypatch.setattr(evaluation, "propose", oracle)
    net = evaluation.load_pose_completion(folder / evaluation.WEIGHTS)
    hidden = (joints[..., 2] > 0) & ~visible
    for boxed in (False, True):
        kept = hidden.any(1) & (visible.any(1) | boxed)
        suffix = ".box" if boxed else ""
        part = joints[kept], visible[kept].float(), boxes[kept].float(), hidden[kept]
        values = evaluation._values(net, *part, boxed, 128, suffix)
        scores = {name: evaluation._mean(*each) for name, each in values.items()}
        for name in (f"joint_err{suffix}", f"joint_err{suffix}.best_of_8", f"limb_err{suffix}"):
            assert scores[name] == pytest.approx(0, abs=1e-5)
        assert scores[f"told{suffix}"] == 1 and scores[f"joint_err{suffix}.mean_pose"] > 0.01


def test_people_of_whom_nothing_is_known_count_only_with_a_box(folder: Path, people) -> None:
    joints, visible, boxes = people
    net = evaluation.load_pose_completion(folder / evaluation.WEIGHTS)
    blind = torch.zeros_like(visible)
    blind[0] = visible[0]
    scores = evaluation.completion_scores(net, joints, blind, boxes, 128)
    alone = evaluation.completion_scores(net, joints[:1], visible[:1], boxes[:1], 128)
    assert scores["joint_err"] == pytest.approx(alone["joint_err"], rel=1e-4)
    assert scores["joint_err.box"] != pytest.approx(alone["joint_err.box"], rel=1e-4)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="complete_pose"):
        reports.eval_command("complete-pose", 1, 0, weights=tmp_path)


def test_meanings_say_how_many_are_hidden() -> None:
    assert "4 to 6 hidden joints" in results.meaning("joint_err.box.hidden_4_6")
