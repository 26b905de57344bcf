"""U_iv: channels, sizes, parameter counts, gradients."""

from __future__ import annotations

import pytest
import torch
from figura.models.phac.networks import InvisibleMaskUNet
from figura.tests.models.phac import tiny as tiny_networks


def inputs(batch: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, height, width, generator=generator)
    other = torch.rand(batch, 3, height, width, generator=generator)
    mask = (torch.rand(batch, 1, height, width, generator=generator) > 0.5).float()
    return image, other, mask


def tiny() -> InvisibleMaskUNet:
    torch.manual_seed(0)
    return InvisibleMaskUNet(base=8, levels=3).eval()


@pytest.mark.parametrize(
    ("base", "low", "high"), [(32, 7.7e6, 7.9e6), (16, 1.9e6, 2.0e6), (8, 0.45e6, 0.55e6)]
)
def test_parameter_counts_are_those_of_the_reference(base: int, low: float, high: float) -> None:
    with torch.device("meta"):
        network = InvisibleMaskUNet(base=base)
    assert low < sum(p.numel() for p in network.parameters()) < high


def test_widths_that_are_given_are_each_levels_own_and_doubled_ones_are_no_other_network() -> None:
    own = InvisibleMaskUNet(widths=(16, 16, 24)).eval()
    assert [own.stem.conv2.out_channels, *(block.conv2.out_channels for block in own.down)] == [16, 16, 24]
    assert own.config == {"base": 16, "levels": 3, "size": 256, "widths": [16, 16, 24]}
    again = InvisibleMaskUNet(**own.config).eval()
    again.load_state_dict(own.state_dict())
    with torch.no_grad():
        assert torch.equal(again(*inputs(1, 16, 24)), own(*inputs(1, 16, 24)))
    assert InvisibleMaskUNet(widths=(8, 16, 32)).config == tiny().config


def test_takes_seven_channels() -> None:
    assert tiny().stem.conv1.in_channels == 7


def test_a_network_that_sees_prompts_takes_ten_and_withholds_one_that_is_not_given() -> None:
    torch.manual_seed(0)
    network = InvisibleMaskUNet(base=8, levels=3, prompt=True).eval()
    assert network.stem.conv1.in_channels == 10 and network.sees_prompt and not tiny().sees_prompt
    assert network.config == {**tiny().config, "prompt": True}
    pictures, prompt = inputs(1, 16, 16), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        given, black, none = (network(*pictures, each) for each in (prompt, torch.zeros_like(prompt), None))
    assert torch.equal(black, none) and not torch.allclose(given, none, atol=1e-4)


def test_a_guess_that_is_withheld_says_half_of_every_pixel() -> None:
    torch.manual_seed(0)
    network = InvisibleMaskUNet(base=8, levels=2, prompt=True, guess=True).eval()
    assert network.stem.conv1.in_channels == 11
    pictures = [torch.rand(1, channels, 16, 16) for channels in (3, 3, 1, 3)]
    half = torch.full((1, 1, 16, 16), 0.5)
    assert torch.equal(network(*pictures), network(*pictures, half))
    assert network.config["guess"] and "guess" not in InvisibleMaskUNet(base=8, levels=2).config


def test_a_guess_stands_unless_the_pictures_speak_against_it() -> None:
    """A network whose own logits are 0 gives the guess back, but never surer than 0.999."""
    torch.manual_seed(0)
    network = InvisibleMaskUNet(base=8, levels=2, guess=True).eval()
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    pictures, guess = inputs(2, 16, 16), torch.rand(2, 1, 16, 16)
    guess[0, 0, 0] = torch.arange(16) % 2
    torch.testing.assert_close(network(*pictures, None, guess).sigmoid(), guess.clamp(0.001, 0.999))
    torch.testing.assert_close(network(*pictures).sigmoid(), torch.full_like(guess, 0.5))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (17, 23), (4, 4), (1, 1), (16, 40)])
def test_logits_have_the_size_of_the_picture(height: int, width: int) -> None:
    with torch.no_grad():
        logits = tiny()(*inputs(2, height, width))
    assert logits.shape == (2, 1, height, width)
    assert torch.isfinite(logits).all()


def test_batch_equals_single() -> None:
    network = tiny()
    with torch.no_grad():
        batch = network(*inputs(3, 16, 16))
        single = network(*(x[1:2] for x in inputs(3, 16, 16)))
    torch.testing.assert_close(batch[1:2], single, atol=1e-5, rtol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    network = tiny()
    network(*inputs(1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_layers_come_from_the_operations_that_were_given() -> None:
    class Conv(torch.nn.Conv2d):
        pass

    class Operations:
        Conv2d = Conv
        ConvTranspose2d = torch.nn.ConvTranspose2d
        GroupNorm = torch.nn.GroupNorm

    network = InvisibleMaskUNet(base=8, levels=2, operations=Operations)
    assert all(isinstance(m, Conv) for m in network.modules() if isinstance(m, torch.nn.Conv2d))


@pytest.mark.parametrize(("base", "levels"), [(12, 3), (0, 3), (8, 1)])
def test_impossible_sizes_are_refused(base: int, levels: int) -> None:
    with pytest.raises(ValueError, match="InvisibleMaskUNet"):
        InvisibleMaskUNet(base=base, levels=levels)


@pytest.mark.parametrize("widths", [(8,), (8, 12), (8, 0), ()])
def test_impossible_widths_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="InvisibleMaskUNet"):
        InvisibleMaskUNet(widths=widths)


def test_the_mask_channel_of_public_weights_holds_zeros_and_ones_alone() -> None:
    soft, hard = tiny_networks.tiny_refiner(), tiny_networks.tiny_refiner()
    hard.binary_mask = True
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 3:21, 8:30] = 1
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    covered, cells = (model.condition(image, mask) for model in (soft, hard))
    assert torch.equal(cells[:, 1:], covered[:, 1:]), "only the mask differs"
    assert torch.equal(cells[:, :1], mask[..., ::8, ::8]) and set(cells[0, 0].unique().tolist()) == {0.0, 1.0}
    assert len(covered[0, 0].unique()) > 2
