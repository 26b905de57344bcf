"""Training that begins from public files, at toy size: every recipe starts, resumes, and its node's loader
takes what it writes; losses are the papers' own formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from figura.models.cfld.checkpoint import load_cfld
from figura.models.cfld.config import CFLDConfig
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion import single_file
from figura.models.diffusion.checkpoint import load_file, save_module
from figura.models.hands.checkpoint import load_hands
from figura.models.humansd.checkpoint import load_humansd
from figura.models.phac.checkpoint import load_phac
from figura.models.phac.networks import InvisibleMaskUNet
from figura.models.pocold.attention import Factors
from figura.models.pocold.checkpoint import load_pocold, load_vae_file
from figura.models.pocold.networks import PoCoLDConfig
from figura.tests.models.diffusion import full_size as makers
from figura.tests.models.humansd import tiny as tiny_humansd
from figura.training.data.hands import build_hands_data
from figura.training.data.pairs import build_pairs
from figura.training.recipes import cfld, load_recipe, pocold, recipe_names
from figura.training.recipes.public import base_files, parts_in
from figura.training.run import command
from figura.training.run.recipe import changed_plan, random_generator
from torch.nn import functional

SIZE = 64
TINY_CFLD = CFLDConfig(
    channels=(32,), layers=1, plain_levels=1, context=64, source_size=32, patch=4, embed=8, depths=(1, 1),
    heads=(1, 2), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32,), appearance_blocks=1,
    pose_size=64, unshuffle=8, groups=32, aspect=(11, 16),
)  # fmt: skip
TINY_POCOLD = PoCoLDConfig(4, (8, 16), 1, 2, 4, 4, "sparse", "released", (32, 32))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, toy_data: Path) -> Path:
    """People, hands and pairs in one folder, apart from what other tests encode."""
    folder = tmp_path_factory.mktemp("full")
    for part in ("train", "held_out"):
        (folder / part).mkdir()
        for file in (toy_data / part).glob("*.npy"):
            (folder / part / file.name).symlink_to(file)
        (folder / part / "captions.json").symlink_to(toy_data / part / "captions.json")
    build_hands_data(folder, 4, 2, SIZE, processes=1)
    build_pairs(folder, 4, 2, SIZE, processes=1)
    return folder


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random files of the public layouts."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("public")
    control = ControlNetModel.from_unet(makers.unet(4))
    swin = CFLDNetworks(TINY_CFLD).backbone.state_dict()
    control_ldm = makers.ldm.controlnet_to_ldm(control.state_dict(), 1)
    sd2 = tiny_humansd.released_tensors(tiny_humansd.sd2_unet(4))
    sd2 = {key: value for key, value in sd2.items() if not key.startswith("mmpose_model.")}
    makers.write_tokenizer(folder)
    return {
        "sd15": makers.write(folder / "sd15.safetensors", makers.sd15_tensors(makers.unet(4))),
        "inpaint": makers.write(folder / "inpaint.safetensors", makers.sd15_tensors(makers.unet(9))),
        "sd21": makers.write(folder / "sd21.safetensors", sd2),
        "control": makers.write(folder / "control.safetensors", control_ldm),
        "vae": makers.write(folder / "vae.safetensors", makers.vae().state_dict()),
        "swin": makers.write(folder / "swin.safetensors", swin),
        "tokenizer": folder,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cfld, "released_config", lambda: TINY_CFLD)
    monkeypatch.setattr(pocold, "released_config", lambda: TINY_POCOLD)


FILES: dict[str, tuple[str, ...]] = {
    "phac": ("inpaint", "control"),
    "phac_roi_box": ("inpaint", "control"),
    "hands": ("sd15",),
    "body": ("sd15", "control"),
    "humansd": ("sd21",),
    "cfld": ("sd15", "swin"),
    "pocold": ("vae",),
}


def words_of(recipe: str, public: Mapping[str, Path], root: Path, out: Path, *more: str) -> list[str]:
    base = [str(public[name]) for name in FILES[recipe]]
    return [
        recipe, "--base", *base, "--data", str(root), "--out", str(out), "--work", str(out.parent / "run"),
        "--tokenizer", str(public["tokenizer"]), "--device", "cpu", "--batch", "2", "--accumulation", "1",
        "--precision", "no", *more,
    ]  # fmt: skip


def load_trained(recipe: str, public: Mapping[str, Path], out: Path) -> Any:
    """By the loader of the method's node."""
    tokenizer = public["tokenizer"]
    if recipe.startswith("phac"):
        masks = InvisibleMaskUNet(base=8, levels=2, size=32)
        config = {"base": 8, "levels": 2, "size": 32}
        file = save_module(out.parent / "masks.safetensors", "invisible_mask", masks.state_dict(), config)
        return load_phac(public["inpaint"], out, file, tokenizer)
    loaders: dict[str, Callable[[], Any]] = {
        "hands": lambda: load_hands(public["sd15"], out, public["control"], tokenizer),
        "body": lambda: load_hands(public["sd15"], public["control"], out, tokenizer),
        "humansd": lambda: load_humansd(out.with_name("humansd_checkpoint.safetensors"), tokenizer),
        "cfld": lambda: load_cfld(out, public["sd15"]),
        "pocold": lambda: load_pocold(out, load_vae_file(public["vae"])),
    }
    return loaders[recipe]()


