"""What recipes learn from: rendered people, hands and pairs, imported pictures, latents, augmentation."""
