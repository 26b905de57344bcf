"""Stock nodes behave as ComfyUI's."""

import errno
import json

import numpy as np
import pytest
import torch
from figura.headless import saving
from figura.headless.runner import NodeError, Runner
from figura.headless.saving import next_number, save_pngs
from figura.headless.stock_nodes import (
    STOCK_NODES,
    LoadImage,
    LoadImageMask,
    SaveImage,
)
from figura.host import use_host
from figura.host.plain import PlainHost
from PIL import Image
from PIL.PngImagePlugin import PngInfo


@pytest.fixture
def host(tmp_path):
    (tmp_path / "in").mkdir()
    host = PlainHost(tmp_path / "in", tmp_path / "out", device="cpu")
    with use_host(host):
        yield host


def picture(host, name="a.png", mode="RGB", size=(5, 3), **save):
    channels = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2}[mode]
    values = np.arange(size[0] * size[1] * channels, dtype=np.uint8).reshape(size[1], size[0], channels)
    Image.fromarray(values.squeeze() if channels == 1 else values, mode).save(host.input_dir() / name, **save)
    return values


def test_a_picture_without_alpha_gives_a_64_by_64_zero_mask(host):
    values = picture(host)
    image, mask = LoadImage().load_image("a.png")
    assert torch.equal(image, torch.from_numpy(values.astype(np.float32) / 255)[None])
    assert mask.shape == (1, 64, 64) and not mask.any()


def test_alpha_becomes_one_minus_alpha(host):
    values = picture(host, mode="RGBA")
    image, mask = LoadImage().load_image("a.png")
    assert image.shape == (1, 3, 5, 3)
    assert torch.allclose(mask[0], 1 - torch.from_numpy(values[..., 3].astype(np.float32) / 255))


def test_a_palette_with_transparency_has_a_mask(host):
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putdata([0, 1])
    palette.save(host.input_dir() / "p.png", transparency=1)
    _, mask = LoadImage().load_image("p.png")
    assert mask.tolist() == [[[0.0, 1.0]]]


def test_exif_orientation_turns_the_picture(host):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = picture(host, "a.png", exif=exif)
    clockwise = np.rot90(values, -1).astype(np.float32) / 255
    assert torch.equal(LoadImage().load_image("a.png")[0], torch.from_numpy(clockwise)[None])


def test_every_frame_of_the_same_size_is_loaded(host):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    frames[0].save(host.input_dir() / "a.gif", save_all=True, append_images=frames[1:])
    image, mask = LoadImage().load_image("a.gif")
    assert image.shape[0] == mask.shape[0] == 3


def test_sixteen_bit_grey_is_scaled(host):
    Image.fromarray(np.full((2, 2), 255 * 200, np.int32), "I").save(host.input_dir() / "i.tiff")
    image, _ = LoadImage().load_image("i.tiff")
    assert torch.allclose(image, torch.tensor(200 / 255))
    Image.fromarray(np.full((2, 2), 257 * 200, np.uint16)).save(host.input_dir() / "i16.png")
    image, _ = LoadImage().load_image("i16.png")
    assert torch.allclose(image, torch.tensor(200 / 255))


@pytest.mark.parametrize(("channel", "index"), [("red", 0), ("green", 1), ("blue", 2), ("alpha", 3)])
def test_load_image_mask_takes_one_channel(host, channel, index):
    values = picture(host, mode="RGBA")
    (mask,) = LoadImageMask().load_image("a.png", channel)
    wanted = torch.from_numpy(values[..., index].astype(np.float32) / 255)[None]
    assert torch.allclose(mask, 1 - wanted if channel == "alpha" else wanted)


def test_a_changed_file_is_noticed(host):
    picture(host)
    runner = Runner(host, STOCK_NODES)
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    runner.run(graph)
    assert runner.run(graph).executed == []
    picture(host, size=(4, 4))
    assert runner.run(graph).executed == ["1", "2"]


