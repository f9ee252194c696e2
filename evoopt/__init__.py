"""Train neural networks and tune black boxes by evolution, from flat vectors."""

__version__ = "0.1.0"
