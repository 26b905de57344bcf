// Of models/store.toml what the page may fetch. Written by python -m figura.workflows.

export const KNOWN = {
  "sam_vit_b_01ec64.pth": {
    "url": "https://huggingface.co/ybelkada/segment-anything/resolve/main/checkpoints/sam_vit_b_01ec64.pth",
    "directory": "sams",
    "hash": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    "hash_type": "SHA256"
  },
  "sam_vit_l_0b3195.pth": {
    "url": "https://huggingface.co/ybelkada/segment-anything/resolve/main/checkpoints/sam_vit_l_0b3195.pth",
    "directory": "sams",
    "hash": "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    "hash_type": "SHA256"
  },
  "sam_vit_h_4b8939.pth": {
    "url": "https://huggingface.co/ybelkada/segment-anything/resolve/main/checkpoints/sam_vit_h_4b8939.pth",
    "directory": "sams",
    "hash": "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    "hash_type": "SHA256"
  },
  "sam_hq_vit_b.pth": {
    "url": "https://huggingface.co/lkeab/hq-sam/resolve/main/sam_hq_vit_b.pth",
    "directory": "sams"
  },
  "sam_hq_vit_l.pth": {
    "url": "https://huggingface.co/lkeab/hq-sam/resolve/main/sam_hq_vit_l.pth",
    "directory": "sams"
  },
  "sam_hq_vit_h.pth": {
    "url": "https://huggingface.co/lkeab/hq-sam/resolve/main/sam_hq_vit_h.pth",
    "directory": "sams"
  },
  "v1-5-pruned-emaonly-fp16.safetensors": {
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints"
  },
  "sd-v1-5-inpainting.ckpt": {
    "url": "https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-inpainting/resolve/main/sd-v1-5-inpainting.ckpt",
    "directory": "checkpoints",
    "hash": "c6bbc15e3224e6973459ba78de4998b80b50112b0ae5b5c67113d56b4e366b19",
    "hash_type": "SHA256"
  },
  "sd_xl_base_1.0_inpainting_0.1.safetensors": {
    "url": "https://huggingface.co/wangqyqq/sd_xl_base_1.0_inpainting_0.1.safetensors/resolve/main/sd_xl_base_1.0_inpainting_0.1.safetensors",
    "directory": "checkpoints",
    "hash": "fe1b97fe6544814eb6fc8ce53f04ad8d339ec6946b58b0afd566fcc47813fa8a",
    "hash_type": "SHA256"
  },
  "control_v11p_sd15_openpose_fp16.safetensors": {
    "url": "https://huggingface.co/comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/control_v11p_sd15_openpose_fp16.safetensors",
    "directory": "controlnet",
    "hash": "4003c1da17b0e4ba444e02140e1c0d83bb24b79e4dcfd613c3a554d38f0f89c7",
    "hash_type": "SHA256"
  },
  "controlnet-openpose-sdxl-1.0.safetensors": {
    "url": "https://huggingface.co/xinsir/controlnet-openpose-sdxl-1.0/resolve/main/diffusion_pytorch_model.safetensors",
    "directory": "controlnet",
    "hash": "b8524e557a7df60d081f5d4a0eb109967d107df217943bf88c2d99b9ebcc06c5",
    "hash_type": "SHA256"
  },
  "control_v11p_sd15_inpaint_fp16.safetensors": {
    "url": "https://huggingface.co/comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/control_v11p_sd15_inpaint_fp16.safetensors",
    "directory": "controlnet"
  },
  "controlnet_hands_sd15_fp16.safetensors": {
    "url": "https://huggingface.co/Vincent-luo/controlnet-hands/resolve/main/diffusion_pytorch_model.fp16.safetensors",
    "directory": "controlnet"
  },
  "controlnet_hands_sd15.safetensors": {
    "url": "https://huggingface.co/Vincent-luo/controlnet-hands/resolve/main/diffusion_pytorch_model.safetensors",
    "directory": "controlnet"
  },
  "sd-vae-ft-mse.safetensors": {
    "url": "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors",
    "directory": "vae"
  },
  "body_pose_model.pth": {
    "url": "https://huggingface.co/lllyasviel/Annotators/resolve/main/body_pose_model.pth",
    "directory": "figura"
  }
};