def test_a_missing_file_is_told_before_anything_runs(host):
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    with pytest.raises(ValueError, match=r"node 1 \(LoadImage\), input 'image': no image file 'gone.png'"):
        Runner(host, STOCK_NODES).run(graph)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_file_that_is_no_image_is_a_clear_error(host, content):
    (host.input_dir() / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match="bad.png cannot be read as an image"):
        LoadImage().load_image("bad.png")


def test_a_picture_that_is_cut_off_is_read_as_far_as_it_goes_as_in_comfyui(host):
    path = host.input_dir() / "cut.jpg"
    Image.effect_noise((64, 64), 90).save(path, quality=95)
    whole, _ = LoadImage().load_image("cut.jpg")
    path.write_bytes(path.read_bytes()[:-1000])
    cut, _ = LoadImage().load_image("cut.jpg")
    assert cut.shape == whole.shape
    assert torch.equal(cut[:, :8], whole[:, :8]) and not torch.equal(cut[:, -8:], whole[:, -8:])


def test_a_picture_with_very_long_texts_is_read(host):
    texts = PngInfo()
    texts.add_text("Raw profile type xmp", "x" * 2_000_000, zip=True)
    Image.new("RGB", (40, 24), (255, 0, 0)).save(host.input_dir() / "long.png", pnginfo=texts)
    images, _ = LoadImage().load_image("long.png")
    assert images.shape == (1, 24, 40, 3)


def test_saved_pictures_count_on_and_carry_the_graph(host):
    images = torch.rand(2, 3, 5, 3)
    SaveImage().save_images(images, "sub/x", {"1": {"class_type": "A"}}, {"workflow": {"w": 1}})
    ui = SaveImage().save_images(images[:1], "sub/x")["ui"]["images"]
    assert ui == [{"filename": "x_00003_.png", "subfolder": "sub", "type": "output"}]
    with Image.open(host.output_dir() / "sub" / "x_00001_.png") as saved:
        assert json.loads(saved.text["prompt"]) == {"1": {"class_type": "A"}}
        assert json.loads(saved.text["workflow"]) == {"w": 1}
        assert np.array_equal(np.array(saved), (255 * images[0].numpy()).astype(np.uint8))


def test_values_outside_0_to_1_are_clipped(host):
    SaveImage().save_images(torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 1, 1, 3), "x")
    with Image.open(host.output_dir() / "x_00001_.png") as saved:
        assert saved.getpixel((0, 0)) == (0, 127, 255)


@pytest.mark.parametrize(
    ("names", "number"),
    [([], 1), (["x_00007_.png"], 8), (["x_00002_.png", "x_bad.png", "xy_00099_.png", "x_00003_.jpg"], 4)],
)
def test_numbers_follow_the_highest_of_the_same_prefix(tmp_path, names, number):
    for name in names:
        (tmp_path / name).touch()
    assert next_number(tmp_path, "x") == number


def test_two_runs_that_count_at_once_replace_no_picture_of_each_other(host, monkeypatch):
    monkeypatch.setattr(saving, "next_number", lambda *asked: 1)  # both looked before either wrote
    first, second = (
        save_pngs(torch.full((2, 3, 5, 3), value), host.output_dir(), "sub/x", {}, 1) for value in (0.2, 0.8)
    )
    assert [each["filename"] for each in first] == ["x_00001_.png", "x_00002_.png"]
    assert [each["filename"] for each in second] == ["x_00003_.png", "x_00004_.png"]
    for saved, value in ((first, 51), (second, 204)):
        for each in saved:
            with Image.open(host.output_dir() / "sub" / each["filename"]) as image:
                assert image.getpixel((0, 0)) == (value, value, value)


def test_prefix_variables_are_filled(host):
    (saved,) = save_pngs(torch.zeros(1, 3, 5, 3), host.output_dir(), "p_%width%x%height%_%batch_num%", {}, 1)
    assert saved["filename"] == "p_5x3_0_00001_.png"


@pytest.mark.parametrize(
    "stem", ["\u590f\u3000\u306e\u4eba", "a\u00a0b", "\U0001f469\u200d\U0001f9b0", "\u4eba" * 66]
)
def test_prefixes_of_all_scripts_are_taken(host, stem):
    (saved,) = save_pngs(torch.zeros(1, 3, 5, 3), host.output_dir(), stem, {}, 1)
    assert saved["filename"] == f"{stem}_00001_.png" and (host.output_dir() / saved["filename"]).is_file()


