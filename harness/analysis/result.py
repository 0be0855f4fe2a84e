"""What `harness.correlate` and `harness.judge` return."""

from dataclasses import dataclass

import pandas as pd

from harness.analysis.summary import Summary
from harness.store.stored_run import StoredRun


@dataclass(frozen=True)
class Correlation:
    """A finished run and its statistics."""

    run: StoredRun
    summary: Summary

    @property
    def table(self) -> pd.DataFrame:
        """One row per (population, proxy): tau-b, rho, intervals, regret, n, failed."""
        return self.summary.table
