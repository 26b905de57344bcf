"""`python -m figura` is the command `figura`."""

from .host.cli import main

raise SystemExit(main())
