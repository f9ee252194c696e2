"""Networks as Python files that need NumPy alone."""
