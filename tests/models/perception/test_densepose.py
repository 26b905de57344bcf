"""The DensePose network, and the decoding of public estimators' outputs."""

import pytest
import torch
from figura.models.diffusion.checkpoint import config_from_metadata, config_to_metadata, save_module
from figura.models.diffusion.networks import parameter_count
from figura.models.perception import densepose as module
from figura.models.perception.densepose import (
    FILE_KIND,
    DensePoseConfig,
    DensePoseNet,
    PublicEstimator,
    decode_labels,
    estimate_labels,
    load_densepose_net,
    load_scripted,
    read_output,
)
from figura.people.densepose import DensePose, mirrored
from torch.nn import functional as F

SMALL = DensePoseConfig(32, (8, 8, 16, 16), 1)


class Painted(DensePoseNet):
    """Tells the label from the red of a pixel, which is label / 24."""

    def forward(self, images):
        return F.one_hot((images[:, 0] * 24).round().long().clamp(0, 24), 25).permute(0, 3, 1, 2).float()


class Estimator(torch.nn.Module):
    """Gives one person whose box is the whole picture: the left half is the head, the rest nobody."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        height, width = float(image.shape[1]), float(image.shape[2])
        coarse, fine = torch.zeros(1, 2, 8, 8), torch.zeros(1, 25, 8, 8)
        coarse[:, 1, :, :4] = 5.0
        fine[:, 23] = image.max() / 255
        return torch.tensor([[0.0, 0.0, width, height]]), coarse, fine


class TestNetwork:
    def test_it_is_small_and_labels_every_second_pixel(self):
        assert parameter_count(DensePoseNet()) < 1_000_000
        assert DensePoseNet(SMALL)(torch.rand(2, 3, 32, 32)).shape == (2, 25, 16, 16)
        assert estimate_labels(DensePoseNet(SMALL), torch.rand(2, 3, 32, 32)).shape == (2, 32, 32)

    @pytest.mark.parametrize("at_once", [25 * 77, 25 * 77 * 9, 1 << 24])
    def test_enlarging_some_lines_at_a_time_is_enlarging_all(self, monkeypatch, at_once):
        monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
        logits = torch.randn(25, 16, 16, generator=torch.Generator().manual_seed(0))
        whole = F.interpolate(logits[None], (77, 77), mode="bilinear", align_corners=False)[0].argmax(0)
        labels = module._placed(logits, module.View(-9, 5, 77), torch.Size((60, 50)))
        assert torch.equal(labels[5:].long(), whole[:55, 9:59]) and not labels[:5].any()

    def test_gradients_reach_everything(self):
        net = DensePoseNet(SMALL)
        net(torch.rand(1, 3, 32, 32)).square().mean().backward()
        assert all(parameter.grad is not None for parameter in net.parameters())

    def test_it_is_saved_and_loaded(self, tmp_path):
        net = DensePoseNet(SMALL)
        path = save_module(
            tmp_path / "net.safetensors", FILE_KIND, net.state_dict(), config_to_metadata(SMALL)
        )
        loaded = load_densepose_net(path)
        assert loaded.config == SMALL == config_from_metadata(DensePoseConfig, config_to_metadata(SMALL))
        images = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(loaded(images), net(images), atol=1e-2, rtol=1e-2)

    @pytest.mark.parametrize("size", [(32, 32), (48, 32), (30, 40), (64, 96)])
    def test_labels_lie_where_the_picture_has_them(self, size):
        height, width = size
        labels = torch.zeros(2, height, width)
        torso = 2  # the same in the mirror image
        labels[:, height // 4 : -height // 4, width // 4 : -width // 4] = torso
        images = (labels / 24)[:, None].repeat(1, 3, 1, 1)
        found = estimate_labels(Painted(SMALL), images)
        assert found.shape == labels.shape and found.dtype == torch.uint8
        middle = found[:, height // 4 + 4 : -height // 4 - 4, width // 4 + 4 : -width // 4 - 4]
        # Along the border the padding is part of what the network sees of a pixel.
        above = found[:, 2 : height // 8, 2:-2]
        assert middle.numel() and (middle == torso).all() and above.numel() and (above == 0).all()

    def test_left_is_right_in_the_mirror_image(self):
        torch.manual_seed(0)
        net, images = DensePoseNet(SMALL), torch.rand(2, 3, 32, 32)
        found = DensePose(estimate_labels(net, images))
        assert len(found.labels.unique()) > 1
        assert torch.equal(estimate_labels(net, images.flip(-1)), mirrored(found).labels)


class TestScripted:
    def test_a_file_is_loaded_and_used(self, tmp_path):
        pytest.importorskip("torchvision")
        path = tmp_path / "estimator.torchscript"
        torch.jit.script(Estimator()).save(str(path))
        labels = PublicEstimator(load_scripted(path, trusted=True))(torch.ones(2, 3, 16, 24))
        assert labels.shape == (2, 16, 24)
        assert (labels[..., :11] == 23).all() and (labels[..., 13:] == 0).all()

    def test_other_files_are_told(self, tmp_path):
        pytest.importorskip("torchvision")
        path = tmp_path / "other.torchscript"
        path.write_bytes(b"nothing")
        with pytest.raises(ValueError, match="other.torchscript cannot be read as TorchScript"):
            load_scripted(path, trusted=True)

    def test_a_program_is_not_opened_unasked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was opened"))
        (tmp_path / "x.torchscript").write_bytes(b"")
        with pytest.raises(ValueError, match=r"x.torchscript is TorchScript, a program .*run_torchscript"):
            load_scripted(tmp_path / "x.torchscript")

    def test_outputs_are_told_by_name_or_shape(self):
        boxes, coarse, fine, u = (
            torch.zeros(2, 4),
            torch.zeros(2, 2, 8, 8),
            torch.zeros(2, 25, 8, 8),
            torch.ones(2, 25, 8, 8),
        )
        for made in (
            (boxes, coarse, fine, u, u),
            {"pred_boxes": boxes, "fine_segm": fine, "coarse_segm": coarse},
        ):
            found = read_output(made)
            assert found[0] is boxes and found[1] is coarse and found[2] is fine
        with pytest.raises(ValueError, match="no DensePose estimator"):
            read_output((boxes, coarse))


class TestDecoding:
    def maps(self, *parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        fine = F.one_hot(torch.tensor(parts), 25).float()[:, :, None, None].repeat(1, 1, 4, 4)
        coarse = torch.tensor([0.0, 1.0])[None, :, None, None].repeat(len(parts), 1, 4, 4)
        return coarse, fine

    def test_a_box_is_filled_with_its_part(self):
        labels = decode_labels(torch.tensor([[2.0, 3.0, 7.0, 9.0]]), *self.maps(5), (12, 10))
        wanted = torch.zeros(12, 10, dtype=torch.uint8)
        wanted[3:9, 2:7] = 5
        assert torch.equal(labels, wanted)

    @pytest.mark.parametrize("box", [[-4, -3, 5, 6], [6, 8, 30, 40], [-5, -5, 30, 30]])
    def test_boxes_that_reach_out_are_cut_off(self, box):
        labels = decode_labels(torch.tensor([box], dtype=torch.float), *self.maps(5), (12, 10))
        x0, y0, x1, y1 = box
        wanted = torch.zeros(12, 10, dtype=torch.uint8)
        wanted[max(y0, 0) : y1, max(x0, 0) : x1] = 5
        assert torch.equal(labels, wanted)

    def test_a_box_outside_changes_nothing(self):
        boxes = torch.tensor([[-9.0, -9.0, -2.0, -2.0], [20.0, 20.0, 25.0, 25.0]])
        assert (decode_labels(boxes, *self.maps(5, 6), (12, 10)) == 0).all()

    def test_a_box_of_any_size_costs_no_more_than_the_picture(self):
        """30 000 px: whole maps of it would take 90 GB."""
        labels = decode_labels(torch.tensor([[-9e8, -30000.0, 30000.0, 9e8]]), *self.maps(5), (12, 10))
        assert (labels == 5).all()
        assert not decode_labels(torch.tensor([[0.0, 0.0, torch.nan, 9.0]]), *self.maps(5), (12, 10)).any()

    def test_scores_are_resampled_to_the_box(self):
        """As an interpolation of the whole box, of which the picture shows a part."""
        coarse, fine = torch.rand(1, 2, 8, 8), torch.rand(1, 25, 8, 8)
        whole = [F.interpolate(maps, (17, 20), mode="bilinear")[0].argmax(0) for maps in (coarse, fine)]
        wanted = (whole[1] * (whole[0] > 0))[4:16, 3:13]
        labels = decode_labels(torch.tensor([[-3.0, -4.0, 17.0, 13.0]]), coarse, fine, (12, 10))
        assert torch.equal(labels.long(), wanted)

    def test_nobody_is_background(self):
        coarse, fine = self.maps(5)
        assert (
            decode_labels(torch.tensor([[0.0, 0.0, 9.0, 9.0]]), coarse.flip(1), fine, (12, 10)) == 0
        ).all()

    def test_the_first_person_lies_in_front(self):
        boxes = torch.tensor([[0.0, 0.0, 6.0, 6.0], [3.0, 3.0, 9.0, 9.0]])
        labels = decode_labels(boxes, *self.maps(5, 7), (10, 10))
        assert labels[5, 5] == 5 and labels[8, 8] == 7
