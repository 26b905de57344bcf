"""Lists the sub-packages under the import name `figura`; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = ("cli", "headless", "host", "models", "nodes", "people", "training", "workflows")


def figura_packages() -> list[str]:
    """Package names of all rooms, prefixed with the import name that the root is mapped onto."""
    rooms = [pattern for room in ROOMS for pattern in (room, f"{room}.*")]
    return ["figura", *(f"figura.{name}" for name in find_packages(".", include=rooms))]


setup(packages=figura_packages())
