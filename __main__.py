"""`python -m figura` is the command `figura`."""

from .cli.main import main

raise SystemExit(main())
