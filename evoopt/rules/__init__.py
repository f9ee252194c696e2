"""Scalar rules that are true on every device: parts of kernels, compiled with them."""
