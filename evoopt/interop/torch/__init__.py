"""Networks to and from torch."""
