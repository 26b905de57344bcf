"""Draws with CFLD by ComfyUI's samplers and by Figura's own loop on the same weights; writes how far apart.

Run with ComfyUI's Python in its checkout: python cfld_agreement.py CHECKPOINT RESULT.json, where the
checkpoint is one of tiny_checkpoint.py.
"""

import json
from pathlib import Path

import torch
from inside import enter

checkpoint, result = enter()

import comfy.context_windows  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
from comfy_extras.nodes_custom_sampler import Guider_DualCFG  # noqa: E402
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale  # noqa: E402
from figura.host import use_host  # noqa: E402
from figura.host.plain import PlainHost  # noqa: E402
from figura.models.cfld.attention import key_value_names  # noqa: E402
from figura.models.cfld.config import CFLDConfig  # noqa: E402
from figura.models.cfld.networks import CFLDModel, CFLDNetworks  # noqa: E402
from figura.models.cfld.pipeline import looks, pose_images  # noqa: E402
from figura.models.cfld.sampling import Guided, Weights, branches_of  # noqa: E402
from figura.models.diffusion import single_file  # noqa: E402
from figura.models.diffusion.sampling import draw_noise, sample  # noqa: E402
from figura.models.diffusion.schedulers import DDIM, scheduler_of, timesteps_of  # noqa: E402
from figura.nodes.cfld import read_inputs  # noqa: E402
from figura.nodes.cfld_native import FiguraApplyCFLD  # noqa: E402

STEPS, SCALE = 4, 0.18215
CONFIG = CFLDConfig(
    channels=(320, 320), layers=1, plain_levels=0, context=768, source_size=64, patch=4, embed=16,
    depths=(1, 1, 1), heads=(1, 2, 4), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32, 32),
    appearance_blocks=1, pose_size=64, unshuffle=4, groups=32,
)  # fmt: skip


def our_model() -> CFLDModel:
    """Random networks that matter, on the checkpoint's U-Net. Matrices are exact in half precision."""
    torch.manual_seed(1)
    networks = CFLDNetworks(CONFIG)
    for name, parameter in networks.named_parameters():
        if "zero_conv" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    unet = single_file.load_unet(checkpoint, single_file.SD15)
    state = unet.state_dict()
    matrices = {
        name: (torch.randn_like(state[name]) * 0.04).half().float() for name in key_value_names(list(state))
    }
    return CFLDModel(None, unet, networks, matrices, 128, "random CFLD").eval()


def sigmas_of(times: torch.Tensor) -> torch.Tensor:
    """ComfyUI's noise levels at our time steps: Euler on them is DDIM."""
    alphas = scheduler_of(DDIM).alphas_cumprod.double()[times]
    return torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1)]).float()


def ours(model: CFLDModel, given, noise: torch.Tensor, weights: Weights) -> torch.Tensor:
    drawn = pose_images(given.poses, CONFIG)
    guided = Guided(model, branches_of(model, looks(model, given), drawn), weights)
    return sample(guided, noise, scheduler_of(DDIM), STEPS)


def theirs(guider, noise: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    sampler = comfy.samplers.sampler_object("euler")
    empty = torch.zeros_like(noise)
    return guider.sample(noise, empty, sampler, sigmas, disable_pbar=True, seed=0) * SCALE


def in_windows(patched):
    """The MODEL with ComfyUI's context windows of one picture."""
    windowed = patched.clone()
    windowed.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        comfy.context_windows.get_matching_context_schedule("batched"),
        comfy.context_windows.get_matching_fuse_method("flat"),
    )
    return windowed


def take_batches(handler) -> bool:
    """Whether context windows work for more than one picture; those of ComfyUI 0.3.64 stop at any batch."""
    try:
        handler.set_step(torch.ones(2), {"transformer_options": {"sample_sigmas": torch.arange(5.0)}})
    except RuntimeError:
        return False
    return True


def shrunk(patched):
    """The MODEL with Kohya Deep Shrink, whose maps are of no level's size."""
    return PatchModelAddDownscale.execute(patched, 2, 1.5, 0.0, 1.0, True, "bicubic", "bicubic").result[0]


def with_lora(patched):
    """The MODEL with something added to a matrix that CFLD sets, and to one that it leaves alone."""
    torch.manual_seed(7)
    name = "diffusion_model.output_blocks.0.1.transformer_blocks.0.attn2.to_{}.weight"
    names = [name.format(matrix) for matrix in ("v", "q")]
    state = patched.model_state_dict("diffusion_model.output_blocks.0.1.")
    changed = patched.clone()
    changed.add_patches({each: ("diff", (torch.randn(state[each].shape) * 0.05,)) for each in names})
    return changed


def main() -> None:
    model = our_model()
    stock, *_ = comfy.sd.load_checkpoint_guess_config(checkpoint, output_vae=False, output_clip=False)
    source = torch.rand(2, 80, 60, 3)
    body = [[20 + 7 * (i % 5), 10 + 4 * i, 1.0] for i in range(18)]
    pose = [{"people": [{"pose_keypoints_2d": sum(body, [])}], "canvas_width": 80, "canvas_height": 96}]
    given = read_inputs(source, pose)
    sigmas = sigmas_of(timesteps_of(scheduler_of(DDIM), STEPS))
    differences = {}
    for height, width in ((16, 16), (24, 16)):
        patched, positive, pose_only, negative = FiguraApplyCFLD().run(stock, model, source, pose)
        noise = draw_noise([3, 4], (4, height, width))
        dual, plain = Guider_DualCFG(patched), comfy.samplers.CFGGuider(patched)
        dual.set_conds(positive, pose_only, negative)
        dual.set_cfg(1.5, 2.5)
        plain.set_conds(positive, negative)
        plain.set_cfg(2.0)
        for name, guider, weights in (
            ("dual", dual, Weights(2.5, 1.5)),
            ("ksampler", plain, Weights(2.0, 2.0)),
        ):
            expected = ours(model, given, noise, weights)
            made = theirs(guider, noise, sigmas)
            differences[f"{name}.{height}x{width}"] = float((made - expected).abs().max())
        differences[f"spread.{height}x{width}"] = float(expected.std())
        unbiased = ours(model, read_inputs(1 - source, pose), noise, Weights(2.0, 2.0))
        differences[f"other_source.{height}x{width}"] = float((unbiased - expected).abs().max())
    others = {"windows": in_windows(patched), "shrunk": shrunk(patched)}
    if not take_batches(others["windows"].model_options["context_handler"]):
        del others["windows"]
    others["lora_behind"] = with_lora(patched)
    others["lora_before"], *_ = FiguraApplyCFLD().run(with_lora(stock), model, source, pose)
    drawn = {}
    for name, other in others.items():
        guider = comfy.samplers.CFGGuider(other)
        guider.set_conds(positive, negative)
        guider.set_cfg(2.0)
        drawn[name] = theirs(guider, noise, sigmas)
        differences[name] = float((drawn[name] - made).abs().max())
    differences["lora_order"] = float((drawn["lora_before"] - drawn["lora_behind"]).abs().max())
    Path(result).write_text(json.dumps(differences), encoding="utf-8")


with use_host(PlainHost(device="cpu")), torch.no_grad():
    main()
