"""Trained networks as modules of torch."""
