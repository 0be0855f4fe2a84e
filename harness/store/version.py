"""The version of this project, as results record it, and where results go."""

from pathlib import Path

VERSION = "0.1.0"
RUNS = Path("results") / "runs"
"""Where results go by default; git ignores it."""
