"""The only code that knows ComfyUI exists, and its stand-in of plain PyTorch.

Nodes, headless runs, the command line and the workflows' writer stand on it; people, models and training do
not know it. interface: what a host offers; comfy, plain: the two there are; chosen: which one is at work.
routes and editor_data answer the point editor on ComfyUI's server.
"""

from .chosen import get_host, use_host
from .interface import Cancelled, Host, Progress

__all__ = ["Cancelled", "Host", "Progress", "get_host", "use_host"]
