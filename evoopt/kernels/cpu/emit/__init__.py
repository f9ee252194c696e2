"""Writers of LLVM vector code: register tiles, lanes, transposes, groups of random numbers."""
