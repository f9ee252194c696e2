"""Kernels for CUDA, with the names of those in `cpu/`; imported only where ``device="cuda"`` is asked for."""
