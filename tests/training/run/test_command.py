"""`figura train`: where weights go and come from, and runs that are at their end already."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.tests.training import fake
from figura.training.recipes import load_recipe, recipe_names
from figura.training.run import command


@pytest.fixture(autouse=True)
def quick_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recipe is the one that takes no time."""
    monkeypatch.setattr(command, "load_recipe", lambda name: fake.FakeRecipe())


def train(data: Path, *words: str) -> int:
    return command.main(["text", "--data", str(data), "--device", "cpu", *words])


def test_weights_go_beside_the_data_and_not_over_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(command, "MINI_DIR", shipped)
    with caplog.at_level(logging.INFO):
        assert train(tmp_path / "data") == 0
    written = tmp_path / "data" / "weights" / "fake.safetensors"
    assert written.is_file() and not shipped.exists() and f"wrote {written}" in caplog.text


def test_own_weights_come_before_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, own = tmp_path / "shipped", tmp_path / "data" / "weights"
    for folder, names in ((shipped, ("vae", "text")), (own, ("text",))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.safetensors").touch()
    monkeypatch.setattr(command, "MINI_DIR", shipped)
    found = command.find_init(("vae", "text"), [], command.weight_folders(tmp_path / "data"))
    assert found == {"vae": shipped / "vae.safetensors", "text": own / "text.safetensors"}
    with pytest.raises(FileNotFoundError, match=r"recipe 'base' at .*data.*base\.safetensors or .*shipped"):
        command.find_init(("base",), [], command.weight_folders(tmp_path / "data"))


@pytest.mark.parametrize(
    ("words", "said"), [((), "finished"), (("--steps", "5"), "step 12 already, beyond the 5 asked for")]
)
def test_a_run_at_its_end_is_not_exported_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, words: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "weights" / "fake.safetensors"
    assert train(tmp_path) == 0
    out.write_bytes(b"kept")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert train(tmp_path, *words) == 0
    assert out.read_bytes() == b"kept"
    assert said in caplog.text and "--steps N" in caplog.text and "--no-resume" in caplog.text


def test_a_run_at_its_end_goes_on_begins_anew_or_writes_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "weights" / "fake.safetensors"
    assert train(tmp_path) == 0
    out.unlink()
    assert train(tmp_path) == 0 and load_file(out)[1]["steps"] == 12
    assert train(tmp_path, "--steps", "14") == 0 and load_file(out)[1]["steps"] == 14
    assert train(tmp_path, "--steps", "3", "--no-resume") == 0 and load_file(out)[1]["steps"] == 3


@pytest.mark.parametrize(
    ("when", "words"), [("evaluate", ()), ("finish", ("--base", "somewhere"))], ids=["weights", "beside them"]
)
def test_a_run_that_was_killed_while_it_wrote_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "weights" / "fake.safetensors"
    monkeypatch.setattr(command, "find_base", lambda recipe, args: {})
    monkeypatch.setattr(fake.FakeRecipe, "at_full_size", lambda self: None)
    assert train(tmp_path, "--steps", "3") == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fake.FakeRecipe, when, killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "--steps", "6", *words)
    finished = []
    monkeypatch.setattr(fake.FakeRecipe, when, lambda *given: finished.append(given) or {})
    for _ in range(2):  # the second time all is there
        assert train(tmp_path, "--steps", "6", *words) == 0
        assert len(finished) == 1 and load_file(out)[1]["steps"] == 6


def test_decay_and_betas_are_obeyed_when_a_run_goes_on(tmp_path: Path) -> None:
    words = ("--steps", "6", "--out", str(tmp_path / "out.safetensors"))
    assert train(tmp_path, "--weight-decay", "0", *words) == 0
    kept = (tmp_path / "runs" / "fake" / "checkpoint.pt").read_bytes()
    made = []
    for decay in ("0", "0.5"):
        (tmp_path / "runs" / "fake" / "checkpoint.pt").write_bytes(kept)
        out = tmp_path / f"{decay}.safetensors"
        words = ("--steps", "9", "--lr", "0.1", "--ema", "0", "--out", str(out))
        assert train(tmp_path, "--weight-decay", decay, "--betas", "0.5", "0.6", *words) == 0
        made.append(load_file(out)[0]["1.weight"].abs().sum())
        groups = torch.load(tmp_path / "runs" / "fake" / "checkpoint.pt", weights_only=True)["optimizer"]
        assert groups["param_groups"][0]["weight_decay"] == float(decay)
        assert tuple(groups["param_groups"][0]["betas"]) == (0.5, 0.6)
    assert made[1] < made[0]


