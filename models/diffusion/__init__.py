"""What the methods share: networks, text, sampling, guidance, compositing, checkpoints."""
