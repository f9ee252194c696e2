"""Tasks, which turn a population into fitness."""
