"""The same weights and inputs in ComfyUI's networks and in those that Figura loads; writes how far apart.

Run with ComfyUI's Python in its checkout: python networks_agreement.py CHECKPOINT CONTROLNET RESULT.json, of
tiny_inpainting.py and tiny_controlnet.py. All in float32.
"""

import json
from pathlib import Path

import torch
from inside import enter

checkpoint, control, result = enter("--force-fp32")

import comfy.clip_model  # noqa: E402
import comfy.clip_vision  # noqa: E402
import comfy.controlnet  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.sdxl_clip  # noqa: E402
import comfy.supported_models  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from figura.models.diffusion import clip_image, single_file  # noqa: E402
from figura.models.diffusion.layouts import SD15, unet_config, unet_tensors_of  # noqa: E402
from figura.models.perception.sam import prompt_logits  # noqa: E402
from figura.models.perception.sam_networks import load_sam  # noqa: E402
from figura.tests.models.diffusion import full_size  # noqa: E402
from figura.tests.models.diffusion import ldm_layout as ldm  # noqa: E402
from figura.tests.models.perception import sam_of_transformers  # noqa: E402
from figura.tests.models.pix2gestalt import released  # noqa: E402

SMALL_XL = {
    "image_size": 32, "in_channels": 9, "model_channels": 32, "out_channels": 4, "num_res_blocks": [1, 1],
    "channel_mult": (1, 2), "num_head_channels": 64, "transformer_depth": [0, 2],
    "transformer_depth_middle": 2, "transformer_depth_output": [0, 0, 2, 2], "context_dim": 128,
    "adm_in_channels": 6 * 256 + 64, "num_classes": "sequential", "use_linear_in_transformer": True,
    "use_spatial_transformer": True,
}  # fmt: skip
"""As full_size.xl_unet, in ComfyUI's words."""
SMALL_12 = {
    "image_size": 32, "in_channels": 12, "model_channels": 32, "out_channels": 4, "num_res_blocks": [1, 1],
    "channel_mult": (1, 2), "num_heads": 8, "num_head_channels": -1, "transformer_depth": [1, 0],
    "transformer_depth_middle": 1, "transformer_depth_output": [1, 1, 0, 0], "context_dim": 64,
    "use_spatial_transformer": True,
}  # fmt: skip
"""As full_size.unet(12)."""
WORDS = "a woman in a red coat, hands in her pockets"
BIG_LAYERS, PICTURE_LAYERS = 3, 3
"""Of 32 and 24: at their width all layers would take gigabytes, here and in ComfyUI."""
MOMENT = torch.tensor([321.0])


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> dict[str, float]:
    return {"difference": float((ours - theirs).abs().max()), "largest": float(theirs.abs().max())}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[1]))


def unet() -> dict[str, float]:
    """SD1.5 inpainting of the full width, with two levels."""
    theirs = comfy.sd.load_checkpoint_guess_config(checkpoint, output_vae=False, output_clip=False)[0]
    ours = single_file.load_unet(checkpoint, SD15, channels=single_file.INPAINT_CHANNELS)
    latents, text = drawn(1, 9, 16, 16), drawn(1, 77, 768)
    return apart(ours(latents, MOMENT, text).sample, theirs.model.diffusion_model(latents, MOMENT, text))


def xl_unet() -> dict[str, float]:
    torch.manual_seed(0)
    made = full_size.xl_unet().eval()
    named = ldm.unet_to_ldm(made.state_dict(), 1, "")
    theirs = UNetModel(**SMALL_XL, operations=comfy.ops.disable_weight_init, dtype=torch.float32).eval()
    theirs.load_state_dict(named)
    ours = type(made).from_config(made.config).eval()
    ours.load_state_dict(unet_tensors_of(named))
    latents, text, pooled = drawn(1, 9, 16, 16), drawn(1, 77, 128), drawn(1, 64)
    sides = torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]])
    added = torch.cat([pooled, ours.add_time_proj(sides.flatten()).reshape(1, -1)], dim=1)
    conditions = {"text_embeds": pooled, "time_ids": sides}
    return apart(
        ours(latents, MOMENT, text, added_cond_kwargs=conditions).sample,
        theirs(latents, MOMENT, text, y=added),
    )


