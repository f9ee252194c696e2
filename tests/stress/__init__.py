"""Attacks on files and states that take longer than a test: ``python -m tests.stress --help``."""
