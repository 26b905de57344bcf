"""The pack as ComfyUI and as Python see it."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "people.synthetic",
    "models.diffusion",
    "models.perception",
    "models.phac",
    "models.hands",
    "models.cfld",
    "models.humansd",
    "models.pocold",
    "training.recipes",
    "host",
)

LOAD_AS_COMFYUI_DOES = """
import importlib.util, sys, types
sys.modules["nodes"] = types.ModuleType("nodes")     # ComfyUI has modules of these names
sys.modules["models"] = types.ModuleType("models")
name = "/opt/ComfyUI/custom_nodes/some-folder_x_name"   # a path, dots replaced
spec = importlib.util.spec_from_file_location(name, {init!r}, submodule_search_locations=[{root!r}])
pack = importlib.util.module_from_spec(spec)
sys.modules[name] = pack
spec.loader.exec_module(pack)
assert hasattr(pack, "NODE_CLASS_MAPPINGS") and hasattr(pack, "NODE_DISPLAY_NAME_MAPPINGS")
assert not hasattr(pack, "comfy_entrypoint")
assert all(c.__module__.startswith(name) for c in pack.NODE_CLASS_MAPPINGS.values())
assert "figura" not in sys.modules
print(len(pack.NODE_CLASS_MAPPINGS), pack.WEB_DIRECTORY)
"""


def run_python(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loads_under_any_module_name_beside_comfyuis_own_nodes_and_models(tmp_path):
    code = LOAD_AS_COMFYUI_DOES.format(init=str(ROOT / "__init__.py"), root=str(ROOT))
    assert run_python(code, tmp_path).endswith("./web\n")


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_importable_as_figura(room):
    __import__(f"figura.{room}")


def test_importing_the_pack_alone_does_not_import_torch(tmp_path):
    conftest = ROOT / "tests" / "conftest.py"
    code = f"import runpy, sys; runpy.run_path({str(conftest)!r}); sys.exit('torch' in sys.modules)"
    run_python(code, tmp_path)


def test_the_nodes_load_nothing_heavy_before_one_runs(tmp_path):
    conftest = ROOT / "tests" / "conftest.py"
    code = (
        f"import runpy, sys; runpy.run_path({str(conftest)!r}); import figura; figura.NODE_CLASS_MAPPINGS; "
        "heavy = {'diffusers', 'transformers', 'torchvision', 'scipy', 'ray'}; "
        "sys.exit(', '.join(heavy & {*sys.modules}) or 0)"
    )
    run_python(code, tmp_path)


def test_every_node_has_a_title_and_a_prefixed_id():
    import figura

    assert set(figura.NODE_CLASS_MAPPINGS) == set(figura.NODE_DISPLAY_NAME_MAPPINGS)
    assert all(node_id.startswith("Figura") for node_id in figura.NODE_CLASS_MAPPINGS)


def test_only_extension_files_end_in_js():
    extensions = [path.name for path in (ROOT / "web").rglob("*.js")]
    assert "figura.js" in extensions
    for name in extensions:
        assert 'registerExtension({ name: "figura.' in (ROOT / "web" / name).read_text(encoding="utf-8")


def test_an_unknown_attribute_is_an_attribute_error():
    import figura

    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = figura.no_such_thing


def test_every_node_is_found_by_the_words_people_use():
    import figura

    nodes = figura.NODE_CLASS_MAPPINGS
    words = {word for node in nodes.values() for word in node.SEARCH_ALIASES}
    asked = {"amodal", "openpose", "skeleton", "keypoint", "pose transfer", "hand fix", "inpaint person"}
    assert asked <= words
    for node_id, node in nodes.items():
        assert node.SEARCH_ALIASES and all(word == word.lower() for word in node.SEARCH_ALIASES), node_id


def test_the_manager_gets_a_picture_and_classifiers_that_the_registry_knows():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    comfy = project["tool"]["comfy"]
    for key in ("Icon", "Banner"):
        assert (ROOT / "docs" / comfy[key].rpartition("/docs/")[2]).is_file()
    with Image.open(ROOT / "docs" / "banner.jpg") as banner:
        assert banner.width * 9 == banner.height * 21
    environments = {word for word in project["project"]["classifiers"] if word.startswith("Environment ::")}
    assert environments == {"Environment :: GPU :: NVIDIA CUDA"}
