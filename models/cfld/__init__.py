"""CFLD: coarse-to-fine latent diffusion, a person of one picture in the pose of another."""