def controlnet() -> dict[str, float]:
    theirs = comfy.controlnet.load_controlnet(control).control_model.float()
    ours = single_file.load_controlnet(control)
    latents, text, hint = drawn(1, 4, 16, 16), drawn(1, 77, 768), drawn(1, 3, 128, 128).abs().clamp(0, 1)
    made = theirs(x=latents, hint=hint, timesteps=MOMENT, context=text)
    down, middle = ours(latents, MOMENT, text, controlnet_cond=hint, return_dict=False)
    expected = [*made["output"], *made["middle"]] if isinstance(made, dict) else list(made)
    pairs = [apart(one, other) for one, other in zip([*down, middle], expected, strict=True)]
    return max(pairs, key=lambda pair: pair["difference"])


def autoencoder(way: str) -> dict[str, float]:
    """Of the true size."""
    from figura.tests.models.diffusion.true_size import Tensors
    from safetensors.torch import save_file

    torch.manual_seed(0)
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    named: Tensors = ldm.vae_to_ldm(network.state_dict(), 4, "")
    path = Path(result).with_name("vae.safetensors")
    save_file({key: value.contiguous() for key, value in named.items()}, str(path))
    theirs = comfy.sd.VAE(sd=dict(named)).first_stage_model.float()
    ours = single_file.load_autoencoder(path)
    if way == "decode":
        latents = drawn(1, 4, 8, 8)
        return apart(ours.decode(latents).sample, theirs.decode(latents))
    picture = drawn(1, 3, 64, 64)
    return apart(ours.encode(picture).latent_dist.mode(), theirs.encode(picture)[:, :4])


