"""Code of one thread, written for LLVM: random numbers, vectors of memory, register tiles."""
