"""pix2gestalt (Ozguroglu et al., CVPR 2024, arXiv 2401.14398)."""
