"""What writes LLVM vector code: register tiles, rows, transposes, groups of random numbers."""
