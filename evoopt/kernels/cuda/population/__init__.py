"""Kernels on the rows of a population and the state of a strategy."""
