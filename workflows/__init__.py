"""The shipped workflows, each described once, here in Python; the JSON files beside it are written from it.

`python -m figura.workflows` writes them all again: *.json as ComfyUI's page saves it, api/*.json as its
server takes it. Only *.json and *.jpg directly in this folder are templates to ComfyUI.
"""

from .files import FLOWS, all_flows, files_of

__all__ = ["FLOWS", "all_flows", "files_of"]
