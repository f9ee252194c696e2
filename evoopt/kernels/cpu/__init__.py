"""The loops over a population, compiled for the CPU."""
