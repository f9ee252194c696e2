"""What writes code of a thread: vectors of memory, tiles of registers, random numbers."""
