"""What runs kernels: the compiler, the driver, arrays of the device, streams."""
