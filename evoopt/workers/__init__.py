"""Rows evaluated by the workers of an executor: threads, processes, or other machines."""
