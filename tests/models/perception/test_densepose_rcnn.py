"""The public DensePose network: its layers against torchvision's, its files read without running anything."""

import os
import pickle

import numpy as np
import pytest
import torch
from figura.models import numpy_pickle
from figura.models.numpy_pickle import read_arrays
from figura.models.perception import densepose_rcnn
from figura.models.perception.densepose import PublicEstimator
from figura.models.perception.densepose_boxes import detections, level_anchors, moved, pooled_pyramid
from figura.models.perception.densepose_files import load_public
from figura.models.perception.densepose_rcnn import DensePoseRCNN, RCNNConfig, ResNet, prepare
from safetensors.torch import save_file

STAGES = ((1, 8, 16), (2, 8, 24), (1, 8, 32), (1, 8, 40))
TINY = RCNNConfig(8, STAGES, 32, 32, 16, 32, 2, True, 2)
BESIDE = ("pixel_mean", "proposal_generator.anchor_generator.cell_anchors.0",
          "roi_heads.densepose_predictor.u_lowres.weight")  # fmt: skip


@pytest.fixture
def small_pictures(monkeypatch):
    """The network works on pictures of 64 px instead of 800."""
    monkeypatch.setattr(densepose_rcnn, "SHORT_SIDE", 64)


def tiny(config: RCNNConfig = TINY) -> DensePoseRCNN:
    """Random weights, and norms as after training."""
    torch.manual_seed(0)
    net = DensePoseRCNN(config, least_score=0.0)
    return net.eval()


def arrays(net: torch.nn.Module) -> dict[str, np.ndarray]:
    """Its weights with what the published files hold beside them."""
    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    return state | {name: np.zeros((3, 4), np.float32) for name in BESIDE}


def pickled(path, net, protocol=2):
    content = {"model": arrays(net), "__author__": "Model Zoo", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(content, protocol))
    return path


class Wild:
    def __reduce__(self):
        return os.system, ("touch /tmp/figura-was-here",)


