"""Pictures for the point editor are what LoadImage gives, in a format that a page shows."""

import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from figura.host import use_host
from figura.host.editor_images import jpeg, read_image, show_first
from figura.host.plain import PlainHost
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

RED = (200, 40, 30)


def _save(folder, name: str, image: Image.Image, **options):
    path = folder / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tiff", "a.bmp", "a.gif", "a.ppm", "a.tga"])
def test_every_format_is_read_at_its_size(tmp_path, name):
    image = read_image(_save(tmp_path, name, Image.new("RGB", (40, 24), RED)))
    assert image.size == (40, 24) and image.mode == "RGB"
    assert np.abs(np.array(image)[12, 20].astype(int) - RED).max() < 12


def test_a_turned_photograph_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(_save(tmp_path, "turned.jpg", Image.new("RGB", (96, 64)), exif=exif)).size == (64, 96)


def test_transparent_deep_and_indexed_pictures_are_read_as_loadimage_does(tmp_path):
    see_through = Image.new("RGBA", (8, 8), (*RED, 0))
    assert read_image(_save(tmp_path, "alpha.png", see_through)).getpixel((4, 4)) == RED
    deep = Image.fromarray(np.full((8, 8), 128 * 255, np.int32))
    assert read_image(_save(tmp_path, "deep.tiff", deep)).getpixel((4, 4)) == (128, 128, 128)
    indexed = Image.new("RGB", (8, 8), RED).convert("P", palette=Image.Palette.ADAPTIVE)
    assert read_image(_save(tmp_path, "indexed.png", indexed)).size == (8, 8)


def test_of_an_animation_the_first_frame_is_shown(tmp_path):
    frames = [Image.new("RGB", (16, 8), colour) for colour in (RED, (0, 0, 0))]
    path = _save(tmp_path, "moving.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    assert read_image(path).getpixel((4, 4)) == RED


def _video(path):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as video:
        stream = video.add_stream("mpeg4", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in (200, *[20] * 9):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    return path


def test_of_a_video_the_first_frame_is_shown(tmp_path):
    image = read_image(_video(tmp_path / "a.mp4"))
    assert image.size == (64, 48) and abs(image.getpixel((30, 20))[0] - 200) < 12


@pytest.mark.parametrize("named", ["file://{video}", "{video}", "../{name}"])
def test_a_playlist_opens_no_other_file(tmp_path, named):
    video = _video(tmp_path / "secret.ts")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", named.format(video=video, name=video.name)]
    playlist = tmp_path / "input" / "a.m3u8"
    playlist.parent.mkdir()
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    with pytest.raises(ValueError, match=r"a\.m3u8 cannot be read"):
        read_image(playlist)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_picture_that_is_cut_off_is_read_as_far_as_it_goes_as_loadimage_does(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    path = _save(tmp_path, name, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-500])
    assert read_image(path).size == (80, 60) and not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_picture_with_very_long_texts_is_read(tmp_path):
    texts = PngInfo()
    texts.add_text("Raw profile type xmp", "x" * 2_000_000, zip=True)
    path = _save(tmp_path, "a.png", Image.new("RGB", (40, 24), RED), pnginfo=texts)
    assert read_image(path).getpixel((5, 5)) == RED


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_neither_is_refused_by_name(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png cannot be read"):
        read_image(tmp_path / "bad.png")


def test_a_picture_too_wide_to_be_shown_is_refused_by_its_size(tmp_path):
    with pytest.raises(ValueError, match="70000 x 2 pixels"):
        read_image(_save(tmp_path, "wide.png", Image.new("1", (70_000, 2))))


def test_what_the_page_gets_is_a_jpeg_of_the_same_size():
    made = Image.open(io.BytesIO(jpeg(Image.new("RGB", (33, 21), RED))))
    assert (made.format, made.size) == ("JPEG", (33, 21))


class TestShowFirst:
    def test_the_first_picture_lies_in_the_temp_folder(self, tmp_path):
        host = PlainHost(tmp_path, tmp_path, device="cpu")
        pixels = torch.stack([torch.full((3, 20, 30), 0.8), torch.zeros(3, 20, 30)])
        with use_host(host):
            (entry,) = show_first(pixels)
            (again,) = show_first(pixels)
        assert entry == again and (entry["width"], entry["height"], entry["type"]) == (30, 20, "temp")
        shown = Image.open(host.temp_dir() / entry["filename"])
        assert shown.size == (30, 20) and abs(shown.getpixel((5, 5))[0] - 204) < 4

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_values_that_are_no_colours_are_shown_all_the_same(self, tmp_path, channels):
        with use_host(PlainHost(tmp_path, tmp_path, device="cpu")):
            pixels = torch.tensor([float("nan"), -1.0, 7.0, 0.5]).view(1, 1, 2, 2).expand(1, channels, 2, 2)
            assert show_first(pixels)[0]["width"] == 2

    def test_a_picture_that_no_jpeg_can_hold_is_not_shown(self, tmp_path, caplog):
        with use_host(PlainHost(tmp_path, tmp_path, device="cpu")):
            assert show_first(torch.zeros(1, 3, 2, 70_000)) == []
        assert "70000 x 2 pixels" in caplog.text

    def test_a_temp_folder_that_takes_no_files_does_not_fail_the_node(self, tmp_path, monkeypatch, caplog):
        host = PlainHost(tmp_path, tmp_path, device="cpu")
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setattr(host, "temp_dir", lambda: tmp_path / "file" / "temp")
        with use_host(host):
            assert show_first(torch.zeros(1, 3, 8, 8)) == []
        assert "cannot be shown in the points editor" in caplog.text
