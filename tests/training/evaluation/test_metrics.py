"""Metrics against other implementations, hand-made values, and what they have to be blind to."""

import math

import numpy as np
import pytest
import torch
from figura.training.evaluation import metrics
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

GENERATOR = torch.Generator().manual_seed(3)


def random_images(count: int = 2, size: int = 40) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=GENERATOR)


def square(count: int = 2, size: int = 40, low: int = 12, high: int = 28) -> torch.Tensor:
    mask = torch.zeros(count, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


class TestIou:
    def test_counts_pixels_as_scikit_learn_would(self) -> None:
        first, second = torch.rand(5, 1, 9, 9) > 0.5, torch.rand(5, 1, 9, 9) > 0.4
        for value, a, b in zip(metrics.iou(first.float(), second.float()), first.numpy(), second.numpy()):
            assert value == pytest.approx(np.logical_and(a, b).sum() / np.logical_or(a, b).sum())

    def test_equal_is_one_disjoint_zero_and_both_empty_one(self) -> None:
        mask = square()
        assert metrics.iou(mask, mask).tolist() == [1, 1]
        assert metrics.iou(mask, 1 - mask).tolist() == [0, 0]
        assert metrics.iou(mask * 0, mask * 0).tolist() == [1, 1]

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ValueError, match="differ"):
            metrics.iou(square(), square(1))


class TestJointError:
    truth = torch.tensor([[[10.0, 20.0, 1.0], [30.0, 40.0, 1.0], [50.0, 60.0, 0.0]]])

    def test_mean_distance_as_a_fraction_of_the_side(self) -> None:
        found = self.truth + torch.tensor([3.0, 4.0, 0.0])
        result = metrics.joint_error(found, self.truth, side=100)
        assert result.error == pytest.approx(0.05)
        assert (result.missing, result.found, result.wanted) == (0.0, 2, 2)
        assert metrics.joint_error(found, self.truth, side=100, unit="px").error == pytest.approx(5.0)

    def test_joints_not_found_are_counted_not_averaged(self) -> None:
        found = self.truth.clone()
        found[0, 0] = torch.tensor([0.0, 0.0, 0.1])
        result = metrics.joint_error(found, self.truth, side=100, threshold=0.3)
        assert result == metrics.JointError(0.0, 0.5, 1, 2)

    def test_only_wanted_joints_count(self) -> None:
        found = self.truth.clone()
        found[0, 1, 0] += 10
        wanted = torch.tensor([[True, False, True]])
        assert metrics.joint_error(found, self.truth, side=100, wanted=wanted).error == 0.0
        assert metrics.joint_error(found, self.truth, side=100, wanted=~wanted).error == pytest.approx(0.1)

    def test_nothing_to_find_is_no_error(self) -> None:
        assert metrics.joint_error(self.truth * 0, self.truth * 0, side=1) == metrics.JointError(0, 0, 0, 0)

    def test_unknown_unit(self) -> None:
        with pytest.raises(ValueError, match="normalized, px"):
            metrics.joint_error(self.truth, self.truth, side=1, unit="metres")


class TestPsnr:
    def test_equals_scikit_image_on_the_pixels_of_the_region(self) -> None:
        skimage = pytest.importorskip("skimage.metrics")
        made, truth, region = random_images(), random_images(), square()
        for value, a, b in zip(metrics.psnr_region(made, truth, region), made, truth):
            part = [p[:, 12:28, 12:28].numpy() for p in (a, b)]
            assert value == pytest.approx(skimage.peak_signal_noise_ratio(*part, data_range=1.0), abs=1e-5)

    def test_blind_outside_the_region(self) -> None:
        truth, region = random_images(), square()
        made = truth + 0.1
        changed = torch.where(region > 0, made, made * 0)
        value = metrics.psnr_region(made, truth, region)
        assert torch.equal(value, metrics.psnr_region(changed, truth, region))
        assert value[0] == pytest.approx(20.0, abs=1e-4)

    def test_equal_is_capped_and_empty_unknown(self) -> None:
        image = random_images(1)
        assert metrics.psnr_region(image, image, square(1)).tolist() == [100.0]
        assert metrics.psnr_region(image, image, 0 * square(1)).isnan().all()


