"""Kernels that run networks, and their losses."""
