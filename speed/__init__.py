"""Benchmarks of this project itself: commands `python -m speed.NAME`, described in docs/speed.md."""