def ssim_of_the_paper(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    line = torch.exp(-torch.arange(-5, 6, dtype=torch.float64).square() / (2 * 1.5**2))
    window = torch.outer(line, line)[None, None] / line.sum() ** 2

    def blurred(images: torch.Tensor) -> torch.Tensor:
        return F.conv2d(images.flatten(0, 1)[:, None], window, padding=5).view_as(images)

    a, b = blurred(made), blurred(truth)
    variances = blurred(made.square()) - a.square() + blurred(truth.square()) - b.square()
    covariance, c1, c2 = blurred(made * truth) - a * b, 0.01**2, 0.03**2
    return (2 * a * b + c1) * (2 * covariance + c2) / ((a.square() + b.square() + c1) * (variances + c2))


class TestSsim:
    def test_map_is_that_of_the_paper(self) -> None:
        """Wang et al. 2004 with their Gaussian window, away from the border, where there is no padding."""
        truth = random_images()
        made = (truth + 0.1 * random_images()).clamp(0, 1)
        expected = ssim_of_the_paper(made.double(), truth.double())[..., 12:28, 12:28].mean((1, 2, 3))
        assert torch.allclose(metrics.ssim_region(made, truth, square()), expected, atol=1e-6)

    def test_equal_is_one_and_worse_is_less(self) -> None:
        truth, region = random_images(), square()
        assert metrics.ssim_region(truth, truth, region).tolist() == pytest.approx([1, 1])
        near, far = (metrics.ssim_region(truth + k * random_images(), truth, region) for k in (0.05, 0.5))
        assert (near > far).all()

    def test_far_away_changes_do_not_matter(self) -> None:
        truth, region = random_images(1), square(1, low=0, high=8)
        made = truth.clone()
        made[..., 30:, 30:] = 0
        assert metrics.ssim_region(made, truth, region).tolist() == pytest.approx([1.0])


class TestSeam:
    def test_a_step_along_the_boundary(self) -> None:
        region = torch.zeros(1, 1, 20, 20)
        region[..., :10] = 1
        made = 0.5 * region.expand(1, 3, 20, 20)
        value = metrics.seam_error(made, torch.zeros_like(made), region, width_px=3)
        assert value.item() == pytest.approx(0.5 / 6)  # one of six columns in the band has the step

    def test_a_constant_offset_is_no_seam(self) -> None:
        truth = random_images()
        assert metrics.seam_error(truth + 0.25, truth, square()).tolist() == pytest.approx([0, 0], abs=1e-6)

    def test_errors_far_from_the_boundary_are_not_seen(self) -> None:
        truth, region = random_images(), square()
        made = truth.clone()
        made[..., 18:22, 18:22] = 0
        made[..., :4, :4] = 0
        assert metrics.seam_error(made, truth, region).max() == 0
        made[..., 11, 20] += 0.3
        assert metrics.seam_error(made, truth, region).min() > 0

    def test_no_boundary_is_unknown(self) -> None:
        image = random_images(1)
        assert metrics.seam_error(image, image, torch.zeros(1, 1, 40, 40)).isnan().all()


class TestOutside:
    def test_sees_one_changed_pixel_outside_and_none_inside(self) -> None:
        original, mask = random_images(), square()
        made = torch.where(mask > 0.5, 1 - original, original)
        assert metrics.max_abs_diff_outside(made, original, mask) == 0.0
        made[1, 2, 0, 0] += 0.25
        assert metrics.max_abs_diff_outside(made, original, mask) == pytest.approx(0.25)
        assert metrics.max_abs_diff_outside(made, original, torch.ones_like(mask)) == 0.0


class TestTelea:
    def test_fills_a_hole_in_a_ramp_and_leaves_the_rest_alone(self) -> None:
        pytest.importorskip("cv2")
        ramp = torch.linspace(0, 1, 40).expand(1, 3, 40, 40).contiguous()
        mask = square(1, low=16, high=22)
        holed = torch.where(mask > 0, torch.ones_like(ramp), ramp)
        filled = metrics.telea(holed, mask)
        assert torch.equal(filled[(mask == 0).expand_as(filled)], holed[(mask == 0).expand_as(filled)])
        assert (filled - ramp).abs().max() < 0.08

    def test_missing_opencv_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "cv2", None)
        with pytest.raises(ImportError, match="pip install opencv-python-headless"):
            metrics.telea(random_images(), square())


@given(st.lists(st.one_of(st.just(math.nan), st.floats(-10, 10)), max_size=6))
def test_mean_of_leaves_unknown_figures_out(values: list[float]) -> None:
    known = [value for value in values if not math.isnan(value)]
    mean = metrics.mean_of(torch.tensor(values, dtype=torch.float64))
    assert mean.known == len(known)
    assert mean.value == pytest.approx(sum(known) / len(known) if known else 0.0, abs=1e-9)


def striped(period_px: int, phase_px: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (1,3,64,64) of a grey square with stripes, and the square without them."""
    plain = torch.ones(1, 3, 64, 64)
    plain[..., 12:52, 12:52] = 0.5
    lines = (torch.arange(64) + phase_px) % period_px < period_px // 2
    truth = plain.clone()
    truth[..., 12:52, 12:52] += 0.3 * lines[12:52].float()
    return truth, plain


@pytest.mark.parametrize("period", [4, 8, 16])
def test_pattern_similarity_is_high_for_the_pattern_and_none_without_it(period: int) -> None:
    truth, plain = striped(period)
    shaded = truth * torch.linspace(0.8, 1.0, 64).reshape(1, 1, 64, 1)
    opposite = torch.where(plain < 1, 1.3 - truth, plain)
    mean = torch.where(plain < 1, 0.65, plain)
    assert float(metrics.pattern_similarity(truth, truth, plain)) == pytest.approx(1)
    assert float(metrics.pattern_similarity(shaded, truth, plain)) > 0.9
    assert abs(float(metrics.pattern_similarity(mean, truth, plain))) < 0.3
    assert float(metrics.pattern_similarity(opposite, truth, plain)) < -0.5


def test_pattern_similarity_of_other_stripes_is_small() -> None:
    (truth, plain), (other, _) = striped(6), striped(10)
    assert abs(float(metrics.pattern_similarity(other, truth, plain))) < 0.3


def test_people_without_a_pattern_are_left_out() -> None:
    truth, plain = striped(6)
    values = metrics.pattern_similarity(
        torch.cat([truth, plain]), torch.cat([truth, plain]), torch.cat([plain, plain])
    )
    assert not values[0].isnan() and values[1].isnan()
