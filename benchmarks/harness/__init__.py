"""Shared parts of benchmarks; importing this loads nothing, so that cores can be limited first."""
