"""What is written of measurements: JSON, Markdown tables, contact sheets."""
