"""Spaces: variables with names and kinds, and the rows that stand for their values."""
