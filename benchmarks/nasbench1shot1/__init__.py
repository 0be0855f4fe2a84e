"""NAS-Bench-1Shot1."""
