"""The host outside ComfyUI."""

from pathlib import Path

import pytest
import torch
from figura.host import Cancelled
from figura.host.plain import PlainHost, default_models_dirs
from figura.models.diffusion.in_turn import PlainPlacement, network_bytes
from figura.models.store import MissingModelError
from figura.tests.pretended_device import DEVICE, pretended


def test_modules_are_given_back_on_the_device():
    module = torch.nn.Linear(2, 2)
    host = PlainHost(device="meta")
    with host.managed(module) as moved:
        assert moved.weight.device.type == "meta"
    with host.managed(module, torch.nn.ReLU()) as both:
        assert len(both) == 2


def test_a_cpu_computes_in_float32_and_a_gpu_in_half_for_large_networks():
    assert PlainHost(device="cpu").dtype(10**9) is torch.float32
    assert PlainHost(device="cuda").dtype(10**9) is torch.float16
    assert PlainHost(device="cuda").dtype(10**6) is torch.float32


def test_cancel_stops_the_next_step_until_resumed():
    host = PlainHost(device="cpu")
    bar = host.progress(2)
    host.cancel()
    with pytest.raises(Cancelled):
        bar.step(1)
    host.resume()
    bar.step(1)


def test_previews_are_made_only_when_wanted():
    made = []
    for wants in (False, True):
        host = PlainHost(device="cpu", report=lambda *step: None, wants_previews=wants)
        host.progress(1).step(1, lambda: made.append(1))
    assert made == [1]


def test_models_are_sought_beside_comfyui_and_at_home(tmp_path):
    inside = tmp_path / "ComfyUI" / "custom_nodes" / "Figura"
    assert default_models_dirs(inside) == [
        tmp_path / "ComfyUI" / "models",
        Path.home() / ".figura" / "models",
    ]
    assert default_models_dirs(tmp_path / "Figura") == [Path.home() / ".figura" / "models"]


def test_a_missing_model_names_the_folders(tmp_path):
    host = PlainHost(device="cpu", models_dir=tmp_path)
    with pytest.raises(MissingModelError, match=str(tmp_path / "sams")):
        host.find_model("sam", "sam_vit_b_01ec64.pth")


def test_networks_of_an_earlier_node_go_when_memory_is_short(monkeypatch):
    networks = [torch.nn.Linear(1000, 1000) for _ in range(2)]

    def on_the_device():
        return [next(network.parameters()).device == DEVICE for network in networks]

    monkeypatch.setattr(
        PlainPlacement, "free", lambda self: 6e6 - sum(on_the_device()) * network_bytes(networks[0])
    )
    with pretended():
        host = PlainHost(device=DEVICE)
        for number in (0, 1, 1, 0):
            with host.managed(networks[number]):
                assert on_the_device() == [number == 0, number == 1]
        networks[0].to("cpu")  # by somebody else
        with host.managed(networks[0]):
            assert on_the_device() == [True, False]
