"""Benchmarks: one adapter each. `benchmarks.load("201")` gives its space and its ground truth."""

from benchmarks.benchmark import BENCHMARKS, GROUPS, Benchmark, expand, known, load, space_of
from benchmarks.errors import UserError
from benchmarks.from_api import from_api

__all__ = ["BENCHMARKS", "GROUPS", "Benchmark", "UserError", "expand", "from_api", "known", "load", "space_of"]
