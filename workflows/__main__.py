"""`python -m figura.workflows` writes the workflow files again.

With `--pictures` it also draws the example pictures, with `--thumbnails` it runs every workflow for its
thumbnail; with `--node-pictures` it draws what each node is given and makes, for docs/nodes.md.
"""

import sys

from ..cli.console import say
from .files import write_all, write_images, write_thumbnails
from .node_images import write_node_images

options = sys.argv[1:]
written = write_all() + (write_images() if "--pictures" in options else [])
written += write_thumbnails() if "--thumbnails" in options else []
written += write_node_images() if "--node-pictures" in options else []
for path in written:
    say(str(path))
