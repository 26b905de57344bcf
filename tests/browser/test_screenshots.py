"""Pictures of the page are put together in the workflows' order, under their titles; none is made up."""

import logging
from pathlib import Path

import pytest
from figura.tests.browser.screenshots import ALONE, COLUMNS, DIALOG, GAP, LINE, TILE_PX, sheet, taken, written
from figura.workflows import all_flows
from PIL import Image

TITLES = {flow.name: flow.title for flow in all_flows()}


def shoot(shots: Path, name: str, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (192, 108), colour).save(shots / f"{name}.png")


def test_each_picture_has_its_place(tmp_path: Path) -> None:
    colours = {name: (10 * number + 10, 200, 0) for number, name in enumerate(list(TITLES)[: COLUMNS + 1])}
    for name, colour in colours.items():
        shoot(tmp_path, f"{name}-nodes2-opens", colour)
    page = sheet(taken(tmp_path, "opens", TITLES))
    for number, colour in enumerate(colours.values()):
        left = GAP + number % COLUMNS * (TILE_PX[0] + GAP)
        top = GAP + number // COLUMNS * (TILE_PX[1] + LINE + GAP) + LINE
        assert page.getpixel((left + TILE_PX[0] // 2, top + TILE_PX[1] // 2)) == colour


def test_what_no_test_took_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FileNotFoundError, match=f"{ALONE[0]}.png.*FIGURA_SCREENSHOTS"):
        written(tmp_path, tmp_path / "docs")
    with caplog.at_level(logging.WARNING):
        assert taken(tmp_path, "ran", TITLES) == {}
    assert all(name in caplog.text for name in TITLES)


def test_all_are_written(tmp_path: Path) -> None:
    for name in [f"{name}-nodes2-{what}" for name in TITLES for what in ("opens", "ran")] + [*ALONE, DIALOG]:
        shoot(tmp_path, name, (1, 2, 3))
    names = {path.name for path in written(tmp_path, tmp_path / "docs")}
    assert names == {
        "workflows-open.jpg", "workflows-ran.jpg", "phac_pose-nodes2-ran.jpg", "phac_photo-ran.jpg",
        "templates.jpg",
    }  # fmt: skip
