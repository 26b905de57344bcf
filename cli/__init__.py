"""The command `figura`."""
