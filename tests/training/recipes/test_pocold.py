"""The mini PoCoLD begins as the base text-to-image U-Net without its attention."""

import pytest
import torch
from figura.models.diffusion.networks import mini_unet
from figura.models.pocold.losses import MASS, MEAN
from figura.models.pocold.networks import VANILLA, PoCoLDConfig, PoCoLDNetworks
from figura.training.recipes import load_recipe
from figura.training.recipes.pocold import start_from_base


@pytest.mark.parametrize("attention", ["sparse", VANILLA])
def test_the_networks_begin_as_the_base_without_its_attention(
    attention: str, monkeypatch: pytest.MonkeyPatch
):
    torch.manual_seed(0)
    base, networks = mini_unet().eval(), PoCoLDNetworks(PoCoLDConfig(attention=attention)).eval()
    start_from_base(networks, base)
    for block in (*base.down_blocks, base.mid_block, *base.up_blocks):
        for module in getattr(block, "attentions", None) or ():
            monkeypatch.setattr(module, "forward", lambda hidden, **_: (hidden,))
    latents, t = torch.randn(2, 8, 16, 16), torch.tensor([10, 900])
    labels, source = torch.randint(0, 25, (2, 16, 16)), torch.randn(2, 8, 16, 16)
    with torch.no_grad():
        wanted = base(latents, t, torch.zeros(2, 1, 96)).sample
        for given in ((None, None), (labels, None), (labels, source)):
            torch.testing.assert_close(networks(latents, t, *given), wanted, atol=1e-4, rtol=1e-4)


def test_the_source_encoder_begins_with_the_bases_way_down():
    torch.manual_seed(0)
    base, networks = mini_unet(), PoCoLDNetworks()
    start_from_base(networks, base)
    for block, resnet in zip(base.down_blocks, networks.encoder.resnets, strict=True):
        assert torch.equal(resnet.conv1.weight, block.resnets[0].conv1.weight)
    assert torch.equal(networks.encoder.conv_in.weight, base.conv_in.weight)


def test_attention_learns_from_the_first_step():
    networks = PoCoLDNetworks()
    start_from_base(networks, mini_unet())
    latents, labels = torch.randn(2, 1, 8, 16, 16), torch.randint(0, 25, (1, 16, 16))
    networks(latents[0], torch.tensor([500]), labels, latents[1]).square().mean().backward()
    assert networks.unet.mid_attention.to_out.weight.grad.abs().max() > 0
    assert (
        networks.mapper.weight.grad is not None and networks.unet.conv_in.weight.grad[:, 8:].abs().max() > 0
    )


@pytest.mark.parametrize(
    ("name", "weight", "reduction"),
    [
        ("pocold", 1.0, MEAN), ("pocold_strong", 10.0, MEAN), ("pocold_mass", 0.2, MASS),
        ("pocold_sparse", 0.0, MEAN),
    ],
)  # fmt: skip
def test_at_full_size_the_comparisons_still_differ(name, weight, reduction):
    recipe = load_recipe(name)
    recipe.at_full_size()
    assert recipe.switches.penalty_weight == pytest.approx(weight) and recipe.switches.reduction == reduction