@pytest.mark.parametrize("stem", ["a\0b", "a\x1b[31m", "a\nb", "\ud800", "\u4eba" * 67, "x" * 201])
def test_prefixes_that_no_file_can_have_are_refused(host, stem):
    with pytest.raises(ValueError, match="'filename_prefix' is .*at most 200 bytes"):
        save_pngs(torch.zeros(1, 3, 5, 3), host.output_dir(), stem, {}, 1)


def test_a_picture_too_large_to_be_opened_is_told_its_size(host, tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(host.input_dir() / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(ValueError, match=r"large.png cannot be read.*16 pixels"):
        STOCK_NODES["LoadImage"]().load_image("large.png")


def test_a_name_that_no_file_can_have_is_no_file(host):
    assert "no image file" in STOCK_NODES["LoadImage"].VALIDATE_INPUTS("x" * 300)


@pytest.mark.parametrize("prefix", ["../out_of_it", "/tmp/elsewhere", "a/../../b"])
def test_a_prefix_cannot_leave_the_output_folder(host, prefix):
    with pytest.raises(ValueError, match="leads out of the folder"):
        SaveImage().save_images(torch.zeros(1, 2, 2, 3), prefix)


def test_a_linked_folder_takes_pictures_as_in_comfyui(host, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    host.output_dir().mkdir(exist_ok=True)
    (host.output_dir() / "linked").symlink_to(tmp_path / "elsewhere")
    SaveImage().save_images(torch.zeros(1, 2, 2, 3), "linked/x")
    assert (tmp_path / "elsewhere" / "x_00001_.png").is_file()


def test_a_full_disk_is_told_and_leaves_no_half_file(host, monkeypatch):
    def half_then_full(self, place, **options):
        with open(place, "wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half_then_full)
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
        "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    with pytest.raises(NodeError, match=r"node 3 \(SaveImage\).*disk is full"):
        Runner(host, STOCK_NODES).run(graph)
    assert list(host.output_dir().iterdir()) == []


def test_mask_nodes_compute_as_named(host):
    mask = torch.rand(2, 3, 4)
    call = {name: getattr(STOCK_NODES[name](), STOCK_NODES[name].FUNCTION) for name in STOCK_NODES}
    assert torch.equal(call["InvertMask"](mask)[0], 1 - mask)
    assert call["MaskToImage"](mask)[0].shape == (2, 3, 4, 3)
    assert torch.equal(call["ImageToMask"](call["MaskToImage"](mask)[0], "green")[0], mask)
    assert torch.equal(call["ThresholdMask"](mask, 0.5)[0], (mask > 0.5).float())
    assert torch.equal(call["ImageInvert"](mask)[0], 1 - mask)
    with pytest.raises(ValueError, match="no alpha"):
        call["ImageToMask"](torch.zeros(1, 2, 2, 3), "alpha")


def test_previews_go_to_the_temporary_folder(host):
    runner = Runner(host, STOCK_NODES)
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
        "2": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}},
    }
    result = runner.run(graph)
    (shown,) = result.ui["2"]["images"]
    assert shown["type"] == "temp" and (host.temp_dir() / shown["filename"]).is_file()
    assert result.files == []


@pytest.mark.parametrize("size", [(1, 1), (7000, 5000)])
def test_pictures_of_extreme_size_pass(host, size):
    Image.new("RGB", size, "red").save(host.input_dir() / "big.png", compress_level=1)
    assert LoadImage().load_image("big.png")[0].shape == (1, size[1], size[0], 3)


def test_a_linked_picture_is_loaded_as_in_comfyui(host, tmp_path):
    Image.new("RGB", (6, 4), "red").save(tmp_path / "elsewhere.png")
    (host.input_dir() / "link.png").symlink_to(tmp_path / "elsewhere.png")
    image, _ = LoadImage().load_image("link.png")
    assert image.shape == (1, 4, 6, 3) and image[0, 0, 0].tolist() == [1, 0, 0]
