"""The searches of `minimize` on one budget, and the forms in which its arguments come."""
