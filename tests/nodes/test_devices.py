"""Every node that draws works on another device than the CPU, also when its networks come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.models.diffusion.in_turn import PlainPlacement
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.tests.fuzz import good_calls
from figura.tests.models.hands.tiny import tiny_hands
from figura.tests.models.phac.tiny import tiny_phac
from figura.tests.pretended_device import DEVICE, MixedDevices, pretended

DRAWING = sorted(
    node_id
    for node_id in NODE_CLASS_MAPPINGS
    if any(str(kind) in good_calls.MADE for kind, _, _ in good_calls.inputs_of(node_id).values())
)
SETTINGS = {"cfg": 2.0, "w_p": 2.0, "w_s": 3.0, "count": 2, "steps": 2}


def trained_attention(unet: Any) -> dict[str, torch.Tensor]:
    """As a trained file has it beside its ControlNet."""
    return {name: value * 1.5 for name, value in unet.state_dict().items() if ".attn2.to_" in name}


def phac() -> Any:
    model = tiny_phac()
    model.add_kind("pose", model.controlnets["pose"], trained_attention(model.unet))
    return model


def hands() -> Any:
    model = tiny_hands()
    model.body.attention = type(model.body.attention)(trained_attention(model.body.unet))
    return model


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of their own, trained attention among them: a test leaves them on the device."""
    for kind, make in (("FIGURA_PHAC", phac), ("FIGURA_HANDS", hands)):
        monkeypatch.setitem(good_calls.MADE, kind, make)
    good_calls.network.cache_clear()
    yield
    good_calls.network.cache_clear()


def drawn(node_id: str, host: PlainHost) -> list[torch.Tensor]:
    call = good_calls.good_call(node_id)
    call |= {name: value for name, value in SETTINGS.items() if name in call}
    node = NODE_CLASS_MAPPINGS[node_id]
    with use_host(host):
        made = getattr(node(), node.FUNCTION)(**call)
    outputs = made["result"] if isinstance(made, dict) else made
    return [value for value in outputs if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("free", [float("inf"), 0.0], ids=["much memory", "no memory"])
@pytest.mark.parametrize("node_id", DRAWING)
def test_it_draws_what_the_cpu_draws(
    node_id: str, free: float, networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = drawn(node_id, PlainHost(tmp_path, tmp_path, device="cpu"))
    good_calls.network.cache_clear()
    monkeypatch.setattr(PlainPlacement, "free", lambda self: free)
    host = PlainHost(tmp_path, tmp_path, device=str(DEVICE))
    with pretended():
        for _ in range(2):  # the second time the networks lie where the first left them
            for found, wanted in zip(drawn(node_id, host), expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_the_device_refuses_what_a_gpu_refuses() -> None:
    with pretended():
        there, here = torch.ones(3).to(DEVICE), torch.ones(3)
        assert (there + 1).device == DEVICE and torch.equal((there * torch.tensor(2.0)).cpu(), here * 2)
        assert there[torch.tensor([0, 2])].device == DEVICE
        for mixed in (lambda: there + here, lambda: here[there.long()], lambda: torch.cat([here, there])):
            with pytest.raises(MixedDevices):
                mixed()
        moved = torch.nn.Linear(3, 1).to(DEVICE)
        with pytest.raises(MixedDevices):
            moved(here)
        assert moved(there).cpu().shape == (1,)
