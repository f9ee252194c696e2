"""What all strategies share: rows and their numbers, limits, bounds, checkpoints."""
