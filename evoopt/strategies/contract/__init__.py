"""The contract of all strategies: rows and their ids, limits, bounds, checkpoints."""
