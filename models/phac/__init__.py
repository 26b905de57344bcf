"""Promptable Human Amodal Completion."""
