"""How Python becomes machine code: options, the disk cache, arrays as kernels take them."""
