"""`figura bench` of hot paths against their peers, tiny: what they measure, not how fast it is."""

import pytest
import torch
from figura.training.bench import loop, pictures, steps
from figura.training.bench.gpu import METHODS, bench_gpu
from figura.training.bench.turns import in_turns, ratio


def test_turns_leave_out_the_first_round():
    calls = []
    times = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3 and [len(each) for each in times.values()] == [2, 2]
    assert ratio({"a": [1.0, 4.0, 9.0], "b": [1.0, 2.0, 3.0]}, "a", "b") == 2.0


def test_our_loop_and_diffusers_pipeline_make_the_same_latents():
    with torch.inference_mode():
        works = loop.loops(3, 1)
        torch.testing.assert_close(works["ours"](), works["diffusers"](), rtol=1e-4, atol=1e-4)
    figures = loop.bench_loop(2, 1, 1)["metrics"]
    assert figures["time_ratio.network"] > 0 and figures["time_ratio.diffusers"] > 0


def test_pictures_are_compared_cropped_and_stitched():
    figures = pictures.bench_compare({"small": (40, 60)}, 1)["metrics"]
    assert figures["time_ratio.small.psnr"] > 0
    figures = pictures.bench_crop({"small": (80, 120)}, 1)["metrics"]
    assert figures["time_ratio.small.copies"] > 0
    image = torch.rand(1, 300, 400, 3)
    mask = pictures.box_mask((300, 400))
    changed = (pictures.crop_and_stitch(image, mask) != image).any(-1)
    soft = torch.nn.functional.max_pool2d(mask[:, None], 5, 1, 2)[:, 0]  # as wide as a pixel of the crop
    assert changed.any() and not (changed & (soft == 0)).any()


def test_the_nodes_of_a_checkout_are_measured_beside(tmp_path):
    (tmp_path / "inpaint_cropandstitch.py").write_text(THEIRS)
    works = pictures.their_nodes(tmp_path, torch.rand(1, 8, 9, 3), torch.ones(1, 8, 9))
    named = {f"cropandstitch_{mode}_{how}" for mode in ("cpu", "gpu") for how in ("plain", "defaults")}
    assert works.keys() == named
    for work in works.values():
        work()


THEIRS = """
import comfy.utils, comfy.model_management, nodes

class InpaintCropImproved:
    def INPUT_TYPES(self):
        return {"required": {"image": ("IMAGE",), "mode": ("INT", {"default": nodes.MAX_RESOLUTION})}}

    def inpaint_crop(self, image, mode, mask, device_mode, **sizes):
        assert mode == 16384 and sizes["output_target_width"] == 512
        return {"mask": mask}, image, mask

class InpaintStitchImproved:
    def inpaint_stitch(self, stitcher, inpainted_image):
        return (inpainted_image,)
"""


def test_refiner_points_and_steps_are_measured():
    assert pictures.bench_refine(160, 1, 1)["metrics"]["time_ratio.full"] > 0
    assert pictures.bench_sam(64, 2, 1)["metrics"]["time_ratio.next_point"] > 0
    assert steps.bench_steps(1, 1)["metrics"]["time_ratio.bare"] > 0


def test_networks_of_full_size_are_not_begun_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="needs a CUDA GPU"):
        bench_gpu(("tiny", "sdxl"))


def test_every_method_runs_at_tiny_size():
    measured = bench_gpu(("tiny",), steps=1, rounds=1, device="cpu")
    figures = measured["metrics"]
    assert measured["device"] == "cpu" and figures["time_ratio.tiny.diffusers"] > 0
    for name in ("phac", "coarse", "diffusers", *METHODS):
        assert figures[f"step_seconds.tiny.{name}"] > 0
