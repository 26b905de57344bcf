"""The table of model files: finding, missing, verifying, fetching."""

import hashlib
import shutil

import pytest
import torch
from figura.models import fetch, store
from safetensors.torch import save_file

SMALL = store.ModelFile(
    "small.bin",
    "sam",
    "a test",
    5,
    "MIT",
    "https://page",
    hashlib.sha256(b"hello").hexdigest(),
    "r/p",
    "sub/small.bin",
)  # noqa: E501


def test_every_entry_of_the_table_is_complete():
    files = store.known_files()
    assert len({file.name for file in files}) == len(files) > 5
    for file in files:
        assert file.file_kind in store.file_kinds() and file.folder
        assert file.size > 0 and file.licence and file.use and file.page.startswith("https://")
        assert len(file.sha256) in (0, 64) and (file.path or not file.repo)


def test_every_shipped_file_is_in_the_table():
    known = {path for kind in store.file_kinds() for path in store.mini_files(kind)}
    assert set(store.MINI_DIR.glob("*.safetensors")) <= known


def test_all_that_is_shipped_stays_below_forty_four_mebibytes():
    assert sum(path.stat().st_size for path in store.MINI_DIR.parent.rglob("*.safetensors")) < 44 * 2**20


def test_the_networks_of_perception_have_five_megabytes_together() -> None:
    names = ("pose_detector", "hand_detector", "sam", "densepose", "complete_pose")
    assert sum((store.MINI_DIR / f"{name}.safetensors").stat().st_size for name in names) <= 5_000_000


def test_mini_comes_first_and_files_follow_by_name(tmp_path):
    (tmp_path / "b").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "b" / "Z.safetensors")
    (tmp_path / "a.pth").touch()
    (tmp_path / "readme.txt").touch()
    assert store.find("sam", [tmp_path, tmp_path / "missing"]) == ["mini", "a.pth", "b/Z.safetensors"]


def test_kinds_without_a_mini_model_offer_only_files(tmp_path):
    assert store.find("controlnet", [tmp_path]) == []


def test_files_of_this_pack_are_offered_only_for_their_own_kind(tmp_path):
    meta = {"figura": '{"kind": "phac", "config": {}}'}
    save_file({"x": torch.zeros(1)}, tmp_path / "own.safetensors", metadata=meta)
    assert "own.safetensors" in store.find("phac", [tmp_path])
    assert "own.safetensors" not in store.find("sam", [tmp_path])


def test_a_file_is_opened_once_and_again_when_it_is_another(tmp_path, monkeypatch):
    from figura.models.diffusion import checkpoint

    save_file({"w": torch.zeros(3)}, tmp_path / "other.safetensors")
    shutil.copy(store.MINI_DIR / "hands.safetensors", tmp_path / "own.safetensors")
    opened = []
    may_be_own = checkpoint.may_be_own
    monkeypatch.setattr(checkpoint, "may_be_own", lambda path: opened.append(path) or may_be_own(path))
    for _ in range(3):
        assert store.find("checkpoint", [tmp_path]) == ["other.safetensors"]
    assert len(opened) == 2
    save_file({"figura": torch.zeros(4)}, tmp_path / "own.safetensors")
    assert store.find("checkpoint", [tmp_path]) == ["other.safetensors", "own.safetensors"]
    assert len(opened) == 3


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x10" + bytes(7) + b'{"figura": 1}'])
def test_damaged_files_are_offered_and_told_when_they_are_loaded(tmp_path, content):
    (tmp_path / "cut.safetensors").write_bytes(content)
    assert store.find("checkpoint", [tmp_path]) == ["cut.safetensors"]


def test_a_found_file_is_located(tmp_path):
    (tmp_path / "a.pth").touch()
    assert store.locate("sam", "a.pth", ["/nowhere", tmp_path]) == tmp_path / "a.pth"


def test_links_to_files_and_to_folders_are_listed_and_located(tmp_path):
    elsewhere, models = tmp_path / "disk", tmp_path / "models"
    (elsewhere / "deep").mkdir(parents=True)
    models.mkdir()
    save_file({"x": torch.zeros(1)}, elsewhere / "deep" / "Large.SFT")
    (elsewhere / "b.pth").touch()
    (models / "file.pth").symlink_to(elsewhere / "b.pth")
    (models / "folder").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "back").symlink_to(models, target_is_directory=True)
    (models / "broken.pth").symlink_to(tmp_path / "gone.pth")
    names = ["file.pth", "folder/b.pth", "folder/deep/Large.SFT"]
    assert store.find("sam", [models]) == ["mini", *names]
    for name in names:
        assert store.locate("sam", name, [models]).is_file()


