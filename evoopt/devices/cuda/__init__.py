"""Engines that compute on a GPU, with the arrays and kernels of CUDA; imported only when asked for."""