class TestLayers:
    def test_it_has_the_published_layers_and_numbers(self):
        """R_50_FPN_DL_s1x without the two readers of u and v that labels do not need."""
        with torch.device("meta"):
            net = DensePoseRCNN()
            plain = DensePoseRCNN(RCNNConfig(deeplab=False))
        names = net.state_dict()
        assert names["backbone.bottom_up.res4.5.conv3.norm.running_var"].shape == (1024,)
        assert names["roi_heads.decoder.p5.4.weight"].shape == (256, 256, 3, 3)
        assert names["roi_heads.densepose_head.ASPP.convs.4.1.weight"].shape == (256, 256, 1, 1)
        assert plain.state_dict()["roi_heads.densepose_head.body_conv_fcn8.bias"].shape == (512,)
        # With u and v the published network has 265 MB, as its exported form says.
        numbers = sum(each.numel() for each in names.values()) + 2 * (512 * 25 * 16 + 25)
        assert 4 * numbers == pytest.approx(265e6, abs=0.6e6)

    def test_the_backbone_is_torchvisions_with_strides_as_published(self):
        """ResNet-50 of Caffe: the stride lies in the first 1x1 convolution of a stage."""
        from torchvision.models import resnet50

        other, own = resnet50().eval(), ResNet(RCNNConfig())
        for layer in (other.layer2, other.layer3, other.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
        names = {"bn1": "conv1.norm", "bn2": "conv2.norm", "bn3": "conv3.norm"}
        names |= {"downsample.0": "shortcut", "downsample.1": "shortcut.norm"}
        state = {}
        for name, value in other.state_dict().items():
            for theirs, ours in names.items():
                name = name.replace(f"{theirs}.", f"{ours}.")
            name = name.replace("layer", "res") if name.startswith("layer") else f"stem.{name}"
            parts = name.split(".")
            parts[0] = f"res{int(parts[0][3:]) + 1}" if parts[0].startswith("res") else parts[0]
            state[".".join(parts)] = value
        kept = {name: value for name, value in state.items() if name in own.state_dict()}
        own.load_state_dict(kept)
        image = torch.rand(1, 3, 64, 64)
        x = other.maxpool(other.relu(other.bn1(other.conv1(image))))
        for mine, layer in zip(own(image), (other.layer1, other.layer2, other.layer3, other.layer4)):
            x = layer(x)
            torch.testing.assert_close(mine, x, atol=1e-4, rtol=1e-4)

    def test_boxes_move_as_torchvisions(self):
        from torchvision.models.detection._utils import BoxCoder

        boxes = torch.tensor([[2.0, 3.0, 20.0, 40.0], [5.0, 5.0, 9.0, 6.0]])
        deltas = torch.tensor([[0.5, -1.0, 2.0, 0.3], [1.0, 1.0, 90.0, -3.0]])
        weights = (10.0, 10.0, 5.0, 5.0)
        torch.testing.assert_close(
            moved(boxes, deltas, weights), BoxCoder(weights).decode_single(deltas, boxes)
        )

    def test_detections_are_moved_cut_off_and_the_surest_first(self):
        proposals = torch.tensor([[10.0, 10, 30, 30], [12, 10, 32, 30], [60, 50, 90, 90], [0, 0, 5, 5]])
        scores, deltas = torch.tensor([0.85, 0.9, 0.95, 0.8]), torch.zeros(4, 4)
        deltas[2, 0] = 10.0  # a tenth of that in widths
        found = detections(proposals, scores, deltas, (80, 100), 0.8)
        assert found.tolist() == [[90, 50, 100, 80], [12, 10, 32, 30]]

    def test_anchors_stand_at_every_place_in_three_shapes(self):
        anchors = level_anchors(1, 2, 3)
        assert anchors.shape == (18, 4)
        extent = anchors[:, 2:] - anchors[:, :2]
        torch.testing.assert_close(extent.prod(1), torch.full((18,), 64.0**2))
        torch.testing.assert_close(extent[:3, 1] / extent[:3, 0], torch.tensor([0.5, 1.0, 2.0]))
        middles = 0.5 * (anchors[:, 2:] + anchors[:, :2])
        assert middles[3].tolist() == [8.0, 0.0] and middles[9].tolist() == [0.0, 8.0]

    def test_boxes_are_cut_from_the_level_of_their_size(self):
        from torchvision.ops import MultiScaleRoIAlign

        maps = [torch.rand(1, 4, 256 // 2**level, 256 // 2**level) for level in range(4)]
        boxes = torch.tensor([[0.0, 0, 30, 30], [5, 5, 200, 180], [0, 0, 500, 300], [9, 9, 1000, 1000]])
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        wanted = pool({str(n): each for n, each in enumerate(maps)}, [boxes], [(1024, 1024)])
        torch.testing.assert_close(pooled_pyramid(maps, boxes, 7), wanted)

    def test_a_picture_is_brought_to_the_usual_size_in_bgr(self):
        image = torch.zeros(3, 60, 80)
        image[0] = 255.0
        made, (height, width) = prepare(image)
        assert (height, width) == (800, 1067) and made.shape == (1, 3, 800, 1088)
        torch.testing.assert_close(made[0, :, 5, 5], torch.tensor([-103.53, -116.28, 255 - 123.675]))
        assert prepare(torch.zeros(3, 10, 100))[1] == (133, 1333)


@pytest.mark.usefixtures("small_pictures")
class TestRunning:
    def test_it_labels_a_picture_of_any_size(self):
        net = tiny()
        boxes, coarse, fine = net(torch.rand(3, 40, 56) * 255)
        assert coarse.shape[1:] == (2, 112, 112) and fine.shape[1:] == (25, 112, 112)
        assert len(boxes) == len(coarse) == len(fine) <= 100 and len(boxes) > 0
        assert (boxes >= 0).all() and (boxes[:, 2] <= 56.1).all() and (boxes[:, 3] <= 40.1).all()
        assert PublicEstimator(net)(torch.rand(1, 3, 40, 56)).shape == (1, 40, 56)

    @pytest.mark.parametrize(("logits", "found"), [((4.0, -4.0), True), ((-4.0, 4.0), False)])
    def test_a_person_is_the_first_class_and_the_last_is_nothing(self, logits, found):
        net = tiny()
        net.least_score = 0.9
        score = net.roi_heads.box_predictor.cls_score
        with torch.no_grad():
            score.weight.zero_()
            score.bias.copy_(torch.tensor(logits))
        assert (len(net(torch.rand(3, 40, 56) * 255)[0]) > 0) == found

    def test_nobody_is_no_box(self):
        net = tiny()
        net.least_score = 1.0
        boxes, coarse, fine = net(torch.rand(3, 40, 56) * 255)
        assert boxes.shape == (0, 4) and coarse.shape == (0, 2, 112, 112) and fine.shape[0] == 0
        assert not PublicEstimator(net)(torch.rand(1, 3, 40, 56)).any()


@pytest.mark.usefixtures("small_pictures")
class TestFiles:
    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_the_zoos_pickle_is_read(self, tmp_path, protocol):
        net = tiny()
        loaded = load_public(pickled(tmp_path / "model_final.pkl", net, protocol))
        assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), loaded.state_dict().values()))

    @pytest.mark.parametrize("config", [TINY, RCNNConfig(8, STAGES, 8, 8, 16, 24, 3, False, 15)])
    def test_all_three_kinds_of_file_give_the_same_network(self, tmp_path, config):
        net = tiny(config)
        state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        save_file(state, tmp_path / "net.safetensors")
        torch.save({"model": state, "iteration": 3}, tmp_path / "net.pth")
        pickled(tmp_path / "net.pkl", net)
        image = torch.rand(3, 32, 32) * 255
        net.least_score = 0.8
        wanted = net(image)
        for name in ("net.safetensors", "net.pth", "net.pkl"):
            assert all(torch.equal(a, b) for a, b in zip(load_public(tmp_path / name)(image), wanted))

    def test_another_network_is_told(self, tmp_path):
        save_file({"a.weight": torch.ones(2)}, tmp_path / "other.safetensors")
        with pytest.raises(ValueError, match=r"other.safetensors lacks .*R_50_FPN"):
            load_public(tmp_path / "other.safetensors")
        net = tiny()
        net.roi_heads.mask_head = torch.nn.Linear(2, 2)
        with pytest.raises(ValueError, match=r"more.pkl: .*2 are of another network.*mask_head"):
            load_public(pickled(tmp_path / "more.pkl", net))

    def test_sizes_that_do_not_fit_allocate_nothing(self, tmp_path):
        """A head of 2^20 channels, said by one small tensor, would take terabytes."""
        state = {name: tensor.clone() for name, tensor in tiny().state_dict().items()}
        state["roi_heads.densepose_head.body_conv_fcn1.weight"] = torch.zeros(1 << 20, 1, 1, 1)
        save_file(state, tmp_path / "wide.safetensors")
        with pytest.raises(ValueError, match=r"wide.safetensors: .*another shape"):
            load_public(tmp_path / "wide.safetensors")

    def test_widths_of_tensors_that_hold_nothing_are_a_sentence(self, tmp_path):
        state = {name: tensor.clone() for name, tensor in tiny().state_dict().items()}
        state["roi_heads.densepose_head.body_conv_fcn1.weight"] = torch.zeros(1 << 62, 0)
        save_file(state, tmp_path / "wide.safetensors")
        with pytest.raises(ValueError, match=r"wide.safetensors describes no network that can be made"):
            load_public(tmp_path / "wide.safetensors")


