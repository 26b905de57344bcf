"""Measuring: metrics, and one file for each method; `figura eval` begins in command.py."""
