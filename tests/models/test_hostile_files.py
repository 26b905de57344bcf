"""Weights files as a stranger would send them: each ends in a sentence with its name, in little memory."""

import io
import json
import pickle
import resource
import struct
import threading
import zipfile

import pytest
import torch
from figura.models import store
from figura.models.convert import convert, read_pickle
from figura.models.diffusion.checkpoint import built, config_to_metadata, load_file, read_safetensors
from figura.models.diffusion.networks import load_unet, load_vae
from figura.models.diffusion.text import load_text_encoder
from figura.models.perception.densepose import FILE_KIND, DensePoseConfig, DensePoseNet, load_densepose_net
from figura.models.perception.pose import load_pose_detector
from figura.models.perception.sam_networks import load_sam
from figura.models.phac.amodal_mask import load_amodal_mask
from figura.models.phac.checkpoint import load_mask_net
from figura.models.pocold.checkpoint import load_networks
from safetensors.torch import save_file
from torch.nn.modules.module import register_module_parameter_registration_hook

SMALL = DensePoseConfig(32, (8, 8, 16, 16), 1)


@pytest.fixture(autouse=True)
def little_memory():
    """No case may take half a GiB more than it found."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024


def with_metadata(path, text, tensors=None):
    save_file(tensors or {"x": torch.zeros(1)}, path, metadata={"figura": text})
    return path


def itself():
    held: dict = {}
    held["state_dict"] = held
    return held


def ring():
    held: dict = {"w": torch.ones(1)}
    held["more"] = held
    return held


def doubled(depth):
    held: dict = {"w": torch.ones(1)}
    for _ in range(depth):
        held = {"a": held, "b": held}
    return held


def deep(depth):
    held: dict = {"w": torch.ones(1)}
    for _ in range(depth):
        held = {"a": held}
    return held


class TestPickles:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize(
        ("made", "said"),
        [
            (itself, "holds itself"),
            (ring, "nested without end"),
            (lambda: doubled(16), "nested without end"),
            (lambda: deep(200), "nested without end"),
            (lambda: {str(n): 1 for n in range(40_000)}, "nested without end"),
            (lambda: {"w": torch.zeros(1).expand(50_000, 50_000)}, "spreads few numbers"),
            (lambda: {"w": torch.zeros(9).as_strided((3, 9), (0, 1))}, "spreads few numbers"),
            (lambda: dict.fromkeys(map(str, range(3000)), torch.zeros(100_000)), "many times over"),
            (lambda: {"w": torch.eye(3).to_sparse()}, "no plain tensor"),
            (lambda: {"w": torch.empty(10, device="meta")}, "no plain tensor"),
            (lambda: {"w": torch.zeros(3, dtype=torch.complex64)}, "no plain tensor"),
            (lambda: [1, 2], "no tensors"),
        ],
    )  # fmt: skip
    def test_what_they_hold_is_bounded(self, tmp_path, made, said, zipped):
        path = tmp_path / "strange.pth"
        try:
            torch.save(made(), path, _use_new_zipfile_serialization=zipped)
        except RecursionError:
            pytest.skip("nobody can write this")
        with pytest.raises(ValueError, match=f"(?s)strange.pth.*({said})"):
            read_pickle(path)
        with pytest.raises(ValueError, match="strange.pth"):
            convert(path)
        assert [each.name for each in tmp_path.iterdir()] == ["strange.pth"]

    @pytest.mark.parametrize("said", ["storage", "shape"])
    def test_sizes_that_are_only_said_are_not_believed(self, tmp_path, said):
        """4 GB of a file of 2 KB."""
        old = {"storage": b"M\x90\x01t", "shape": b"M\x90\x01\x85"}[said]
        torch.save({"w": torch.arange(400.0)}, tmp_path / "good.pth")
        with zipfile.ZipFile(tmp_path / "good.pth") as good, zipfile.ZipFile(tmp_path / "x.pth", "w") as bad:
            for entry in good.infolist():
                bad.writestr(entry.filename, good.read(entry).replace(old, b"J\x00\xca\x9a\x3b" + old[-1:]))
        with pytest.raises(ValueError, match="x.pth is truncated or no checkpoint"):
            read_pickle(tmp_path / "x.pth")

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize(
        "program",
        [
            b"c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\xc0\x00\x85R",
            b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\xc0\x00\x85R",
            b"ctorch.storage\nUntypedStorage\nJ\x00\x00\x00\x60\x85R",
            b"ctorch.storage\nUntypedStorage\nq\x010h\x01J\x00\x00\x00\x60\x85R",
            b"ctorch.storage\nUntypedStorage\nq\x01]q\x02h\x01J\x00\x00\x00\x60\x85R",
            b"ctorch\nTensor\nJ\x00\x00\x00\x60\x85R",
            b"ctorch._tensor\n_rebuild_from_type_v2\n(NN)tR",
            b"ctorch\nFloatTensor\nJ\x00\x00\x00\x60\x85R",
        ],
    )  # fmt: skip
    def test_words_that_take_memory_are_refused_before_they_are_run(
        self, tmp_path, program, zipped, monkeypatch
    ):
        """3 GB of twenty bytes, in either format, by itself or as the second of two words."""
        monkeypatch.setattr(torch, "load", None)
        path, whole = tmp_path / "x.pth", b"\x80\x02}X\x01\x00\x00\x00w" + program + b"s."
        if zipped:
            torch.save({"w": torch.ones(3)}, tmp_path / "good.pth")
            with zipfile.ZipFile(tmp_path / "good.pth") as good, zipfile.ZipFile(path, "w") as bad:
                for entry in good.infolist():
                    content = whole if entry.filename.endswith("data.pkl") else good.read(entry)
                    bad.writestr(entry.filename, content)
        else:
            head = io.BytesIO()
            torch.save({"w": torch.ones(3)}, head, _use_new_zipfile_serialization=False)
            head.seek(0)
            for _ in range(3):
                pickle.load(head)
            path.write_bytes(head.getvalue()[: head.tell()] + whole + b"\x80\x02].")
        with pytest.raises(ValueError, match=r"x.pth is refused.*GLOBAL"):
            read_pickle(path)

    def test_an_archive_behind_a_pickle_hides_nothing(self, tmp_path):
        """Archives are told by their ends by some, by their beginnings by torch."""
        torch.save({"w": torch.ones(3)}, tmp_path / "good.pth")
        evil = b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\xc0\x00\x85R."
        (tmp_path / "x.pth").write_bytes(evil + (tmp_path / "good.pth").read_bytes())
        with pytest.raises(ValueError, match=r"x.pth is refused.*GLOBAL __builtin__.bytearray"):
            read_pickle(tmp_path / "x.pth")

    def test_what_was_read_does_not_hang_on_the_file(self, tmp_path):
        """A file that is written over, or gone, would end a process that has it mapped."""
        torch.save({"w": torch.arange(400_000.0)}, tmp_path / "x.pth")
        found = read_pickle(tmp_path / "x.pth")
        (tmp_path / "x.pth").write_bytes(b"")
        assert torch.equal(found["w"], torch.arange(400_000.0))

    def test_packed_archives_are_not_unpacked(self, tmp_path):
        """A file of 10 MB that would be 10 GB; here a thousandth of it."""
        torch.save({"w": torch.zeros(4_000_000)}, tmp_path / "good.pth")
        with zipfile.ZipFile(tmp_path / "good.pth") as good:
            with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as bad:
                for entry in good.infolist():
                    bad.writestr(entry.filename, good.read(entry))
        with pytest.raises(ValueError, match="x.pth .*would unpack to"):
            read_pickle(tmp_path / "x.pth")

    def test_tied_weights_and_parts_of_one_storage_are_read(self, tmp_path):
        whole = torch.arange(12.0)
        torch.save(
            {"a": whole, "tied": whole, "part": whole[3:6], "turned": whole.view(3, 4).T}, tmp_path / "x.pth"
        )
        found = read_pickle(tmp_path / "x.pth")
        assert torch.equal(found["turned"], whole.view(3, 4).T) and torch.equal(found["part"], whole[3:6])
        assert found["a"].data_ptr() != found["tied"].data_ptr()

    def test_fp8_is_read(self, tmp_path):
        torch.save({"w": torch.ones(3).to(torch.float8_e4m3fn)}, tmp_path / "x.pth")
        assert read_pickle(tmp_path / "x.pth")["w"].float().tolist() == [1.0] * 3


METADATA = {
    "brackets": "[" * 100_000,
    "objects": '{"a":' * 100_000,
    "many digits": '{"kind": "sam", "config": {}, "seed": ' + "9" * 5000 + "}",
    "too long": '{"kind": "sam", "config": {}, "x": "' + "x" * (5 << 20) + '"}',
    "a list": "[]",
    "no kind": '{"config": {}}',
    "kind of objects": '{"kind": {"a": 1}, "config": {}}',
    "config a list": '{"kind": "sam", "config": []}',
    "empty": "",
    "nul": "\0",
}


class TestMetadata:
    @pytest.mark.parametrize("text", METADATA.values(), ids=METADATA.keys())
    def test_it_is_bounded_and_hides_no_other_file(self, tmp_path, text):
        with_metadata(tmp_path / "bad.safetensors", text)
        with_metadata(tmp_path / "good.safetensors", '{"kind": "sam", "config": {}}')
        for kind in store.file_kinds():
            names = store.find(kind, [tmp_path])
            assert ("good.safetensors" in names) == (kind == "sam")
        with pytest.raises(ValueError, match="bad.safetensors"):
            load_file(tmp_path / "bad.safetensors")

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 200_000) + b'{"a":' * 40_000,
         struct.pack("<Q", 100_000) + b"[" * 100_000, b"\x80\x02.", b"PK\x03\x04"],
    )  # fmt: skip
    def test_damaged_files_hide_no_other(self, tmp_path, content):
        (tmp_path / "bad.safetensors").write_bytes(content)
        save_file({"x": torch.zeros(1)}, tmp_path / "good.safetensors")
        assert "good.safetensors" in store.find("sam", [tmp_path])
        with pytest.raises(ValueError, match="bad.safetensors"):
            load_file(tmp_path / "bad.safetensors")

    @pytest.mark.parametrize(
        "config",
        [
            {"channels": [4096, 4096, 4096, 4096]},  # 16 GB of weights
            {"channels": [1 << 40, 8, 8, 8]},
            {"blocks": 1 << 40},
            {"blocks": 300},
            {"blocks": -1},
            {"channels": [0, 0, 0, 0]},
            {"channels": ["a", 8, 16, 16]},
            {"channels": [8.5, 8, 16, 16]},
            {"channels": 3},
            {"channels": None},
            {"blocks": float("nan")},
            {"blocks": {"a": [1]}},
        ],
    )
    def test_sizes_are_held_against_the_tensors_before_memory_is_taken(self, tmp_path, config):
        tensors = {name: tensor.half() for name, tensor in DensePoseNet(SMALL).state_dict().items()}
        text = json.dumps({"kind": FILE_KIND, "config": config_to_metadata(SMALL) | config})
        path = with_metadata(tmp_path / "strange.safetensors", text, tensors)
        with pytest.raises(ValueError, match="strange.safetensors"):
            load_densepose_net(path)

    @pytest.mark.parametrize(
        ("load", "kind", "config"),
        [
            (load_vae, "vae", {"block_out_channels": [4096] * 2}),
            (load_unet, "unet", {"block_out_channels": [4096] * 4}),
            (load_unet, "unet", {"sample_size": "x", "block_out_channels": ["a"]}),
            (load_text_encoder, "text", {"words": ["a"] * 5, "length": 10**9}),
            (load_text_encoder, "text", {}),
            (load_pose_detector, "pose_detector", {"channels": [4096] * 4}),
            (load_sam, "sam", {"embed_dim": 4096, "depth": 100}),
            (load_amodal_mask, "amodal_mask", {"channels": [4096] * 4, "size": 4096}),
            (load_mask_net, "invisible_mask", {"base": 4096, "levels": 4}),
            (load_mask_net, "invisible_mask", {"levels": 400}),
            (load_mask_net, "invisible_mask", {"widths": [8, 1 << 40]}),
            (load_mask_net, "invisible_mask", {"widths": ["a", None]}),
            (load_mask_net, "invisible_mask", {"widths": "thin"}),
            (load_mask_net, "invisible_mask", {"widths": []}),
            (load_sam, "sam", {"fine_width": 12, "fine_blocks": 1 << 40}),
            (load_networks, "pocold", {"channels": [4096] * 4}),
        ],
    )
    def test_every_loader_asks_the_tensors_first(self, tmp_path, load, kind, config):
        path = with_metadata(tmp_path / "strange.safetensors", json.dumps({"kind": kind, "config": config}))
        with pytest.raises(ValueError, match="strange.safetensors"):
            load(path)

    @pytest.mark.parametrize(
        ("load", "kind", "config"),
        [
            (load_vae, "vae", {"layers_per_block": 300}),
            (load_unet, "unet", {"layers_per_block": 100}),
            (load_sam, "sam", {"depth": 400}),
            (load_networks, "pocold", {"layers": 400}),
            (load_densepose_net, FILE_KIND, {"blocks": 400}),
        ],
    )
    def test_depths_are_followed_no_further_than_the_tensors(self, tmp_path, load, kind, config):
        """A depth is a number in a file of 400 bytes; each layer takes time and memory of its own."""
        made = []
        text = json.dumps({"kind": kind, "config": config})
        path = with_metadata(tmp_path / "deep.safetensors", text)
        handle = register_module_parameter_registration_hook(lambda *_: made.append(1))
        try:
            with pytest.raises(ValueError, match="deep.safetensors"):
                load(path)
        finally:
            handle.remove()
        assert len(made) < 400

    def test_sides_of_tensors_that_hold_nothing_do_not_count(self, tmp_path):
        text = json.dumps({"kind": "sam", "config": {"depth": 1 << 40}})
        path = with_metadata(tmp_path / "x.safetensors", text, {"x": torch.zeros(1 << 50, 0)})
        with pytest.raises(ValueError, match="x.safetensors describes a network with 1099511627776"):
            load_sam(path)

    def test_networks_are_made_beside_each_other(self, tmp_path):
        """What another thread makes is not counted."""

        def deep():
            return torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(300)))

        def network():
            thread = threading.Thread(target=deep)
            thread.start()
            thread.join()
            return torch.nn.Linear(1, 1)

        tensors = torch.nn.Linear(1, 1).state_dict()
        assert torch.equal(built(network, tensors, "x").weight, tensors["weight"])
        with pytest.raises(ValueError, match="x describes no network .*more than 204 tensors"):
            built(deep, tensors, "x")


class TestTypes:
    @pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float64"])
    def test_every_usual_type_is_read(self, tmp_path, kind):
        """Small whole numbers are the same in all of them."""
        torch.manual_seed(0)
        net = DensePoseNet(SMALL)
        tensors = {name: torch.randint(-2, 3, each.shape).float() for name, each in net.state_dict().items()}
        text = json.dumps({"kind": FILE_KIND, "config": config_to_metadata(SMALL)})
        stored = {name: each.to(getattr(torch, kind)) for name, each in tensors.items()}
        loaded = load_densepose_net(with_metadata(tmp_path / "x.safetensors", text, stored))
        assert all(torch.equal(each, tensors[name]) for name, each in loaded.state_dict().items())

    def test_other_types_are_a_sentence(self, tmp_path):
        save_file({"w": torch.zeros(3, dtype=torch.complex64)}, tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match=r"'w' in .*x.safetensors has numbers of type complex64"):
            read_safetensors(tmp_path / "x.safetensors")

    def test_a_sam_of_a_stranger_is_read_by_the_same_rules(self, tmp_path):
        for name in ("x.pth", "x.PTH"):
            (tmp_path / name).write_bytes(pickle.dumps({"w": print}))
            with pytest.raises(ValueError, match=rf"{name} is refused") as caught:
                load_sam(tmp_path / name)
            assert "weights_only" not in str(caught.value)
