"""Engines that compute on a GPU, with arrays and kernels of CUDA; only `devices.choose` imports them."""
