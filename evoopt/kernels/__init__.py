"""Compiled code: the only package with JIT options."""
