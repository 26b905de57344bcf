"""Data sets, recipes, the trainer, the papers' metrics, the reports."""