class TestPickles:
    @pytest.mark.parametrize("wild", [Wild(), os.system, np.load, np.ndarray, pickle.loads, eval])
    def test_what_is_no_array_is_refused_and_not_run(self, tmp_path, wild):
        path = tmp_path / "evil.pkl"
        path.write_bytes(pickle.dumps({"model": {"w": np.ones(3)}, "x": wild}))
        if wild is np.ndarray:  # the word alone is harmless, and makes nothing
            assert list(read_arrays(path)) == ["w"]
        else:
            with pytest.raises(ValueError, match="evil.pkl is refused"):
                read_arrays(path)
        assert not os.path.exists("/tmp/figura-was-here")

    @pytest.mark.parametrize(
        "program",
        [
            b"\x80\x02cnumpy\nndarray\n(I1000000\nI1000000\nttR.",  # an array of 8 TB
            b"\x80\x02}r\xff\xff\xff\xff.",  # a table of 4 billion places
            b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
            b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
            b"\x80\x04B\xff\xff\xff\x7f",  # 2 GB that are not there
            b"", b".", b"\x80", b"PK\x03\x04", b"\x80\x02K\x01.",
        ],
    )  # fmt: skip
    def test_hostile_programs_are_refused(self, tmp_path, program):
        (tmp_path / "x.pkl").write_bytes(program)
        with pytest.raises(ValueError, match="x.pkl"):
            read_arrays(tmp_path / "x.pkl")

    def test_the_same_bytes_under_many_names_are_refused(self, tmp_path):
        one = np.zeros(100_000, np.float32)
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({str(n): one for n in range(1000)}))
        with pytest.raises(ValueError, match=r"x.pkl is refused.*many times over"):
            read_arrays(tmp_path / "x.pkl")

    @pytest.mark.parametrize("name", ["__defaults__", "mark"])
    @pytest.mark.parametrize(
        "word", ["_codecs\nencode", "numpy\nndarray", "numpy\ndtype", "numpy.core.multiarray\n_reconstruct",
                 "numpy.core.numeric\n_frombuffer", "__builtin__\nbytes"]
    )  # fmt: skip
    def test_a_program_changes_nothing_for_the_next(self, tmp_path, word, name):
        """Its instruction BUILD sets attributes on what the reader gave, for which it would stay so."""

        def looks():
            inside = [each for each in vars(numpy_pickle).values() if callable(each)]
            inside += getattr(numpy_pickle, "KNOWN", {}).values()
            return [
                (each, getattr(each, "__defaults__", 0), *vars(each))
                for each in inside
                if hasattr(each, "__dict__")
            ]

        before = looks()
        state = b"}X" + len(name).to_bytes(4, "little") + name.encode() + b"K\x01\x85s"
        program = b"\x80\x02}X\x01\0\0\0wc" + word.encode() + b"\nN" + state + b"\x86bs."
        (tmp_path / "evil.pkl").write_bytes(program)
        with pytest.raises(ValueError, match=r"evil.pkl"):
            read_arrays(tmp_path / "evil.pkl")
        assert looks() == before
        (tmp_path / "good.pkl").write_bytes(pickle.dumps({"w": np.arange(3)}, 2))
        assert read_arrays(tmp_path / "good.pkl")["w"].tolist() == [0, 1, 2]

    def test_arrays_are_kept_exactly(self, tmp_path):
        made = {
            "half": np.arange(6, dtype=np.float16).reshape(2, 3),
            "big": np.arange(4, dtype=">f4"),
            "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            "count": np.array(7, np.int64),
            "none": np.zeros((0, 3), np.float32),
        }
        for protocol in range(6):
            (tmp_path / "x.pkl").write_bytes(pickle.dumps(made, protocol))
            found = read_arrays(tmp_path / "x.pkl")
            assert list(found) == list(made)
            for name, array in made.items():
                assert np.array_equal(found[name].numpy(), array) and found[name].shape == array.shape

    def test_a_shape_that_is_not_there_is_refused(self, tmp_path):
        made = pickle.dumps({"w": np.arange(4, dtype=np.float32)}, 2)
        assert b"K\x04\x85" in made
        (tmp_path / "x.pkl").write_bytes(made.replace(b"K\x04\x85", b"K\x64\x85"))
        with pytest.raises(ValueError, match=r"x.pkl is refused.*bytes for an array"):
            read_arrays(tmp_path / "x.pkl")

    def test_objects_are_refused(self, tmp_path):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": np.array([{}, 1], dtype=object)}))
        with pytest.raises(ValueError, match="x.pkl is refused"):
            read_arrays(tmp_path / "x.pkl")
