"""The runtime of kernels: the compiler, the driver, device arrays and streams."""
