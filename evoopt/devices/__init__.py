"""Engines, which compute on a device; the only package that imports kernels."""
