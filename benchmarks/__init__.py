"""Benchmarks: one adapter each. `benchmarks.load("201")` gives its space and its ground truth."""

from benchmarks.benchmark import Benchmark, load
from benchmarks.errors import UserError
from benchmarks.registry import BENCHMARKS, GROUPS, expand, known, space_of

__all__ = ["BENCHMARKS", "GROUPS", "Benchmark", "UserError", "expand", "known", "load", "space_of"]
