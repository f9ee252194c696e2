"""The means to run kernels: the compiler, the driver, arrays of the device, streams."""
