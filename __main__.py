"""The command `figura`: as `python -m figura`, or `python figura` in the folder that holds the pack."""

import sys
from importlib import import_module
from pathlib import Path

if __package__:
    from .cli.main import main
else:
    # Python was given the folder, not the package. The one of ComfyUI for Windows knows no other way: it does
    # not look for packages in the working folder.
    pack = Path(__file__).absolute().parent
    sys.path[0] = str(pack.parent)
    main = import_module(f"{pack.name}.cli.main").main

raise SystemExit(main())
