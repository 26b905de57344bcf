"""The pictures that workflows start from, in the input folder, where ComfyUI's server looks for them."""

from __future__ import annotations

import logging
import shutil
from functools import partial
from pathlib import Path

from ..models.files import write_new
from .chosen import get_host, inside_comfyui

log = logging.getLogger(__name__)
SHIPPED_IMAGES = Path(__file__).resolve().parent.parent / "web" / "pictures"


def offer_images() -> list[Path]:
    """Copy those that ComfyUI's input folder lacks; gives the new files, none outside ComfyUI.

    What stands under their names stays, a link that leads nowhere, too.
    """
    if not inside_comfyui():
        return []
    folder, new = get_host().input_dir(), []
    try:
        for image in sorted(SHIPPED_IMAGES.glob("*.png")):
            if write_new(folder / image.name, partial(shutil.copyfile, image)):
                new.append(folder / image.name)
    except OSError as error:
        log.warning("Figura: the example pictures could not be put into the input folder: %s", error)
    return new
