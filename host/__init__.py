"""The only code that knows ComfyUI exists, its plain-PyTorch stand-in, the headless runner, the CLI.

Nodes use it through `get_host()`; nothing else in the pack imports it.
"""

from .interface import Cancelled, Host, Progress, get_host, use_host

__all__ = ["Cancelled", "Host", "Progress", "get_host", "use_host"]
