"""The host inside ComfyUI, against stand-ins for the few functions of ComfyUI that it calls."""

import sys
import types

import pytest
import torch
from figura.host import chosen, get_host, images, use_host
from figura.host.comfy import ComfyHost, ComfyPlacement
from figura.host.plain import PlainHost
from figura.workflows.scene import HEIGHT, WIDTH
from PIL import Image


class Interrupted(Exception):
    pass


class FakeBar:
    def __init__(self, total, node_id=None):
        self.total, self.node_id, self.calls = total, node_id, []
        FakeBar.last = self

    def update_absolute(self, value, total=None, preview=None):
        self.calls.append((value, total, preview))


class FakePatcher:
    def __init__(self, model, load_device, offload_device):
        model.device = load_device
        self.model, self.load_device, self.offload_device = model, load_device, offload_device


@pytest.fixture
def comfyui(monkeypatch, tmp_path):
    """Puts stand-ins for ComfyUI's modules in place; gives what they recorded."""
    seen = types.SimpleNamespace(loaded=[], interrupted=False)
    names = (
        "comfy",
        "comfy.model_management",
        "comfy.model_patcher",
        "comfy.utils",
        "comfy.ops",
        "folder_paths",
    )
    modules = {name: types.ModuleType(name) for name in names}
    management, folders = modules["comfy.model_management"], modules["folder_paths"]

    def check_interrupt():
        if seen.interrupted:
            raise Interrupted

    management.get_torch_device = lambda: torch.device("cpu")
    management.unet_offload_device = lambda: torch.device("cpu")
    management.unet_dtype = lambda device, model_params: torch.float32
    management.VRAMState = types.SimpleNamespace(NO_VRAM=1, LOW_VRAM=2, NORMAL_VRAM=3, HIGH_VRAM=4)
    management.vram_state = management.VRAMState.NORMAL_VRAM
    management.should_use_fp16 = lambda device, model_params: False
    management.should_use_bf16 = lambda device: True
    management.throw_exception_if_processing_interrupted = check_interrupt
    management.load_models_gpu = lambda patchers, **options: seen.loaded.append((patchers, options))
    modules["comfy.model_patcher"].ModelPatcher = FakePatcher
    modules["comfy.utils"].ProgressBar = FakeBar
    modules["comfy.ops"].manual_cast = object()
    folders.models_dir = str(tmp_path / "models")
    folders.supported_pt_extensions = {".safetensors", ".pth"}
    folders.folder_names_and_paths = {"figura": (["/users/own"], {".x"}), "vae": (["/v"], set())}
    folders.get_folder_paths = lambda key: folders.folder_names_and_paths[key][0][:]
    folders.get_temp_directory = lambda: str(tmp_path / "temp")
    folders.get_input_directory = lambda: str(tmp_path / "in")
    folders.get_output_directory = lambda: str(tmp_path / "out")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    monkeypatch.setattr(chosen, "_made", {})
    seen.folders = folders
    return seen


class LikeDiffusers(torch.nn.Module):
    """Has a read-only `device`, as diffusers' modules do."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    @property
    def device(self):
        return self.layer.weight.device


def test_inside_comfyui_its_host_is_chosen(comfyui):
    assert isinstance(get_host(), ComfyHost)
    assert get_host() is get_host()


def test_outside_comfyui_the_plain_host_is_chosen():
    assert isinstance(get_host(), PlainHost)


def test_a_chosen_host_wins_inside_its_block_only(comfyui):
    plain = PlainHost(device="cpu")
    with use_host(plain):
        assert get_host() is plain
    assert isinstance(get_host(), ComfyHost)


def test_modules_used_together_are_loaded_whole_in_one_call(comfyui):
    first, second = LikeDiffusers(), LikeDiffusers()
    with ComfyHost().managed(first, second, memory=7) as (one, two):
        assert one is first and two is second
    ((patchers, options),) = comfyui.loaded
    assert [patcher.model.held for patcher in patchers] == [first, second]
    assert options == {"memory_required": 7, "force_full_load": True}


def test_a_module_keeps_its_patcher_so_comfyui_can_keep_it_loaded(comfyui):
    module, host = LikeDiffusers(), ComfyHost()
    for _ in range(2):
        with host.managed(module) as same:
            assert same is module
    (first, _), (second, _) = comfyui.loaded
    assert first[0] is second[0]
    assert list(module.state_dict()) == ["layer.weight", "layer.bias"]


def test_running_out_of_memory_passes_through(comfyui):
    def full(patchers, **options):
        raise torch.cuda.OutOfMemoryError("no memory")

    sys.modules["comfy.model_management"].load_models_gpu = full
    with pytest.raises(torch.cuda.OutOfMemoryError), ComfyHost().managed(LikeDiffusers()):
        pass


class CastingLinear(torch.nn.Linear):
    """As ComfyUI's own layers: it fetches its weights by itself."""

    comfy_cast_weights = True