def text() -> dict[str, float]:
    """CLIP-L of the true size, with ComfyUI's own words."""
    clip = comfy.sd.load_checkpoint_guess_config(checkpoint, output_vae=False)[1]
    ours = single_file.load_text(checkpoint, Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer")
    return apart(ours.encode([WORDS]), clip.encode_from_tokens(clip.tokenize(WORDS)))


def big_text() -> tuple[dict[str, float], dict[str, float]]:
    """SDXL's second text encoder of the true width with fewer layers: states, and what is pooled."""
    from figura.training.bench.memory import CLIP_BIG, CLIP_L
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    few = {**CLIP_BIG, "num_hidden_layers": BIG_LAYERS, "projection_dim": 1280, "hidden_act": "gelu"}
    big = CLIPTextModelWithProjection(CLIPTextConfig(**few)).state_dict()
    small = CLIPTextModel(CLIPTextConfig(**CLIP_L, hidden_act="quick_gelu")).state_dict()
    named = ldm.clip_to_ldm(small, "conditioner.embedders.0.transformer.")
    named |= ldm.big_clip_to_ldm({_with_prefix(key): value for key, value in big.items()})
    path = full_size.write(Path(result).with_name("text.safetensors"), named)
    theirs = comfy.sdxl_clip.SDXLClipModel(
        dtype=torch.float32, model_options={"clip_g_model_config": {"num_hidden_layers": BIG_LAYERS}}
    )
    converted = comfy.supported_models.SDXL.process_clip_state_dict(None, dict(named))
    for name in ("clip_l", "clip_g"):
        own = {key.removeprefix(f"{name}."): v for key, v in converted.items() if key.startswith(name)}
        getattr(theirs, name).load_state_dict(own, strict=False)
    tokens = comfy.sdxl_clip.SDXLTokenizer().tokenize_with_weights(WORDS)
    states, pooled = theirs.encode_token_weights(tokens)[:2]
    ours = single_file.load_text(path, Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer")
    width = CLIP_L["hidden_size"]
    return apart(ours.encode([WORDS])[..., width:], states[..., width:]), apart(ours.pooled([WORDS]), pooled)


def _with_prefix(key: str) -> str:
    return key if key.startswith(("text_model.", "text_projection")) else f"text_model.{key}"


def pix2gestalt() -> dict[str, float]:
    """The U-Net of 12 channels, with two levels."""
    torch.manual_seed(0)
    made = full_size.unet(12)
    named = ldm.unet_to_ldm(made.state_dict(), 1, "")
    theirs = UNetModel(**SMALL_12, operations=comfy.ops.disable_weight_init, dtype=torch.float32).eval()
    theirs.load_state_dict(named)
    tensors = unet_tensors_of(named)
    ours = type(made)(**unet_config(tensors)).eval()
    ours.load_state_dict(tensors)
    latents, seen = drawn(1, 12, 16, 16), drawn(1, 1, 64)
    return apart(ours(latents, MOMENT, seen).sample, theirs(latents, MOMENT, seen))


def image_encoder() -> dict[str, float]:
    """pix2gestalt's, CLIP ViT-L/14 in OpenAI's layout, of the true width."""
    torch.manual_seed(0)
    named = released.Visual(1024, PICTURE_LAYERS, 768).state_dict()
    own = clip_image.vision_tensors({clip_image.OPENAI_VISUAL + key: value for key, value in named.items()})
    config = clip_image.vision_config(own)
    from transformers import CLIPVisionModelWithProjection

    ours = CLIPVisionModelWithProjection(config).eval()
    ours.load_state_dict(own)
    words = json.loads((Path(comfy.clip_vision.__file__).parent / "clip_vision_config_vitl.json").read_text())
    words["num_hidden_layers"] = PICTURE_LAYERS
    theirs = comfy.clip_model.CLIPVisionModelProjection(words, torch.float32, "cpu", comfy.ops.manual_cast)
    converted = comfy.clip_vision.convert_to_transformers(
        {f"visual.{key}": value for key, value in named.items()}, "visual."
    )
    theirs.load_state_dict(converted)
    pixels = clip_image.clip_pixels(drawn(1, 3, 256, 256).abs().clamp(0, 1))
    return apart(ours(pixel_values=pixels).image_embeds, theirs(pixels, intermediate_output=-2)[2])


def segment_anything() -> tuple[dict[str, float], dict[str, float]]:
    """Masks and scores beside transformers' (ComfyUI has none); vit_b with fewer layers, 256 pixels."""
    theirs = sam_of_transformers.wide()
    path = full_size.write(Path(result).with_name("sam.safetensors"), theirs.state_dict())
    return tuple(apart(*pair) for pair in sam_of_transformers.answers(load_sam(path), theirs, prompt_logits))


with torch.no_grad():
    states, pooled = big_text()
    masks, scores = segment_anything()
    found = {
        "U-Net of SD1.5 inpainting": unet(),
        "U-Net of SDXL inpainting": xl_unet(),
        "ControlNet": controlnet(),
        "autoencoder, encoding": autoencoder("encode"),
        "autoencoder, decoding": autoencoder("decode"),
        "CLIP-L": text(),
        f"SDXL's second text encoder, states; {BIG_LAYERS} of 32 layers": states,
        f"SDXL's second text encoder, pooled; {BIG_LAYERS} of 32 layers": pooled,
        "U-Net of pix2gestalt": pix2gestalt(),
        f"image encoder of pix2gestalt, CLIP ViT-L/14; {PICTURE_LAYERS} of 24 layers": image_encoder(),
        f"Segment Anything vit_b, masks; {sam_of_transformers.LAYERS} of 12 layers": masks,
        f"Segment Anything vit_b, scores; {sam_of_transformers.LAYERS} of 12 layers": scores,
    }
Path(result).write_text(json.dumps(found), encoding="utf-8")
