"""What is ranked: one adapter per benchmark. `benchmarks.load("201")` gives its space and its ground truth."""

from __future__ import annotations

from importlib import import_module

from benchmarks.errors import UserError, suggest

__all__ = ["BENCHMARKS", "UserError", "space_of"]

BENCHMARKS = {"201": "benchmarks.nasbench201:Space201"}
"""Key on the command line -> `module:class` of its space. A new benchmark is one file and one line here."""


def space_of(bench: str):
    """Return the space of a benchmark key; UserError suggests the nearest where there is none."""
    if bench not in BENCHMARKS:
        raise suggest([bench], BENCHMARKS, "benchmark")
    module, name = BENCHMARKS[bench].split(":")
    return getattr(import_module(module), name)()
