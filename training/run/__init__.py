"""How a recipe is run: the plan, the trainer, its log, the command `figura train`."""
