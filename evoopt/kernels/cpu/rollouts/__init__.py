"""Kernels that play episodes of environments."""
