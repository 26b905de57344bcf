"""`python -m figura.workflows` writes the workflow files again.

With `--pictures` it also draws the example picture and runs every workflow for its thumbnail.
"""

import sys

from ..cli.console import say
from .files import write_all, write_pictures

written = write_all() + (write_pictures() if "--pictures" in sys.argv[1:] else [])
for path in written:
    say(str(path))
