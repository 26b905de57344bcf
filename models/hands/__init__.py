"""Giving a Hand to Diffusion Models."""
