"""The layers of the public DensePose network against torchvision's, and against plain functions of torch."""

from collections import OrderedDict

import pytest
import torch
from figura.models.perception import densepose_rcnn
from figura.models.perception.densepose_rcnn import (
    AtrousPyramid,
    BodyHead,
    BoxHead,
    Decoder,
    DensePoseRCNN,
    ProposalHead,
    Pyramid,
    RCNNConfig,
)
from torch.nn import functional as F

STAGES = ((1, 8, 16), (2, 8, 24), (1, 8, 32), (1, 8, 40))
TINY = RCNNConfig(8, STAGES, 32, 32, 16, 32, 2, True, 2)
R_50 = RCNNConfig().stages
R_101 = (*R_50[:2], (23, 256, 1024), R_50[3])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("stages", "deeplab", "tensors", "numbers"),
    [
        (R_50, True, 355, 65_752_560),
        (R_101, True, 610, 84_796_912),
        (R_50, False, 331, 63_517_680),
        (R_101, False, 586, 82_562_032),
    ],
)
def test_each_published_network_has_its_tensors_and_numbers(stages, deeplab, tensors, numbers):
    with torch.device("meta"):
        state = DensePoseRCNN(RCNNConfig(stages=stages, deeplab=deeplab)).state_dict()
    assert len(state) == tensors and sum(each.numel() for each in state.values()) == numbers


def test_the_pyramid_is_torchvisions():
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    own = Pyramid(TINY).eval()
    other = FeaturePyramidNetwork([each[2] for each in STAGES], TINY.pyramid, LastLevelMaxPool())
    for index, level in enumerate((2, 3, 4, 5)):
        other.inner_blocks[index][0].load_state_dict(getattr(own, f"fpn_lateral{level}").state_dict())
        other.layer_blocks[index][0].load_state_dict(getattr(own, f"fpn_output{level}").state_dict())
    image = torch.randn(1, 3, 128, 192)
    found = own(image)
    wanted = other(OrderedDict((str(n), each) for n, each in enumerate(own.bottom_up(image))))
    assert len(found) == 5
    for mine, theirs in zip(found, wanted.values(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_proposal_head_is_torchvisions_place_by_place():
    from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers

    own, other = ProposalHead(16), RPNHead(16, densepose_rcnn.RATIOS)
    for mine, theirs in (
        (own.conv, other.conv[0][0]),
        (own.objectness_logits, other.cls_logits),
        (own.anchor_deltas, other.bbox_pred),
    ):
        torch.nn.init.normal_(mine.bias)
        theirs.load_state_dict(mine.state_dict())
    features = torch.randn(1, 16, 4, 6)
    logits, deltas = concat_box_prediction_layers(*other([features]))
    mine = own(features)
    torch.testing.assert_close(mine[0], logits.flatten())
    torch.testing.assert_close(mine[1], deltas)


def test_the_box_head_is_two_layers():
    own, x = BoxHead(TINY), torch.randn(3, 32, 7, 7)
    hidden = F.relu(F.linear(x.reshape(3, -1), own.fc1.weight, own.fc1.bias))
    torch.testing.assert_close(own(x), F.relu(F.linear(hidden, own.fc2.weight, own.fc2.bias)))


def test_the_decoder_sums_the_levels_at_a_quarter():
    """Each level is doubled as often as it is smaller, after a convolution; 1/4 has one and stays."""
    own = Decoder(TINY)
    maps = [torch.randn(1, 32, 32 // 2**n, 48 // 2**n) for n in range(5)]

    def step(x, layer):
        return F.relu(F.conv2d(x, layer.weight, layer.bias, padding=1))

    total = step(maps[0], own.p2[0])
    for x, layers in zip(maps[1:4], (own.p3, own.p4, own.p5)):
        for conv in [each for each in layers if isinstance(each, torch.nn.Conv2d)]:
            x = F.interpolate(step(x, conv), scale_factor=2, mode="bilinear", align_corners=False)
        total = total + x
    torch.testing.assert_close(own(maps), F.conv2d(total, own.predictor.weight, own.predictor.bias))


def normed(x, convolution, norm):
    for each in (norm.weight, norm.bias):
        torch.nn.init.normal_(each)
    return F.relu(F.group_norm(convolution(x), 32, norm.weight, norm.bias, 1e-5))


def test_the_deeplab_block_looks_at_the_published_spreads():
    own, x = AtrousPyramid(32), torch.randn(2, 32, 28, 28)
    convs = own.convs
    views = [normed(x, lambda y: F.conv2d(y, convs[0][0].weight), convs[0][1])]
    for spread, (conv, norm, _) in zip((6, 12, 56), convs[1:4], strict=True):
        padding = {"padding": spread, "dilation": spread}
        views.append(normed(x, lambda y, c=conv, p=padding: F.conv2d(y, c.weight, **p), norm))
    whole = x.mean(dim=(2, 3), keepdim=True)
    views.append(normed(whole, lambda y: F.conv2d(y, convs[4][1].weight), convs[4][2]).expand_as(x))
    wanted = F.relu(F.conv2d(torch.cat(views, dim=1), own.project[0].weight))
    torch.testing.assert_close(own(x), wanted)


@pytest.mark.parametrize("deeplab", [True, False])
def test_the_body_head_is_convolutions_with_relu(deeplab):
    own = BodyHead(RCNNConfig(8, STAGES, 32, 32, 16, 64, 3, deeplab))
    x = torch.randn(2, 32, 28, 28)
    wanted = own.ASPP(x) if deeplab else x
    for conv in (own.body_conv_fcn1, own.body_conv_fcn2, own.body_conv_fcn3):
        if deeplab:
            wanted = normed(wanted, lambda y, c=conv: F.conv2d(y, c.weight, padding=1), conv.norm)
        else:
            wanted = F.relu(F.conv2d(wanted, conv.weight, conv.bias, padding=1))
    assert hasattr(own, "ASPP") == deeplab
    torch.testing.assert_close(own(x), wanted)
