"""The nodes' door: what is brought to one form, what is refused and how, and what passes as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from figura.host import Cancelled
from figura.nodes import guard
from figura.nodes.guard import checked_input, guarded

RANGE = {"min": 0, "max": 9}


class Probe:
    """Gives back what its function was called with."""

    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"image": ("IMAGE",), "steps": ("INT", RANGE)},
            "optional": {"mask": ("MASK",), "mode": (["a", "b"],), "amount": ("FLOAT", RANGE)},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def run(
        self,
        image: Any,
        steps: int = 3,
        mask: Any = None,
        mode: str = "a",
        amount: float = 1.0,
        unique_id: Any = None,
    ) -> dict[str, Any]:
        if steps == 9:
            raise self.error
        return {
            "image": image,
            "steps": steps,
            "mask": mask,
            "mode": mode,
            "amount": amount,
            "unique_id": unique_id,
        }

    error: BaseException = KeyError("a mistake of ours")


PROBE = guarded(Probe, "Probe")
PICTURE = torch.rand(1, 4, 6, 3)


def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return PROBE().run(*args, **kwargs)


def test_pictures_and_masks_come_in_one_form() -> None:
    given = run(PICTURE[0].to(torch.float16), mask=torch.rand(2, 1, 4, 6).to(torch.float8_e4m3fn))
    assert given["image"].shape == (1, 4, 6, 3) and given["image"].dtype == torch.float32
    assert given["mask"].shape == (2, 4, 6) and given["mask"].dtype == torch.float32
    for shape in ((4, 6), (1, 4, 6, 1), (1, 1, 4, 6)):
        assert run(PICTURE, mask=torch.rand(shape))["mask"].shape == (1, 4, 6)


def test_what_is_right_already_is_not_copied() -> None:
    assert run(PICTURE)["image"].data_ptr() == PICTURE.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_tensors_of_other_devices_come_to_one() -> None:
    given = run(PICTURE.cuda(), mask=torch.rand(1, 4, 6))  # as with --gpu-only
    assert given["image"].device == given["mask"].device == torch.device("cpu")


def test_optional_none_is_as_good_as_not_connected_and_hidden_inputs_pass() -> None:
    given = run(PICTURE, None, None, mode=None, amount=None, unique_id="7")
    assert (given["steps"], given["mask"], given["mode"], given["amount"]) == (3, None, "a", 1.0)
    assert given["unique_id"] == "7"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image": None}, "Probe: image is missing"),
        ({"image": "x"}, "Probe: image must be an IMAGE .* got str"),
        ({"image": torch.rand(1, 4, 0, 3)}, r"Probe: image is empty: its shape is \(1, 4, 0, 3\)"),
        ({"image": PICTURE.to_sparse()}, "Probe: image is a sparse"),
        ({"image": PICTURE.to("meta")}, "Probe: image has a shape but no values"),
        ({"image": PICTURE.to(torch.complex64)}, "Probe: image holds complex64"),
        ({"image": torch.zeros(1, 4, 6, 3, dtype=torch.uint8)}, "Probe: image holds whole numbers.*Divide"),
        ({"image": torch.zeros(1).expand(1, 2**15, 2**15, 3)}, "Probe: image has 1074 million pixels"),
        ({"image": PICTURE * float("nan")}, "Probe: image holds NaN"),
        ({"mask": PICTURE}, "Probe: mask has shape .*Is an IMAGE connected"),
        ({"steps": 10}, "Probe: steps is 10; 0 to 9 is accepted"),
        ({"steps": 10**400}, "Probe: steps is a whole number of 401 digits"),
        ({"steps": 10**5000}, "Probe: steps is a whole number of 5001 digits"),
        ({"steps": float("nan")}, "Probe: steps is nan"),
        ({"steps": 2.5}, "Probe: steps must be a whole number"),
        ({"steps": "3"}, "Probe: steps must be a whole number; got '3'"),
        ({"amount": 1e300}, r"Probe: amount is 1e\+300; 0 to 9 is accepted"),
        ({"amount": 1j}, "Probe: amount is|Probe: amount must be a number"),
        ({"mode": "c"}, "Probe: mode is 'c'; it is one of a, b"),
        ({"mode": "c" * 5000}, "Probe: mode is a text of 5000 characters"),
        ({"mode": PICTURE}, "Probe: mode must be one of a, b; got Tensor"),
        ({"other": 3}, "Probe: .*'other'"),
    ],
)
def test_what_is_wrong_is_said_with_the_node_and_the_input(change: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        run(**{"image": PICTURE, **change})


@pytest.mark.parametrize(
    "error", [KeyError("bug"), torch.cuda.OutOfMemoryError("memory"), Cancelled("stop"), KeyboardInterrupt()]
)
def test_errors_from_inside_come_through_as_themselves(error: BaseException) -> None:
    Probe.error = error
    with pytest.raises(type(error)) as caught:
        run(PICTURE, 9)
    assert caught.value is error


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("FIGURA_SAM", torch.nn.Identity()),
        ("FIGURA_PHAC", "phac"),
        ("VAE", 3),
        ("VAE", torch.nn.Identity()),
        ("VAE", "a text"),
        ("VAE", b"bytes"),
        ("CONDITIONING", []),
        ("CONDITIONING", [[1, 2]]),
        ("FIGURA_PROMPT", [None]),
        ("FIGURA_CROP", {"a": 1}),
        ("FIGURA_DENSEPOSE", PICTURE),
        ("POSE_KEYPOINT", PICTURE),
        ("BOUNDING_BOX", torch.rand(4, device="meta")),
        ("STRING", b"bytes"),
        ("STRING", "\ud800"),
        ("STRING", "x" * 2**23),
        ("BOOLEAN", "yes"),
        ("BOOLEAN", 2),
    ],
)
def test_wrong_objects_are_refused_by_name(kind: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="some_input"):
        checked_input(value, "some_input", kind, {})


def test_of_several_wrong_inputs_the_first_is_said() -> None:
    with pytest.raises(ValueError, match="Probe: steps"):
        run(PICTURE, steps=10, mode="c", amount=1e300, mask=PICTURE)


def test_an_error_of_a_kind_of_its_own_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def undecodable(value: Any, name: str, options: Any) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setitem(guard.CHECKS, "INT", undecodable)
    with pytest.raises(ValueError, match="Probe: .*invalid start byte"):
        run(PICTURE, 3)


@pytest.mark.parametrize("value", [True, False, np.bool_(True), np.bool_(False), 1, 0.0])
def test_flags_of_numpy_are_flags(value: Any) -> None:
    assert checked_input(value, "flag", "BOOLEAN", {}) is bool(value)


def test_every_node_of_the_pack_stands_behind_the_door() -> None:
    from figura.nodes import NODE_CLASS_MAPPINGS

    for node_id, node_class in NODE_CLASS_MAPPINGS.items():
        assert hasattr(getattr(node_class, node_class.FUNCTION), "__wrapped__"), node_id