@pytest.mark.parametrize("ending", ["safetensors", "SAFETENSORS", "sft", "SFT", "pth", "PTH", "ckpt", "Bin"])
def test_every_ending_is_offered_and_located_in_any_case(tmp_path, ending):
    name = f"model.{ending}"
    if ending.lower() in ("safetensors", "sft"):
        save_file({"x": torch.zeros(1)}, tmp_path / name)
    else:
        torch.save({"x": torch.zeros(1)}, tmp_path / name)
    assert name in store.find("sam", [tmp_path]) and store.locate("sam", name, [tmp_path]).is_file()


def test_names_cannot_leave_the_folder(tmp_path):
    (tmp_path / "secret.pth").touch()
    (tmp_path / "models").mkdir()
    with pytest.raises(store.MissingModelError):
        store.locate("sam", "../secret.pth", [tmp_path / "models"])


def test_a_missing_known_file_says_all_about_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        store.locate("sam", "sam_vit_b_01ec64.pth", [tmp_path, "/other"])
    for word in (
        "sam_vit_b_01ec64.pth",
        "357.7 MiB",
        "Apache-2.0",
        "github.com",
        str(tmp_path),
        "/other",
        "models get",
    ):
        assert word in str(caught.value)


def test_a_missing_unknown_file_names_the_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no sam file 'x.pth' in {tmp_path}"):
        store.locate("sam", "x.pth", [tmp_path])


@pytest.mark.parametrize(
    "name", ["\xe4" * 200 + ".pth", "x" * 5000, "a/" * 3000 + "b.pth", "a\0b.pth", "\ud800.pth"]
)
def test_a_name_that_no_disk_can_hold_is_missing_in_a_short_sentence(tmp_path, name):
    with pytest.raises(store.MissingModelError, match="no sam file") as caught:
        store.locate("sam", name, [tmp_path])
    assert len(str(caught.value)) < 400


def test_mini_is_one_folder_and_lacks_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MINI_DIR", tmp_path)
    with pytest.raises(store.MissingModelError, match=r"lacks sam\.safetensors .*train sam.* data/weights$"):
        store.locate("sam", "mini", [])
    with pytest.raises(store.MissingModelError, match="figura train vae, .*figura train refiner\\) and copy"):
        store.locate("refiner", "mini", [])
    (tmp_path / "sam.safetensors").touch()
    assert store.locate("sam", "mini", []) == tmp_path


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown kind of model 'x'; known are sam"):
        store.folder_keys("x")


@pytest.mark.parametrize(
    ("size", "text"), [(5, "5 B"), (1536, "1.5 KiB"), (375042383, "357.7 MiB"), (1 << 41, "2048.0 GiB")]
)
def test_sizes_are_readable(size, text):
    assert store.human_size(size) == text


def downloader(content):
    def download(file, staging):
        (staging / "sub").mkdir(exist_ok=True)
        (staging / "sub" / "small.bin").write_bytes(content)
        return staging / "sub" / "small.bin"

    return download


def test_a_fetched_file_is_checked_and_put_in_place(tmp_path):
    assert fetch.get(SMALL, tmp_path, downloader(b"hello")) == tmp_path / "small.bin"
    assert [path.name for path in tmp_path.iterdir()] == ["small.bin"]


def test_a_wrong_download_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="sha256"):
        fetch.get(SMALL, tmp_path, downloader(b"jello"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_interrupted_download_stays_for_the_next_try(tmp_path):
    def interrupted(file, staging):
        (staging / "half.incomplete").write_bytes(b"he")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.get(SMALL, tmp_path, interrupted)
    assert list(tmp_path.rglob("half.incomplete"))
    seen = []
    fetch.get(
        SMALL,
        tmp_path,
        lambda file, staging: seen.extend(staging.iterdir()) or downloader(b"hello")(file, staging),
    )
    assert "half.incomplete" in [path.name for path in seen]


def test_no_room_is_told_before_the_download(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1))
    with pytest.raises(OSError, match=r"small.bin needs 5 B, but .* has 1 B free"):
        fetch.get(SMALL, tmp_path, downloader(b"hello"))


def test_a_file_without_a_place_to_fetch_names_its_page(tmp_path):
    by_hand = store.ModelFile("x.bin", "sam", "a test", 5, "MIT", "https://page")
    with pytest.raises(ValueError, match="download it from https://page"):
        fetch.get(by_hand, tmp_path)
