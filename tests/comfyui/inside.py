"""For scripts that ComfyUI's Python runs in ComfyUI's checkout."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def enter(*flags: str) -> list[str]:
    """Make `comfy` and `figura` importable; gives the script's arguments. flags: of ComfyUI, beside --cpu."""
    given = sys.argv[1:]
    sys.path.insert(0, str(Path.cwd()))
    sys.argv[1:] = ["--cpu", *flags]

    import comfy.options

    comfy.options.enable_args_parsing()
    spec = importlib.util.spec_from_file_location(
        "figura", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["figura"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["figura"])
    return given
