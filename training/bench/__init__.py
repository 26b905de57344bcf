"""Speed and memory, as ratios within one run: `figura bench`."""
