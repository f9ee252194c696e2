"""Engines that compute on the CPU, with kernels over the threads and NumPy."""
