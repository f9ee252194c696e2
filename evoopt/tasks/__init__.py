"""Tasks: what turns a population into fitness."""
