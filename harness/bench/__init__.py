"""Benchmarks of this project itself: commands `python -m harness.bench.NAME`, each told by docs/speed.md."""