@pytest.fixture
def card(comfyui, monkeypatch):
    """torch's "meta" in the place of a graphics card; tensors that come back from it hold zeros."""
    plain_to = torch.Tensor.to

    def to(tensor, *args, **kwargs):
        away = tensor.is_meta and any(str(each) == "cpu" for each in args)
        return torch.zeros(tensor.shape) if away else plain_to(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", to)
    management = sys.modules["comfy.model_management"]
    management.get_torch_device = lambda: torch.device("meta")
    return management


def test_with_novram_plain_layers_are_on_the_device_only_while_they_are_used(card, comfyui):
    """There ComfyUI's manager moves nothing, and its own layers fetch their weights."""
    card.vram_state = card.VRAMState.NO_VRAM
    module = torch.nn.Sequential(LikeDiffusers(), CastingLinear(2, 2), torch.nn.BatchNorm1d(2))
    with ComfyHost().managed(module):
        assert module[0].device.type == "meta" and module[2].running_mean.is_meta
        assert not module[1].weight.is_meta
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"cpu"}
    assert len(comfyui.loaded) == 1


def test_with_novram_networks_go_when_others_come_and_after_an_error(card):
    card.vram_state = card.VRAMState.NO_VRAM
    first, second = LikeDiffusers(), LikeDiffusers()
    placement = ComfyPlacement(0)
    placement.bring([first])
    placement.bring([second])
    assert first.device.type == "cpu" and second.device.type == "meta"
    with pytest.raises(Interrupted), ComfyHost().managed(first):
        raise Interrupted
    assert first.device.type == "cpu"


@pytest.mark.parametrize("state", ["LOW_VRAM", "NORMAL_VRAM", "HIGH_VRAM"])
def test_in_all_other_states_the_manager_alone_moves_and_is_asked_for_whole_networks(card, comfyui, state):
    """What --lowvram would load in part are layers of ComfyUI's own; ours would stay behind."""
    card.vram_state = getattr(card.VRAMState, state)
    card.unet_offload_device = lambda: torch.device("meta" if state == "HIGH_VRAM" else "cpu")
    module = LikeDiffusers()
    with ComfyHost().managed(module):
        assert module.device.type == "cpu"
    ((patchers, options),) = comfyui.loaded
    assert options["force_full_load"] is True
    assert patchers[0].load_device.type == "meta"
    assert patchers[0].offload_device == card.unet_offload_device()


@pytest.mark.parametrize("stored", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize(("half", "computed"), [(True, torch.float16), (False, torch.bfloat16)])
def test_with_fp8_networks_compute_in_half_precision(comfyui, stored, half, computed):
    management = sys.modules["comfy.model_management"]
    management.unet_dtype = lambda device, model_params: stored
    management.should_use_fp16 = lambda device, model_params: half
    assert ComfyHost().dtype(10) == computed


def test_folders_of_the_user_stay_and_ours_are_added(comfyui, tmp_path):
    host = ComfyHost()
    ComfyHost()
    assert [str(path) for path in host.model_folders("phac")] == [
        "/users/own",
        str(tmp_path / "models" / "figura"),
    ]
    assert [str(path) for path in host.model_folders("vae")] == ["/v"]
    assert host.model_folders("controlnet") == []
    assert comfyui.folders.folder_names_and_paths["figura"][1] == {".x", ".safetensors", ".pth"}
    assert comfyui.folders.folder_names_and_paths["vae"] == (["/v"], set())


def test_every_step_is_shown_and_previews_are_rare(comfyui):
    made = []
    bar = ComfyHost().progress(100, 5)
    for step in range(100):
        bar.step(step + 1, lambda: made.append(1) or Image.new("RGBA", (4, 4)))
    calls = FakeBar.last.calls
    assert [value for value, _, _ in calls] == list(range(1, 101))
    assert FakeBar.last.node_id == "5" and calls[0][2][0] == "JPEG" and calls[0][2][1].mode == "RGB"
    assert 1 <= len(made) <= 3


def test_an_interrupt_stops_the_next_step(comfyui):
    host = ComfyHost()
    bar = host.progress(3)
    bar.step(1)
    comfyui.interrupted = True
    with pytest.raises(Interrupted):
        bar.step(2)
    with pytest.raises(Interrupted):
        host.check_cancelled()


def test_the_throttle_lets_eight_a_second_through():
    from figura.host.throttle import Throttle

    now = [0.0]
    throttle = Throttle(8, clock=lambda: now[0])
    passed = 0
    for tick in range(1001):
        now[0] = tick / 1000
        passed += throttle.ready()
    assert passed == 9


def test_workflows_pictures_are_put_into_the_input_folder_and_never_over_others(comfyui, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "figura_hand.png").write_bytes(b"of the user")
    assert [path.name for path in images.offer_images()] == ["figura_photograph.png", "figura_scene.png"]
    assert (tmp_path / "in" / "figura_hand.png").read_bytes() == b"of the user"
    assert Image.open(tmp_path / "in" / "figura_scene.png").size == (WIDTH, HEIGHT)
    assert images.offer_images() == []


def test_a_link_that_leads_nowhere_stays_where_it_is(comfyui, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "figura_hand.png").symlink_to(tmp_path / "unplugged" / "hand.png")
    assert len(images.offer_images()) == 2
    assert (tmp_path / "in" / "figura_hand.png").is_symlink()


def test_an_input_folder_that_cannot_be_written_stops_nothing(comfyui, tmp_path, caplog):
    (tmp_path / "in").write_text("a file in the folder's place")
    assert images.offer_images() == []
    assert "could not be put into the input folder" in caplog.text


def test_outside_comfyui_no_pictures_are_copied(tmp_path):
    with use_host(PlainHost(tmp_path)):
        assert images.offer_images() == []
    assert not list(tmp_path.iterdir())
