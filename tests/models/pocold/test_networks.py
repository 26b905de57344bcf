"""PoCoLD's networks: released sizes, shapes, what is called without a source."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion.checkpoint import config_from_metadata, config_to_metadata
from figura.models.diffusion.networks import parameter_count
from figura.models.pocold.attention import CrossAttention
from figura.models.pocold.losses import Constraint
from figura.models.pocold.networks import (
    PoCoLDConfig,
    PoCoLDModel,
    PoCoLDNetworks,
    released_config,
)
from figura.tests.models.diffusion import full_size
from figura.tests.models.pocold import tiny


@pytest.fixture(scope="module")
def released() -> PoCoLDNetworks:
    with torch.device("meta"):
        return PoCoLDNetworks(released_config())


def attentions(module: torch.nn.Module) -> list[CrossAttention]:
    return [part for part in module.modules() if isinstance(part, CrossAttention)]


class TestReleasedSize:
    def test_parameter_counts(self, released):
        assert parameter_count(released.unet) == 108_980_889
        assert parameter_count(released.encoder) == 14_923_904
        assert parameter_count(released.mapper) == 104

    def test_there_are_21_attention_modules_of_64_filters(self, released):
        found = attentions(released)
        assert len(found) == 21
        assert {len(module.distribution_filters) for module in found} == {64}

    def test_maps_of_the_source_for_64_x_48_latents(self, released):
        maps = released.encoder(torch.zeros(1, 4, 64, 48, device="meta"))
        shapes = [(128, 64, 48), (256, 32, 24), (512, 16, 12), (512, 8, 6)]
        assert [tuple(each.shape[1:]) for each in maps] == shapes

    def test_forward_at_64_x_48(self, released):
        inputs = torch.zeros(1, 4, 64, 48, device="meta")
        labels = torch.zeros(1, 64, 48, device="meta", dtype=torch.uint8)
        time = torch.zeros((), dtype=torch.long, device="meta")
        assert released(inputs, time, labels, None).shape == inputs.shape
        assert released(inputs, time, None, inputs).shape == inputs.shape


class TestMini:
    def test_it_is_mini(self):
        with torch.device("meta"):
            count = parameter_count(PoCoLDNetworks(PoCoLDConfig()))
        assert 3_000_000 < count < 4_000_000

    @pytest.mark.parametrize("attention", ["sparse", "vanilla"])
    def test_gradients_reach_everything_and_the_source_counts(self, attention):
        torch.manual_seed(0)
        networks = PoCoLDNetworks(tiny.tiny_config(attention))
        latents, source = torch.randn(2, 2, 4, 6, 4).unbind(0)
        labels = tiny.body_labels(2, 6, 4)
        made = networks(latents, torch.tensor([3, 900]), labels, source)
        assert made.shape == latents.shape
        made.square().mean().backward()
        assert all(parameter.grad is not None for parameter in networks.parameters())
        assert not torch.allclose(made, networks(latents, torch.tensor([3, 900]), labels, source.flip(0)))

    def test_without_source_no_attention_and_no_encoder_is_called(self):
        networks = PoCoLDNetworks(tiny.tiny_config())
        called: list[torch.nn.Module] = []
        for module in [*attentions(networks), networks.encoder]:
            module.register_forward_hook(lambda module, *_: called.append(module))
        latents = torch.randn(1, 4, 4, 4)
        networks(latents, torch.tensor(5), None, None)
        assert called == []
        networks(latents, torch.tensor(5), None, latents)
        assert len(called) == len(attentions(networks)) + 1

    def test_no_pose_is_the_mappers_bias(self):
        networks = PoCoLDNetworks(tiny.tiny_config())
        mapped = networks.map_labels(None, torch.zeros(2, 4, 3, 5))
        assert torch.equal(mapped, networks.mapper.bias[None, :, None, None].expand(2, -1, 3, 5))

    def test_time_enters_as_in_diffusers_unets(self):
        from diffusers.models.embeddings import Timesteps

        unet, t = PoCoLDNetworks(tiny.tiny_config()).unet, torch.tensor([3, 900])
        expected = unet.time(Timesteps(8, flip_sin_to_cos=True, downscale_freq_shift=0)(t))
        torch.testing.assert_close(unet._embed(t, torch.zeros(2, 4, 4, 4)), expected)
        torch.testing.assert_close(unet._embed(t[1], torch.zeros(1, 4, 4, 4)), expected[1:])

    def test_sizes_that_do_not_halve_evenly(self):
        networks = PoCoLDNetworks(tiny.tiny_config())
        latents = torch.randn(1, 4, 5, 7)
        assert networks(latents, torch.tensor(5), None, torch.randn(1, 4, 3, 9)).shape == latents.shape

    def test_every_module_pays_the_penalty(self):
        networks = PoCoLDNetworks(tiny.tiny_config())
        latents = torch.randn(1, 4, 4, 4)
        labels = torch.randint(0, 3, (1, 4, 4))
        constraint = Constraint(labels, labels.flip(1))
        networks(latents, torch.tensor(5), labels, latents, constraint)
        assert len(constraint.penalties) == len(attentions(networks))
        constraint.total().backward()
        assert networks.unet.mid_attention.distribution_filters.grad.abs().sum() > 0


def test_configurations_survive_json():
    config = tiny.tiny_config("vanilla", "released")
    assert config_from_metadata(PoCoLDConfig, config_to_metadata(config)) == config


def test_an_autoencoder_of_other_latents_is_refused():
    with pytest.raises(ValueError, match="latents of 8 channels, but the VAE makes 4"):
        PoCoLDModel(tiny.tiny_vae(), PoCoLDNetworks(PoCoLDConfig()))


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="attention is 'dense'"):
        PoCoLDNetworks(tiny.tiny_config("dense"))


def test_large_pictures_are_coded_one_by_one_and_in_tiles_when_memory_runs_out(monkeypatch) -> None:
    torch.manual_seed(0)
    model = PoCoLDModel(full_size.vae(), PoCoLDNetworks(PoCoLDConfig(latent_channels=4))).eval()
    pictures = torch.rand(2, 3, 512, 512)
    encode, decode, seen = type(model.vae).encode, type(model.vae).decode, []

    def short_of_memory(work):
        def worked(vae, values):
            seen.append((len(values), vae.use_tiling))
            if not vae.use_tiling:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return work(vae, values)

        return worked

    with torch.no_grad():
        latents = model.encode(pictures)
        whole = model.decode(latents), model.sample_latents(pictures, [1, 2])
        monkeypatch.setattr(type(model.vae), "encode", short_of_memory(encode))
        monkeypatch.setattr(type(model.vae), "decode", short_of_memory(decode))
        tiled = model.decode(latents), model.sample_latents(pictures, [1, 2])
    assert seen == [(1, False), (1, True)] * 4
    for one, other in zip(whole, tiled, strict=True):
        assert one.shape == other.shape and (one - other).abs().mean() < 0.5 * one.std()
