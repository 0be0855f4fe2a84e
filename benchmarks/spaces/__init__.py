"""What the spaces of all benchmarks share."""
