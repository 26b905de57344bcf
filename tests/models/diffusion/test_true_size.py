"""The files that loading is measured by have the published files' sizes."""

import pytest
from figura.models.store import known_file
from figura.tests.models.diffusion import true_size


@pytest.mark.parametrize(
    ("made", "bytes_each", "name"),
    [
        (true_size.sd15, 4, "sd-v1-5-inpainting.ckpt"),
        (true_size.sdxl, 2, "sd_xl_base_1.0_inpainting_0.1.safetensors"),
        (true_size.sam_vit_h, 4, "sam_vit_h_4b8939.pth"),
    ],
)
def test_they_are_as_large_as_the_published_files(made, bytes_each, name):
    held = sum(tensor.numel() for tensor in made().values()) * bytes_each
    assert held == pytest.approx(known_file(name).size, rel=3e-4)