@pytest.mark.parametrize("recipe", FILES)
def test_two_steps_from_public_files_are_resumed_and_load_in_the_node(
    recipe: str, public: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"{recipe}.safetensors"
    assert command.main(words_of(recipe, public, root, out, "--steps", "1")) == 0
    assert command.main(words_of(recipe, public, root, out, "--steps", "2")) == 0
    tensors, meta = load_file(out)
    assert meta["steps"] == 2 and not any(name.endswith(".scale") for name in tensors)
    assert load_trained(recipe, public, out) is not None
    if (out.parent / f"{recipe}_controlnet.safetensors").is_file():
        assert single_file.load_controlnet(out.parent / f"{recipe}_controlnet.safetensors") is not None
    else:
        assert not recipe.startswith(("phac", "body"))


@pytest.mark.parametrize("recipe", ["phac", "humansd", "cfld"])
def test_low_rank_training_is_resumed_and_loads_in_the_node(
    recipe: str, public: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"{recipe}.safetensors"
    for steps in ("1", "2"):
        assert command.main(words_of(recipe, public, root, out, "--lora", "2", "--steps", steps)) == 0
    tensors, meta = load_file(out)
    assert meta["steps"] == 2 and not any("parametrizations" in name for name in tensors)
    assert load_trained(recipe, public, out) is not None
    assert out.with_name(f"{recipe}_lora.safetensors").is_file()


def prepared(recipe: str, public: Mapping[str, Path], root: Path) -> tuple[Any, Any, Any, dict[str, Path]]:
    """The recipe at full size with its data, its network and the files."""
    made = load_recipe(recipe)
    made.at_full_size()
    made.plan = changed_plan(made.plan, device="cpu")
    init = {**base_files([public[name] for name in FILES[recipe]]), "tokenizer": public["tokenizer"]}
    data = made.prepare(root, init)
    return made, data.train, made.build(init), init


@pytest.mark.parametrize("recipe", ["phac", "body", "humansd"])
def test_the_noise_loss_is_the_papers_formula(recipe: str, public: dict[str, Path], root: Path) -> None:
    made, data, module, _ = prepared(recipe, public, root)
    batch = made.batch(data, 0, 0, 2)
    loss, _ = made.loss(module, batch, random_generator(5))
    generator, latents = random_generator(5), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    t = torch.randint(0, 1000, (2,), generator=generator)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alpha = torch.cumprod(1 - betas, 0)[t].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    error = made.predictor(module, batch)(noisy, t) - noise
    torch.testing.assert_close(loss, error.square().mean(), atol=1e-6, rtol=1e-6)


def test_the_loss_of_hands_is_noise_plus_masks(public: dict[str, Path], root: Path) -> None:
    made, data, module, _ = prepared("hands", public, root)
    batch = made.batch(data, 0, 0, 2)
    loss, parts = made.loss(module, batch, random_generator(5))
    torch.testing.assert_close(loss.detach(), parts["noise"] + made.mask_weight * parts["mask"])
    generator, latents = random_generator(5), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    t = torch.randint(0, 1000, (2,), generator=generator)
    noisy = made.schedule.add_noise(latents, noise, t)
    out = module(torch.cat([noisy, batch["skeleton"]], 1), t, batch["texts"]).sample
    torch.testing.assert_close(parts["noise"], (out[:, :4] - noise).square().mean(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        parts["mask"], (batch["masks"] - out[:, 4:]).square().mean(), atol=1e-6, rtol=1e-6
    )


def test_the_loss_of_cfld_is_the_mean_of_both_errors(public: dict[str, Path], root: Path) -> None:
    made, data, module, _ = prepared("cfld", public, root)
    batch = made.batch(data, 0, 0, 2)
    module.eval()
    loss, _ = made.loss(module, batch, random_generator(5))
    generator, latents = random_generator(5), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    t = ((1 - torch.rand(4, generator=generator) ** 3) * 1000).long().clamp(max=999)
    noisy = made.schedule.add_noise(latents, noise, t)
    out = module(noisy, t, batch["pose"], batch["source"], batch["dropped"])
    torch.testing.assert_close(loss, (out - noise).square().mean(), atol=1e-6, rtol=1e-6)


def test_pocold_has_the_released_settings_and_noise_loss(public: dict[str, Path], root: Path) -> None:
    made, data, module, _ = prepared("pocold", public, root)
    assert made.switches.reduction == "mean" and made.switches.penalty_weight == 1.0
    batch = {**made.batch(data, 0, 0, 2), "dropped": torch.tensor(pocold.NO_SOURCE)}
    loss, _ = made.loss(module, batch, random_generator(5))
    generator, latents = random_generator(5), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    t = torch.randint(0, 1000, (2,), generator=generator)
    out = module(made.schedule.add_noise(latents, noise, t), t, batch["labels"], None)
    torch.testing.assert_close(loss, (out - noise).square().mean(), atol=1e-6, rtol=1e-6)


def test_pocold_adds_the_mean_square_of_wrong_attention(public: dict[str, Path], root: Path) -> None:
    made, data, module, _ = prepared("pocold", public, root)
    batch = {**made.batch(data, 0, 0, 2), "dropped": torch.tensor(pocold.EVERYTHING)}
    loss, parts = made.loss(module, batch, random_generator(5))
    generator, latents = random_generator(5), batch["latents"]
    noise = torch.randn(latents.shape, generator=generator)
    t = torch.randint(0, 1000, (2,), generator=generator)
    seen: list[Factors] = []
    noisy = made.schedule.add_noise(latents, noise, t)
    out = module(noisy, t, batch["labels"], batch["source"], seen.append)
    penalty = torch.zeros(())
    for factors in seen:
        target, source = (
            functional.interpolate(batch[name][:, None].float(), size, mode="nearest").flatten(1)
            for name, size in (("labels", factors.queries), ("source_labels", factors.sources))
        )
        unlike = target[:, :, None] != source[:, None, :]
        penalty = penalty + (factors.distribution @ factors.extraction).square().mean(1)[unlike].sum() / (
            unlike.numel()
        )
    assert len(seen) > 1 and parts["penalty"] > 0
    torch.testing.assert_close(parts["penalty"], penalty.detach(), atol=0, rtol=1e-4)
    torch.testing.assert_close(loss, (out - noise).square().mean() + penalty, atol=1e-6, rtol=1e-5)


def test_what_learns_is_what_the_papers_train(public: dict[str, Path], root: Path) -> None:
    def learning(recipe: str) -> set[str]:
        module = prepared(recipe, public, root)[2]
        return {name for name, parameter in module.named_parameters() if parameter.requires_grad}

    phac = learning("phac")
    assert all(name.startswith("controlnet.") or ".attn2." in name for name in phac)
    assert any(".attn2." in name for name in phac if name.startswith("unet."))
    assert len(learning("humansd")) == len(list(tiny_humansd.sd2_unet(8).parameters()))
    assert all(name.startswith("networks.") or ".attn2.to_" in name for name in learning("cfld"))


@pytest.mark.parametrize(
    ("recipe", "rate", "batch", "steps"),
    [("phac", 5e-6, 14, 60_000), ("humansd", 5e-6, 4, 95_000), ("cfld", 1e-4, 56 * 4, 45_500),
     ("pocold", 5e-5, 32, 600_000)],
)  # fmt: skip
def test_the_authors_settings_are_the_defaults(recipe: str, rate: float, batch: int, steps: int) -> None:
    made = load_recipe(recipe)
    made.at_full_size()
    plan = made.plan
    assert (plan.learning_rate, plan.batch_size * plan.accumulation, plan.steps) == (rate, batch, steps)
    assert made.weight_limit == 1.0


def test_files_are_told_apart_by_what_is_in_them(public: dict[str, Path]) -> None:
    assert {name: parts_in(path) for name, path in public.items() if name != "tokenizer"} == {
        "sd15": ("base", "vae", "text"), "inpaint": ("inpaint", "vae", "text"),
        "sd21": ("base", "vae", "text"),
        "control": ("controlnet",), "vae": ("vae",), "swin": ("swin",),
    }  # fmt: skip
    found = base_files([public["vae"], public["sd15"]])
    assert found["vae"] == public["vae"] and found["base"] == found["text"] == public["sd15"]


def test_what_lacks_or_is_of_no_use_is_named(public: dict[str, Path], root: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    words = ["cfld", "--base", str(public["sd15"]), "--data", str(root), "--out", str(out)]
    with pytest.raises(ValueError, match="cfld at full size lacks a Swin Transformer"):
        command.main(words)
    with pytest.raises(ValueError, match="recipe text is one of mini's: it takes no --base"):
        command.main(["text", *words[1:]])
    other = makers.write(tmp_path / "other.safetensors", {"a.lora_up.weight": torch.ones(2, 2)})
    with pytest.raises(ValueError, match="other.safetensors is a LoRA; --base takes"):
        base_files([other])
    with pytest.raises(ValueError, match="8-channel|4-channel checkpoint of Stable Diffusion 2 is wanted"):
        command.main(["humansd", *words[1:], "--tokenizer", str(public["tokenizer"]), "--device", "cpu"])


def test_gradients_are_the_same_when_activations_are_computed_again(
    public: dict[str, Path], root: Path
) -> None:
    from figura.training.run.trainer import checkpoint_gradients

    made, data, module, _ = prepared("phac", public, root)
    batch, gradients = made.batch(data, 0, 0, 2), []
    for again in (False, True):
        if again:
            checkpoint_gradients(module.train())
        module.zero_grad()
        made.loss(module, batch, random_generator(5))[0].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]))
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
    with pytest.raises(ValueError, match="not made for it"):
        checkpoint_gradients(prepared("cfld", public, root)[2])


def test_every_recipe_takes_public_files_or_says_that_it_does_not() -> None:
    taken = []
    for name in recipe_names():
        recipe = load_recipe(name)
        try:
            recipe.at_full_size()
        except ValueError as error:
            assert "takes no --base" in str(error)
            continue
        taken.append(name)
    assert {"phac", "hands", "body", "humansd", "cfld", "pocold"} <= set(taken)
    assert replace(load_recipe("phac").plan, steps=1).steps == 1


def test_frozen_networks_go_where_the_training_runs_and_minis_stay(monkeypatch):
    """Not where a GPU may be: `--device cpu` and each of several processes have a device of their own."""
    import accelerate

    place = type("State", (), {"device": torch.device("meta")})
    monkeypatch.setattr(accelerate, "PartialState", lambda: place)
    for recipe, where in ((load_recipe("phac"), "cpu"), (load_recipe("phac"), "meta")):
        if where == "meta":
            recipe.at_full_size()
        assert recipe.placed(torch.nn.Linear(2, 2)).weight.device.type == where
