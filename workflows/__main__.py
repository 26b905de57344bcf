"""`python -m figura.workflows`: write the workflow files and the example picture again."""

from ..host.console import say
from .files import write_all

for path in write_all():
    say(str(path))
