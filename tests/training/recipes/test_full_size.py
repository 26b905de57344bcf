"""Training that begins from public files, at toy size: every recipe starts, resumes, and its node's loader
takes what it writes; losses are the papers' own formulas.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion import single_file
from figura.models.diffusion.checkpoint import load_file
from figura.models.pocold.attention import Factors
from figura.tests.models.diffusion import full_size as makers
from figura.tests.models.humansd import tiny as tiny_humansd
from figura.tests.training.recipes.toy_public import FILES, load_trained, prepared, words_of
from figura.training.recipes import load_recipe, pocold, recipe_names
from figura.training.recipes.public import base_files, parts_in
from figura.training.run import command
from figura.training.run.recipe import random_generator
from torch.nn import functional

pytestmark = pytest.mark.usefixtures("small_sizes")


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
    with pytest.raises(FileNotFoundError, match="--base sd15.ckpt: no such file. Give its path"):
        base_files([Path("sd15.ckpt")])
    with pytest.raises(ValueError, match="8-channel|4-channel checkpoint of Stable Diffusion 2 is wanted"):
        command.main(["humansd", *words[1:], "--tokenizer", str(public["tokenizer"]), "--device", "cpu"])


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
