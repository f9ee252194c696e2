"""Where populations are computed on; the only package that imports kernels."""
