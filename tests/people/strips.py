"""How much crops and stitches hold at once."""

import pytest
from figura.people import crops


def sizes_of_strips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on strips are small, and what each holds, before and after it is resized, is noted."""
    sizes: list[int] = []
    resize = crops.F.interpolate

    def noted(strip, *args, **options):
        made = resize(strip, *args, **options)
        sizes.extend([strip.numel(), made.numel()])
        return made

    monkeypatch.setattr(crops, "AT_ONCE", 1 << 15)
    monkeypatch.setattr(crops.F, "interpolate", noted)
    return sizes