def test_without_the_extra_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "accelerate" else find_spec(name, *rest),
    )
    with pytest.raises(ImportError, match=r'pip install "figura\[train\]".*pip install -e "\.\[train\]"'):
        train(tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_of_a_plan_is_an_option(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = "--ema 0 --warmup 3 --final-rate 0.5 --falls step --weight-decay 0.1 --betas 0.8 0.9 --clip 2"
    with caplog.at_level(logging.INFO):
        assert train(tmp_path, *words.split(), "--steps", "2") == 0
    for part in ("'ema_decay': 0.0", "'warmup_steps': 3", "'final_rate': 0.5", "'falls': 'step'",
                 "'weight_decay': 0.1", "'betas': (0.8, 0.9)", "'clip_norm': 2.0"):  # fmt: skip
        assert part in caplog.text


@pytest.mark.parametrize(
    "words",
    ["--steps 0", "--steps -3", "--minutes 0", "--minutes nan", "--batch 0", "--accumulation 0", "--lr 0",
     "--seed -1", "--samples -1", "--warmup -1", "--clip 0", "--ema 1", "--ema nan", "--final-rate -2",
     "--count 0", "--held-out 0", "--draws 0", "--sampling-steps 0", "--processes 0"],
)  # fmt: skip
def test_numbers_of_which_nothing_is_learnt_are_refused_before_the_run(tmp_path: Path, words: str) -> None:
    option, number = words.split()
    with pytest.raises(ValueError, match=f"^{option} is {number}.*accepted"):
        train(tmp_path, option, number)
    assert not list(tmp_path.iterdir())


def test_two_lengths_other_devices_and_no_file_are_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--steps and --minutes are two ways"):
        train(tmp_path, "--steps", "3", "--minutes", "3")
    with pytest.raises(ValueError, match="--device is 'cuba'; cpu .*accepted"):
        train(tmp_path, "--device", "cuba")
    with pytest.raises(FileNotFoundError, match=r"--from .*gone\.safetensors: no such file"):
        train(tmp_path, "--from", str(tmp_path / "gone.safetensors"))
    assert not list(tmp_path.iterdir())


def test_a_gpu_may_be_named_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "--from", str(tmp_path / "gone.safetensors")
    with pytest.raises(ValueError, match="--device is 'cuda'"), monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        train(tmp_path, "--device", "cuda", *gone)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(FileNotFoundError, match="no such file"):
        train(tmp_path, "--device", "cuda", *gone)


def test_numbers_of_a_recipe_are_options(tmp_path: Path) -> None:
    for name, setting in (("phac", "empty_text"), ("humansd", "no_pose"), ("hands", "mask_weight")):
        recipe = load_recipe(name)
        recipe.change(setting, 0.75)
        assert getattr(recipe, setting) == 0.75
    for name, setting in (("cfld", "no_prompt"), ("pocold", "no_source")):
        recipe = load_recipe(name)
        recipe.change(setting, 0.75)
        assert getattr(recipe.switches, setting) == 0.75
    with pytest.raises(ValueError, match="recipe cfld has no setting 'x'; its settings: no_prompt, mirrored"):
        load_recipe("cfld").change("x", 1)
    with pytest.raises(ValueError, match="recipe fake has no setting 'a'; its settings: none"):
        train(tmp_path, "--setting", "a=1")
    with pytest.raises(ValueError, match="--setting takes NAME=NUMBER.*'a' came"):
        train(tmp_path, "--setting", "a")


def test_every_setting_is_a_number_of_its_recipe() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        for setting in recipe.settings:
            holder = getattr(recipe, "switches", recipe)
            number = getattr(holder, setting, None) if hasattr(holder, setting) else getattr(recipe, setting)
            assert isinstance(number, float), (name, setting)


@pytest.mark.parametrize(
    ("recipe", "words", "told"),
    [
        ("text", "--count 9 --held-out 2", "--count, --held-out would not count"),
        ("data", "--count 9 --steps 3 --lr 1", "--steps, --lr would not count"),
    ],
)
def test_options_that_do_not_count_are_told(tmp_path: Path, recipe: str, words: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        command.main([recipe, "--data", str(tmp_path), *words.split()])
    assert not list(tmp_path.iterdir())
