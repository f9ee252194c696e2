"""Loops over a population as machine code; imported by `devices` alone."""
