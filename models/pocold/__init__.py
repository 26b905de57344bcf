"""PoCoLD: controllable person image synthesis with pose-constrained latent diffusion."""
