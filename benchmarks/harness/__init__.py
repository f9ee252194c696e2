"""What benchmarks share; importing it loads nothing, so that the cores can be limited first."""
