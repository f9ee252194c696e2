"""Networks whose weights are the rows of a population."""
